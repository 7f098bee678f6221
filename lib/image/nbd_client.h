/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image behind a socket: the client's side of NBD (lib/nbd) to a storage process of the same VM. It
 * never blocks on that process: who answers slowly, or not at all, makes slow I/O, no more. Calls: recvmsg
 * and sendmsg; ppoll where the owner waits.
 *
 * When the connection ends, what is in flight is kept until there is a new one (nbd_client_connect), and
 * is then done again: a read or write may be carried out twice, and completes once. Data go straight
 * between the socket and the owner's memory.
 *
 * The peer is HOSTILE: a reply to nothing, one too many, or another export than before break it, which
 * is the owner's end (image_reap fails with -EBADMSG).
 */
#ifndef BULKHEAD_IMAGE_NBD_CLIENT_H
#define BULKHEAD_IMAGE_NBD_CLIENT_H

#include "lib/image/image.h"
#include "lib/nbd/hand.h"

#define NBD_CLIENT_DEPTH 256U		 /* requests in flight */
#define NBD_CLIENT_STAGE NBD_HAND_IN_MAX /* bytes read ahead of what they belong to */

struct nbd_client_slot {
	bool used;
	bool queued;   /* its request is to be sent, or partly sent */
	uint16_t next; /* of the free ones, or of those to be sent */
	uint16_t generation;
	uint64_t at;	/* bytes of io that are done */
	uint32_t piece; /* bytes from there on that are asked for */
	uint8_t header[NBD_REQUEST_LEN];
	struct image_io io;
};

/*
 * How the client's bytes go over the socket where that is not as they are: TLS. transfer: as sendmsg and recvmsg;
 * bytes, 0 (recv: the end), -EAGAIN or another error. begin: a new connection. secure: makes TLS; 0, -EAGAIN, or
 * an error. end: says that nothing more is sent.
 */
struct nbd_wire {
	void (*begin)(struct nbd_wire *w, int sock);
	int (*secure)(struct nbd_wire *w);
	ssize_t (*transfer)(struct nbd_wire *w, const struct iovec *iov, size_t n, bool send);
	void (*end)(struct nbd_wire *w);
};

struct nbd_client {
	struct image image;
	int sock; /* -1 once closed */
	bool gone; /* the peer is: another socket is waited for, and this one stays open until then */
	bool up;   /* the handshake is over */
	bool known; /* there was one before: the export is what it was */
	struct nbd_hand hand;
	const char *name;      /* of the export */
	struct nbd_wire *wire; /* NULL: none, and no TLS */
	bool secured;	       /* the wire is in use */
	bool answered;	       /* a request, since this connection */
	int why;	       /* what ended the connection: a negative errno; -EPIPE: the peer */
	/* The connection has ended: from within reap. NULL: the owner looks at gone. */
	void (*lost)(struct nbd_client *c);
	/* Another one is up, or the first; likewise. NULL: nobody needs to know. */
	void (*found)(struct nbd_client *c);
	void *lost_owner; /* of both */
	struct nbd_export export;
	unsigned int n_in_flight;
	uint16_t first_free, send_first, send_last;
	size_t sent; /* bytes of send_first's request, or of the handshake's output */
	uint8_t stage[NBD_CLIENT_STAGE];
	size_t staged, taken; /* bytes of it */
	uint16_t reading;     /* the slot whose data are being received */
	uint32_t got;	      /* bytes of them */
	struct nbd_client_slot slot[NBD_CLIENT_DEPTH];
};

/*
 * Takes sock, a stream, and begins the handshake. done and owner are the caller's to set; capacity, block
 * and can_discard are there once the client is up.
 */
void nbd_client_open(struct nbd_client *c, int sock, bool readonly);
/* The same of somebody else's server: the export of that name, and with a wire over TLS alone; sock may be -1. */
void nbd_client_open_remote(struct nbd_client *c, int sock, bool readonly, const char *name,
			    struct nbd_wire *wire);
/* While the connection is gone: all that waits for another one completes with result, now. */
void nbd_client_fail(struct nbd_client *c, int result);
/* Gives the connection up, as if the peer had ended it; lost is not called. */
void nbd_client_hang_up(struct nbd_client *c);
/* A clean end, where nothing is in flight: tells the server, if it can be told without waiting. */
void nbd_client_leave(struct nbd_client *c);
/* Takes another socket in the place of one that has ended or not: what is in flight is done again. */
void nbd_client_connect(struct nbd_client *c, int sock);
/*
 * Waits until the client is up, as long as the peer does something within timeout_ms; -1: without a bound.
 * 0; -ECANCELED when other_fd is readable or has ended; -EPIPE: the connection ended, as `why` says;
 * -ETIMEDOUT; what nbd_hand_take and the wire refuse; -EBADMSG: it broke the protocol; -EACCES: it does not let its export be written to;
 * -ENODATA: not one sector; -EOPNOTSUPP: it lacks flush, FUA or write-zeroes, or has larger sectors.
 */
[[nodiscard]] int nbd_client_await(struct nbd_client *c, int other_fd, int timeout_ms);

#endif
