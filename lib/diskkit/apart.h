/* SPDX-License-Identifier: Apache-2.0 */
/* The disk of a device whose image it has itself, or a storage process, HOSTILE, behind a channel that stands in its place. */
#ifndef BULKHEAD_DISKKIT_APART_H
#define BULKHEAD_DISKKIT_APART_H

#include "lib/diskkit/disk.h"
#include "lib/flight/flight.h"

/* As disk_open, whichever of the two it is; begin's owner is the struct flight whose one image it is. */
[[nodiscard]] int disk_open_any(struct disk *ret, const struct disk_options *o,
				const char **ret_what);

#endif
