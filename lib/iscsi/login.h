/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The login of a session (RFC 7143, 6.3), and CHAP in it (12.1.3): who asks shows it, and so does the target where it is to
 * (mutual CHAP). Pure: what is to be sent is in out, and what came is given to iscsi_login_take.
 *
 * The target is HOSTILE: its text is bounded, so are its rounds, and it is never let do without a proof that was asked of it,
 * or hear less than it proves. A target that sends us elsewhere is not followed.
 */
#ifndef BULKHEAD_ISCSI_LOGIN_H
#define BULKHEAD_ISCSI_LOGIN_H

#include "lib/iscsi/pdu.h"
#include "lib/iscsi/text.h"

#define ISCSI_INITIATOR "iqn.2026-01.invalid.bulkhead" /* where nobody says another */
#define ISCSI_NAME_MAX 223U			       /* of an initiator or a target */
#define ISCSI_USER_MAX 255U
#define ISCSI_SECRET_MIN 12U /* bytes; RFC 7143, 9.2.1 */
#define ISCSI_SECRET_MAX 255U
#define ISCSI_CHALLENGE_LEN 16U
#define ISCSI_ISID_LEN 6U
#define ISCSI_RECEIVE_MAX 262144U /* bytes of data in one PDU that we take */
#define ISCSI_BURST_MAX (1U << 20)

struct iscsi_secret {
	size_t len; /* 0: there is none */
	uint8_t bytes[ISCSI_SECRET_MAX];
};

/* Who asks, whom, and what shows it. */
struct iscsi_who {
	const char *initiator, *target;
	const char *user; /* with secret */
	struct iscsi_secret secret;
	char peer[ISCSI_USER_MAX + 1]; /* the target's name in CHAP; with peer_secret */
	struct iscsi_secret peer_secret;
	uint8_t isid[ISCSI_ISID_LEN];
};

/* What both have agreed on. */
struct iscsi_terms {
	uint32_t send_max;		 /* bytes of data in one PDU that the target takes */
	uint32_t first_burst, max_burst; /* bytes before the first R2T, and of one R2T */
	bool immediate;			 /* data may come with a command */
	uint32_t group; /* the portal's: within it a session of the same name replaces another */
	struct iscsi_numbers at;
	uint32_t maxcmdsn;
};

enum iscsi_login_state {
	ISCSI_LOGIN_OFFER,     /* what it says to how we show who we are */
	ISCSI_LOGIN_CHALLENGE, /* what CHAP is done with */
	ISCSI_LOGIN_PROOF,     /* whether we have shown it, and its own */
	ISCSI_LOGIN_OPERATIONAL,
};

struct iscsi_login {
	const struct iscsi_who *who;
	enum iscsi_login_state state;
	unsigned int rounds;
	bool asked; /* our terms are with it */
	uint8_t id; /* of our challenge */
	uint8_t challenge[ISCSI_CHALLENGE_LEN];
	struct iscsi_terms terms;
	struct iscsi_text in,
		answers; /* of more than one PDU; what a target asked that we answer */
	uint8_t out[ISCSI_BHS_LEN + ISCSI_TEXT_MAX + 4];
	size_t n_out;
	char why[320]; /* once it has failed: one line */
};

/* random: ISCSI_CHALLENGE_LEN + 1 bytes that nobody has seen, others for each login. */
void iscsi_login_begin(struct iscsi_login *l, const struct iscsi_who *who, const uint8_t *random);
/*
 * A whole PDU of the target. 0: out is to be sent; 1: terms are there; -EACCES: it refuses, or cannot show who it is;
 * -EAGAIN: it cannot just now; -EREMCHG: it sends us elsewhere; -EOPNOTSUPP: it wants what is not had here; -EBADMSG: it
 * breaks the protocol.
 */
[[nodiscard]] int iscsi_login_take(struct iscsi_login *l, const struct iscsi_in *in,
				   const uint8_t *data);

/* chap.c. The proof of who has the secret. */
#define ISCSI_PROOF_LEN 16U
void iscsi_chap(uint8_t id, const struct iscsi_secret *secret, const uint8_t *challenge, size_t len,
		uint8_t out[ISCSI_PROOF_LEN]);

#endif
