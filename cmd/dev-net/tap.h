/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap of the host's, by its descriptor: one frame for each read and write, behind the header of header.h, in
 * which the host's kernel and we say what is still to be done to it.
 *
 * One frame waits each way at most: from the tap until the guest has a buffer, to it while it takes none. Neither
 * outlives the process: a network may lose a frame.
 *
 * Whoever opened it has set its offloads, so that no call but read and write is needed here. One that was opened without
 * is bare: its frames have no header, and nothing is left to be done to them. The kernel's frames are
 * the network's: HOSTILE. Its header is the kernel's own, and checked all the same.
 */
#ifndef BULKHEAD_DEV_NET_TAP_H
#define BULKHEAD_DEV_NET_TAP_H

#include "cmd/dev-net/header.h"
#include "lib/base/loop.h"

#define TAP_FRAME_MAX 65553U /* as the link's */

/* As read and write have it. */
struct tap_frame {
	struct net_header header;
	uint8_t bytes[TAP_FRAME_MAX];
};

struct tap {
	struct loop *loop;
	struct loop_source src;
	int fd;			/* -1: it has gone */
	bool bare;		/* set before tap_open */
	bool waiting;		/* a frame to it has found no room */
	size_t in_len, out_len; /* of the frames that wait; 0: none */
	struct tap_frame in, out;
	void (*on_event)(void *owner); /* as link's */
	void *owner;
};

/* Serves fd, which it owns. 0, or the error of epoll. */
[[nodiscard]] int tap_open(struct tap *t, struct loop *loop, int fd, void (*on_event)(void *owner),
			   void *owner);
void tap_close(struct tap *t);
/* The frame that is to be filled next, or NULL: not now, and on_event follows once there is room. */
[[nodiscard]] struct tap_frame *tap_claim(struct tap *t);
/* It is filled, with that many bytes behind the header. One that the kernel does not take is dropped. */
void tap_commit(struct tap *t, size_t len);
/* The frame that came first and its length, or NULL: none is there. */
[[nodiscard]] struct tap_frame *tap_peek(struct tap *t, size_t *ret_len);
void tap_skip(struct tap *t);
/* As link_settle. */
[[nodiscard]] int tap_settle(struct tap *t);

#endif
