/* SPDX-License-Identifier: Apache-2.0 */
/* The size that a disk is to have; see size.h. */
#include "cmd/image-tool/size.h"

#include "lib/base/checked.h"

#define SECTOR 512U

uint64_t size_after(const struct image_job *job, uint64_t size)
{
	uint64_t new = job->size;

	if (job->size_how == SIZE_ADD && !u64_add(size, job->size, &new))
		return 0;
	if (job->size_how == SIZE_SUB)
		new = job->size < size ? size - job->size : 0;
	return new > INT64_MAX - SECTOR ? 0 : (new + SECTOR - 1) & ~(uint64_t)(SECTOR - 1);
}
