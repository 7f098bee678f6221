/* SPDX-License-Identifier: Apache-2.0 */
/* What the switch keeper knows of a segment's cards, and whom it hears. */
#ifndef BULKHEAD_CMD_BULKHEAD_SEGMENT_PORTS_H
#define BULKHEAD_CMD_BULKHEAD_SEGMENT_PORTS_H

#include "lib/base/loop.h"
#include "lib/netkit/member.h"

#include <sys/types.h>

#define KEEPER_CLIENTS_MAX 16U
#define KEEPER_NO_PORT MEMBERS_MAX	 /* it has not asked for anything */
#define KEEPER_COUNTS (MEMBERS_MAX + 1U) /* it wants to know what was counted */

struct keeper_client {
	struct loop_source src; /* fd -1: there is none */
	struct keeper *of;
	/* that net-switch has yet to take for it; or one of these two */
	unsigned int port;
};

struct keeper {
	struct loop loop;
	struct loop_source listener, net_switch, ended; /* its channel, and its end */
	struct keeper_client clients[KEEPER_CLIENTS_MAX];
	struct member members[MEMBERS_MAX];
	bool joined[MEMBERS_MAX];
	bool asked; /* net-switch is to say what it has counted, and has not come to the end of that */
	unsigned int lines; /* of it that have come */
	uid_t owner;	    /* who may connect, as seen from inside */
};

/*
 * Serves until nobody has joined and nobody asks, or net-switch has ended, and closes nothing. first is the channel of who has started
 * it. 0 or a negative errno.
 */
[[nodiscard]] int keeper_serve(struct keeper *k, int first, int listener, int net_switch,
			       int pidfd);

#endif
