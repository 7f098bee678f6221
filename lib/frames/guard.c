/* SPDX-License-Identifier: Apache-2.0 */
/* Which frames pass; see guard.h. */
#include "lib/frames/guard.h"

#include "lib/frames/learn.h"
#include "lib/frames/scope.h"

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

/* ---- what is the guest's ---- */

/* Of nobody, of a host's own, of a group, or of what tells secrets: asked for by none. */
static bool is_told_own(const struct judge *j, const struct addr *a)
{
	return !addr_is_unspecified(a) && !addr_is_group(a) && !scope_is_nowhere(a) &&
	       !scope_is_metadata(a) && j->rules->owns(j->rules->owner, a);
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
		return !scope_is_for_hosts_alone(a) && is_told_own(j, a);
	return !learn_is_others(j->known, a) && !scope_is_metadata(a) &&
	       (addr_is_link_local6(a) || is_advertised(j, a));
}

/* ---- where it goes ---- */

static bool is_forbidden(const struct judge *j)
{
	const struct addr *to = &j->p->to;
	const struct addr a = scope_meant(to);

	if (j->p->kind == PACKET_IPV6 && scope_is_for_hosts_alone(to))
		return true;
	if (scope_is_nowhere(&a))
		return true;
	return !j->rules->link_local && scope_leads_to_metadata(to);
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
	return j->rules->public && (scope_leads_to_private(&j->p->to) || is_at_home(j)) &&
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
