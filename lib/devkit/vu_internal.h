/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/devkit: what the session (vu_device.c) asks of the rings (vu_ring.c). */
#ifndef BULKHEAD_DEVKIT_VU_INTERNAL_H
#define BULKHEAD_DEVKIT_VU_INTERNAL_H

#include "lib/devkit/vu_device.h"

void vu_ring_init(struct dev_queue *q, struct vu_device *d, unsigned int index);
/* Freezes the ring and joins the loop with the kick descriptor, which it takes on success. A ring
 * that cannot be is the guest's error: NEEDS_RESET and 0. */
[[nodiscard]] int vu_ring_arm(struct dev_queue *q, int *kick_fd);
/* Drains and stops the ring; q->base is where it stood. Harmless when not armed. */
void vu_ring_stop(struct dev_queue *q);
/* The device forgets the chains and the memory of every queue. */
void vu_rings_drain(struct vu_device *d);
/* Puts the kick descriptors' events in line with what is served, and serves once what is. */
[[nodiscard]] int vu_rings_update(struct vu_device *d);
[[nodiscard]] bool vu_rings_any_armed(const struct vu_device *d);
/* Runs the queues that asked to be run again. */
int vu_rings_on_again(struct loop_source *src, uint32_t events);
/* Replaces *slot with an eventfd, which it takes, made non-blocking. -EPROTO for anything else. */
[[nodiscard]] int vu_ring_take_event(int *slot, int *fd);

#endif
