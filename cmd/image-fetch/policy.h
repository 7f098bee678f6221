/* SPDX-License-Identifier: Apache-2.0 */
/* What image-fetch may still ask of the kernel once it hears a server; image_fetch_declared is the whole. */
#ifndef BULKHEAD_IMAGE_FETCH_POLICY_H
#define BULKHEAD_IMAGE_FETCH_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy image_fetch_policy;

#endif
