/* SPDX-License-Identifier: Apache-2.0 */
/* Reading kernel and initrd; see file.h. */
#include "cmd/vmm/boot/file.h"

#include "lib/base/checked.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK (1ULL << 30) /* below the kernel's limit for one read */

int boot_file_open(int fd, struct boot_file *ret)
{
	struct stat st;
	int r = fd_stat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) || st.st_size < 0)
		return -EINVAL;
	*ret = (struct boot_file){ .fd = fd, .size = (uint64_t)st.st_size };
	return 0;
}

int boot_file_read(const struct boot_file *f, uint64_t offset, void *out, size_t len)
{
	uint8_t *at = out;

	if (!range_within(offset, len, f->size))
		return -ENODATA;
	while (len > 0) {
		ssize_t n = pread(f->fd, at, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		at += n;
		offset += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static ssize_t load_chunk(const struct boot_file *f, uint64_t offset, const struct guestmem *mem,
			  gpa_t gpa, uint64_t len)
{
	struct iovec iov[GUESTMEM_MAX_REGIONS];
	size_t n_iov = 0;
	ssize_t n;
	int r = guest_iov(mem, gpa, len, iov, &n_iov, GUESTMEM_MAX_REGIONS);

	if (r < 0)
		return r;
	do
		n = preadv(f->fd, iov, (int)n_iov, (off_t)offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return n == 0 ? -ENODATA : n;
}

int boot_file_load(const struct boot_file *f, uint64_t offset, const struct guestmem *mem,
		   gpa_t gpa, uint64_t len)
{
	if (!range_within(offset, len, f->size))
		return -ENODATA;
	while (len > 0) {
		ssize_t n = load_chunk(f, offset, mem, gpa, len < CHUNK ? len : CHUNK);

		if (n < 0)
			return (int)n;
		gpa.v += (uint64_t)n;
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	return 0;
}
