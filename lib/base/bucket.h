/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket: so many at once, and one more each interval. The clock is the caller's. */
#ifndef BULKHEAD_BASE_BUCKET_H
#define BULKHEAD_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	uint32_t size;	   /* most that it holds */
	uint64_t every_ns; /* until one comes back; not 0 */
	uint32_t left;
	uint64_t since_ns; /* what came back is counted from here */
};

/* A full one. */
struct bucket bucket_full(uint32_t size, uint64_t every_ns, uint64_t now_ns);
/* Whether it holds one now. A clock that goes back gives nothing. */
bool bucket_has(struct bucket *b, uint64_t now_ns);
/* Takes one, if it holds one. */
bool bucket_take(struct bucket *b, uint64_t now_ns);

#endif
