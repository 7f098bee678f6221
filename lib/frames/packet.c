/* SPDX-License-Identifier: Apache-2.0 */
/* Frames; see packet.h. */
#include "lib/frames/packet.h"

#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_IPV6 0x86dd

#define ARP_LEN 28U
#define IPV4_LEN 20U
#define IPV6_LEN 40U
#define IPV6_HOPS 0 /* options for each hop */
#define IPV6_FRAGMENT 44
#define FRAGMENT_LEN 8U
#define TCP_LEN 20U
#define UDP_LEN 8U
#define ICMP_LEN 8U
#define ICMPV6_LEN 4U

#define PACKET_MAX 65535U /* bytes, once all fragments are together */

/* What is left of it. */
struct rest {
	const uint8_t *at;
	size_t len;
};

static struct rest behind(struct rest r, size_t len)
{
	return (struct rest){ r.at + len, r.len - len };
}

/* Bytes behind a packet are what fills a short frame up, or something that somebody else might read. */
static bool fills_up(size_t frame_len, size_t spare)
{
	return !spare || frame_len <= ETHER_SMALLEST;
}

/* ---- ARP ---- */

static enum packet_fault parse_arp(struct rest r, size_t frame_len, struct ip_packet *p)
{
	static const uint8_t ethernet_ipv4[] = { 0, 1, 8, 0, ETHER_ADDR_LEN, 4 };

	if (r.len < ARP_LEN || !fills_up(frame_len, r.len - ARP_LEN) ||
	    memcmp(r.at, ethernet_ipv4, sizeof(ethernet_ipv4)) != 0)
		return PACKET_MALFORMED;
	p->kind = PACKET_ARP;
	p->arp_op = get_be16(r.at + 6);
	p->arp_mac = r.at + 8;
	p->from = addr_v4(r.at + 14);
	p->to = addr_v4(r.at + 24);
	return PACKET_FINE;
}

/* ---- what IP carries ---- */

static enum packet_fault parse_tcp(struct rest r, struct ip_packet *p)
{
	size_t header = r.len < TCP_LEN ? 0 : (size_t)(r.at[12] >> 4) * 4;

	if (header < TCP_LEN || (header > r.len && !p->fragment))
		return PACKET_MALFORMED;
	p->has_ports = true;
	p->from_port = get_be16(r.at);
	p->to_port = get_be16(r.at + 2);
	return PACKET_FINE;
}

static enum packet_fault parse_udp(struct rest r, struct ip_packet *p)
{
	size_t len = r.len < UDP_LEN ? 0 : get_be16(r.at + 4);

	if (len < UDP_LEN || (p->fragment ? len < r.len : len != r.len))
		return PACKET_MALFORMED;
	p->has_ports = true;
	p->from_port = get_be16(r.at);
	p->to_port = get_be16(r.at + 2);
	p->body = r.at + UDP_LEN;
	p->body_len = r.len - UDP_LEN;
	return PACKET_FINE;
}

static enum packet_fault parse_icmp(struct rest r, size_t least, struct ip_packet *p)
{
	if (r.len < least)
		return PACKET_MALFORMED;
	p->icmp_type = r.at[0];
	p->body = r.at;
	p->body_len = r.len;
	return PACKET_FINE;
}

static enum packet_fault parse_payload(struct rest r, struct ip_packet *p)
{
	if (p->later)
		return PACKET_FINE;
	switch (p->protocol) {
	case IP_TCP:
		return parse_tcp(r, p);
	case IP_UDP:
		return parse_udp(r, p);
	case IP_ICMP:
		return p->kind == PACKET_IPV4 ? parse_icmp(r, ICMP_LEN, p) : PACKET_MALFORMED;
	case IP_ICMPV6:
		return p->kind == PACKET_IPV6 ? parse_icmp(r, ICMPV6_LEN, p) : PACKET_MALFORMED;
	default:
		return PACKET_FINE;
	}
}

/* off in 8 bytes. All but the last are multiples of them. */
static enum packet_fault note_fragment(struct ip_packet *p, unsigned int off, bool more, size_t len)
{
	p->fragment = true;
	p->later = off != 0;
	return (size_t)off * 8 + len > PACKET_MAX || (more && (len % 8 || !len)) ?
		       PACKET_MALFORMED :
		       PACKET_FINE;
}

