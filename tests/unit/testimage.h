/* SPDX-License-Identifier: Apache-2.0 */
/* An image in memory whose requests complete when the test says so, or at once. */
#ifndef BULKHEAD_TESTS_UNIT_TESTIMAGE_H
#define BULKHEAD_TESTS_UNIT_TESTIMAGE_H

#include "lib/image/image.h"

#define TESTIMAGE_SIZE (4U << 20)
#define TESTIMAGE_DEPTH 64U

struct testimage {
	struct image image;
	int event; /* counts what was submitted */
	bool held; /* nothing completes */
	int fails; /* every request's result; 0: none does */
	struct image_io pending[TESTIMAGE_DEPTH];
	unsigned int n_pending;
	unsigned int n_ops, n_flushes, n_synced, n_bad; /* bad: outside, or no sectors */
	uint64_t n_bytes;
	uint8_t bytes[TESTIMAGE_SIZE];
};

void testimage_open(struct testimage *t, bool readonly);
void testimage_close(struct testimage *t);

#endif
