/* SPDX-License-Identifier: Apache-2.0 */
/* Private to lib/image: between raw_open.c, raw.c and raw_start.c. */
#ifndef BULKHEAD_IMAGE_RAW_INTERNAL_H
#define BULKHEAD_IMAGE_RAW_INTERNAL_H

#include "lib/image/raw.h"

_Static_assert(WORKERS_JOBS >= RAW_DEPTH, "workers have room for every slot");

#define RAW_NO_SLOT UINT16_MAX

static inline uint16_t raw_index(const struct raw_image *raw, const struct raw_slot *s)
{
	return (uint16_t)(s - raw->slot);
}

/*
 * Hands the slot's next operation to the ring or to the workers; it starts with the next submission. A
 * slot has one operation at a time, and there is room for one of each. An unaligned request may have to
 * wait for a buffer first. 0 or -EBUSY.
 */
[[nodiscard]] int raw_start(struct raw_image *raw, struct raw_slot *s);

/* Empty slots and the operations. */
void raw_init(struct raw_image *raw);

#endif
