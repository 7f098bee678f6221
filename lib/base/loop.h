/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small epoll loop. Sources are embedded in their owners and never allocated. A callback may add
 * and remove any source, its own included.
 */
#ifndef BULKHEAD_BASE_LOOP_H
#define BULKHEAD_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;
struct loop_source;

/* events is a mask of EPOLLIN, EPOLLOUT, EPOLLHUP and EPOLLERR. A negative return stops the loop,
 * and loop_run returns it. */
typedef int (*loop_fn)(struct loop_source *src, uint32_t events);

struct loop_source {
	int fd;		 /* -1 when not registered */
	uint32_t events; /* what it waits for */
	loop_fn fn;
	void *owner;
};

#define LOOP_BATCH 16

struct loop {
	int epfd;
	bool stopped;
	int status;
	struct loop_source *batch[LOOP_BATCH]; /* being delivered; removed ones become NULL */
	int n_batch;
	/* Before the loop sleeps; true: it looks for events without sleeping. NULL: nothing to do. */
	bool (*idle)(void *owner);
	void *idle_owner;
};

[[nodiscard]] int loop_open(struct loop *l);
void loop_close(struct loop *l);
/* events: EPOLLIN and so on, level-triggered. */
[[nodiscard]] int loop_add(struct loop *l, struct loop_source *src, int fd, uint32_t events,
			   loop_fn fn, void *owner);
/* Changes what a registered source waits for; 0 waits for errors only. */
[[nodiscard]] int loop_set(struct loop *l, struct loop_source *src, uint32_t events);
/* Unregisters; harmless on a source that is not registered (fd -1). Does not close. */
void loop_remove(struct loop *l, struct loop_source *src);
/* Makes loop_run return status after the current callback. */
void loop_stop(struct loop *l, int status);
/* Runs until loop_stop or until a callback fails; returns that status. */
[[nodiscard]] int loop_run(struct loop *l);
/* Waits at most timeout_ms (-1: for ever) once and delivers what is ready. */
[[nodiscard]] int loop_run_once(struct loop *l, int timeout_ms);

#endif
