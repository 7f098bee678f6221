/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_ring SLICE_MS ROUNDS {SOCK PID PACKETS}… loop TAP PACKETS: one driver of virtio-net against several vhost-user
 * back ends, each on a tap of its own, and against a bare copy loop, which is the limit: a thread that does nothing
 * but read and write its tap. PACKETS is the host's side of a tap, a packet socket with headers of offloads. Each line of standard input
 * is a job, "send|receive BYTES DEPTH"; for each of its rounds a line is printed with frames per second and
 * microseconds of the back end's CPU for each frame, per back end, the loop's last.
 *
 * The driver does what Linux's does: buffers that merge, event indices, one kick for a batch, asleep until
 * the interrupt. Frames that are larger than the MTU go as TSO does. DEPTH frames are on their way at once.
 */
#define _GNU_SOURCE
#include "front.h"

#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* CSUM, GUEST_CSUM, GUEST_TSO4, HOST_TSO4, MRG_RXBUF */
#define F_NET (1ULL << 0 | 1ULL << 1 | 1ULL << 7 | 1ULL << 11 | 1ULL << 15)
#define HEADER 12U /* of virtio-net; a packet socket's has no num_buffers, and 10 bytes */
#define SOCKET_HEADER 10U
#define MSS 1448U
#define MTU_FRAME 1514U
#define FRAME_MAX 65536U

#define RECEIVE_AT 0U
#define SEND_AT 0x4000U
#define SENT (1U << 16) /* the one frame that is sent */
#define SENT_BYTES (1U << 17)
#define BUFFERS (SENT + SENT_BYTES)
#define BUFFER_BYTES 4096U
#define RAM (BUFFERS + FRONT_SLOTS * BUFFER_BYTES)
#define BURST 64U
#define N_MAX 6

struct loop {
	int tap, wake, done_event;
	uint8_t sent[HEADER + FRAME_MAX], received[HEADER + FRAME_MAX];
	unsigned int bytes;
	unsigned int asked, sent_n, received_n, taken;
};

struct back {
	bool is_loop;
	int packets;
	clockid_t clock;
	struct front front;
	struct front_ring receive, send;
	unsigned int buffers_left; /* of a merged frame that is not whole yet */
	struct loop loop;
};

struct job {
	bool send;
	unsigned int bytes, depth;
};

struct figures {
	double per_second, cpu_us;
};

/* ---- frames ---- */

/* To nobody, so that the host drops it first thing: Ethernet, IPv4, TCP. */
static void lay_out_frame(uint8_t *header, uint8_t *frame, unsigned int bytes)
{
	static const uint8_t start[34] = { 0x52, 0x54, 0,    0xab, 0xcd, 0xef, 0x52, 0x54, 0,
					   0x12, 0x34, 0x56, 8,	   0,	 0x45, 0,    0,	   0,
					   0,	 1,    0x40, 0,	   64,	 6,    0,    0,	   10,
					   9,	 0,    2,    10,   9,	 0,    1 };

	memset(header, 0, HEADER);
	memset(frame, 0, bytes);
	memcpy(frame, start, sizeof(start));
	frame[16] = (uint8_t)((bytes - 14) >> 8);
	frame[17] = (uint8_t)(bytes - 14);
	frame[46] = 5 << 4;
	if (bytes > MTU_FRAME) {
		const uint16_t rest[4] = { 54, MSS, 34, 16 };

		header[0] = 1; /* the checksum is to be done */
		header[1] = 1; /* TCP over IPv4 */
		memcpy(header + 2, rest, sizeof(rest));
	}
}

/* ---- the limit ---- */

static void *copy_loop(void *of)
{
	struct back *b = of;
	struct loop *l = &b->loop;
	struct pollfd p[2] = { { .fd = l->wake, .events = POLLIN },
			       { .fd = l->tap, .events = POLLIN } };
	const uint64_t one = 1;

	for (;;) {
		uint64_t count;
		unsigned int n = 0, sent = l->sent_n;

		if (poll(p, 2, -1) < 0)
			err(1, "poll");
		(void)!read(l->wake, &count, sizeof(count));
		while (sent != __atomic_load_n(&l->asked, __ATOMIC_ACQUIRE)) {
			if (write(l->tap, l->sent, HEADER + l->bytes) < 0)
				err(1, "tap");
			sent++;
		}
		while (read(l->tap, l->received, sizeof(l->received)) > 0)
			n++;
		__atomic_store_n(&l->sent_n, sent, __ATOMIC_RELEASE);
		__atomic_store_n(&l->received_n, l->received_n + n, __ATOMIC_RELEASE);
		if (write(l->done_event, &one, sizeof(one)) < 0)
			err(1, "event");
	}
}

static void open_loop(struct back *b, int tap)
{
	pthread_t thread;

	b->is_loop = true;
	b->loop.tap = tap;
	b->loop.wake = eventfd(0, EFD_NONBLOCK);
	b->loop.done_event = eventfd(0, 0);
	if (pthread_create(&thread, NULL, copy_loop, b) != 0 ||
	    pthread_getcpuclockid(thread, &b->clock) != 0)
		errx(1, "no thread");
}

/* How many more are done of what n counts. */
static unsigned int loop_take(struct loop *l, const unsigned int *n)
{
	uint64_t count;

	for (;;) {
		unsigned int now = __atomic_load_n(n, __ATOMIC_ACQUIRE), more = now - l->taken;

		l->taken = now;
		if (more)
			return more;
		if (read(l->done_event, &count, sizeof(count)) < 0)
			err(1, "event");
	}
}

/* ---- a back end ---- */

