/* SPDX-License-Identifier: Apache-2.0 */
/* See front.h. */
#define _GNU_SOURCE
#include "front.h"

#include <err.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
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
#define F_RING (1ULL << 28 | 1ULL << 29 | 1ULL << 32)
#define F_PROTOCOL (1ULL << 30)
#define P_CONFIG (1ULL << 9)
#define CONFIG_MAX 60U

static void send_message(struct front *f, uint32_t request, const void *body, uint32_t len, int fd)
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
	if (sendmsg(f->sock, &m, 0) != (ssize_t)(12 + len))
		err(1, "request %u", request);
}

static void receive(struct front *f, void *body, uint32_t len)
{
	uint32_t head[3];

	if (recv(f->sock, head, 12, MSG_WAITALL) != 12 || head[2] != len ||
	    recv(f->sock, body, len, MSG_WAITALL) != (ssize_t)len)
		errx(1, "the back end's answer is not one");
}

static uint64_t get(struct front *f, uint32_t request)
{
	uint64_t v;

	send_message(f, request, NULL, 0, -1);
	receive(f, &v, sizeof(v));
	return v;
}

static void set(struct front *f, uint32_t request, uint64_t v, int fd)
{
	send_message(f, request, &v, sizeof(v), fd);
}

static void share_ram(struct front *f, size_t bytes)
{
	int fd = memfd_create("bench-ram", MFD_ALLOW_SEALING);
	struct {
		uint32_t n, padding;
		uint64_t gpa, size, uaddr, offset;
	} table = { 1, 0, 0, bytes, 0, 0 };

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		err(1, "memfd");
	f->ram = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (f->ram == MAP_FAILED)
		err(1, "mmap");
	memset(f->ram, 0x5a, bytes);
	table.uaddr = (uintptr_t)f->ram;
	send_message(f, SET_MEM_TABLE, &table, sizeof(table), fd);
	close(fd);
}

void front_open(struct front *f, int sock, uint64_t features, size_t ram)
{
	uint64_t offered;

	f->sock = sock;
	features |= F_RING | F_PROTOCOL;
	offered = get(f, GET_FEATURES);
	if (~offered & features)
		errx(1, "the back end lacks features: it has %llx", (unsigned long long)offered);
	set(f, SET_PROTOCOL_FEATURES, get(f, GET_PROTOCOL_FEATURES) & P_CONFIG, -1);
	set(f, SET_FEATURES, features, -1);
	send_message(f, SET_OWNER, NULL, 0, -1);
	share_ram(f, ram);
}

void front_config(struct front *f, void *ret, size_t len)
{
	uint8_t config[12 + CONFIG_MAX] = { [4] = CONFIG_MAX };

	send_message(f, GET_CONFIG, config, sizeof(config), -1);
	receive(f, config, sizeof(config));
	memcpy(ret, config + 12, len);
}

void front_start(struct front *f, struct front_ring *q, uint32_t index, uint64_t at)
{
	uint64_t base = (uintptr_t)f->ram + at;
	struct {
		uint32_t index, flags;
		uint64_t desc, used, avail, log;
	} addr = { index,
		   0,
		   base,
		   base + offsetof(struct rings, used_flags),
		   base + offsetof(struct rings, avail_flags),
		   0 };
	uint32_t num[2] = { index, FRONT_SLOTS }, zero[2] = { index, 0 }, on[2] = { index, 1 };

	*q = (struct front_ring){ .r = (struct rings *)(void *)(f->ram + at),
				  .kick = eventfd(0, EFD_CLOEXEC),
				  .call = eventfd(0, EFD_CLOEXEC) };
	memset(&q->r->avail_flags, 0, sizeof(struct rings) - sizeof(q->r->desc));
	send_message(f, SET_VRING_NUM, num, sizeof(num), -1);
	send_message(f, SET_VRING_BASE, zero, sizeof(zero), -1);
	send_message(f, SET_VRING_ADDR, &addr, sizeof(addr), -1);
	set(f, SET_VRING_CALL, index, q->call);
	set(f, SET_VRING_KICK, index, q->kick);
	send_message(f, SET_VRING_ENABLE, on, sizeof(on), -1);
}

void front_put(struct front_ring *q, unsigned int slot)
{
	q->r->avail[q->avail++ % FRONT_SLOTS] = (uint16_t)slot;
}

void front_publish(struct front_ring *q)
{
	const uint64_t one = 1;
	uint16_t event;

	__atomic_store_n(&q->r->avail_idx, q->avail, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&q->r->avail_event, __ATOMIC_ACQUIRE);
	if ((uint16_t)(q->avail - event - 1) < (uint16_t)(q->avail - q->kicked) &&
	    write(q->kick, &one, sizeof(one)) < 0)
		err(1, "kick");
	q->kicked = q->avail;
}

/* The descriptor is non-blocking: so the back ends make it. */
static void await_call(struct front_ring *q)
{
	struct pollfd p = { .fd = q->call, .events = POLLIN };
	uint64_t count;

	if (poll(&p, 1, -1) < 0 || read(q->call, &count, sizeof(count)) < 0)
		err(1, "call");
}

unsigned int front_take(struct front_ring *q, uint16_t *slots, uint32_t *lens)
{
	unsigned int n = 0;

	for (;;) {
		while (q->used != __atomic_load_n(&q->r->used_idx, __ATOMIC_ACQUIRE)) {
			unsigned int i = q->used++ % FRONT_SLOTS;

			if (lens)
				lens[n] = q->r->used[i].len;
			slots[n++] = (uint16_t)q->r->used[i].id;
		}
		if (n)
			return n;
		__atomic_store_n(&q->r->used_event, q->used, __ATOMIC_SEQ_CST);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (q->used == __atomic_load_n(&q->r->used_idx, __ATOMIC_ACQUIRE))
			await_call(q);
	}
}
