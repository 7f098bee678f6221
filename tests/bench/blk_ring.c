/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_ring SLICE_MS ROUNDS {FD PID}…: one driver of virtio-blk against several vhost-user back ends,
 * in turns. FD is a connected socket, PID the back end's process. Each line of standard input is a
 * job, "read|write BYTES DEPTH random|sequential"; for each of its rounds a line is printed with
 * requests per second and microseconds of the process's CPU for each request, per back end.
 *
 * The driver does what Linux's does: a ring of 128 with indirect descriptors and event indices, one
 * kick for a batch, asleep until the interrupt, all that is done taken at once.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	GET_FEATURES = 1,
	SET_FEATURES,
	SET_OWNER,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR,
	SET_VRING_BASE,
	SET_VRING_KICK = 12,
	SET_VRING_CALL,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
};
#define F_BLK (1ULL << 9) /* FLUSH, so that writes may stay in the cache */
#define F_RING (1ULL << 28 | 1ULL << 29 | 1ULL << 32)
#define F_PROTOCOL (1ULL << 30)
#define P_CONFIG (1ULL << 9)

#define RING 128U
#define SLOT_BYTES (256U << 10) /* of data */
#define TABLES 0x4000U
#define HEADERS 0x8000U
#define DATA (1U << 20)
#define RAM (DATA + RING * SLOT_BYTES)
#define N_MAX 6

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct header {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t status;
};

struct rings {
	struct desc desc[RING];
	uint16_t avail_flags, avail_idx, avail[RING], used_event;
	uint16_t padding;
	uint16_t used_flags, used_idx;
	struct {
		uint32_t id, len;
	} used[RING];
	uint16_t avail_event;
};
_Static_assert(offsetof(struct rings, used_flags) % 4 == 0, "2.7");
_Static_assert(offsetof(struct rings, used) == offsetof(struct rings, used_flags) + 4, "2.7.8");
_Static_assert(sizeof(struct rings) <= TABLES, "room for them");

struct back {
	int sock, pid, kick, call;
	clockid_t clock;
	uint8_t *ram;
	struct rings *r;
	uint64_t bytes; /* of the disk */
	uint16_t avail, used, kicked;
	uint64_t at, seed;
};

struct figures {
	double per_second, cpu_us;
};

struct job {
	bool write, random;
	unsigned int bytes, depth;
};

static void send_message(struct back *b, uint32_t request, const void *body, uint32_t len, int fd)
{
	uint32_t head[3] = { request, 1, len };
	struct iovec iov[2] = { { head, 12 }, { (void *)body, len } };
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		m.msg_control = control;
		m.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
						       .cmsg_type = SCM_RIGHTS,
						       .cmsg_len = CMSG_LEN(sizeof(int)) };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(int));
	}
	if (sendmsg(b->sock, &m, 0) != (ssize_t)(12 + len))
		err(1, "request %u", request);
}

static void receive(struct back *b, void *body, uint32_t len)
{
	uint32_t head[3];

	if (recv(b->sock, head, 12, MSG_WAITALL) != 12 || head[2] != len ||
	    recv(b->sock, body, len, MSG_WAITALL) != (ssize_t)len)
		errx(1, "the back end's answer is not one");
}

static uint64_t get(struct back *b, uint32_t request)
{
	uint64_t v;

	send_message(b, request, NULL, 0, -1);
	receive(b, &v, sizeof(v));
	return v;
}

static void set(struct back *b, uint32_t request, uint64_t v, int fd)
{
	send_message(b, request, &v, sizeof(v), fd);
}

static void negotiate(struct back *b)
{
	uint64_t offered = get(b, GET_FEATURES);
	uint8_t config[12 + 60] = { [4] = 60 };

	if (~offered & (F_RING | F_PROTOCOL | F_BLK))
		errx(1, "the back end lacks features: %llx", (unsigned long long)offered);
	set(b, SET_PROTOCOL_FEATURES, get(b, GET_PROTOCOL_FEATURES) & P_CONFIG, -1);
	set(b, SET_FEATURES, F_RING | F_PROTOCOL | F_BLK, -1);
	send_message(b, SET_OWNER, NULL, 0, -1);
	send_message(b, GET_CONFIG, config, sizeof(config), -1);
	receive(b, config, sizeof(config));
	memcpy(&b->bytes, config + 12, 8);
	b->bytes *= 512;
}