static void open_device(struct back *b, int sock, int pid)
{
	if (clock_getcpuclockid(pid, &b->clock) != 0)
		errx(1, "no clock of process %d", pid);
	front_open(&b->front, sock, F_NET, RAM);
	front_start(&b->front, &b->receive, 0, RECEIVE_AT);
	front_start(&b->front, &b->send, 1, SEND_AT);
	for (unsigned int i = 0; i < FRONT_SLOTS; i++) {
		b->receive.r->desc[i] = (struct desc){ BUFFERS + (uint64_t)i * BUFFER_BYTES,
						       BUFFER_BYTES, FRONT_WRITABLE, 0 };
		front_put(&b->receive, i);
	}
	front_publish(&b->receive);
}

static unsigned int take_sent(struct back *b)
{
	uint16_t slots[FRONT_SLOTS];

	return front_take(&b->send, slots, NULL);
}

/* Frames that are whole; their buffers are given again. */
static unsigned int take_received(struct back *b)
{
	uint16_t slots[FRONT_SLOTS];
	unsigned int n = front_take(&b->receive, slots, NULL), whole = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (!b->buffers_left) {
			uint16_t buffers;

			memcpy(&buffers, b->front.ram + BUFFERS + slots[i] * BUFFER_BYTES + 10, 2);
			b->buffers_left = buffers;
		}
		whole += --b->buffers_left == 0;
		front_put(&b->receive, slots[i]);
	}
	front_publish(&b->receive);
	return whole;
}

/* ---- both ---- */

static void prepare(struct back *b, const struct job *j)
{
	uint8_t *at = b->is_loop ? b->loop.sent : b->front.ram + SENT;

	lay_out_frame(at, at + HEADER, j->bytes);
	if (b->is_loop) {
		b->loop.bytes = j->bytes;
		b->loop.taken = j->send ? b->loop.sent_n : b->loop.received_n;
		return;
	}
	for (unsigned int i = 0; i < FRONT_SLOTS; i++)
		b->send.r->desc[i] = (struct desc){ SENT, HEADER + j->bytes, 0, 0 };
}

/* n frames come out of the host's side. */
static void host_sends(struct back *b, const struct job *j, unsigned int n)
{
	static uint8_t header[HEADER], frame[FRAME_MAX];
	struct iovec iov[2] = { { header, SOCKET_HEADER }, { frame, j->bytes } };
	struct mmsghdr m[BURST];

	lay_out_frame(header, frame, j->bytes);
	for (unsigned int i = 0; i < BURST; i++)
		m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov, .msg_iovlen = 2 } };
	while (n) {
		int sent = sendmmsg(b->packets, m, n < BURST ? n : BURST, 0);

		if (sent < 0)
			err(1, "the host's side");
		n -= (unsigned int)sent;
	}
}

static void guest_sends(struct back *b, unsigned int n)
{
	const uint64_t one = 1;

	if (b->is_loop) {
		__atomic_store_n(&b->loop.asked, b->loop.asked + n, __ATOMIC_RELEASE);
		if (write(b->loop.wake, &one, sizeof(one)) < 0)
			err(1, "wake");
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		front_put(&b->send, b->send.avail % FRONT_SLOTS);
	front_publish(&b->send);
}

static unsigned int take(struct back *b, const struct job *j)
{
	if (b->is_loop)
		return loop_take(&b->loop, j->send ? &b->loop.sent_n : &b->loop.received_n);
	return j->send ? take_sent(b) : take_received(b);
}

static void go(struct back *b, const struct job *j, unsigned int n)
{
	if (j->send)
		guest_sends(b, n);
	else
		host_sends(b, j, n);
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
	double start, cpu, now;
	unsigned int flying = j->depth, done = 0;

	prepare(b, j);
	start = now = seconds(CLOCK_MONOTONIC);
	cpu = seconds(b->clock);
	go(b, j, flying);
	while (flying) {
		unsigned int n = take(b, j);

		done += n;
		flying -= n;
		now = seconds(CLOCK_MONOTONIC);
		if (now - start >= length)
			continue;
		flying += n;
		go(b, j, n);
	}
	usleep(2000); /* it has gone to sleep, and is counted */
	return (struct figures){ done / (now - start), (seconds(b->clock) - cpu) * 1e6 / done };
}

static bool parse(const char *line, struct job *j)
{
	char op[8];

	if (sscanf(line, "%7s %u %u", op, &j->bytes, &j->depth) != 3 || j->depth > FRONT_SLOTS ||
	    j->bytes > FRAME_MAX)
		return false;
	j->send = strcmp(op, "send") == 0;
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

/* What comes out of a tap is for nobody there. */
static void open_packets(struct back *b, int packets)
{
	struct sock_filter nothing = { .code = BPF_RET | BPF_K };
	struct sock_fprog filter = { 1, &nothing };

	b->packets = packets;
	if (setsockopt(packets, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) < 0)
		err(1, "filter");
}

int main(int argc, char **argv)
{
	static struct back back[N_MAX];
	unsigned int n = (unsigned int)argc / 3 - 1;
	char line[128];
	struct job j;

	if (argc < 6 || argc % 3 || n > N_MAX)
		errx(2, "usage: net_ring SLICE_MS ROUNDS {SOCK PID PACKETS}… loop TAP PACKETS");
	for (unsigned int i = 0; i < n; i++) {
		char **word = argv + 3 + 3 * (size_t)i;

		open_packets(&back[i], atoi(word[2]));
		if (i < n - 1)
			open_device(&back[i], atoi(word[0]), atoi(word[1]));
		else
			open_loop(&back[i], atoi(word[1]));
	}
	while (fgets(line, sizeof(line), stdin)) {
		if (!parse(line, &j))
			errx(2, "no job: %s", line);
		run(back, n, &j, atof(argv[1]) / 1000, (unsigned int)atoi(argv[2]));
	}
	return 0;
}
