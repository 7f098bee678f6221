/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's addresses, by what passes; see learn.h. */
#include "lib/frames/learn.h"

/* RFC 2131, 2; RFC 2132 */
#define BOOTP_LEN 236U
#define BOOTP_REQUEST 1
#define BOOTP_REPLY 2
#define DHCP_COOKIE 0x63825363U
#define DHCP_PAD 0
#define DHCP_TYPE 53
#define DHCP_END 255
#define DHCP_ACK 5

#define PREFIX_LEN 32U
#define PREFIX_BITS 64	  /* of what stations make addresses of */
#define PREFIX_FLAGS 0xc0 /* on-link, or for addresses that stations make */

/* ---- DHCP ---- */

static bool is_dhcp(const struct guard_rules *rules, const struct ip_packet *p, uint8_t op)
{
	const uint8_t *b = p->body;

	return p->protocol == IP_UDP && !p->fragment && p->body_len >= BOOTP_LEN + 4 &&
	       b[0] == op && b[1] == 1 && b[2] == ETHER_ADDR_LEN &&
	       memcmp(b + 28, rules->mac, ETHER_ADDR_LEN) == 0 &&
	       get_be32(b + BOOTP_LEN) == DHCP_COOKIE;
}

/* Its type, or 0. What stands in fields of the header (option 52) is not looked for: the type never does. */
static uint8_t dhcp_type(const struct ip_packet *p)
{
	size_t at = BOOTP_LEN + 4;

	while (at + 2 <= p->body_len && p->body[at] != DHCP_END) {
		const uint8_t *o = p->body + at;

		if (o[0] == DHCP_TYPE && o[1] == 1 && at + 3 <= p->body_len)
			return o[2];
		at += o[0] == DHCP_PAD ? 1 : 2U + o[1];
	}
	return 0;
}

bool learn_dhcp_request(const struct guard_rules *rules, struct guard_known *known,
			const struct ip_packet *p)
{
	if (!is_dhcp(rules, p, BOOTP_REQUEST))
		return false;
	known->dhcp_request = get_be32(p->body + 4);
	return true;
}

static bool can_be_own(const struct addr *a)
{
	const uint8_t first = a->b[ADDR_V4_BITS / 8];

	return first != 0 && first != 127 && first < 224;
}

/* Of an address that is fixed there is nothing to learn but who gives it. */
static void learn_lease(const struct guard_rules *rules, struct guard_known *known,
			const struct ip_packet *p)
{
	struct addr ip4;

	if (p->from_port != DHCP_SERVER_PORT || p->to_port != DHCP_CLIENT_PORT ||
	    !is_dhcp(rules, p, BOOTP_REPLY) || dhcp_type(p) != DHCP_ACK ||
	    get_be32(p->body + 4) != known->dhcp_request)
		return;
	ip4 = addr_v4(p->body + 16);
	if (!can_be_own(&ip4)) /* as of an answer to DHCPINFORM */
		return;
	known->ip4 = ip4;
	known->server = p->from;
	known->leased = 1;
}

/* ---- neighbour discovery ---- */

bool learn_options(const struct ip_packet *p, size_t from,
		   bool (*visit)(void *owner, const uint8_t *option, size_t len), void *owner)
{
	size_t at = from;

	while (at < p->body_len) {
		const uint8_t *o = p->body + at;
		size_t left = p->body_len - at, len = left < 2 ? 0 : (size_t)o[1] * 8;

		if (!len || len > left || !visit(owner, o, len))
			return false;
		at += len;
	}
	return true;
}

/* ::, and what is no network of stations, is none. */
static bool can_be_net(const struct addr *a)
{
	return a->b[0] >> 5 == 1 || (a->b[0] & 0xfe) == 0xfc; /* 2000::/3, fc00::/7 */
}

static size_t find_net(const struct guard_known *known, const struct addr *net)
{
	size_t i = 0;

	while (i < GUARD_NETS_MAX && !addr_equal(&known->nets[i], net))
		i++;
	return i;
}

static bool learn_prefix(void *owner, const uint8_t *o, size_t len)
{
	struct guard_known *known = owner;
	struct addr net = { { 0 } };
	size_t i;

	if (o[0] != ND_PREFIX || len != PREFIX_LEN || o[2] != PREFIX_BITS || !(o[3] & PREFIX_FLAGS))
		return true;
	memcpy(net.b, o + 16, PREFIX_BITS / 8);
	if (!can_be_net(&net))
		return true;
	i = find_net(known, &net);
	if (get_be32(o + 4) && i == GUARD_NETS_MAX)
		known->nets[known->next_net++ % GUARD_NETS_MAX] = net;
	else if (!get_be32(o + 4) && i < GUARD_NETS_MAX)
		memset(&known->nets[i], 0, sizeof(known->nets[i])); /* no longer valid */
	return true;
}

bool learn_is_others(const struct guard_known *known, const struct addr *a)
{
	for (size_t i = 0; i < GUARD_OTHERS_MAX; i++)
		if (addr_equal(&known->others[i], a))
			return true;
	return false;
}

static void note_other(struct guard_known *known, const struct addr *a)
{
	if (!addr_is_unspecified(a) && !addr_is_group(a) && !learn_is_others(known, a))
		known->others[known->next_other++ % GUARD_OTHERS_MAX] = *a;
}

static void learn_neighbour(struct guard_known *known, const struct ip_packet *p)
{
	struct addr target;

	if (p->protocol != IP_ICMPV6 || p->fragment || p->hops != ND_HOPS)
		return;
	if (p->icmp_type == ND_ADVERT && p->body_len >= ND_TARGET_LEN) {
		target = addr_v6(p->body + 8);
		note_other(known, &target);
	} else if (p->icmp_type == ND_SOLICIT) {
		note_other(known, &p->from);
	} else if (p->icmp_type == ND_ROUTER_ADVERT && p->body_len >= ND_ROUTER_ADVERT_LEN &&
		   addr_is_link_local6(&p->from)) {
		note_other(known, &p->from);
		(void)!learn_options(p, ND_ROUTER_ADVERT_LEN, learn_prefix, known);
	}
}

/* ---- all ---- */

void learn_from_outside(const struct guard_rules *rules, struct guard_known *known,
			const struct ip_packet *p)
{
	if (p->kind == PACKET_IPV4)
		learn_lease(rules, known, p);
	if (p->kind == PACKET_IPV6)
		learn_neighbour(known, p);
}
