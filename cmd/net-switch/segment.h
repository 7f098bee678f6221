/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets a frame on a segment. Pure, by the caller's clock. HOSTILE: every frame.
 *
 *   - A port's card has one MAC address, which was said when it joined. So where a frame goes is known before any has come: there
 *     is no table that learns and can be flooded, and what goes to nobody's address goes nowhere.
 *   - A frame passes that the guard (lib/frames/guard.h) lets pass from that address: ARP, IPv4 and IPv6, and no message of a
 *     router's or of a server of addresses'.
 *   - An IP address is a card's that was said (ip=), or that its MAC address makes. Any other is the first one's that
 *     uses it, until it leaves: SEGMENT_CLAIMS of them, and then its own oldest makes way, never another's. What was said
 *     takes it away from who only used it.
 *   - Two isolated ports hear nothing of each other.
 *   - To a group goes what a rate for each port allows; the rest is dropped.
 */
#ifndef BULKHEAD_NET_SWITCH_SEGMENT_H
#define BULKHEAD_NET_SWITCH_SEGMENT_H

#include "lib/netkit/member.h"
#include "lib/storagekit/throttle.h"

#define SEGMENT_CLAIMS 16U
#define SEGMENT_GROUP_FRAMES 1000U     /* a second, of one port, to groups */
#define SEGMENT_GROUP_BYTES (2U << 20) /* the same */

struct segment_port {
	bool joined;
	struct member member;
	struct guard_rules rules;
	struct addr claims[SEGMENT_CLAIMS]; /* :: is none */
	uint32_t next_claim;
	struct throttle group;
	struct segment *segment;
};

struct segment {
	struct segment_port ports[MEMBERS_MAX];
	struct guard_known known; /* nothing is: the guard notes numbers there that nobody reads */
};

/* A bit for each port. */
typedef uint64_t segment_ports;
_Static_assert(MEMBERS_MAX <= 64, "a bit each");

/* All zero is a segment without ports; it stays where it is. The port has not joined. */
void segment_join(struct segment *s, unsigned int port, const struct member *m);
void segment_leave(struct segment *s, unsigned int port);
void segment_pass_ms(struct segment *s, uint64_t ms);
/* The ports that a frame of that port's goes to. */
segment_ports segment_judge(struct segment *s, unsigned int from, const uint8_t *frame, size_t len);

#endif
