/* SPDX-License-Identifier: Apache-2.0 */
/* Raw images: what a file is and can do, found out before the sandbox; see raw.h. */
#include "lib/image/raw_internal.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/image/uring.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROBE_LEN 4096

/* *ret_block is a power of two between a sector and a page. */
static void clamp_block(uint64_t preferred, uint32_t *ret_block)
{
	uint32_t block = IMAGE_SECTOR;

	while (block < preferred && block < 4096)
		block *= 2;
	*ret_block = block;
}

static int measure(int fd, const struct stat *st, uint64_t *ret_size, uint32_t *ret_block)
{
	unsigned int physical = 0;
	uint64_t size;

	if (S_ISREG(st->st_mode)) {
		*ret_size = (uint64_t)st->st_size;
		clamp_block((uint64_t)st->st_blksize, ret_block);
		return 0;
	}
	if (!S_ISBLK(st->st_mode))
		return -EINVAL;
	if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKPBSZGET, &physical) < 0)
		return -errno;
	*ret_size = size;
	clamp_block(physical, ret_block);
	return 0;
}

/*
 * Whether discards give anything back must be known before they are offered: a hole far behind the
 * end of the file, where there is no data, tells.
 */
static void probe(struct raw_image *raw, int fd, const struct stat *st)
{
	off_t at = (off_t)((raw->image.capacity + MIB(2)) & ~(MIB(1) - 1));

	if (raw->image.readonly)
		return;
	raw->can_punch = S_ISBLK(st->st_mode) ||
			 fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, PROBE_LEN) ==
				 0;
	raw->image.can_discard = raw->can_punch;
}

static int open_ring(struct raw_image *raw, int fd)
{
	static const uint8_t ops[] = { IORING_OP_READV, IORING_OP_FSYNC, IORING_OP_WRITEV };

	/* the first two change nothing */
	return uring_open(&raw->ring, RAW_DEPTH, &fd, 1, ops,
			  raw->image.readonly ? 2 : sizeof(ops));
}

/* Only where there is something for them: no thread stands about in other devices. */
static int open_workers(struct raw_image *raw, int fd, const struct raw_confiner *c)
{
	int r = 0;

	if (!raw->can_punch && !raw->no_ring)
		return 0;
	if (c)
		r = c->prepare(c->arg, raw->no_ring != 0);
	if (r == 0)
		r = workers_open(&raw->workers, raw->no_ring ? WORKERS_THREADS : 1, fd,
				 c ? c->enter : NULL, c ? c->arg : NULL);
	if (r < 0)
		return r;
	raw->file_fd = fd;
	return 0;
}

/* Whether a read of len bytes gets past the cache, in memory that is aligned to as many. */
static bool takes(int fd, size_t len)
{
	static _Alignas(4096) uint8_t page[2 * 4096];

	return pread(fd, page + len, len, 0) >= 0;
}

/*
 * The flag is of the open file, which is nobody's but ours. Not every kernel tells what a file takes; a
 * read that nobody looks at does.
 */
static int set_direct(struct raw_image *raw, int fd, uint32_t logical)
{
	uint32_t unit = IMAGE_SECTOR;

	if (fcntl(fd, F_SETFL, O_DIRECT) < 0)
		return errno == EINVAL ? -EOPNOTSUPP : -errno;
	if (!takes(fd, unit))
		unit = 4096;
	if (!takes(fd, unit))
		return -EOPNOTSUPP;
	if (logical % unit)
		return -EDOM;
	raw->unit_mask = unit - 1;
	return bounce_open(&raw->bounce);
}

static bool forbidden(int r)
{
	return r == -ENOSYS || r == -EPERM || r == -EACCES;
}

static int open_parts(struct raw_image *raw, int fd, const struct raw_confiner *confiner)
{
	int r = open_ring(raw, fd);

	if (forbidden(r))
		raw->no_ring = r;
	else if (r < 0)
		return r;
	r = open_workers(raw, fd, confiner);
	if (r < 0 && !raw->no_ring)
		io_uring_queue_exit(&raw->ring);
	return r;
}

int raw_open(struct raw_image *raw, int fd, const struct raw_how *how,
	     const struct raw_confiner *confiner)
{
	int flags = fcntl(fd, F_GETFL), r;
	uint64_t size = 0;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!how->readonly && (flags & O_ACCMODE) == O_RDONLY)
		return -EACCES;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	memset(raw, 0, sizeof(*raw));
	r = measure(fd, &st, &size, &raw->image.block);
	if (r < 0)
		return r;
	raw->image.capacity = size - size % IMAGE_SECTOR;
	raw->image.readonly = how->readonly;
	if (!raw->image.capacity)
		return -ENODATA;
	raw->file_fd = raw->workers.ask_fd = raw->workers.done_fd = -1;
	raw_init(raw);
	probe(raw, fd, &st);
	if (how->direct)
		r = set_direct(raw, fd, how->logical);
	if (r == 0)
		r = open_parts(raw, fd, confiner);
	if (r < 0) {
		bounce_close(&raw->bounce);
		return r;
	}
	raw->image.fd = raw->no_ring ? raw->workers.done_fd : raw->ring.ring_fd;
	raw->image.other_fd = raw->no_ring ? -1 : raw->workers.done_fd;
	raw->image.prompt = !raw->no_ring;
	if (raw->file_fd < 0)
		closep(&fd);
	return 0;
}
