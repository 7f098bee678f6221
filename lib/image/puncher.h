/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to lib/image: a thread that punches holes, one after the other, as a slow host may take its
 * time over each. Not by the ring: its restrictions cannot tell a hole from all else that fallocate
 * does, a filter can.
 */
#ifndef BULKHEAD_IMAGE_PUNCHER_H
#define BULKHEAD_IMAGE_PUNCHER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PUNCHER_MAX 256U /* holes asked for and not taken back */

struct puncher_hole {
	uint64_t offset, len; /* bytes */
	uint16_t tag;	      /* the caller's */
	int result;
};

struct puncher {
	pthread_t thread;
	int file_fd; /* the caller's */
	int ask_fd;  /* an eventfd: one for each hole; -1: there is no thread */
	int done_fd; /* readable when there is something to take */
	int (*enter)(void *arg);
	void *arg;
	int entered;
	_Atomic uint32_t asked, done; /* holes so far */
	uint32_t taken;
	struct puncher_hole hole[PUNCHER_MAX]; /* each at its number modulo PUNCHER_MAX */
};

/* Starts the thread, which calls enter (or NULL) first and must get 0 of it. p stays where it is.
 * 0, or the error of either. */
[[nodiscard]] int puncher_open(struct puncher *p, int file_fd, int (*enter)(void *arg), void *arg);
/* Waits for the thread's end. */
void puncher_close(struct puncher *p);
void puncher_ask(struct puncher *p, uint64_t offset, uint64_t len, uint16_t tag);
/* The next one that is done; result is 0 or fallocate's error. False: none is. */
[[nodiscard]] bool puncher_take(struct puncher *p, uint16_t *ret_tag, int *ret_result);

#endif
