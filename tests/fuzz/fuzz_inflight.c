/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for requests in flight whose every byte is the fuzzer's, as a process that was taken over could leave
 * it, over rings that are the fuzzer's too. Bytes of both also change while the ring runs.
 */
#include "lib/devkit/vu_internal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testring.h"

#include <errno.h>
#include <string.h>

#define N 16U
#define SHM (16U + 16U * N) /* bytes of one ring's part */
#define POPS 40U

static struct testring t;
static uint8_t shm[2 * SHM] __attribute__((aligned(64)));
static const struct dev_spec spec = { .name = "fuzz", .n_queues = 1, .queue_max = N };
static struct vu_device device;
static struct virtq_chain chain;
static bool ready;

static void fill(uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++)
		at[i] = take();
}

/* No chain twice, all of them in the ring. */
static void check_waiting(const struct dev_queue *q)
{
	uint32_t seen = 0;

	require(q->n_again <= N && q->next_again <= q->n_again);
	for (uint16_t i = 0; i < q->n_again; i++) {
		require(q->head_again[i] < N && !(seen & 1U << q->head_again[i]));
		seen |= 1U << q->head_again[i];
	}
	require(q->vq.n_in_flight == q->n_again);
}

static void disturb(void)
{
	if (take() & 1)
		shm[take() % SHM] = take();
	else
		t.ram[(take() & 1 ? TR_AVAIL : TR_DESC) + take()] = take();
}

static void run(struct dev_queue *q)
{
	q->budget = (struct virtq_budget){ .descriptors = 2000, .bytes = 1ULL << 34 };
	for (unsigned int i = 0; i < POPS; i++) {
		int r = dev_queue_pop(q, &chain);

		require(r == 1 || r == 0 || r == -EAGAIN || r == -EBADMSG);
		if (r != 1)
			return;
		require(chain.head < N && q->vq.n_in_flight <= N);
		if (take() & 1)
			disturb();
		if (take() & 3)
			dev_queue_push(q, chain.head, take());
	}
}

/* One process's life on the ring. */
static void live(void)
{
	struct dev_queue *q = &device.queue[0];
	int r;

	*q = (struct dev_queue){
		.dev = &device, .num = N, .kick_fd = -1, .call_fd = -1, .err_fd = -1
	};
	virtq_init(&q->vq, &t.mem);
	require(virtq_start(&q->vq, &t.layout, take()) == 0);
	q->armed = q->enabled = true;
	r = vu_inflight_start(q);
	require(r == 0 || (r == -EPROTO && *device.why));
	if (r == 0) {
		check_waiting(q);
		run(q);
		if (take() & 1)
			vu_inflight_settle(q);
	}
	vu_inflight_stop(q);
	virtq_stop(&q->vq);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!ready)
		testring_open(&t, N, false, false);
	ready = true;
	in.data = data;
	in.left = size;
	memset(&device, 0, sizeof(device));
	device.spec = &spec;
	device.inflight.n_queues = 1;
	device.inflight.queue_size = N;
	device.inflight.shm.at = shm;
	device.inflight.shm.size = SHM;
	memset(shm + SHM, 0x5a, SHM);
	fill(shm, SHM);
	fill(t.ram + TR_AVAIL, 6 + 2 * N);
	fill(t.ram + TR_USED, 6);
	fill(t.ram + TR_DESC, 16 * N);
	live();
	live(); /* on what that one left */
	vu_inflight_reset(&device);
	for (unsigned int i = 0; i < SHM; i++)
		require(shm[SHM + i] == 0x5a); /* nothing was written behind it */
	return 0;
}
