/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Raw images: a regular file or a block device, by io_uring.
 *
 * The ring is made before the sandbox: one registered file, and restrictions that allow only reads,
 * writes and syncs of it. Holes are punched by a thread, whose filter can tell them from all else
 * that fallocate does, which a ring's restrictions cannot: space reserved behind the end of a file
 * is bounded by nothing. Where the host forbids io_uring, a few threads do all of it.
 */
#ifndef BULKHEAD_IMAGE_RAW_H
#define BULKHEAD_IMAGE_RAW_H

#include "lib/image/bounce.h"
#include "lib/image/image.h"
#include "lib/image/workers.h"

#include <errno.h>
#include <liburing.h>

#define RAW_DEPTH 256U /* requests in flight */

/* How a request is carried out; falls through to the next where the file cannot. */
enum raw_step {
	RAW_READ,
	RAW_WRITE,
	RAW_SYNC,
	RAW_PUNCH,	 /* fallocate PUNCH_HOLE, by a worker */
	RAW_WRITE_ZEROES /* chunk by chunk */
};

struct raw_slot {
	bool used;
	bool sync_after;
	enum raw_step step;
	uint64_t at; /* bytes of io done */
	unsigned int retries;
	size_t skipped;	    /* bytes of the first piece of io.iov, put back at the end of it */
	bool unaligned;	    /* goes through a buffer */
	uint8_t *buffer;    /* that it has at the moment, or NULL */
	struct iovec piece; /* of it, or of zeroes */
	struct image_io io;
	uint16_t next; /* free one, or one that waits for a buffer */
};

struct raw_image {
	struct image image;
	struct io_uring ring;
	int file_fd; /* for holes, or -1 */
	int no_ring; /* why workers do everything: the host's error; 0: there is a ring */
	struct workers workers;
	bool can_punch;
	unsigned int n_in_flight; /* handed to the ring, submitted or not, and n_at_workers */
	unsigned int n_at_workers;
	struct bounce bounce;
	size_t unit_mask; /* bits of addresses and lengths that O_DIRECT has to find clear */
	uint16_t first_free, first_waiting, last_waiting;
	struct raw_slot slot[RAW_DEPTH];
};

struct raw_how {
	bool readonly;
	bool direct;	  /* O_DIRECT: past the host's cache */
	uint32_t logical; /* bytes of a block; requests will be of whole ones */
};

/* How threads give up what they do not need: 0 or an error. prepare comes before they are started and
 * says whether they do everything, or only punch holes; enter is called by each. */
struct raw_confiner {
	int (*prepare)(void *arg, bool everything);
	int (*enter)(void *arg);
	void *arg;
};

/*
 * Takes fd (on success; it stays open only for the threads). Fills raw->image; done and owner are the
 * caller's to set. 0; -EINVAL: not a regular file or block
 * device; -EACCES: fd cannot write and readonly is false; -ENODATA: not one sector; -EOPNOTSUPP or
 * -EDOM: direct is not to be had here at all, or not with such small blocks; or the error of
 * io_uring, unless that says that the host forbids it, of threads or of confiner, which may be NULL. Of
 * the file's data, nothing is changed.
 */
[[nodiscard]] int raw_open(struct raw_image *raw, int fd, const struct raw_how *how,
			   const struct raw_confiner *confiner);
/* What its error is about, for a line for the user. */
static inline const char *raw_what(const struct raw_how *how, int error)
{
	if (how->direct && error == -EOPNOTSUPP)
		return "image: its file system has no O_DIRECT, so say cache=writeback";
	if (how->direct && error == -EDOM)
		return "image: cache=none needs larger blocks there, so say logical_block_size=4096 "
		       "or cache=writeback";
	return "image";
}

#endif
