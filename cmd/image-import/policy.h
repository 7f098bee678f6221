/* SPDX-License-Identifier: Apache-2.0 */
/* What image-import may still ask of the kernel once it reads an image; image_import_declared is the whole. */
#ifndef BULKHEAD_IMAGE_IMPORT_POLICY_H
#define BULKHEAD_IMAGE_IMPORT_POLICY_H

#include "lib/declared/declared.h"

extern const struct sandbox_policy image_import_policy;

#endif
