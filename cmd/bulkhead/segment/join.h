/* SPDX-License-Identifier: Apache-2.0 */
/* A card's port on a segment: a private network of VMs of one user, which their first one makes and their last one ends. */
#ifndef BULKHEAD_CMD_BULKHEAD_SEGMENT_JOIN_H
#define BULKHEAD_CMD_BULKHEAD_SEGMENT_JOIN_H

#include "lib/config/config.h"

/*
 * The card's end of a stream, whose other end the segment's net-switch has; that is started where nobody has yet. Or a negative
 * errno with the reason.
 */
[[nodiscard]] int segment_open(const struct config_device *d, const char *name,
			       const char **ret_why);

#endif
