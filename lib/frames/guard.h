/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which frames pass between a guest and what its link is joined to. Pure: a frame and what is known in, a verdict out.
 * HOSTILE: both sides; and what is known, which may come from a process before this one.
 *
 * From the guest:
 *   - its MAC address alone is the source, in the frame, in ARP and in neighbour discovery.
 *   - IPv4: the source is the address that was configured, or else that of the last DHCP lease (an ACK from outside with
 *     the guest's MAC and the number of the guest's own request). Before there is one: DHCP's client, and ARP's probes.
 *   - IPv6: the source is the address that was configured, or the link-local one that the MAC address makes. If none was,
 *     it is one below a network that a router advertised, or any link-local one, but none that somebody outside has
 *     shown to be his own.
 *   - no router, no server: no advertisement, redirect, or answer of DHCP and DHCPv6 comes from a guest.
 *   - destinations: not loopback, not IPv4's link-local network nor the places of clouds' metadata (unless asked for);
 *     where destinations are named, these alone, and whoever has sent the guest something: by protocol and ports. What
 *     finds addresses (ARP, neighbour discovery, DHCP's client, multicast listeners) is none, and stays on the link.
 *   - a fragment has no ports: it passes where all ports do. One of ICMPv6 is an echo's.
 *   - or who asks says which addresses are the guest's (owns): those that are not fixed, and none of metadata.
 *
 * To the guest: what is well-formed, goes to its MAC address or a group, and does not come from that address.
 */
#ifndef BULKHEAD_FRAMES_GUARD_H
#define BULKHEAD_FRAMES_GUARD_H

#include "lib/frames/dest.h"
#include "lib/frames/flows.h"
#include "lib/frames/packet.h"

#define GUARD_DESTS_MAX 16U
#define GUARD_NETS_MAX 4U /* that routers advertised */
#define GUARD_RESOLVERS_MAX 8U
#define GUARD_OTHERS_MAX 64U /* addresses of IPv6 that are others' */

struct guard_rules {
	uint8_t mac[ETHER_ADDR_LEN];
	bool fixed4, fixed6;
	struct addr ip4, ip6; /* where they are fixed */
	bool link_local;      /* may be a destination: 169.254.0.0/16, and metadata */
	bool restricted;      /* to answers, and to what is named */
	/* to public addresses but those of its own networks, answers, what is named, and its own name servers */
	bool public;
	struct dest dests[GUARD_DESTS_MAX];
	size_t n_dests; /* any: restricted to these, and to answers */
	/* Whether an address that is not fixed is the guest's, on a link without routers and servers; nothing is learned
	 * then. NULL: as is said above. */
	bool (*owns)(void *owner, const struct addr *a);
	void *owner;
};

/* What is learned of what passes; all zero: nothing yet. The same in each byte order of this host. */
struct guard_known {
	uint32_t leased;
	struct addr ip4;
	struct addr server;		  /* who gave it */
	uint32_t dhcp_request;		  /* the number of the guest's last request */
	struct addr nets[GUARD_NETS_MAX]; /* :: is none */
	uint32_t next_net;
	struct addr others[GUARD_OTHERS_MAX];
	uint32_t next_other;
	struct addr resolvers[GUARD_RESOLVERS_MAX]; /* that it was given; :: is none */
	uint32_t next_resolver;
	struct flows flows;
};

enum guard_verdict {
	GUARD_PASS,
	GUARD_MALFORMED, /* no frame, or one that is cut or long */
	GUARD_TYPE,	 /* tagged, or not of IP */
	GUARD_OPTIONS,	 /* of IPv4, or extension headers */
	GUARD_MAC,	 /* not the guest's; to the guest: not for it */
	GUARD_SOURCE,	 /* an address that is not the guest's */
	GUARD_ROLE,	 /* a router's or server's message */
	GUARD_DEST,	 /* a destination that is not allowed */
	GUARD_PRIVATE,	 /* one that is not public */
	GUARD_VERDICTS
};

/* What it was, for a line that counts. */
const char *guard_verdict_name(enum guard_verdict v);

enum guard_verdict guard_from_guest(const struct guard_rules *rules, struct guard_known *known,
				    const uint8_t *frame, size_t len);
enum guard_verdict guard_to_guest(const struct guard_rules *rules, struct guard_known *known,
				  const uint8_t *frame, size_t len);

#endif
