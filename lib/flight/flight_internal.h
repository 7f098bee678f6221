/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of lib/flight share. */
#ifndef BULKHEAD_FLIGHT_INTERNAL_H
#define BULKHEAD_FLIGHT_INTERNAL_H

#include "lib/flight/flight.h"

#define FLIGHT_NO_SLOT UINT16_MAX

/* A free slot, or NULL. */
struct flight_slot *flight_take(struct flight *f);
int flight_on_completions(struct loop_source *src, uint32_t events);

#endif
