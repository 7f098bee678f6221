/* SPDX-License-Identifier: Apache-2.0 */
/* Compresses clusters of a qcow2 image. */
#ifndef BULKHEAD_IMAGE_TOOL_PACK_H
#define BULKHEAD_IMAGE_TOOL_PACK_H

#include "lib/imagefile/job.h"

struct packer;

/* One per thread; NULL: no memory. */
struct packer *packer_new(enum image_compression how);
/* *ret_len: of what is in out, which has room for len; 0 where that would not be less than len. */
[[nodiscard]] int pack(struct packer *p, enum image_compression how, const void *in, uint32_t len,
		       void *out, uint32_t *ret_len);

#endif
