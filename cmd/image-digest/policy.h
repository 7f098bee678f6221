/* SPDX-License-Identifier: Apache-2.0 */
/* What image-digest may still ask of the kernel once it reads a file; image_digest_declared is the whole. */
#ifndef BULKHEAD_IMAGE_DIGEST_POLICY_H
#define BULKHEAD_IMAGE_DIGEST_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy image_digest_policy;

#endif
