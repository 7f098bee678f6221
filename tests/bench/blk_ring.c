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
#include "front.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define F_FLUSH (1ULL << 9) /* so that writes may stay in the cache */

#define SLOT_BYTES (256U << 10) /* of data */
#define TABLES 0x4000U
#define HEADERS 0x8000U
#define DATA (1U << 20)
#define RAM (DATA + FRONT_SLOTS * SLOT_BYTES)
#define N_MAX 6

struct header {
	uint32_t type, reserved;
	uint64_t sector;
	uint8_t status;
};

struct back {
	struct front front;
	struct front_ring ring;
	clockid_t clock;
	uint64_t bytes; /* of the disk */
	uint64_t at, seed;
};

struct figures {
	double per_second, cpu_us;
};

struct job {
	bool write, random;
	unsigned int bytes, depth;
};

static void lay_out_slots(struct back *b)
{
	for (unsigned int i = 0; i < FRONT_SLOTS; i++) {
		struct desc *t = (struct desc *)(void *)(b->front.ram + TABLES) + 4 * i;
		uint64_t header = HEADERS + i * 32ULL;

		b->ring.r->desc[i] = (struct desc){ TABLES + 64ULL * i, 48, FRONT_INDIRECT, 0 };
		t[0] = (struct desc){ header, 16, 1, 1 };
		t[1] = (struct desc){ DATA + (uint64_t)i * SLOT_BYTES, 0, 1, 2 };
		t[2] = (struct desc){ header + 16, 1, FRONT_WRITABLE, 0 };
	}
}

static void open_back(struct back *b, int sock, int pid)
{
	*b = (struct back){ .seed = 0x9e3779b97f4a7c15ULL };
	if (clock_getcpuclockid(pid, &b->clock) != 0)
		errx(1, "no clock of process %d", pid);
	front_open(&b->front, sock, F_FLUSH, RAM);
	front_config(&b->front, &b->bytes, sizeof(b->bytes));
	b->bytes *= 512;
	front_start(&b->front, &b->ring, 0, 0);
	lay_out_slots(b);
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
	struct header *h = (struct header *)(void *)(b->front.ram + HEADERS + slot * 32ULL);
	struct desc *t = (struct desc *)(void *)(b->front.ram + TABLES) + 4ULL * slot;

	*h = (struct header){ j->write, 0, next_offset(b, j) / 512, 0xff };
	t[1].len = j->bytes;
	t[1].flags = j->write ? 1 : 1 | FRONT_WRITABLE;
	front_put(&b->ring, slot);
}

static unsigned int take(struct back *b, uint16_t *slots)
{
	unsigned int n = front_take(&b->ring, slots, NULL);

	for (unsigned int i = 0; i < n; i++) {
		uint8_t status = b->front.ram[HEADERS + slots[i] * 32U + 16];

		if (status)
			errx(1, "status %u", status);
	}
	return n;
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
	uint16_t slots[FRONT_SLOTS];

	for (unsigned int i = 0; i < j->depth; i++, flying++)
		put(b, j, i);
	front_publish(&b->ring);
	while (flying) {
		unsigned int n = take(b, slots);

		done += n;
		flying -= n;
		now = seconds(CLOCK_MONOTONIC);
		for (unsigned int i = 0; i < n && now - start < length; i++, flying++)
			put(b, j, slots[i]);
		front_publish(&b->ring);
	}
	usleep(2000); /* its threads have gone to sleep, and are counted */
	return (struct figures){ done / (now - start), (seconds(b->clock) - cpu) * 1e6 / done };
}

static bool parse(const char *line, struct job *j)
{
	char op[8], order[16];

	if (sscanf(line, "%7s %u %u %15s", op, &j->bytes, &j->depth, order) != 4 ||
	    j->depth > FRONT_SLOTS || j->bytes > SLOT_BYTES)
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
