/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target's input, taken byte by byte; behind its end are zeroes. */
#ifndef BULKHEAD_TESTS_FUZZ_INPUT_H
#define BULKHEAD_TESTS_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

static struct {
	const uint8_t *data;
	size_t left;
} in;

static inline uint8_t take(void)
{
	if (!in.left)
		return 0;
	in.left--;
	return *in.data++;
}

/* Little-endian. */
static inline uint32_t take32(void)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < 32; i += 8)
		v |= (uint32_t)take() << i;
	return v;
}

#endif
