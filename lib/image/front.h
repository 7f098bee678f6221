/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that stands on a volume: the asynchronous front of formats with metadata.
 *
 * Two ways lead through it. What the volume's cache knows to be plain bytes of a file goes to an io_uring,
 * as a raw image's requests do. Everything else (metadata that has to be read, allocation, compressed and
 * copied clusters, zeroes, discards) goes to one worker thread, which calls the volume's operations one
 * after the other; its filter is its own.
 *
 * What may change where bytes lie waits for what is under way there, and the other way round: clusters are
 * what is kept apart. A flush covers all that has completed before it. A completed request has left this
 * process: if it is killed, the one after it finds in the files what the guest was told.
 *
 * The ring and the thread are made before the sandbox (front_open); no byte of the files is read before
 * front_begin.
 */
#ifndef BULKHEAD_IMAGE_FRONT_H
#define BULKHEAD_IMAGE_FRONT_H

#include "lib/image/image.h"
#include "lib/image/volume.h"

#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>

#define FRONT_DEPTH 256U /* requests in flight */
#define FRONT_FILES 9U	 /* under one volume */
#define FRONT_PIECES 64U /* of memory in one operation, where a request is cut */

/* A file under the volume, as the ring and as the volume know it. */
struct front_file {
	int fd;
	const struct store *store;
};

struct front_setup {
	struct front_file files[FRONT_FILES];
	size_t n_files;
	bool readonly; /* nothing is written to any of them */
	/* By the worker, before anything else: 0 or an error. NULL: there is nothing to give up. */
	int (*confine)(void *arg);
	/* By the worker: opens the volume. 0, or an error with the reason in *e. */
	int (*open)(void *arg, struct volume **ret, struct volume_error *e);
	void *arg;
};

enum front_state {
	FRONT_FREE,
	FRONT_WAITS,   /* for what is under way in its clusters */
	FRONT_ON_RING, /* a piece of it */
	FRONT_AT_WORKER,
};

struct front_slot {
	enum front_state state;
	bool sync;	/* what is on the ring, or is to be done yet, is a flush */
	uint64_t at;	/* bytes done */
	uint64_t piece; /* bytes that the ring was asked for */
	unsigned int retries;
	int result;	    /* the worker's */
	uint64_t mutations; /* FLUSH at the worker: those that it covers */
	struct image_io io;
	uint16_t next; /* free, or waiting */
	struct iovec window[FRONT_PIECES];
};

/* What the worker shares with the main thread. */
struct front_worker {
	pthread_t thread;
	int ask_fd, done_fd; /* eventfds */
	_Atomic uint32_t asked, done;
	_Atomic bool ending;
	uint16_t job[2 * FRONT_DEPTH]; /* slots, or what front_worker.c says */
	struct volume *volume;
	int result; /* of confining, opening and closing */
	struct volume_error error;
};

struct front {
	struct image image;
	struct front_setup setup;
	struct io_uring ring;
	struct front_worker worker;
	unsigned int data_file; /* that written data goes to */
	unsigned int n_in_flight, n_on_ring;
	unsigned int n_mutating;     /* at the worker */
	uint32_t queued, taken;	     /* jobs */
	uint32_t heard;		     /* jobs of which done_fd was read */
	uint64_t mutations, flushed; /* asked of the worker, and of those on stable storage */
	uint16_t first_free, first_waiting, last_waiting;
	struct front_slot slot[FRONT_DEPTH];
};

/* Makes the ring and the thread. The files stay the caller's. 0, or the error of either or of confine. */
[[nodiscard]] int front_open(struct front *f, const struct front_setup *setup);
/* Has the worker open the volume, and fills f->image: done and owner are the caller's to set before the
 * first request. 0, or an error with the reason in *e. */
[[nodiscard]] int front_begin(struct front *f, struct volume_error *e);
/* What is in flight is done, and the volume is closed. For who ends then: it waits for no thread. 0, or
 * the error of the last flush. */
[[nodiscard]] int front_finish(struct front *f);
/* The same, and all else, by image_close. */

#endif
