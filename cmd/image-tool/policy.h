/* SPDX-License-Identifier: Apache-2.0 */
/* What image-tool may still ask of the kernel once it reads images; image_tool_declared is the whole. */
#ifndef BULKHEAD_IMAGE_TOOL_POLICY_H
#define BULKHEAD_IMAGE_TOOL_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy image_tool_policy;
/* of the threads that copy */
extern const struct sandbox_policy image_copier_policy;

#endif
