/* SPDX-License-Identifier: Apache-2.0 */
/* What the card asks of its tap's queues beside their frames. */
#ifndef BULKHEAD_DEV_VHOST_NET_TAPS_H
#define BULKHEAD_DEV_VHOST_NET_TAPS_H

#include <stdbool.h>
#include <stdint.h>

/* What may be left to be done to a frame from there, of the driver's features. A tap that does not know one of them has
 * less done for it: the driver takes less as well. */
void taps_set_offloads(const int *taps, unsigned int n, uint64_t features);
/* The first used ones get frames, the others none. */
void taps_use(const int *taps, unsigned int n, unsigned int used);
/* What is there is dropped. */
void taps_drain(const int *taps, unsigned int n);
bool tap_is_gone(int tap);

#endif
