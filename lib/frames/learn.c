/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's addresses, by what passes; see learn.h. */
#include "lib/frames/learn.h"

/* RFC 2131, 2; RFC 2132 */
#define BOOTP_LEN 236U
#define BOOTP_REQUEST 1
#define BOOTP_REPLY 2
#define DHCP_COOKIE 0x63825363U
#define DHCP_PAD 0
#define DHCP_RESOLVERS 6
#define DHCP_TYPE 53
#define DHCP_END 255
#define DHCP_ACK 5

#define RESOLVERS_AT 8U /* in an option of router advertisements: RFC 8106, 5.1 */
#define DHCPV6_AT 4U	/* options, behind type and number: RFC 8415, 8 */
#define DHCPV6_REPLY 7
#define DHCPV6_RESOLVERS 23 /* RFC 3646 */

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

/* Its first option of that code and its length, or NULL. What stands in fields of the header (option 52) is not looked for: the type never does. */
static const uint8_t *dhcp_option(const struct ip_packet *p, uint8_t code, size_t *ret_len)
{
	size_t at = BOOTP_LEN + 4;

	while (at + 2 <= p->body_len && p->body[at] != DHCP_END) {
		const uint8_t *o = p->body + at;

		if (o[0] == code && at + 2 + o[1] <= p->body_len) {
			*ret_len = o[1];
			return o + 2;
		}
		at += o[0] == DHCP_PAD ? 1 : 2U + o[1];
	}
	return NULL;
}

/* Its type, or 0. */
static uint8_t dhcp_type(const struct ip_packet *p)
{
	size_t len = 0;
	const uint8_t *type = dhcp_option(p, DHCP_TYPE, &len);

	return type && len == 1 ? *type : 0;
}

/* ---- name servers ---- */

static void note_resolver(struct guard_known *known, const struct addr *a)
{
	if (addr_is_unspecified(a) || addr_is_group(a))
		return;
	for (size_t i = 0; i < GUARD_RESOLVERS_MAX; i++)
		if (addr_equal(&known->resolvers[i], a))
			return;
	known->resolvers[known->next_resolver++ % GUARD_RESOLVERS_MAX] = *a;
}

static void note_resolvers6(struct guard_known *known, const uint8_t *at, size_t len)
{
	for (; len >= ADDR_LEN; at += ADDR_LEN, len -= ADDR_LEN) {
		const struct addr a = addr_v6(at);

		if (!addr_is_v4(&a))
			note_resolver(known, &a);
	}
}

static void learn_resolvers4(struct guard_known *known, const struct ip_packet *p)
{
	size_t len = 0;
	const uint8_t *at = dhcp_option(p, DHCP_RESOLVERS, &len);

	for (; at && len >= 4; at += 4, len -= 4) {
		const struct addr a = addr_v4(at);

		note_resolver(known, &a);
	}
}

/* From this link alone: a far server could name any address. */
static void learn_resolvers6(struct guard_known *known, const struct ip_packet *p)
{
	size_t at = DHCPV6_AT, len;

	if (p->protocol != IP_UDP || !p->has_ports || p->fragment ||
	    !addr_is_link_local6(&p->from) || p->from_port != DHCPV6_SERVER_PORT ||
	    p->to_port != DHCPV6_CLIENT_PORT || p->body_len < DHCPV6_AT ||
	    p->body[0] != DHCPV6_REPLY)
		return;
	for (; at + 4 <= p->body_len; at += 4 + len) {
		len = get_be16(p->body + at + 2);
		if (get_be16(p->body + at) == DHCPV6_RESOLVERS && at + 4 + len <= p->body_len)
			note_resolvers6(known, p->body + at + 4, len);
	}
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
	learn_resolvers4(known, p);
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

static bool learn_advertised(void *owner, const uint8_t *o, size_t len)
{
	struct guard_known *known = owner;
	struct addr net = { { 0 } };
	size_t i;

	if (o[0] == ND_RESOLVERS && len > RESOLVERS_AT)
		note_resolvers6(known, o + RESOLVERS_AT, len - RESOLVERS_AT);
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
		(void)!learn_options(p, ND_ROUTER_ADVERT_LEN, learn_advertised, known);
	}
}

/* ---- all ---- */

void learn_from_outside(const struct guard_rules *rules, struct guard_known *known,
			const struct ip_packet *p)
{
	if (p->kind == PACKET_IPV4)
		learn_lease(rules, known, p);
	if (p->kind == PACKET_IPV6) {
		learn_neighbour(known, p);
		learn_resolvers6(known, p);
	}
}
