/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that the front end hands over beside guest RAM; see vu_internal.h. */
#include "lib/devkit/vu_internal.h"

#include "lib/base/checked.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define PAGE 4096U

/* A file that can still shrink would raise SIGBUS at any access. */
static int check(int fd, uint64_t offset, uint64_t size)
{
	int seals = fcntl(fd, F_GET_SEALS, 0); /* all three: the filter looks at them */
	struct stat st;
	uint64_t end;

	if (!size || offset % PAGE || !u64_add(offset, size, &end) || end > INT64_MAX)
		return -EPROTO;
	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EPROTO;
	return fd_stat(fd, &st) < 0 || (uint64_t)st.st_size < end ? -EPROTO : 0;
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