static void share_ram(struct back *b)
{
	int fd = memfd_create("bench-ram", MFD_ALLOW_SEALING);
	struct {
		uint32_t n, padding;
		uint64_t gpa, size, uaddr, offset;
	} table = { 1, 0, 0, RAM, 0, 0 };

	if (fd < 0 || ftruncate(fd, RAM) < 0)
		err(1, "memfd");
	b->ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (b->ram == MAP_FAILED)
		err(1, "mmap");
	memset(b->ram + DATA, 0x5a, RAM - DATA);
	b->r = (struct rings *)(void *)b->ram;
	table.uaddr = (uintptr_t)b->ram;
	send_message(b, SET_MEM_TABLE, &table, sizeof(table), fd);
	close(fd);
}

static void start_ring(struct back *b)
{
	uint64_t base = (uintptr_t)b->ram;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr = { 0,
		   0,
		   base,
		   base + offsetof(struct rings, used_flags),
		   base + offsetof(struct rings, avail_flags),
		   0 };
	uint32_t num[2] = { 0, RING }, zero[2] = { 0, 0 }, on[2] = { 0, 1 };

	b->kick = eventfd(0, EFD_CLOEXEC);
	b->call = eventfd(0, EFD_CLOEXEC);
	send_message(b, SET_VRING_NUM, num, sizeof(num), -1);
	send_message(b, SET_VRING_BASE, zero, sizeof(zero), -1);
	send_message(b, SET_VRING_ADDR, &addr, sizeof(addr), -1);
	set(b, SET_VRING_CALL, 0, b->call);
	set(b, SET_VRING_KICK, 0, b->kick);
	send_message(b, SET_VRING_ENABLE, on, sizeof(on), -1);
}

static void lay_out_slots(struct back *b)
{
	for (unsigned int i = 0; i < RING; i++) {
		struct desc *t = (struct desc *)(void *)(b->ram + TABLES) + 4 * i;
		uint64_t header = HEADERS + i * 32ULL;

		b->r->desc[i] = (struct desc){ TABLES + 64ULL * i, 48, 4, 0 };
		t[0] = (struct desc){ header, 16, 1, 1 };
		t[1] = (struct desc){ DATA + (uint64_t)i * SLOT_BYTES, 0, 1, 2 };
		t[2] = (struct desc){ header + 16, 1, 2, 0 };
	}
}

static void open_back(struct back *b, int sock, int pid)
{
	*b = (struct back){ .sock = sock, .pid = pid, .seed = 0x9e3779b97f4a7c15ULL };
	if (clock_getcpuclockid(pid, &b->clock) != 0)
		errx(1, "no clock of process %d", pid);
	negotiate(b);
	share_ram(b);
	lay_out_slots(b);
	start_ring(b);
}

static uint64_t next_offset(struct back *b, const struct job *j)
{
	if (!j->random) {
		b->at = b->at + 2ULL * j->bytes > b->bytes ? 0 : b->at + j->bytes;
		return b->at;
	}
	b->seed ^= b->seed << 13;
	b->seed ^= b->seed >> 7;
	b->seed ^= b->seed << 17;
	return b->seed % (b->bytes / j->bytes) * j->bytes;
}

static void put(struct back *b, const struct job *j, unsigned int slot)
{
	struct header *h = (struct header *)(void *)(b->ram + HEADERS + slot * 32ULL);
	struct desc *t = (struct desc *)(void *)(b->ram + TABLES) + 4ULL * slot;

	*h = (struct header){ j->write, 0, next_offset(b, j) / 512, 0xff };
	t[1].len = j->bytes;
	t[1].flags = j->write ? 1 : 3;
	b->r->avail[b->avail++ % RING] = (uint16_t)slot;
}

