/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that work pieces of a disk off, each in a filter of its own. All are there before the sandbox is entered.
 * The first error of any ends the work of all.
 */
#ifndef BULKHEAD_IMAGE_TOOL_POOL_H
#define BULKHEAD_IMAGE_TOOL_POOL_H

#include "cmd/image-tool/piece.h"
#include "lib/imagefile/job.h"
#include "lib/sandbox/sandbox.h"

#include <pthread.h>
#include <stdbool.h>

#define POOL_PIECE_MAX (2U << 20) /* bytes of the disk in one */
#define POOL_QUEUE 64
#define POOL_PARTS 32

/* What is to be done: parts that follow one another on the disk. */
struct pool_task {
	uint64_t offset; /* on the disk */
	uint64_t len;	 /* at most POOL_PIECE_MAX */
	struct piece few[POOL_PARTS];
	struct piece *many; /* instead, where they do not suffice */
	size_t n_parts;
};

void pool_task_init(struct pool_task *t, uint64_t offset);
/* Behind what it has. 0 or -ENOMEM. */
[[nodiscard]] int pool_task_add(struct pool_task *t, const struct piece *p);
/* One that is not given to the pool. */
void pool_task_drop(struct pool_task *t);

struct pool_thread {
	pthread_t thread;
	struct pool *pool;
	struct unpacker unpacker;
	uint8_t *bytes;	  /* POOL_PIECE_MAX */
	uint8_t *scratch; /* the same */
	void *own;	  /* the work's */
};

struct pool_error {
	int error; /* negative errno */
	const char *name;
	const char *what; /* "reading" */
};

/* 0, or a negative errno with what it was about. */
typedef int (*pool_fn)(void *owner, struct pool_thread *t, const struct pool_task *task,
		       struct pool_error *e);

struct pool {
	struct pool_thread thread[IMAGE_THREADS_MAX];
	unsigned int n;
	pthread_mutex_t lock;
	pthread_cond_t more, room;
	struct pool_task queue[POOL_QUEUE];
	unsigned int head, waiting, busy; /* of the queue; threads at work */
	unsigned int entered;
	struct pool_error error;
	struct sandbox_filter filter;
	pool_fn work;
	void *owner;
};

/* n 0: as many as CPUs may be used. Each thread has entered its filter. 0 or a negative errno. */
[[nodiscard]] int pool_open(struct pool *p, unsigned int n);
void pool_use(struct pool *p, pool_fn work, void *owner);
/* Waits for room. 0, or the error that some task met. */
[[nodiscard]] int pool_give(struct pool *p, const struct pool_task *task);
/* Until everything is done. The same. */
[[nodiscard]] int pool_drain(struct pool *p);
/* Reads all parts of the task into t->bytes. As pool_fn. */
[[nodiscard]] int pool_read(struct pool_thread *t, const struct pool_task *task,
			    struct pool_error *e);

#endif