/* ---- IPv4 ---- */

static enum packet_fault parse_ipv4(struct rest r, size_t frame_len, struct ip_packet *p)
{
	size_t header, total;
	unsigned int word;

	if (r.len < IPV4_LEN || r.at[0] >> 4 != 4)
		return PACKET_MALFORMED;
	header = (size_t)(r.at[0] & 15) * 4;
	total = get_be16(r.at + 2);
	word = get_be16(r.at + 6);
	if (header < IPV4_LEN || total < header || total > r.len || word & 0x8000 ||
	    !fills_up(frame_len, r.len - total))
		return PACKET_MALFORMED;
	p->kind = PACKET_IPV4;
	p->hops = r.at[8];
	p->protocol = r.at[9];
	p->from = addr_v4(r.at + 12);
	p->to = addr_v4(r.at + 16);
	if (header > IPV4_LEN && p->protocol != IP_IGMP)
		return PACKET_OPTIONS;
	r.len = total;
	if (word & 0x3fff && note_fragment(p, word & 0x1fff, word & 0x2000, total - header))
		return PACKET_MALFORMED;
	return parse_payload(behind(r, header), p);
}

/* ---- IPv6 ---- */

static enum packet_fault skip_hop_options(struct rest *r, struct ip_packet *p)
{
	size_t len = r->len < 8 ? 0 : ((size_t)r->at[1] + 1) * 8;

	if (!len || len > r->len)
		return PACKET_MALFORMED;
	p->hop_options = true;
	p->protocol = r->at[0];
	*r = behind(*r, len);
	return PACKET_FINE;
}

static enum packet_fault skip_fragment(struct rest *r, struct ip_packet *p)
{
	unsigned int word;

	if (r->len < FRAGMENT_LEN)
		return PACKET_MALFORMED;
	word = get_be16(r->at + 2);
	p->protocol = r->at[0];
	*r = behind(*r, FRAGMENT_LEN);
	return note_fragment(p, word >> 3, word & 1, r->len);
}

/* Those that have a header behind them, or none at all. */
static bool is_extension(uint8_t protocol)
{
	static const uint8_t all[] = { 0, 43, 44, 51, 59, 60, 135, 139, 140, 253, 254 };

	return memchr(all, protocol, sizeof(all)) != NULL;
}

static enum packet_fault parse_ipv6(struct rest r, size_t frame_len, struct ip_packet *p)
{
	enum packet_fault f = PACKET_FINE;
	size_t len;

	if (r.len < IPV6_LEN || r.at[0] >> 4 != 6)
		return PACKET_MALFORMED;
	len = get_be16(r.at + 4);
	if (!len || len > r.len - IPV6_LEN || !fills_up(frame_len, r.len - IPV6_LEN - len))
		return PACKET_MALFORMED;
	p->kind = PACKET_IPV6;
	p->protocol = r.at[6];
	p->hops = r.at[7];
	p->from = addr_v6(r.at + 8);
	p->to = addr_v6(r.at + 24);
	r = (struct rest){ r.at + IPV6_LEN, len };
	if (p->protocol == IPV6_HOPS)
		f = skip_hop_options(&r, p);
	if (f == PACKET_FINE && p->protocol == IPV6_FRAGMENT)
		f = skip_fragment(&r, p);
	if (f == PACKET_FINE && is_extension(p->protocol))
		f = PACKET_OPTIONS;
	return f == PACKET_FINE ? parse_payload(r, p) : f;
}

/* ---- all ---- */

enum packet_fault packet_parse(const uint8_t *frame, size_t len, struct ip_packet *ret)
{
	struct rest r;

	*ret = (struct ip_packet){ .kind = PACKET_ARP };
	if (len < ETHER_LEN)
		return PACKET_RUNT;
	r = behind((struct rest){ frame, len }, ETHER_LEN);
	ret->to_mac = frame;
	ret->from_mac = frame + ETHER_ADDR_LEN;
	switch (get_be16(frame + 12)) {
	case TYPE_ARP:
		return parse_arp(r, len, ret);
	case TYPE_IPV4:
		return parse_ipv4(r, len, ret);
	case TYPE_IPV6:
		return parse_ipv6(r, len, ret);
	default:
		return PACKET_TYPE;
	}
}
