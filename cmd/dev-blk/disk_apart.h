/* SPDX-License-Identifier: Apache-2.0 */
/* A disk whose image a storage process has, HOSTILE, behind the channel that stands in the image's place. */
#ifndef BULKHEAD_DEV_BLK_DISK_APART_H
#define BULKHEAD_DEV_BLK_DISK_APART_H

#include "cmd/dev-blk/blk.h"
#include "lib/diskkit/disk.h"

/* As disk_raw; begin's owner is the struct blk. */
[[nodiscard]] int disk_apart(struct disk *ret, const struct disk_options *o);

#endif
