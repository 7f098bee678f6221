/* SPDX-License-Identifier: Apache-2.0 */
/* Whether bytes are zeroes. */
#ifndef BULKHEAD_IMAGE_TOOL_ZERO_H
#define BULKHEAD_IMAGE_TOOL_ZERO_H

#include <stdbool.h>
#include <stddef.h>

/*
 * How many bytes at the beginning are all zeroes, or all not, block by block (a block with any other
 * byte is not): *ret_zero which.
 */
size_t zero_run(const void *bytes, size_t len, size_t block, bool *ret_zero);

#endif
