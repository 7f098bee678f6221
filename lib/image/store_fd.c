/* SPDX-License-Identifier: Apache-2.0 */
/* A store on a descriptor; see store.h. */
#include "lib/image/store.h"

#include "lib/base/fd.h"
#include "lib/image/iov.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WINDOW 64U /* pieces of one call */

static struct store_fd *fd_of(struct store *s)
{
	return (struct store_fd *)s; /* its first member */
}
_Static_assert(offsetof(struct store_fd, store) == 0, "fd_of");

typedef ssize_t (*transfer)(int fd, const struct iovec *iov, int n, off_t offset);

/* One call over at most WINDOW pieces from byte `done` of iov on. */
static ssize_t step(int fd, transfer f, const struct iovec *iov, size_t n, uint64_t done,
		    uint64_t offset)
{
	struct iovec window[WINDOW];
	uint64_t len = UINT64_MAX;
	size_t used = iov_window(iov, n, done, &len, window, WINDOW);
	ssize_t r;

	if (offset > INT64_MAX - done)
		return -EFBIG;
	do
		r = f(fd, window, (int)used, (off_t)(offset + done));
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* As far as it goes: the number of bytes, or the error. */
static ssize_t transfer_all(int fd, transfer f, const struct iovec *iov, size_t n, uint64_t len,
			    uint64_t offset)
{
	uint64_t done = 0;

	while (done < len) {
		ssize_t r = step(fd, f, iov, n, done, offset);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += (uint64_t)r;
	}
	return (ssize_t)done;
}

static ssize_t fd_readv(struct store *s, const struct iovec *iov, size_t n, uint64_t offset)
{
	uint64_t len = iov_bytes(iov, n);
	ssize_t got;

	if (offset > INT64_MAX - len)
		got = 0;
	else
		got = transfer_all(fd_of(s)->fd, preadv, iov, n, len, offset);
	if (got >= 0)
		iov_zero(iov, n, (uint64_t)got, len - (uint64_t)got);
	return got;
}

static int fd_writev(struct store *s, const struct iovec *iov, size_t n, uint64_t offset)
{
	uint64_t len = iov_bytes(iov, n);
	ssize_t done;

	if (offset > INT64_MAX - len)
		return -EFBIG;
	done = transfer_all(fd_of(s)->fd, pwritev, iov, n, len, offset);
	if (done < 0)
		return (int)done;
	if ((uint64_t)done < len)
		return -EIO;
	if (!s->fixed && offset + len > s->size)
		s->size = offset + len;
	return 0;
}

static int fd_flush(struct store *s)
{
	return s->readonly || fdatasync(fd_of(s)->fd) == 0 ? 0 : -errno;
}

static int fd_punch(struct store *s, uint64_t offset, uint64_t len)
{
	int r;

	if (offset > INT64_MAX || len > INT64_MAX)
		return -EINVAL;
	do
		r = fallocate(fd_of(s)->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)offset, (off_t)len);
	while (r < 0 && errno == EINTR);
	return r == 0 ? 0 : -errno;
}

static void fd_close(struct store *s)
{
	close(fd_of(s)->fd);
	fd_of(s)->fd = -1;
}

/* -ENXIO of SEEK_DATA is a hole up to the end. */
static int fd_map(struct store *s, uint64_t offset, uint64_t len, bool *ret_data, uint64_t *ret_len)
{
	int fd = fd_of(s)->fd;
	bool data = true;
	off_t end;

	if (offset > INT64_MAX - len)
		return -EINVAL;
	end = lseek(fd, (off_t)offset, SEEK_DATA);
	if (end < 0 && errno != ENXIO)
		end = (off_t)(offset + len); /* it cannot tell */
	else if (end != (off_t)offset)
		data = false;
	else
		end = lseek(fd, (off_t)offset, SEEK_HOLE);
	if (end < 0 || (uint64_t)end > offset + len)
		end = (off_t)(offset + len);
	*ret_data = data;
	*ret_len = (uint64_t)end - offset;
	return 0;
}

static int fd_truncate(struct store *s, uint64_t size)
{
	if (s->fixed)
		return -EOPNOTSUPP;
	if (size > INT64_MAX)
		return -EFBIG;
	if (ftruncate(fd_of(s)->fd, (off_t)size) < 0)
		return -errno;
	s->size = size;
	return 0;
}

static const struct store_ops fd_ops = {
	.readv = fd_readv,
	.writev = fd_writev,
	.flush = fd_flush,
	.punch = fd_punch,
	.close = fd_close,
};

static const struct store_ops fd_tool_ops = {
	.readv = fd_readv,
	.writev = fd_writev,
	.flush = fd_flush,
	.punch = fd_punch,
	.map = fd_map,
	.truncate = fd_truncate,
	.close = fd_close,
};

static int measure(int fd, uint64_t *ret_size, bool *ret_fixed)
{
	struct stat st;
	uint64_t size;
	int r = fd_stat(fd, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return -EINVAL;
	size = (uint64_t)st.st_size;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, &size) < 0)
		return -errno;
	*ret_size = size;
	*ret_fixed = S_ISBLK(st.st_mode);
	return 0;
}

int store_fd_open(struct store_fd *s, int fd, unsigned int flags)
{
	bool readonly = flags & STORE_READONLY, fixed;
	uint64_t size;
	int r = measure(fd, &size, &fixed), mode = fcntl(fd, F_GETFL);

	if (r < 0)
		return r;
	if (mode < 0)
		return -errno;
	if ((mode & O_ACCMODE) == O_WRONLY || (!readonly && (mode & O_ACCMODE) != O_RDWR))
		return -EACCES;
	*s = (struct store_fd){
		.store = { .ops = flags & STORE_TOOL ? &fd_tool_ops : &fd_ops,
			   .size = size,
			   .readonly = readonly,
			   .fixed = fixed },
		.fd = fd,
	};
	return 0;
}
