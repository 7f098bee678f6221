/* SPDX-License-Identifier: Apache-2.0 */
/* What image-seed may still ask of the kernel once it reads its inputs; image_seed_declared is the whole. */
#ifndef BULKHEAD_IMAGE_SEED_POLICY_H
#define BULKHEAD_IMAGE_SEED_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy image_seed_policy;

#endif
