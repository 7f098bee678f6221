/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk image as a device sees it: a fixed number of bytes that are read, written, flushed,
 * discarded and zeroed asynchronously. Formats stand behind image_ops; which one is always said by
 * the user, never guessed.
 *
 * The owner checks requests against capacity; the image checks again. Capacity is what it was at
 * the start: a file that shrinks afterwards gives errors for what is gone, a file that grows is
 * seen at the next start. The image is trusted no more than the guest that fills it.
 */
#ifndef BULKHEAD_IMAGE_IMAGE_H
#define BULKHEAD_IMAGE_IMAGE_H

#include "lib/base/checked.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define IMAGE_SECTOR 512U /* bytes; offsets and lengths are multiples of it */

enum image_op {
	IMAGE_READ,    /* into iov */
	IMAGE_WRITE,   /* from iov */
	IMAGE_FLUSH,   /* everything that has completed is on stable storage afterwards */
	IMAGE_DISCARD, /* a hint: the bytes are not needed; they may read as anything of this image */
	IMAGE_ZERO,    /* the bytes read as zeroes afterwards */
};

struct image_io {
	enum image_op op;
	bool may_unmap;	 /* IMAGE_ZERO: deallocating is welcome */
	bool sync;	 /* WRITE and ZERO: on stable storage before it completes */
	uint64_t offset; /* bytes */
	uint64_t len;	 /* bytes, not 0 but for FLUSH; of READ and WRITE: the sum of iov */
	struct iovec *
		iov; /* the owner's; the image may change it until completion, when it is as it was */
	size_t n_iov;
	uint64_t handle; /* given back on completion */
};

/* result: 0, or a negative errno of the host: -EIO (also for bytes that are not there), -ENOSPC… */
typedef void (*image_done)(void *owner, uint64_t handle, int result);

struct image;

struct image_ops {
	int (*queue)(struct image *image, const struct image_io *io);
	int (*submit)(struct image *image);
	int (*reap)(struct image *image);
	int (*wait)(struct image *image);
	void (*close)(struct image *image);
};

struct image {
	const struct image_ops *ops;
	uint64_t capacity; /* bytes, a multiple of IMAGE_SECTOR */
	uint32_t block;	   /* bytes of the host's preferred unit, a power of two from 512 on */
	bool readonly;
	bool can_discard; /* DISCARD gives something back */
	bool cached;	  /* what is not sync may be lost before a FLUSH, and nobody says so */
	bool prompt;	  /* what was submitted may have completed when submit returns */
	int fd;		  /* readable when completions are there to reap */
	int other_fd;	  /* the same, or -1 */
	uint32_t events;  /* of fd to be waited for, as epoll has them; 0: that it is readable */
	image_done done;
	void *owner;
};

/*
 * Takes a request; nothing is started before image_submit. 0; -EBUSY: as many in flight as can be;
 * -EINVAL: outside the capacity, or not of sectors; -EROFS; -EOPNOTSUPP: a DISCARD. done is never called from here.
 */
[[nodiscard]] static inline int image_queue(struct image *image, const struct image_io *io)
{
	return image->ops->queue(image, io);
}

/* Starts what was queued, all of it by one system call if the host takes it. 0, or -EAGAIN: call
 * again later. */
[[nodiscard]] static inline int image_submit(struct image *image)
{
	return image->ops->submit(image);
}

/* Calls done for what has completed, without waiting. 0, or the host's error. done may queue. */
[[nodiscard]] static inline int image_reap(struct image *image)
{
	return image->ops->reap(image);
}

/* As image_reap, but submits and waits for one completion at least when any request is in flight.
 * For draining. */
[[nodiscard]] static inline int image_wait(struct image *image)
{
	return image->ops->wait(image);
}

static inline void image_close(struct image *image)
{
	image->ops->close(image);
}

/* For the images themselves: whether a request can be, as image_queue says it. */
[[nodiscard]] static inline int image_check(const struct image *image, const struct image_io *io)
{
	if (io->op == IMAGE_FLUSH)
		return 0;
	if (image->readonly && io->op != IMAGE_READ)
		return -EROFS;
	if (io->op == IMAGE_DISCARD && !image->can_discard)
		return -EOPNOTSUPP;
	if (!io->len || io->len % IMAGE_SECTOR || io->offset % IMAGE_SECTOR ||
	    !range_within(io->offset, io->len, image->capacity))
		return -EINVAL;
	return 0;
}

#endif
