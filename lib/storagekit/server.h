/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every storage process does: serves an image to the device of one disk, over a socket, as an NBD
 * server. One connection at a time; a new one, which the supervisor brings when the device's process was
 * started again, takes the place of the one before as soon as nothing of that one is under way: so
 * nothing old is ever written over something new.
 *
 * The client is HOSTILE: a fixed number of requests, each with a buffer of its own, nothing is allocated;
 * who breaks the protocol is left, and so is who says another command's flags. Bounds of its rate hold
 * whatever it does (throttle.h).
 */
#ifndef BULKHEAD_STORAGEKIT_SERVER_H
#define BULKHEAD_STORAGEKIT_SERVER_H

#include "lib/base/loop.h"
#include "lib/image/image.h"
#include "lib/nbd/hand.h"
#include "lib/storagekit/throttle.h"

#define STORAGE_SLOTS 32U	    /* requests under way */
#define STORAGE_DATA_MAX (1U << 20) /* bytes of one read or write, which the client is told */
#define STORAGE_TICK_MS 5U

enum storage_slot_state {
	STORAGE_FREE,
	STORAGE_RECEIVING, /* its data */
	STORAGE_WAITING,   /* until its rate lets it pass */
	STORAGE_RUNNING,
	STORAGE_REPLYING,
};

struct storage_slot {
	enum storage_slot_state state;
	bool stale; /* its client has gone: no reply */
	uint16_t next;
	struct nbd_request request;
	uint8_t reply[NBD_REPLY_LEN];
	struct iovec iov;
};

/* First in, first out. */
struct storage_queue {
	uint16_t first, last;
};

struct storage {
	struct image *image;
	struct loop *loop;
	struct loop_source channel;		/* fd -1: nobody is there */
	struct loop_source completions, others; /* of the image */
	struct loop_source ticks;		/* only while somebody waits */
	int next_sock;				/* who comes once all is quiet, or -1 */
	int tick_fd;				/* -1: there is no bound */
	struct throttle throttle;
	struct nbd_hand hand;
	bool up; /* the handshake is over */
	bool ending;
	uint8_t stage[NBD_HAND_IN_MAX]; /* received, and not taken */
	size_t staged;
	struct storage_slot *receiving; /* whose data are next, or NULL */
	uint32_t got;			/* bytes of them */
	size_t sent;			/* of the first reply, or of the handshake's output */
	struct storage_queue waiting[2], replies; /* reads, writes */
	unsigned int n_running;
	struct storage_slot slot[STORAGE_SLOTS];
};

/*
 * Before the sandbox, and nobody is heard yet: image and loop outlive it. With a bound its clock is a timer that is
 * set here, and only read afterwards. 0 or a negative errno.
 */
[[nodiscard]] int storage_open(struct storage *s, struct image *image, struct loop *loop,
			       const struct throttle_rates *rates);
/* The image's fd is another one: before it is closed, and once it is there. */
void storage_forget_image(struct storage *s);
[[nodiscard]] int storage_watch_image(struct storage *s);
/* Requests of the image have completed outside its fd's events. */
void storage_completed(struct storage *s);
/* A client, or another one; takes sock. 0, or the loop's error. */
[[nodiscard]] int storage_connect(struct storage *s, int sock);
/* Ends the loop with 0 once the client has gone and nothing is under way. */
void storage_finish(struct storage *s);

#endif