static void publish(struct back *b)
{
	const uint64_t one = 1;
	uint16_t event;

	__atomic_store_n(&b->r->avail_idx, b->avail, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&b->r->avail_event, __ATOMIC_ACQUIRE);
	if ((uint16_t)(b->avail - event - 1) < (uint16_t)(b->avail - b->kicked) &&
	    write(b->kick, &one, sizeof(one)) < 0)
		err(1, "kick");
	b->kicked = b->avail;
}

/* The descriptor is non-blocking: so the back ends make it. */
static void await_call(struct back *b)
{
	struct pollfd p = { .fd = b->call, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, -1) < 0 || read(b->call, &count, sizeof(count)) < 0)
		err(1, "call");
}

/* Takes all that is done, at least one. */
static unsigned int take(struct back *b, uint16_t *slots)
{
	unsigned int n = 0;

	for (;;) {
		while (b->used != __atomic_load_n(&b->r->used_idx, __ATOMIC_ACQUIRE)) {
			uint16_t slot = (uint16_t)b->r->used[b->used++ % RING].id;

			if (b->ram[HEADERS + slot * 32U + 16])
				errx(1, "status %u", b->ram[HEADERS + slot * 32U + 16]);
			slots[n++] = slot;
		}
		if (n)
			return n;
		__atomic_store_n(&b->r->used_event, b->used, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (b->used == __atomic_load_n(&b->r->used_idx, __ATOMIC_ACQUIRE))
			await_call(b);
	}
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		err(1, "clock_gettime");
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct figures slice(struct back *b, const struct job *j, double length)
{
	double start = seconds(CLOCK_MONOTONIC), cpu = seconds(b->clock), now = start;
	unsigned int flying = 0, done = 0;
	uint16_t slots[RING];

	for (unsigned int i = 0; i < j->depth; i++, flying++)
		put(b, j, i);
	publish(b);
	while (flying) {
		unsigned int n = take(b, slots);

		done += n;
		flying -= n;
		now = seconds(CLOCK_MONOTONIC);
		for (unsigned int i = 0; i < n && now - start < length; i++, flying++)
			put(b, j, slots[i]);
		publish(b);
	}
	usleep(2000); /* its threads have gone to sleep, and are counted */
	return (struct figures){ done / (now - start), (seconds(b->clock) - cpu) * 1e6 / done };
}

static bool parse(const char *line, struct job *j)
{
	char op[8], order[16];

	if (sscanf(line, "%7s %u %u %15s", op, &j->bytes, &j->depth, order) != 4 ||
	    j->depth > RING || j->bytes > SLOT_BYTES)
		return false;
	j->write = strcmp(op, "write") == 0;
	j->random = strcmp(order, "random") == 0;
	return true;
}

static void run(struct back *b, unsigned int n, const struct job *j, double length,
		unsigned int rounds)
{
	struct figures f[N_MAX];

	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < n; i++)
			f[(round + i) % n] = slice(&b[(round + i) % n], j, length);
		for (unsigned int i = 0; i < n; i++)
			printf("%.1f %.3f ", f[i].per_second, f[i].cpu_us);
		printf("\n");
	}
	printf("\n");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	static struct back back[N_MAX];
	unsigned int n = (unsigned int)(argc - 3) / 2;
	char line[128];
	struct job j;

	if (argc < 5 || argc % 2 == 0 || n > N_MAX)
		errx(2, "usage: blk_ring SLICE_MS ROUNDS {FD PID}…");
	for (unsigned int i = 0; i < n; i++)
		open_back(&back[i], atoi(argv[3 + 2 * i]), atoi(argv[4 + 2 * i]));
	while (fgets(line, sizeof(line), stdin)) {
		if (!parse(line, &j))
			errx(2, "no job: %s", line);
		run(back, n, &j, atof(argv[1]) / 1000, (unsigned int)atoi(argv[2]));
	}
	return 0;
}
