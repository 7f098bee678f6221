/* SPDX-License-Identifier: Apache-2.0 */
/* The monotonic clock. */
#ifndef BULKHEAD_SUPERVISOR_CLOCK_H
#define BULKHEAD_SUPERVISOR_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline uint64_t monotonic_ms(void)
{
	return monotonic_ns() / 1000000;
}

static inline time_t monotonic_s(void)
{
	return (time_t)(monotonic_ns() / 1000000000);
}

#endif
