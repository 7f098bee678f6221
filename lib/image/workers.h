/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/image: threads that do what is not done by a ring, in any order. One punches holes: a
 * ring's restrictions cannot tell a hole from all else that fallocate does, a filter can. Where the host
 * has no io_uring, a few do everything.
 */
#ifndef BULKHEAD_IMAGE_WORKERS_H
#define BULKHEAD_IMAGE_WORKERS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define WORKERS_JOBS 256U /* asked for and not taken back; their tags are smaller */
#define WORKERS_THREADS 4U

enum workers_op {
	WORKERS_READ,
	WORKERS_WRITE,
	WORKERS_SYNC,
	WORKERS_PUNCH,
};

struct workers_job {
	enum workers_op op;
	uint64_t offset, len;	 /* bytes; len of PUNCH */
	const struct iovec *iov; /* of READ and WRITE; there until the job is done */
	size_t n_iov;
	int result; /* bytes, 0 or a negative errno */
};

struct workers {
	pthread_t thread[WORKERS_THREADS];
	unsigned int n_threads;
	int file_fd; /* the caller's */
	int ask_fd;  /* an eventfd: one for each job; -1: there are no threads */
	int done_fd; /* readable when there is something to take */
	int (*enter)(void *arg);
	void *arg;
	_Atomic int entered;
	unsigned int n_unsaid;	/* jobs since the last workers_wake */
	unsigned int n_unheard; /* jobs for which done_fd has not counted, or was not read */
	_Atomic uint32_t asked, begun, done;
	uint32_t taken;
	uint16_t queue[WORKERS_JOBS];		 /* tags, each at its number modulo WORKERS_JOBS */
	_Atomic uint32_t finished[WORKERS_JOBS]; /* tags and 1; 0: not yet */
	struct workers_job job[WORKERS_JOBS];	 /* by tag */
};

/* Starts n threads, each of which calls enter (or NULL) first and must get 0 of it. w stays where it
 * is. 0, or the error of either. */
[[nodiscard]] int workers_open(struct workers *w, unsigned int n, int file_fd,
			       int (*enter)(void *arg), void *arg);
/* Waits for the threads' end. */
void workers_close(struct workers *w);
/* A job, whose tag no other one has at the moment; it is begun with the next workers_wake. */
void workers_ask(struct workers *w, uint16_t tag, const struct workers_job *job);
void workers_wake(struct workers *w);
/* Before workers_take is called until it has no more: done_fd is readable for what comes after this. A job may
 * be taken before its count is heard. Without a count to come it costs no call. */
void workers_hear(struct workers *w);
/* The next one that is done. False: none is. */
[[nodiscard]] bool workers_take(struct workers *w, uint16_t *ret_tag, int *ret_result);

#endif
