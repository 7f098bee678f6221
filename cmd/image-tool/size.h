/* SPDX-License-Identifier: Apache-2.0 */
/* What resize makes of a disk. */
#ifndef BULKHEAD_IMAGE_TOOL_SIZE_H
#define BULKHEAD_IMAGE_TOOL_SIZE_H

#include "lib/imagefile/job.h"

/* Of a disk of this size, in whole sectors; 0: that cannot be. */
uint64_t size_after(const struct image_job *job, uint64_t size);

#endif
