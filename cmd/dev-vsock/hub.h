/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of one virtio-vsock device (VIRTIO 1.2, 5.10.6) as a state machine. Pure: packets of the guest
 * and what happened to a connection's host side go in, packets for the guest and what is to be done
 * with the host side come out. No I/O, no allocation.
 *
 * Hostile: every packet. A packet for a connection that there is not, or that its state does not allow, is
 * answered by a reset. What the guest says of its own buffer (buf_alloc, fwd_cnt) bounds what is sent to it,
 * and decides about no memory here: a connection holds CONN_BUFFER bytes at most, whatever it says.
 *
 *	state       from                      the guest may say                     goes to
 *	GREETING    a client has connected    nothing: it does not know of it       REQUESTED by its line
 *	REQUESTED   the guest is asked        RESPONSE, RST                         OPEN, or DONE
 *	DIALING     the guest asks for the host    RST                         OPEN by hub_dialed, or RESET
 *	OPEN        both ends are there       RW, SHUTDOWN, CREDIT_*, RST           DRAINING, RESET
 *	DRAINING    the guest has let go      nothing: it is unknown to it          FREE, once its bytes are written
 *	RESET       the host side is gone     nothing more is heard                 FREE, once the RST was given
 */
#ifndef BULKHEAD_DEV_VSOCK_HUB_H
#define BULKHEAD_DEV_VSOCK_HUB_H

#include "cmd/dev-vsock/packet.h"
#include "cmd/dev-vsock/ports.h"
#include "lib/base/fifo.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUB_CONNS 64
#define HUB_REPLIES 64		/* resets of what is unknown that wait for the guest to take them */
#define CONN_BUFFER (32U << 10) /* bytes of the guest's that one connection holds: its buf_alloc */
#define CONN_LINE_MAX 24	/* "CONNECT 4294967294\r\n" */
#define CONN_OWN_PORTS \
	(1U << 30) /* of the host's side of connections that it began, from here up */

enum conn_state {
	CONN_FREE,
	CONN_GREETING,
	CONN_REQUESTED,
	CONN_DIALING,
	CONN_OPEN,
	CONN_DRAINING,
	CONN_RESET,
};

struct conn {
	enum conn_state state;
	uint32_t own_port, guest_port;
	uint32_t peer_alloc, peer_fwd; /* as the guest last said */
	uint32_t sent;		       /* bytes to the guest, ever */
	uint32_t taken;		       /* bytes from the guest, ever */
	uint32_t fwd;		       /* of these, what the host's side has */
	uint32_t fwd_told;
	uint32_t uncounted; /* bytes at the front of `out` that are not the guest's */
	bool due_request, due_response, due_credit, due_shutdown;
	bool due_dial;	  /* nobody has been asked yet to connect its host side */
	bool host_ended;  /* the host's side says no more */
	bool guest_ended; /* SHUTDOWN_SEND: the guest says no more */
	bool guest_deaf;  /* SHUTDOWN_RCV: it hears no more */
	bool told_end;	  /* the host's side has been told that the guest says no more */
	struct fifo out;  /* to the host's side */
	uint8_t line_len;
	char line[CONN_LINE_MAX];
	uint8_t bytes[CONN_BUFFER + CONN_LINE_MAX];
};

struct hub_reply {
	uint64_t cid;
	uint32_t src_port, dst_port;
	uint16_t type;
};

struct hub {
	uint64_t cid;
	const struct ports *listen; /* ports of the guest that a client may ask for */
	const struct ports *
		reach; /* ports of the host that the guest may ask for; each below CONN_OWN_PORTS */
	bool dial_pending;    /* an answer is waited for */
	struct conn *dialing; /* for whom; NULL: it is gone meanwhile */
	uint32_t next_port;
	unsigned int turn; /* whose packet is looked for first */
	unsigned int n_replies, first_reply;
	struct hub_reply replies[HUB_REPLIES];
	struct conn conns[HUB_CONNS];
};

void hub_init(struct hub *h, uint64_t cid, const struct ports *listen, const struct ports *reach);
/* All connections are gone; their host sides are the caller's to close. */
void hub_clear(struct hub *h);

/* ---- the guest's packets ---- */

/* Whether there is room for the answer to a packet; if not, none may be taken. */
[[nodiscard]] bool hub_can_take(const struct hub *h);
/*
 * A packet, whose chain has len bytes behind the header. The connection to whose `out` its payload belongs, all of
 * which has room there; NULL: the payload is nobody's.
 */
struct conn *hub_take(struct hub *h, const struct packet *p, uint64_t len);
/* The next packet for the guest, without data. False: there is none. */
[[nodiscard]] bool hub_next(struct hub *h, struct packet *ret);
[[nodiscard]] bool hub_is_due(const struct hub *h);

/* ---- connections that the guest asks for ---- */

/*
 * Whether a host side is to be connected now, and for which of `reach`. One at a time: until hub_dialed there is no
 * next, also after hub_clear, as the answer still comes.
 */
[[nodiscard]] bool hub_dials(struct hub *h, uint32_t *ret_index);
/* The answer. The connection whose host side was made; NULL: it failed, or nobody waits for it, and it is to be closed. */
struct conn *hub_dialed(struct hub *h, bool made);

/* ---- the host's side of a connection ---- */

/* For a client that has connected; NULL: there are HUB_CONNS. */
struct conn *hub_greet(struct hub *h);
/* A byte of its line. 0; 1: it was the last, and the guest is asked; -EINVAL: not a line that will do,
 * -EACCES: no port that was named. Then it is to be closed. */
[[nodiscard]] int conn_hear(struct hub *h, struct conn *c, char byte);
/* How many bytes may be read from the host's side and given to the guest now. */
[[nodiscard]] uint32_t conn_credit(const struct conn *c);
/* The header for up to len bytes of these; len was read. */
void conn_data(const struct hub *h, struct conn *c, uint32_t len, struct packet *ret);
/* n bytes of `out` were written to the host's side. */
void conn_written(struct conn *c, size_t n);
/* The host's side says no more. */
void conn_ended(struct conn *c);
/* The host's side is gone: what there was for it is dropped. */
void conn_gone(struct conn *c);
/* Whether the host's side is to be told now that the guest says no more: once. */
[[nodiscard]] bool conn_tells_end(struct conn *c);
/* Goes on once `out` was written. Whether the connection keeps its host side; if not, that is to be closed. */
[[nodiscard]] bool conn_step(struct conn *c);

#endif
