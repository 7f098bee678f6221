/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that a format lies on: a file, a block device, a test's memory. Synchronous, for one thread
 * at a time; what is made of it is a volume (volume.h). A store is made by who has the descriptor: no
 * format ever opens a name.
 *
 * The bytes are hostile, and so is the number of them: a store may be shorter than the format says,
 * and reads as zeroes behind its end.
 */
#ifndef BULKHEAD_IMAGE_STORE_H
#define BULKHEAD_IMAGE_STORE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct store;

struct store_ops {
	ssize_t (*readv)(struct store *s, const struct iovec *iov, size_t n_iov, uint64_t offset);
	int (*writev)(struct store *s, const struct iovec *iov, size_t n_iov, uint64_t offset);
	int (*flush)(struct store *s);
	int (*punch)(struct store *s, uint64_t offset, uint64_t len);
	int (*map)(struct store *s, uint64_t offset, uint64_t len, bool *ret_data,
		   uint64_t *ret_len);
	int (*truncate)(struct store *s, uint64_t size);
	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
	uint64_t size; /* bytes: as it was at first, or the end of the farthest write since */
	bool readonly;
	bool fixed; /* of a fixed size, and what was never written is not zeroes: a block device */
};

/*
 * Fills all of iov. What lies behind the end reads as zeroes; the result is the number of bytes
 * that do not, or a negative errno.
 */
[[nodiscard]] static inline ssize_t store_readv(struct store *s, const struct iovec *iov,
						size_t n_iov, uint64_t offset)
{
	return s->ops->readv(s, iov, n_iov, offset);
}

/* Writes all of iov and extends the store where needed. 0; -EROFS; -EFBIG and -ENOSPC: it cannot
 * grow that far; or another errno. After an error any of the bytes may have been written. */
[[nodiscard]] static inline int store_writev(struct store *s, const struct iovec *iov, size_t n_iov,
					     uint64_t offset)
{
	return s->readonly ? -EROFS : s->ops->writev(s, iov, n_iov, offset);
}

[[nodiscard]] ssize_t store_read(struct store *s, void *buf, size_t len, uint64_t offset);
[[nodiscard]] int store_write(struct store *s, const void *buf, size_t len, uint64_t offset);
/* Writes zeroes, in pieces. */
[[nodiscard]] int store_zero(struct store *s, uint64_t offset, uint64_t len);

/* Everything that was written is on stable storage afterwards. */
[[nodiscard]] static inline int store_flush(struct store *s)
{
	return s->ops->flush(s);
}

/*
 * Makes a hole that reads as zeroes; the size stays. 0, -EROFS, -EOPNOTSUPP: nothing was changed, or
 * an errno.
 */
[[nodiscard]] int store_punch(struct store *s, uint64_t offset, uint64_t len);

/*
 * Whether there is data at offset, or a hole, and for how many of the len bytes (at least one) that
 * goes on. A store that cannot tell says data. For tools: not every process has the call for it.
 */
[[nodiscard]] int store_map(struct store *s, uint64_t offset, uint64_t len, bool *ret_data,
			    uint64_t *ret_len);

/* Cuts or extends. For tools: -EOPNOTSUPP where the store has no such call. */
[[nodiscard]] int store_truncate(struct store *s, uint64_t size);

/* Takes NULL. */
static inline void store_close(struct store *s)
{
	if (s)
		s->ops->close(s);
}

/* A regular file or a block device: preadv, pwritev, fdatasync and fallocate's hole, no more after
 * store_fd_open. */
struct store_fd {
	struct store store;
	int fd;
};

enum store_fd_flags {
	STORE_READONLY = 1,
	STORE_TOOL =
		2, /* lseek (store_map) and ftruncate (store_truncate) are there to be called */
};

/*
 * Takes fd on success; store_close closes it. 0; -EINVAL: not a regular file or block device;
 * -EACCES: fd cannot write and STORE_READONLY is not given; or the host's error.
 */
[[nodiscard]] int store_fd_open(struct store_fd *s, int fd, unsigned int flags);

#endif
