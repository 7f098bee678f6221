/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an Ethernet frame carries, as far as it must be known to judge it. Strict: a frame that two readers could
 * understand in two ways is none. Pure; the frame is HOSTILE.
 *
 * Known are ARP for IPv4 (RFC 826), IPv4 and IPv6 without VLAN tags. What could make a packet go elsewhere
 * than it says, or come from elsewhere, is refused: options of IPv4 (but those of IGMP), and all extension headers of
 * IPv6 but one with options for each hop, which MLD has, and one of a fragment.
 */
#ifndef BULKHEAD_FRAMES_PACKET_H
#define BULKHEAD_FRAMES_PACKET_H

#include "lib/base/be.h"
#include "lib/frames/addr.h"

#define ETHER_LEN 14U	   /* its header */
#define ETHER_ADDR_LEN 6U  /* of a station */
#define ETHER_SMALLEST 60U /* a frame; shorter ones are filled up to it, here and there */

/* The protocols that are looked into. */
enum { IP_ICMP = 1, IP_IGMP = 2, IP_TCP = 6, IP_UDP = 17, IP_ICMPV6 = 58 };

enum packet_kind { PACKET_ARP, PACKET_IPV4, PACKET_IPV6 };

/* Why a frame is none. */
enum packet_fault {
	PACKET_FINE,
	PACKET_RUNT,	  /* not even a header */
	PACKET_TYPE,	  /* no ARP, IPv4 or IPv6: tagged, or of another protocol */
	PACKET_MALFORMED, /* its lengths do not go together, or it is cut off */
	PACKET_OPTIONS,	  /* options or extension headers */
};

struct ip_packet {
	enum packet_kind kind;
	const uint8_t *to_mac, *from_mac; /* the frame's */
	struct addr from, to;		  /* ARP: of the sender and the target */
	uint16_t arp_op;
	const uint8_t *arp_mac; /* the sender's */
	uint8_t protocol;	/* behind all headers; of IPv6's fragments what the fragment says */
	uint8_t hops;		/* time to live, hop limit */
	bool hop_options;	/* IPv6: there are some for each hop */
	bool fragment;		/* of a packet: what it is is not known for certain */
	bool later;		/* and not its first one: of its protocol nothing is known */
	bool has_ports;		/* TCP or UDP, whole or a first fragment */
	uint16_t from_port, to_port;
	uint8_t icmp_type;   /* ICMP or ICMPv6, whole or a first fragment */
	const uint8_t *body; /* what is behind UDP's header; ICMPv6: all of it; else nothing */
	size_t body_len;
};

enum packet_fault packet_parse(const uint8_t *frame, size_t len, struct ip_packet *ret);

#endif
