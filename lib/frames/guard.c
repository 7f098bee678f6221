/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames pass; see guard.h. */
#include "lib/frames/guard.h"

#include "lib/frames/learn.h"

#define ARP_REQUEST 1
#define ARP_REPLY 2

#define ICMP_ECHO_REPLY 0
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_ROUTER_ADVERT 9
#define ICMPV6_ERROR_MAX 4
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129
#define ICMPV6_LISTENER 131
#define ICMPV6_LISTENER_DONE 132
#define ICMPV6_LISTENER2 143

#define DNS_PORT 53
#define DNS_TLS_PORT 853

struct judge {
	const struct guard_rules *rules;
	struct guard_known *known;
	const struct ip_packet *p;
};

const char *guard_verdict_name(enum guard_verdict v)
{
	static const char *const names[] = {
		[GUARD_PASS] = "passed",
		[GUARD_MALFORMED] = "malformed",
		[GUARD_TYPE] = "tagged or not of IP",
		[GUARD_OPTIONS] = "IP options or extension headers",
		[GUARD_MAC] = "a MAC address that is not the VM's",
		[GUARD_SOURCE] = "an IP address that is not the VM's",
		[GUARD_ROLE] = "a router's or server's message",
		[GUARD_DEST] = "a destination that is not allowed",
		[GUARD_PRIVATE] =
			"a destination that is not public (public=on): see --net user, or allow=",
	};

	return names[v];
}

static enum guard_verdict of_fault(enum packet_fault f)
{
	static const enum guard_verdict verdicts[] = {
		[PACKET_FINE] = GUARD_PASS,	  [PACKET_RUNT] = GUARD_MALFORMED,
		[PACKET_TYPE] = GUARD_TYPE,	  [PACKET_MALFORMED] = GUARD_MALFORMED,
		[PACKET_OPTIONS] = GUARD_OPTIONS,
	};

	return verdicts[f];
}

/* ---- addresses of the guest ---- */

static bool is_own_mac(const struct judge *j, const uint8_t *mac)
{
	return memcmp(mac, j->rules->mac, ETHER_ADDR_LEN) == 0;
}

/* Below one, and not the address of all its routers (RFC 4291, 2.6.1). */
static bool is_advertised(const struct judge *j, const struct addr *a)
{
	for (size_t i = 0; i < GUARD_NETS_MAX; i++)
		if (!addr_is_unspecified(&j->known->nets[i]) &&
		    addr_within(a, &j->known->nets[i], 64))
			return !addr_equal(a, &j->known->nets[i]);
	return false;
}

/* ---- networks of their own kind ---- */

struct range {
	struct addr net;
	unsigned int bits;
};

