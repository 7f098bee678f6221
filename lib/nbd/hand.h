/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The NBD handshake of either side, pure: bytes in, bytes out. The owner sends what is in `out`, reads
 * exactly `wants` bytes, and gives them to nbd_hand_take, until that says that the transmission begins.
 * It is the published one (fixed newstyle, OPT_GO) although only our own processes speak over these
 * sockets: so that somebody else's program can be either side.
 *
 * The peer is HOSTILE: everything is bounded, what it may send next is given by the state.
 */
#ifndef BULKHEAD_NBD_HAND_H
#define BULKHEAD_NBD_HAND_H

#include "lib/nbd/nbd.h"

/* An option's data: a name, and what is asked about it. */
#define NBD_HAND_IN_MAX (NBD_NAME_MAX + 64U)
#define NBD_HAND_OUT_MAX 1400U
#define NBD_HAND_EXPORT_MAX 1024U /* bytes of the name that a client asks for */
#define NBD_HAND_STEPS_MAX 64U	  /* options or replies of one handshake */
#define NBD_HAND_TEXT_MAX 120U

enum nbd_hand_state {
	NBD_HAND_HELLO,	  /* client: the server's hello */
	NBD_HAND_FLAGS,	  /* server: the client's answer to it */
	NBD_HAND_HEADER,  /* client: of a reply; server: of an option */
	NBD_HAND_PAYLOAD, /* what belongs to that header */
	NBD_HAND_SECURE,  /* client: nothing is read before TLS is up */
	NBD_HAND_DONE,
};

struct nbd_hand {
	bool server;
	enum nbd_hand_state state;
	size_t wants; /* bytes, at most NBD_HAND_IN_MAX; 0 when done */
	uint8_t out[NBD_HAND_OUT_MAX];
	size_t n_out; /* bytes to be sent before anything is read; the owner takes them all */
	unsigned int steps;
	uint32_t client_flags;
	struct nbd_option option;      /* server: the one whose payload is awaited */
	struct nbd_option_reply reply; /* client: likewise */
	/* server: what it offers; client: what it was offered, once its flags are not 0 */
	struct nbd_export export;
	const char *name;		     /* client: of the export, the owner's */
	bool tls;			     /* client: nothing is asked without it */
	char refusal[NBD_HAND_TEXT_MAX + 1]; /* client: the server's words, printable; or "" */
};

/*
 * Asks for the export of that name, of at most NBD_HAND_EXPORT_MAX bytes, which outlives the handshake. tls: not
 * before the server has agreed to TLS, and nothing that it says before that is believed.
 */
void nbd_hand_client(struct nbd_hand *h, const char *name, bool tls);
/* TLS is up. 0, or -EBADMSG: it was not its turn. */
[[nodiscard]] int nbd_hand_secured(struct nbd_hand *h);
/* Offers *export under no name. */
void nbd_hand_server(struct nbd_hand *h, const struct nbd_export *export);
/*
 * Takes the `wants` bytes. 0: send `out` and go on. 1: the same, and the transmission begins. -EBADMSG: what no
 * peer may send. Client: 2: TLS is to be made now, then nbd_hand_secured. -ENOENT: there is no such export;
 * -EACCES: the server's policy refuses; -ENOKEY: it serves with TLS alone; -EPROTONOSUPPORT: without TLS
 * alone; -EOPNOTSUPP: another refusal. Server: -ECONNRESET: the client has
 * said that it leaves; what is in `out` is still for it.
 */
[[nodiscard]] int nbd_hand_take(struct nbd_hand *h, const void *data, size_t len);

#endif
