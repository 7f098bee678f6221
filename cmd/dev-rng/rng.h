/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-rng (VIRTIO 1.2, 5.4) over the host's getrandom, with a token bucket: a guest that asks
 * without end costs the host a bounded share.
 */
#ifndef BULKHEAD_DEV_RNG_RNG_H
#define BULKHEAD_DEV_RNG_RNG_H

#include "lib/base/loop.h"
#include "lib/devkit/vu_device.h"

#include <stddef.h>
#include <stdint.h>

#define RNG_REQUEST_MAX 4096U /* bytes that one request gets at most */
#define RNG_TICK_MS 100U      /* between refills while the bucket is not full */

struct rng_options {
	uint64_t rate; /* bytes per second */
};

struct rng {
	struct vu_device dev;
	struct virtq_chain chain; /* scratch */
	uint64_t rate;		  /* bytes per second */
	uint64_t capacity;	  /* bytes: what one second gives */
	uint64_t tokens;	  /* bytes that may be given now */
	bool ticking;
	int timer_fd;
	struct loop_source timer;
	struct loop *loop;
};

/* Before the sandbox. sock is the vhost-user channel, taken. */
[[nodiscard]] int rng_prepare(struct rng *rng, const struct rng_options *o, struct loop *loop,
			      int sock);
/* The first queue of rng->dev is to be served: the dev_ops' queue_run. */
[[nodiscard]] int rng_run(void *owner, struct dev_queue *q);
/* n ticks have passed. */
void rng_refill(struct rng *rng, uint64_t n);

#endif