static bool is_in(const struct addr *a, const struct range *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (addr_within(a, &all[i].net, all[i].bits))
			return true;
	return false;
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Of this host, or of nobody. */
static bool is_nowhere(const struct addr *a)
{
	static const struct range v4[] = {
		{ ADDR_V4(0, 0, 0, 0), ADDR_V4_BITS + 8 },
		{ ADDR_V4(127, 0, 0, 0), ADDR_V4_BITS + 8 },
	};

	return is_in(a, v4, COUNT(v4));
}

/* Where clouds tell a machine its secrets. */
static bool is_metadata(const struct addr *a)
{
	static const struct range all[] = {
		{ ADDR_V4(169, 254, 0, 0), ADDR_V4_BITS + 16 },
		{ { { 0xfe, 0x80, [12] = 0xa9, 0xfe, 0xa9, 0xfe } }, 128 },
		{ { { 0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54 } }, 128 },
		{ { { 0xfd, 0x20, 0, 0xce, [14] = 2, 0x54 } }, 128 },
	};

	return is_in(a, all, COUNT(all));
}

/* Of some network alone, or of all in it: nobody else's. */
static bool is_private(const struct addr *a)
{
	static const struct range all[] = {
		{ ADDR_V4(10, 0, 0, 0), ADDR_V4_BITS + 8 },	/* RFC 1918 */
		{ ADDR_V4(172, 16, 0, 0), ADDR_V4_BITS + 12 },	/* RFC 1918 */
		{ ADDR_V4(192, 168, 0, 0), ADDR_V4_BITS + 16 }, /* RFC 1918 */
		{ ADDR_V4(100, 64, 0, 0), ADDR_V4_BITS + 10 },	/* RFC 6598 */
		{ ADDR_V4(192, 0, 0, 0), ADDR_V4_BITS + 24 },	/* RFC 6890 */
		{ ADDR_V4(192, 88, 99, 0), ADDR_V4_BITS + 24 }, /* 6to4's relays, RFC 7526 */
		{ ADDR_V4(198, 18, 0, 0), ADDR_V4_BITS + 15 },	/* RFC 2544 */
		{ ADDR_V4(224, 0, 0, 0), ADDR_V4_BITS + 3 },	/* groups, reserved, broadcast */
		{ { { 0x20, 1 } },
		  23 }, /* of protocols, Teredo's and benchmarks' among them: RFC 2928 */
	};
	static const struct addr global6 = { { 0x20 } };

	/* RFC 4291, 2.4: all that is public in IPv6 begins so today, and what is not has many names */
	if (!addr_is_v4(a) && !addr_within(a, &global6, 3))
		return true;
	return is_in(a, all, COUNT(all));
}

/* As IPv6 never has them on a wire: IPv4's mapped and translated, ::, ::1 and whatever else begins so. */
static bool is_for_hosts_alone(const struct addr *a)
{
	static const struct addr zero;

	return addr_within(a, &zero, 64);
}

/* ---- what is the guest's ---- */

/* Of nobody, of a host's own, of a group, or of what tells secrets: asked for by none. */
static bool is_told_own(const struct judge *j, const struct addr *a)
{
	return !addr_is_unspecified(a) && !addr_is_group(a) && !is_nowhere(a) && !is_metadata(a) &&
	       j->rules->owns(j->rules->owner, a);
}

static bool is_own4(const struct judge *j, const struct addr *a)
{
	if (j->rules->fixed4)
		return addr_equal(a, &j->rules->ip4);
	if (j->rules->owns)
		return is_told_own(j, a);
	return j->known->leased && addr_equal(a, &j->known->ip4);
}

/* That which the MAC address makes (RFC 4291, appendix A). */
static bool is_made_of_mac(const struct judge *j, const struct addr *a)
{
	const uint8_t *m = j->rules->mac;
	const struct addr made = { { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe,
				     m[3], m[4], m[5] } };

	return addr_equal(a, &made);
}

static bool is_own6(const struct judge *j, const struct addr *a)
{
	if (j->rules->fixed6)
		return addr_equal(a, &j->rules->ip6) || is_made_of_mac(j, a);
	if (j->rules->owns)
		return !is_for_hosts_alone(a) && is_told_own(j, a);
	return !learn_is_others(j->known, a) && !is_metadata(a) &&
	       (addr_is_link_local6(a) || is_advertised(j, a));
}

/* ---- where it goes ---- */

/* ISATAP's: below any network (RFC 5214, 6.1). */
static bool is_isatap(const struct addr *a)
{
	static const uint8_t words[] = { 0, 0, 0x5e, 0xfe };

	return (a->b[8] & 0xfd) == words[0] && memcmp(a->b + 9, words + 1, 3) == 0;
}

/* The IPv4 address that one of IPv6 stands for, by a translator or a tunnel; or itself. */
static struct addr meant(const struct addr *a)
{
	static const struct range nat64 = { { { 0, 0x64, 0xff, 0x9b } }, 96 };
	static const struct range six_to_four = { { { 0x20, 2 } }, 16 };
	static const struct range teredo = { { { 0x20, 1 } }, 32 };
	uint8_t hidden[4];

	if (addr_within(a, &nat64.net, nat64.bits))
		return addr_v4(a->b + 12);
	if (addr_within(a, &six_to_four.net, six_to_four.bits))
		return addr_v4(a->b + 2);
	if (is_isatap(a))
		return addr_v4(a->b + 12);
	if (!addr_within(a, &teredo.net, teredo.bits))
		return *a;
	for (size_t i = 0; i < sizeof(hidden); i++)
		hidden[i] = a->b[12 + i] ^ 0xff;
	return addr_v4(hidden);
}

/* Only a translator of one's own network has these (RFC 8215). */
static bool is_of_local_translator(const struct addr *a)
{
	static const struct addr net = { { 0, 0x64, 0xff, 0x9b, 0, 1 } };

	return addr_within(a, &net, 48);
}

/* It cuts them as it likes: in one of four ways (RFC 6052, 2.2; the others are shorter than its network). */
static bool is_local_metadata(const struct addr *a)
{
	const uint8_t *b = a->b;
	const struct addr ways[] = { ADDR_V4(b[6], b[7], b[9], b[10]),
				     ADDR_V4(b[7], b[9], b[10], b[11]), addr_v4(b + 9),
				     addr_v4(b + 12) };

	for (size_t i = 0; i < COUNT(ways); i++)
		if (is_metadata(&ways[i]))
			return true;
	return false;
}

/* One of Teredo's stands for a client, and goes by a relay that may be one's own network's: both count. */
static bool is_private_either_way(const struct addr *to)
{
	const struct addr a = meant(to);
	static const struct addr nat64 = { { 0, 0x64, 0xff, 0x9b } };

	if (is_of_local_translator(to) || is_private(&a))
		return true;
	return !addr_within(to, &nat64, 96) && is_private(to);
}

static bool is_forbidden(const struct judge *j)
{
	const struct addr *to = &j->p->to;
	struct addr a = meant(to);

	if (j->p->kind == PACKET_IPV6 && is_for_hosts_alone(to))
		return true;
	if (is_nowhere(&a))
		return true;
	return !j->rules->link_local &&
	       (is_metadata(&a) || (is_of_local_translator(to) && is_local_metadata(to)));
}

static bool is_named(const struct judge *j)
{
	const struct ip_packet *p = j->p;
	const uint16_t *port = p->has_ports && !p->fragment ? &p->to_port : NULL;

	for (size_t i = 0; i < j->rules->n_dests; i++)
		if (dest_has(&j->rules->dests[i], &p->to, port))
			return true;
	return false;
}

/* ---- who may be answered ---- */

static bool is_echo(const struct ip_packet *p, bool reply)
{
	if (p->protocol == IP_ICMP)
		return p->icmp_type == (reply ? ICMP_ECHO_REPLY : ICMP_ECHO);
	return p->protocol == IP_ICMPV6 &&
	       p->icmp_type == (reply ? ICMPV6_ECHO_REPLY : ICMPV6_ECHO);
}

/* Ping's number stands for both ports. */
static bool flow_of(const struct ip_packet *p, bool to_guest, struct flow *ret)
{
	*ret = (struct flow){ .peer = to_guest ? p->from : p->to, .protocol = p->protocol };
	if (p->fragment)
		return false;
	if (p->has_ports) {
		ret->peer_port = to_guest ? p->from_port : p->to_port;
		ret->own_port = to_guest ? p->to_port : p->from_port;
		return true;
	}
	if (!p->body || p->body_len < 6 || !is_echo(p, !to_guest))
		return false;
	ret->peer_port = get_be16(p->body + 4);
	return true;
}

static bool is_answer(const struct judge *j)
{
	struct flow f;

	return flow_of(j->p, false, &f) && flows_has(&j->known->flows, &f);
}

static bool is_restricted(const struct guard_rules *rules)
{
	return rules->restricted || rules->n_dests;
}

/* Names alone: such a server is often a router as well, with pages of its own. */
static bool is_resolver(const struct judge *j)
{
	const struct ip_packet *p = j->p;

	if (!p->has_ports || p->fragment || (p->to_port != DNS_PORT && p->to_port != DNS_TLS_PORT))
		return false;
	for (size_t i = 0; i < GUARD_RESOLVERS_MAX; i++)
		if (!addr_is_unspecified(&p->to) && addr_equal(&j->known->resolvers[i], &p->to))
			return true;
	return false;
}

/* Its own address, which a network of its user's host may have as well; or, of IPv6, whatever stands below a network of its
 * link: those are its user's, though their addresses are public. */
static bool is_at_home(const struct judge *j)
{
	const struct guard_rules *r = j->rules;
	const struct addr *to = &j->p->to;

	if (r->owns) /* to ask it would be to claim the address */
		return false;
	if (addr_is_v4(to))
		return is_own4(j, to);
	return (r->fixed6 && addr_equal(to, &r->ip6)) || is_advertised(j, to);
}

static bool is_kept_private(const struct judge *j)
{
	return j->rules->public && (is_private_either_way(&j->p->to) || is_at_home(j)) &&
	       !is_named(j) && !is_resolver(j) && !is_answer(j);
}

static enum guard_verdict judge_dest(const struct judge *j)
{
	if (is_forbidden(j))
		return GUARD_DEST;
	if (is_kept_private(j))
		return GUARD_PRIVATE;
	if (!is_restricted(j->rules))
		return GUARD_PASS;
	return is_named(j) || is_answer(j) ? GUARD_PASS : GUARD_DEST;
}

/* ---- from the guest: ARP ---- */

static enum guard_verdict judge_arp(const struct judge *j)
{
	const struct ip_packet *p = j->p;

	if (!is_own_mac(j, p->arp_mac))
		return GUARD_MAC;
	if (p->arp_op != ARP_REQUEST && p->arp_op != ARP_REPLY)
		return GUARD_ROLE;
	if (addr_is_unspecified(&p->from)) /* whether somebody has it already */
		return p->arp_op == ARP_REQUEST ? GUARD_PASS : GUARD_SOURCE;
	return is_own4(j, &p->from) ? GUARD_PASS : GUARD_SOURCE;
}

/* ---- IPv4 ---- */

static bool is_dhcp_client(const struct ip_packet *p)
{
	return p->has_ports && p->protocol == IP_UDP && p->from_port == DHCP_CLIENT_PORT &&
	       p->to_port == DHCP_SERVER_PORT;
}

static bool is_server4(const struct ip_packet *p)
{
	if (p->protocol == IP_ICMP && !p->later)
		return p->icmp_type == ICMP_REDIRECT || p->icmp_type == ICMP_ROUTER_ADVERT;
	return p->protocol == IP_UDP && p->has_ports &&
	       (p->from_port == DHCP_SERVER_PORT || p->to_port == DHCP_CLIENT_PORT);
}

/* To whoever serves addresses; that of a lease it already has may be asked for more time. */
static enum guard_verdict judge_dhcp(const struct judge *j)
{
	static const struct addr all = ADDR_V4(255, 255, 255, 255);
	bool to_all = addr_equal(&j->p->to, &all);

	if (!addr_is_unspecified(&j->p->from) && !is_own4(j, &j->p->from))
		return GUARD_SOURCE;
	if (addr_is_unspecified(&j->p->from) && !to_all)
		return GUARD_SOURCE;
	if (!learn_dhcp_request(j->rules, j->known, j->p))
		return GUARD_MAC;
	if (to_all || addr_equal(&j->p->to, &j->known->server))
		return GUARD_PASS;
	return j->rules->public ? GUARD_DEST :
				  judge_dest(j); /* no far server names its name servers */
}

static enum guard_verdict judge_ipv4(const struct judge *j)
{
	const struct ip_packet *p = j->p;

	if (is_server4(p))
		return GUARD_ROLE;
	if (is_dhcp_client(p))
		return judge_dhcp(j);
	if (!is_own4(j, &p->from))
		return GUARD_SOURCE;
	return judge_dest(j);
}

/* ---- IPv6 ---- */

static bool has_own_mac(void *owner, const uint8_t *o, size_t len)
{
	const struct judge *j = owner;

	if (o[0] != ND_SOURCE_MAC && o[0] != ND_TARGET_MAC)
		return true;
	return len == 8 && is_own_mac(j, o + 2);
}

/* From an address that it may not have yet. */
static bool is_from_nobody(const struct judge *j)
{
	return addr_is_unspecified(&j->p->from);
}

/* No router passes it on. */
static bool stays_on_link(const struct judge *j)
{
	static const struct addr group = { { 0xff, 2 } };
	const struct addr *to = &j->p->to;

	return j->rules->owns || addr_within(to, &group, 16) || addr_is_link_local6(to) ||
	       is_advertised(j, to);
}

static enum guard_verdict judge_neighbour(struct judge *j)
{
	const struct ip_packet *p = j->p;
	size_t least = p->icmp_type == ND_ROUTER_SOLICIT ? ND_ROUTER_SOLICIT_LEN : ND_TARGET_LEN;
	struct addr target;

	if (p->hops != ND_HOPS || p->hop_options || p->body_len < least || p->body[1])
		return GUARD_MALFORMED;
	if (!stays_on_link(j))
		return GUARD_DEST;
	if (p->icmp_type == ND_ADVERT ? !is_own6(j, &p->from) :
					!is_from_nobody(j) && !is_own6(j, &p->from))
		return GUARD_SOURCE;
	if (!learn_options(p, least, has_own_mac, j))
		return GUARD_MAC;
	if (p->icmp_type != ND_ADVERT)
		return GUARD_PASS;
	target = addr_v6(p->body + 8);
	return is_own6(j, &target) ? GUARD_PASS : GUARD_SOURCE;
}

/* What it listens to, and to nobody but those of this link. */
static enum guard_verdict judge_listener(const struct judge *j)
{
	if (j->p->hops != 1)
		return GUARD_MALFORMED;
	if (!stays_on_link(j))
		return GUARD_DEST;
	return is_from_nobody(j) || is_own6(j, &j->p->from) ? GUARD_PASS : GUARD_SOURCE;
}

/* A router's, or one of which nothing good is known, passes from no guest. */
static enum guard_verdict judge_icmpv6(struct judge *j)
{
	const struct ip_packet *p = j->p;
	bool echo = p->icmp_type == ICMPV6_ECHO || p->icmp_type == ICMPV6_ECHO_REPLY;

	if (!p->fragment && p->icmp_type >= ND_ROUTER_SOLICIT && p->icmp_type <= ND_ADVERT &&
	    p->icmp_type != ND_ROUTER_ADVERT)
		return judge_neighbour(j);
	if (!p->fragment &&
	    (p->icmp_type == ICMPV6_LISTENER || p->icmp_type == ICMPV6_LISTENER_DONE ||
	     p->icmp_type == ICMPV6_LISTENER2))
		return judge_listener(j);
	if (p->hop_options || (!p->later && !echo &&
			       (p->fragment || !p->icmp_type || p->icmp_type > ICMPV6_ERROR_MAX)))
		return GUARD_ROLE;
	return is_own6(j, &p->from) ? judge_dest(j) : GUARD_SOURCE;
}

static bool is_server6(const struct ip_packet *p)
{
	return p->protocol == IP_UDP && p->has_ports &&
	       (p->from_port == DHCPV6_SERVER_PORT || p->to_port == DHCPV6_CLIENT_PORT);
}

static bool is_dhcpv6_client(const struct ip_packet *p)
{
	static const struct addr servers = { { 0xff, 2, [13] = 1, [15] = 2 } };

	return p->protocol == IP_UDP && p->has_ports && !p->fragment &&
	       p->from_port == DHCPV6_CLIENT_PORT && p->to_port == DHCPV6_SERVER_PORT &&
	       addr_equal(&p->to, &servers);
}

static enum guard_verdict judge_ipv6(struct judge *j)
{
	const struct ip_packet *p = j->p;

	if (p->protocol == IP_ICMPV6)
		return judge_icmpv6(j);
	if (is_server6(p) || p->hop_options)
		return GUARD_ROLE;
	if (!is_own6(j, &p->from))
		return GUARD_SOURCE;
	return is_dhcpv6_client(p) ? GUARD_PASS : judge_dest(j);
}

/* ---- both ways ---- */

enum guard_verdict guard_from_guest(const struct guard_rules *rules, struct guard_known *known,
				    const uint8_t *frame, size_t len)
{
	struct ip_packet p;
	struct judge j = { rules, known, &p };
	enum packet_fault f = packet_parse(frame, len, &p);

	if (f != PACKET_FINE)
		return of_fault(f);
	if (!is_own_mac(&j, p.from_mac))
		return GUARD_MAC;
	switch (p.kind) {
	case PACKET_ARP:
		return judge_arp(&j);
	case PACKET_IPV4:
		return judge_ipv4(&j);
	default:
		return judge_ipv6(&j);
	}
}

enum guard_verdict guard_to_guest(const struct guard_rules *rules, struct guard_known *known,
				  const uint8_t *frame, size_t len)
{
	struct ip_packet p;
	struct judge j = { rules, known, &p };
	enum packet_fault f = packet_parse(frame, len, &p);
	struct flow flow;

	if (f != PACKET_FINE)
		return of_fault(f);
	if (is_own_mac(&j, p.from_mac) || (!is_own_mac(&j, p.to_mac) && !(p.to_mac[0] & 1)))
		return GUARD_MAC;
	learn_from_outside(rules, known, &p);
	if ((is_restricted(rules) || rules->public) && p.kind != PACKET_ARP &&
	    !addr_is_group(&p.to) && flow_of(&p, true, &flow))
		flows_note(&known->flows, &flow);
	return GUARD_PASS;
}
