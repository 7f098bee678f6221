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
 *   - What is dropped is counted, by its port and its reason.
 */
#ifndef BULKHEAD_NET_SWITCH_SEGMENT_H
#define BULKHEAD_NET_SWITCH_SEGMENT_H

#include "lib/netkit/member.h"
#include "lib/storagekit/throttle.h"

#define SEGMENT_CLAIMS 16U
#define SEGMENT_GROUP_FRAMES 1000U     /* a second, of one port, to groups */
#define SEGMENT_GROUP_BYTES (2U << 20) /* the same */

/* Why a frame went nowhere: a verdict of the guard's, or what is of a segment. */
enum {
	SEGMENT_NOBODY = GUARD_VERDICTS, /* to an address that no port has */
	SEGMENT_ISOLATED,		 /* to one that an isolated port has, from another such */
	SEGMENT_RATE,			 /* to a group, above the rate */
	SEGMENT_FULL,			 /* to this port, which does not read */
	SEGMENT_DROPS
};

struct segment_port {
	bool joined;
	struct member member;
	struct guard_rules rules;
	struct addr claims[SEGMENT_CLAIMS]; /* :: is none */
	uint32_t next_claim;
	struct throttle group;
	uint64_t n_passed;		   /* frames of its own */
	uint64_t n_dropped[SEGMENT_DROPS]; /* the same, but for SEGMENT_FULL, by why */
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
/* One of them, which has joined, has no room for it. */
void segment_lose(struct segment *s, unsigned int port);

#define SEGMENT_TEXT_MAX 400U /* with its NUL */

/* count.c: a port in a line, as "port 3 mac=52:54:00:00:00:01,isolated=off: 120 passed, 2 dropped: nobody 2"; false: it has not
 * joined. */
bool segment_say(const struct segment *s, unsigned int port, char out[SEGMENT_TEXT_MAX]);

#endif
