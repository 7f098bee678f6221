/* SPDX-License-Identifier: Apache-2.0 */
/* What the command is while image processes work for it, and its child that has started them. */
#ifndef BULKHEAD_CMD_BULKHEAD_IMAGE_POLICY_H
#define BULKHEAD_CMD_BULKHEAD_IMAGE_POLICY_H

#include "lib/declared/declared.h"

/* The directory of a target, which has this number so that the filter can name it. */
#define IMAGE_RELAY_FD_DIR 60

extern const struct sandbox_policy image_relay_policy;
extern const struct sandbox_policy image_starter_policy;

#endif
