/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image over the one of a server's client: what the server has acknowledged outlasts its losing it. Whoever comes back after the
 * connection was lost may have been started again, without what it held in its cache, and would say of the next flush
 * that all is well. So what was acknowledged since the last flush is kept (journal.h), and written again over the next
 * connection, in its order, before anything else. What was under way waits, and is done after that.
 *
 * - Of changes that overlap one alone is under way: so their order is known.
 * - The journal's room is promised before a change is started: where there is none, a flush of its own makes some first.
 * - What is written stable goes into it as long as there is something in it, too: or else older data would be written over it.
 * - A server that does not take again what it has lost is left, as if it were away. Nothing is ever answered that is not so.
 */
#ifndef BULKHEAD_STORAGEKIT_LASTING_H
#define BULKHEAD_STORAGEKIT_LASTING_H

#include "lib/storagekit/journal.h"

#define LASTING_SLOTS 32U /* requests */
#define LASTING_AGAIN 16U /* records that are written again at once */

enum lasting_state {
	LASTING_AWAY,	     /* there is no connection */
	LASTING_AGAIN_FIRST, /* the journal is written again */
	LASTING_UP,
};

enum lasting_slot_state { LASTING_FREE, LASTING_HELD, LASTING_RUNNING };

struct lasting_slot {
	enum lasting_slot_state state;
	uint64_t number; /* they are started in this order */
	uint64_t mark;	 /* FLUSH: the journal's records below it are what it is about */
	struct image_io io;
};

struct lasting {
	struct image image;
	struct image *below;
	enum lasting_state state;
	/* From within reap. All is as it was: requests go on. */
	void (*whole)(void *owner);
	/* The server refuses what it has lost: the owner gives the connection up, and says so by lasting_lost. */
	void (*refused)(void *owner, int error);
	void *owner;
	int refusal; /* 0, or a negative errno */
	uint64_t next_number;
	bool flushing; /* by itself */
	uint64_t flush_mark;
	uint64_t again,
		again_next; /* records from `again` on are to be written again, those from again_next on not yet */
	struct iovec iov[LASTING_AGAIN][2];
	struct lasting_slot slot[LASTING_SLOTS];
	struct journal journal;
};

/* There is no connection yet. The owner's fields are set afterwards; below outlives it, and is its alone. */
void lasting_open(struct lasting *l, struct image *below);
/* The image below has another descriptor. */
void lasting_look(struct lasting *l);
/* A connection is up: what is below takes requests. */
void lasting_found(struct lasting *l);
/* It has ended: before what is under way below completes, with whichever result. */
void lasting_lost(struct lasting *l);
/* While there is none: what waits for another one completes with result, now. */
void lasting_fail(struct lasting *l, int result);

#endif
