/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/devkit: what the session (vu_device.c) asks of the requests (vu_requests.c), and
 * both of the rings (vu_ring.c). */
#ifndef BULKHEAD_DEVKIT_VU_INTERNAL_H
#define BULKHEAD_DEVKIT_VU_INTERNAL_H

#include "lib/devkit/vu_device.h"

void vu_ring_init(struct dev_queue *q, struct vu_device *d, unsigned int index);
/* Freezes the ring and joins the loop with the kick descriptor, which it takes on success. A ring
 * that cannot be is the guest's error: NEEDS_RESET and 0. */
[[nodiscard]] int vu_ring_arm(struct dev_queue *q, int *kick_fd);
/* Holds the ring. How many of its chains are in flight: at 0 the device has forgotten all of them,
 * and the memory. */
[[nodiscard]] unsigned int vu_ring_drain(struct dev_queue *q);
/* The same for all rings. */
[[nodiscard]] unsigned int vu_rings_drain(struct vu_device *d);
/* Rings that were held may be served again. */
void vu_rings_release(struct vu_device *d);
/* Stops a drained ring; q->base is where it stood. Harmless when not armed. */
void vu_ring_stop(struct dev_queue *q);
/* Puts the kick descriptors' events in line with what is served, and serves once what is. */
[[nodiscard]] int vu_rings_update(struct vu_device *d);
[[nodiscard]] bool vu_rings_any_armed(const struct vu_device *d);
/* Runs the queues that asked to be run again. */
int vu_rings_on_again(struct loop_source *src, uint32_t events);
/* Replaces *slot with an eventfd, which it takes, made non-blocking. -EPROTO for anything else. */
[[nodiscard]] int vu_ring_take_event(int *slot, int *fd);

/* The policy: a request, the states of the session in which it is legal, what it does. Handlers
 * return 0; VU_LATER, having done nothing but hold rings: to be called again when the device has
 * fewer chains in flight; or a negative errno, the front end's error. reply is sent when the request
 * has one. */
#define VU_LATER 1

struct vu_session_rule {
	uint32_t request;
	unsigned int states;  /* legal ones */
	int protocol_feature; /* that must have been negotiated, or -1 */
	int (*handle)(struct vu_device *d, const struct vu_msg *m, int *fds, struct vu_msg *reply);
};

/* Where a ring request names its ring. */
enum vu_index_at { VU_IN_STATE, VU_IN_ADDR, VU_IN_U64 };

struct vu_ring_rule {
	uint32_t request;
	unsigned int states; /* legal ones of the session */
	bool armed;	     /* legal while the ring is armed */
	enum vu_index_at index;
	int (*handle)(struct dev_queue *q, const struct vu_msg *m, int *fd, struct vu_msg *reply);
};

extern const struct vu_session_rule vu_session_rules[];
extern const size_t vu_n_session_rules;
extern const struct vu_ring_rule vu_ring_rules[];
extern const size_t vu_n_ring_rules;

#endif
