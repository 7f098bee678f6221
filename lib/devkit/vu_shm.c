/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the front end hands over beside guest RAM; see vu_internal.h. */
#include "lib/devkit/vu_internal.h"

#include "lib/base/checked.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <sys/mman.h>

#define PAGE 4096U

static int check(int fd, uint64_t offset, uint64_t size)
{
	uint64_t end;

	if (!size || offset % PAGE || !u64_add(offset, size, &end) || end > INT64_MAX)
		return -EPROTO;
	return fd_check_size(fd, end) < 0 ? -EPROTO : 0;
}

int vu_shm_map(struct vu_shm *shm, int fd, uint64_t offset, uint64_t size)
{
	int r = check(fd, offset, size);
	void *at;

	if (r < 0)
		return r;
	at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
	if (at == MAP_FAILED)
		return -errno;
	vu_shm_unmap(shm);
	*shm = (struct vu_shm){ at, size };
	return 0;
}

void vu_shm_unmap(struct vu_shm *shm)
{
	if (shm->at)
		munmap(shm->at, shm->size);
	*shm = (struct vu_shm){ 0 };
}
