/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a guest may answer: who has sent it something, by protocol, address and ports. Of bounded size: in each
 * place the oldest makes way. The same bytes may have been written by somebody else; nothing in them is an index.
 */
#ifndef BULKHEAD_FRAMES_FLOWS_H
#define BULKHEAD_FRAMES_FLOWS_H

#include "lib/frames/addr.h"

#define FLOWS_PLACES 256U
#define FLOWS_EACH 8U

struct flow {
	struct addr peer;
	uint16_t peer_port, own_port;
	uint8_t protocol; /* 0: there is none */
	uint8_t pad[3];
};

/* All zero: there are none. */
struct flows {
	struct flow all[FLOWS_PLACES][FLOWS_EACH];
	uint32_t next[FLOWS_PLACES];
};

void flows_note(struct flows *f, const struct flow *flow);
bool flows_has(const struct flows *f, const struct flow *flow);

#endif
