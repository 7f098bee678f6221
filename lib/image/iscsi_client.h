/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that is a logical unit of somebody's iSCSI target: the initiator's side of one session of one connection
 * (lib/iscsi). It never blocks on the target. Calls: recvmsg and sendmsg, getrandom for each login; ppoll where the owner waits.
 *
 * When the connection ends, what is in flight is kept until there is a new one (iscsi_client_connect), and is then done
 * again. A new session has the name of the one before, and is refused by way of another portal group, so that a target ends
 * the old one's commands first: nothing old is ever written over something new. The connection also ends when the disk says that it was reset: where it has
 * a cache (image.cached), what was written since the last flush may be lost then, and is its owner's to write again.
 *
 * The target is HOSTILE: data that nobody asked for, out of order or too much, a reply to nothing, a disk of another size than
 * before break it, which is the owner's end (image_reap fails with -EBADMSG).
 */
#ifndef BULKHEAD_IMAGE_ISCSI_CLIENT_H
#define BULKHEAD_IMAGE_ISCSI_CLIENT_H

#include "lib/image/image.h"
#include "lib/iscsi/login.h"
#include "lib/iscsi/scsi.h"

#define ISCSI_CLIENT_DEPTH 64U	 /* requests in flight */
#define ISCSI_CLIENT_STAGE 4096U /* bytes read ahead of what they belong to */
#define ISCSI_CLIENT_PINGS 4U	 /* of the target that are not answered yet */

enum iscsi_task_state {
	ISCSI_TASK_FREE,
	ISCSI_TASK_COMMAND, /* its command is to be sent, or partly sent */
	ISCSI_TASK_WAITING, /* for the target */
	ISCSI_TASK_DATA,    /* data that it asked for are to be sent, or partly sent */
};

struct iscsi_task {
	enum iscsi_task_state state;
	uint16_t next; /* of the free ones, or of those to be sent */
	uint16_t generation;
	uint8_t tries;
	bool last; /* its last command makes what it wrote stable */
	enum scsi_verb verb;
	uint64_t at;		     /* bytes of io that are done */
	uint64_t piece;		     /* bytes from there on that the command is about */
	uint32_t expected;	     /* bytes of data of the command */
	uint32_t moved;		     /* bytes of them that came, or were sent */
	uint32_t ttt, datasn, asked; /* what the target asked for: bytes that are left */
	uint8_t list[SCSI_UNMAP_LEN];
	struct image_io io;
};

struct iscsi_queue {
	uint16_t first, last;
};

struct iscsi_ping {
	uint8_t lun[ISCSI_LUN_LEN];
	uint32_t ttt;
};

enum iscsi_client_phase {
	ISCSI_CLIENT_GONE, /* another socket is waited for, and this one stays open until then */
	ISCSI_CLIENT_LOGIN,
	ISCSI_CLIENT_LOOKING, /* what the logical unit is */
	ISCSI_CLIENT_UP,
};

struct iscsi_client {
	struct image image;
	int sock; /* -1 once closed */
	enum iscsi_client_phase phase;
	bool known;		/* there was one before: the disk is what it was */
	bool leaving;		/* the target wants the session ended */
	bool no_same, no_unmap; /* commands that the target turned out not to have */
	const struct iscsi_who *who;
	uint8_t lun[ISCSI_LUN_LEN];
	uint32_t logical; /* bytes of a sector that the disk is to have */
	struct scsi_disk disk, looked;
	unsigned int step; /* of looking */
	char why[320];	   /* what ended the connection: one line */
	/* The connection has ended: from within reap. NULL: the owner looks at phase. */
	void (*lost)(struct iscsi_client *c);
	/* Another one is up, or the first. Likewise. */
	void (*found)(struct iscsi_client *c);
	void *lost_owner;
	bool answered; /* a request, over the connection that there is, or was last */
	struct iscsi_login login;
	struct iscsi_terms terms;
	uint32_t group; /* of the portal of the last session that came up */
	unsigned int n_in_flight;
	unsigned int n_outstanding,
		most; /* commands that are sent and not answered; as many as it takes */
	uint16_t first_free;
	struct iscsi_queue commands, data;
	struct iscsi_ping ping[ISCSI_CLIENT_PINGS];
	unsigned int n_pings;
	bool logout;

	uint8_t out[ISCSI_BHS_LEN]; /* the header under way */
	uint16_t out_task;	    /* whose data come with it */
	uint32_t out_len, out_from; /* bytes of them, and from where */
	uint64_t out_sent;	    /* bytes of all that */
	bool sending;

	uint8_t stage[ISCSI_CLIENT_STAGE];
	size_t staged, taken; /* bytes of it */
	bool in_data;	      /* the header is known, its data are next */
	struct iscsi_in in;
	uint32_t in_got;	       /* bytes of data and padding */
	uint16_t in_task;	       /* whose they are, or none's */
	uint8_t bytes[ISCSI_TEXT_MAX]; /* those that are none's */

	uint8_t reply[SCSI_REPLY_MAX]; /* while looking */
	struct iovec reply_iov;
	/* the last one is what looking takes */
	struct iscsi_task task[ISCSI_CLIENT_DEPTH + 1];
};

/*
 * There is no connection yet. who outlives it; done and owner are the caller's to set; capacity, block and can_discard are
 * there once the client is up. logical: bytes of the disk's sectors, 512 or 4096.
 */
void iscsi_client_open(struct iscsi_client *c, const struct iscsi_who *who,
		       const uint8_t lun[ISCSI_LUN_LEN], bool readonly, uint32_t logical);
/* Takes a socket, connected or about to be, in the place of one that has ended or not: what is in flight is done again.
 * 0 or a negative errno: there are no random numbers. */
[[nodiscard]] int iscsi_client_connect(struct iscsi_client *c, int sock);
/* While the connection is gone: all that waits for another one completes with result, now. */
void iscsi_client_fail(struct iscsi_client *c, int result);
/* A clean end, where nothing is in flight: tells the target, if it can be told without waiting. */
void iscsi_client_leave(struct iscsi_client *c);
/* Gives the connection up, as if the peer had ended it; lost is not called. */
void iscsi_client_hang_up(struct iscsi_client *c);
/*
 * Waits until the client is up, as long as the target does something within timeout_ms; -1: without a bound. 0;
 * -ECANCELED when other_fd is readable or has ended; or another error, and why says it.
 */
[[nodiscard]] int iscsi_client_await(struct iscsi_client *c, int other_fd, int timeout_ms);

#endif
