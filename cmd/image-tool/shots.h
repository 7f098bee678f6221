/* SPDX-License-Identifier: Apache-2.0 */
/* The list of an image's snapshots, as info and snapshot show it. */
#ifndef BULKHEAD_IMAGE_TOOL_SHOTS_H
#define BULKHEAD_IMAGE_TOOL_SHOTS_H

#include "lib/imagekit/json.h"
#include "lib/image/qcow2/qcow2.h"

json_t *shots_json(const struct qcow2_snapshot *s, size_t n);
/* Nothing where there are none. */
void shots_print(const struct qcow2_snapshot *s, size_t n);

#endif
