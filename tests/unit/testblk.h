/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A whole dev-blk core for tests: guest memory and one armed ring (testring.h), and an image that
 * is an array. Its requests complete when the test says so, in the order that the test chooses.
 */
#ifndef BULKHEAD_TESTS_TESTBLK_H
#define BULKHEAD_TESTS_TESTBLK_H

#include "tests/unit/testring.h"

#include "cmd/dev-blk/blk.h"
#include "lib/devkit/vu_internal.h"

#define TB_CAPACITY (128U * 512U)
#define TB_DEPTH 64U /* fewer than the device has slots, so that the image refuses too */

struct testblk {
	struct testring ring;
	struct loop loop;
	struct image image;
	struct blk blk;
	int peer;    /* the front end's end of the socket */
	int call_fd; /* our own descriptor of the interrupt */
	uint8_t disk[TB_CAPACITY];
	struct image_io pending[TB_DEPTH]; /* oldest first */
	unsigned int n_pending;
	unsigned int n_submits;
	void (*at_reap)(struct testblk *t); /* what completes then; may be NULL */
};

void testblk_open(struct testblk *t, uint16_t size);
void testblk_close(struct testblk *t);
/* Forgets everything but what costs time: stops, resets, and clears guest memory. */
void testblk_reset(struct testblk *t);
/* Arms and enables queue 0 with features and t->ring.layout's size. */
void testblk_arm(struct testblk *t, uint64_t features);
/* Completes the pending request with that index; result 0 carries it out. */
void testblk_complete(struct testblk *t, unsigned int index, int result);
/* The same from within at_reap. */
void testblk_carry_out(struct testblk *t, unsigned int index, int result);
/* Completes requests until the rings are drained, and lets them be served again. */
void testblk_drain(struct testblk *t);
/* The same, and stops queue 0. */
void testblk_stop(struct testblk *t);
/* How many interrupts came since the last call. */
uint64_t testblk_interrupts(struct testblk *t);

static inline struct dev_queue *testblk_queue(struct testblk *t)
{
	return &t->blk.dev.queue[0];
}

#endif
