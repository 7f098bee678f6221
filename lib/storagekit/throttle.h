/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests and bytes a second pass: token buckets, pure, by the caller's clock. What passes in any
 * time is at most its rate's share of that time and one burst; a single request that is larger than the
 * burst passes alone, and what it took too much is waited for afterwards.
 */
#ifndef BULKHEAD_STORAGEKIT_THROTTLE_H
#define BULKHEAD_STORAGEKIT_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_RATE_MAX (1ULL << 40) /* a second */
#define THROTTLE_BURST_MAX 3600ULL     /* seconds */

enum throttle_what {
	THROTTLE_OPS,
	THROTTLE_OPS_READ,
	THROTTLE_OPS_WRITE,
	THROTTLE_BYTES,
	THROTTLE_BYTES_READ,
	THROTTLE_BYTES_WRITE,
	THROTTLE_KINDS
};

struct throttle_rates {
	uint64_t rate[THROTTLE_KINDS]; /* a second, at most THROTTLE_RATE_MAX; 0: no bound */
	uint64_t burst_s;	       /* what may be saved up, at most THROTTLE_BURST_MAX */
};

struct throttle {
	struct throttle_rates rates;
	int64_t left[THROTTLE_KINDS]; /* thousandths */
};

/* With full buckets. */
void throttle_init(struct throttle *t, const struct throttle_rates *rates);
/* Whether there is any bound. */
bool throttle_bounds(const struct throttle *t);
/* So much time has passed. */
void throttle_pass_ms(struct throttle *t, uint64_t ms);
/* One request of bytes: true, and it is counted, or false: later. */
bool throttle_take(struct throttle *t, bool writes, uint64_t bytes);
/* One that counts as that many requests. */
bool throttle_take_all(struct throttle *t, bool writes, uint64_t ops, uint64_t bytes);

#endif
