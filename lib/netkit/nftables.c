/* SPDX-License-Identifier: Apache-2.0 */
/* The guard as a table of nftables; see nftables.h. Bits are counted from the start of a header: @ll of the frame's, @nh
 * of the packet's, @th of what it carries. */
#include "lib/netkit/nftables.h"

#include "lib/base/cleanup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* What the kernel computes with, in 64 bits of nanoseconds: above every interface there is. */
#define PACKETS_RATE_MAX 1000000000ULL
#define BYTES_RATE_MAX 10000000000ULL

#define PREFIX_FROM 16U /* options of a router's advertisement */
#define PREFIX_UNTIL 96U

/* ---- text ---- */

struct text {
	char *out;
	size_t cap, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	size_t left = t->len < t->cap ? t->cap - t->len : 0;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(t->out + (left ? t->len : 0), left, format, ap);
	va_end(ap);
	t->len += n < 0 ? t->cap : (size_t)n;
}

/* ---- what is the same for all ---- */

/* clang-format off */
static const char sets[] =
	"\tset asked4 { typeof @th,96,32; flags dynamic,timeout; size 64; timeout 2m; }\n"
	"\tset server4 { type ipv4_addr; flags dynamic,timeout; size 4; timeout 7d; }\n"
	"\tset nets6 { typeof @nh,64,64; flags dynamic,timeout; size 16; timeout 1d; }\n"
	"\tset others6 { typeof @nh,64,128; flags dynamic,timeout; size 1024; timeout 1h; }\n"
	"\tset answers4 { type ipv4_addr . inet_proto . inet_service . inet_service; "
		"flags dynamic,timeout; size 65536; timeout 5m; }\n"
	"\tset answers6 { type ipv6_addr . inet_proto . inet_service . inet_service; "
		"flags dynamic,timeout; size 65536; timeout 5m; }\n"
	"\tset pings4 { typeof ip saddr . icmp id; flags dynamic,timeout; size 1024; timeout 5m; }\n"
	"\tset pings6 { typeof ip6 saddr . icmpv6 id; flags dynamic,timeout; size 1024; timeout 5m; }\n";

/* A tag that was taken off the frame shows as its type. */
static const char from_rules[] =
	"\t\t@ll,48,48 != $mac drop\n"
	"\t\t@ll,96,16 0x0806 goto from_arp\n"
	"\t\t@ll,96,16 0x0800 meta l4proto != 255 goto from_ip4\n" /* any, of a packet that is whole */
	"\t\t@ll,96,16 0x86dd meta l4proto != 255 goto from_ip6\n";

static const char to_rules[] =
	"\t\t@ll,48,48 $mac drop\n"
	"\t\t@ll,0,8 & 1 == 0 @ll,0,48 != $mac drop\n"
	"\t\t@ll,96,16 0x0806 @nh,0,48 0x000108000604 goto pass_in\n"
	"\t\t@ll,96,16 0x0800 meta l4proto != 255 goto to_ip4\n"
	"\t\t@ll,96,16 0x86dd meta l4proto != 255 goto to_ip6\n";

static const char from_chains[] =
	"\tchain from_arp {\n"
	"\t\t@nh,0,48 != 0x000108000604 drop\n"
	"\t\t@nh,64,48 != $mac drop\n"
	"\t\t@nh,48,16 1 @nh,112,32 0 goto pass_out\n"
	"\t\t@nh,48,16 != { 1, 2 } drop\n"
	"\t\t@nh,112,32 @own4 goto pass_out\n"
	"\t}\n"
	"\tchain from_ip4 {\n"
	"\t\tip hdrlength != 5 ip protocol != igmp drop\n"
	"\t\tip frag-off & 0x8000 != 0 drop\n"
	"\t\ticmp type { redirect, router-advertisement } drop\n"
	"\t\tudp sport 67 drop\n"
	"\t\tudp dport 68 drop\n"
	"\t\tudp sport 68 udp dport 67 goto from_dhcp\n"
	"\t\t@nh,96,32 @own4 goto dest4\n"
	"\t}\n"
	/* a request of this client's alone: operation, addresses, the client's MAC, the cookie */
	"\tchain from_dhcp {\n"
	"\t\tip frag-off & 0x3fff != 0 drop\n"
	"\t\t@th,64,24 != 0x010106 drop\n"
	"\t\t@th,288,48 != $mac drop\n"
	"\t\t@th,1952,32 != 0x63825363 drop\n"
	"\t\tip saddr 0.0.0.0 ip daddr != 255.255.255.255 drop\n"
	"\t\tip saddr != 0.0.0.0 @nh,96,32 != @own4 drop\n"
	"\t\tupdate @asked4 { @th,96,32 }\n"
	"\t\tip daddr 255.255.255.255 goto pass_out\n"
	"\t\tip daddr @server4 goto pass_out\n"
	"\t\tgoto dest4\n"
	"\t}\n"
	"\tchain from_ip6 {\n"
	"\t\tjump headers6\n"
	"\t\tip6 nexthdr 0 goto from_listener\n"
	"\t\tip6 nexthdr 58 goto from_icmp6\n"
	"\t\tip6 nexthdr 44 meta l4proto 58 frag frag-off 0 "
		"icmpv6 type != { echo-request, echo-reply } drop\n"
	"\t\tudp sport 547 drop\n"
	"\t\tudp dport 546 drop\n"
	"\t\tjump own6\n"
	"\t\tip6 nexthdr 17 udp sport 546 udp dport 547 ip6 daddr ff02::1:2 goto pass_out\n"
	"\t\tgoto dest6\n"
	"\t}\n"
	"\tchain from_icmp6 {\n"
	"\t\ticmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } "
		"goto from_neighbour\n"
	"\t\ticmpv6 type { 131, 132, 143 } goto from_listener\n"
	"\t\ticmpv6 type != { 1-4, echo-request, echo-reply } drop\n"
	"\t\tjump own6\n"
	"\t\tgoto dest6\n"
	"\t}\n"
	"\tchain from_listener {\n"
	"\t\tmeta l4proto != 58 drop\n"
	"\t\ticmpv6 type != { 131, 132, 143 } drop\n"
	"\t\tip6 hoplimit != 1 drop\n"
	"\t\tjump on_link\n"
	"\t\tip6 saddr :: goto pass_out\n"
	"\t\tjump own6\n"
	"\t\tgoto pass_out\n"
	"\t}\n"
	"\tchain from_neighbour {\n"
	"\t\tip6 hoplimit != 255 drop\n"
	"\t\ticmpv6 code != 0 drop\n"
	"\t\tjump on_link\n"
	"\t\ticmpv6 type nd-router-solicit ip6 length != { 8, 16, 24 } drop\n"
	"\t\ticmpv6 type nd-router-solicit ip6 length { 16, 24 } jump option8\n"
	"\t\ticmpv6 type nd-router-solicit ip6 length 24 jump option16\n"
	"\t\ticmpv6 type != nd-router-solicit ip6 length != { 24, 32, 40 } drop\n"
	"\t\ticmpv6 type != nd-router-solicit ip6 length { 32, 40 } jump option24\n"
	"\t\ticmpv6 type != nd-router-solicit ip6 length 40 jump option32\n"
	"\t\ticmpv6 type nd-neighbor-advert jump own6\n"
	"\t\ticmpv6 type nd-neighbor-advert jump target6\n"
	"\t\tip6 saddr :: goto pass_out\n"
	"\t\tjump own6\n"
	"\t\tgoto pass_out\n"
	"\t}\n"
	/* no router passes it on */
	"\tchain on_link {\n"
	"\t\tip6 daddr { ff02::/16, fe80::/64 } return\n"
	"\t\t@nh,256,64 0 drop\n"
	"\t\t@nh,192,64 @nets6 return\n"
	"\t\tdrop\n"
	"\t}\n"
	"\tchain headers6 {\n"
	"\t\tip6 nexthdr { 43, 51, 59, 60, 135, 139, 140, 253, 254 } drop\n"
	"\t\tip6 nexthdr 0 hbh nexthdr { 0, 43, 51, 59, 60, 135, 139, 140, 253, 254 } drop\n"
	"\t\tip6 nexthdr { 0, 44 } frag nexthdr { 0, 43, 44, 51, 59, 60, 135, 139, 140, 253, 254 } drop\n"
	"\t}\n";

static const char to_chains[] =
	"\tchain to_ip4 {\n"
	"\t\tip hdrlength != 5 ip protocol != igmp drop\n"
	"\t\tip frag-off & 0x8000 != 0 drop\n"
	"\t\tip frag-off & 0x3fff == 0 udp sport 67 udp dport 68 @th,64,24 0x020106 @th,288,48 $mac "
		"@th,1952,32 0x63825363 @th,1984,24 0x350105 @th,96,32 @asked4 jump learn4\n"
	"\t\tip daddr != { 224.0.0.0/4, 255.255.255.255 } jump note4\n"
	"\t\tgoto pass_in\n"
	"\t}\n"
	"\tchain to_ip6 {\n"
	"\t\tjump headers6\n"
	"\t\tip6 nexthdr 58 ip6 hoplimit 255 jump learn6\n"
	"\t\tip6 daddr != ff00::/8 jump note6\n"
	"\t\tgoto pass_in\n"
	"\t}\n"
	"\tchain learn6 {\n"
	"\t\ticmpv6 type nd-neighbor-advert @th,64,8 != 0xff @th,64,128 != 0 "
		"update @others6 { @th,64,128 }\n"
	"\t\ticmpv6 type nd-neighbor-solicit ip6 saddr != :: update @others6 { @nh,64,128 }\n"
	"\t\ticmpv6 type nd-router-advert ip6 saddr fe80::/64 jump router6\n"
	"\t}\n";
/* clang-format on */

/* ---- of this card ---- */

static void put_option(struct text *t, unsigned int at)
{
	put(t, "\tchain option%u {\n", at);
	put(t, "\t\t@th,%u,16 != { 0x0101, 0x0201, 0x0e01 } drop\n", at * 8);
	put(t, "\t\t@th,%u,16 0x0e01 return\n", at * 8);
	put(t, "\t\t@th,%u,48 != $mac drop\n\t}\n", at * 8 + 16);
}

static void put_router(struct text *t)
{
	put(t, "\tchain router6 {\n\t\tupdate @others6 { @nh,64,128 }\n");
	for (unsigned int at = PREFIX_FROM; at < PREFIX_UNTIL; at += 8)
		put(t,
		    "\t\t@th,%u,16 0x0304 @th,%u,8 64 @th,%u,8 & 0xc0 != 0 @th,%u,32 != 0 "
		    "@th,%u,8 { 0x20-0x3f, 0xfc-0xfd } update @nets6 { @th,%u,64 }\n",
		    at * 8, at * 8 + 16, at * 8 + 24, at * 8 + 32, at * 8 + 128, at * 8 + 128);
	put(t, "\t}\n");
}

static void put_own4(struct text *t, const struct guard_rules *r)
{
	const uint8_t *a = r->ip4.b + ADDR_V4_BITS / 8;

	put(t, "\tset own4 { typeof @nh,96,32; ");
	if (r->fixed4)
		put(t, "elements = { 0x%02x%02x%02x%02x }; }\n", a[0], a[1], a[2], a[3]);
	else
		put(t, "flags dynamic,timeout; size 4; timeout 7d; }\n");
	put(t, "\tchain learn4 {\n\t\t@th,192,8 { 0, 127, 224-255 } return\n");
	if (!r->fixed4)
		put(t, "\t\tupdate @own4 { @th,192,32 }\n");
	put(t, "\t\tupdate @server4 { ip saddr }\n\t}\n");
}

static void put_hex(struct text *t, const uint8_t *at, size_t len)
{
	put(t, "0x");
	for (size_t i = 0; i < len; i++)
		put(t, "%02x", at[i]);
}

/* RFC 4291, appendix A: the link-local address that the MAC address makes. */
static void put_made_of_mac(struct text *t, const uint8_t m[ETHER_ADDR_LEN])
{
	const uint8_t a[] = { 0xfe,	0x80, 0,    0,	  0,	0,    0,    0,
			      m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5] };

	put_hex(t, a, sizeof(a));
}

/* Goes on where the address is the guest's: the source, or what a neighbour's advertisement tells of. */
static void put_own6(struct text *t, const struct guard_rules *r, const char *name,
		     const char *header, unsigned int at)
{
	put(t, "\tchain %s {\n", name);
	if (r->fixed6) {
		put(t, "\t\t@%s,%u,128 { ", header, at);
		put_made_of_mac(t, r->mac);
		put(t, ", ");
		put_hex(t, r->ip6.b, ADDR_LEN);
		put(t, " } return\n\t\tdrop\n\t}\n");
		return;
	}
	put(t, "\t\t@%s,%u,128 @others6 drop\n", header, at);
	put(t,
	    "\t\t@%s,%u,128 { 0xfe8000000000000000000000a9fea9fe, "
	    "0xfd000ec2000000000000000000000254, 0xfd2000ce000000000000000000000254 } drop\n",
	    header, at);
	put(t, "\t\t@%s,%u,64 0xfe80000000000000 return\n", header, at);
	put(t, "\t\t@%s,%u,64 0 drop\n", header, at + 64);
	put(t, "\t\t@%s,%u,64 @nets6 return\n\t\tdrop\n\t}\n", header, at);
}

/* ---- destinations ---- */

static bool is_restricted(const struct guard_rules *r)
{
	return r->restricted || r->n_dests;
}

/* All of IPv4 is below a network that is shorter than its place in IPv6. */
static bool names(const struct dest *d, bool v6, char *out, size_t cap)
{
	static const struct addr all4 = ADDR_V4(0, 0, 0, 0);
	char text[ADDR_TEXT_MAX];

	if (d->bits >= ADDR_V4_BITS && addr_is_v4(&d->net)) {
		addr_say(&d->net, text);
		snprintf(out, cap, "ip daddr %s/%u", text, d->bits - ADDR_V4_BITS);
		return !v6;
	}
	if (!v6) {
		snprintf(out, cap, "ip daddr 0.0.0.0/0");
		return addr_within(&all4, &d->net, d->bits);
	}
	addr_say(&d->net, text);
	snprintf(out, cap, "ip6 daddr %s/%u", text, d->bits);
	return true;
}

/* A fragment has no ports. */
static void put_dest(struct text *t, const struct dest *d, bool v6)
{
	static const char *const protocols[] = { "tcp", "udp" };
	char to[80];

	if (!names(d, v6, to, sizeof(to)))
		return;
	if (!d->ports) {
		put(t, "\t\t%s goto pass_out\n", to);
		return;
	}
	for (size_t i = 0; i < 2; i++)
		put(t, "\t\t%s %s %s dport %u-%u goto pass_out\n",
		    v6 ? "ip6 nexthdr != 44" : "ip frag-off & 0x3fff == 0", to, protocols[i],
		    d->first, d->last);
}

static void put_dests(struct text *t, const struct guard_rules *r, bool v6)
{
	const char *v = v6 ? "6" : "", *n = v6 ? "6" : "4", *i = v6 ? "v6" : "";

	if (!is_restricted(r)) {
		put(t, "\t\tgoto pass_out\n\t}\n");
		return;
	}
	for (size_t k = 0; k < r->n_dests; k++)
		put_dest(t, &r->dests[k], v6);
	put(t, "\t\t%s drop\n", v6 ? "ip6 nexthdr 44" : "ip frag-off & 0x3fff != 0");
	put(t,
	    "\t\tmeta l4proto { tcp, udp } ip%s daddr . meta l4proto . th dport . th sport "
	    "@answers%s goto pass_out\n",
	    v, n);
	put(t, "\t\ticmp%s type echo-reply ip%s daddr . icmp%s id @pings%s goto pass_out\n\t}\n", i,
	    v, i, n);
}

static void put_note(struct text *t, const struct guard_rules *r, bool v6)
{
	const char *v = v6 ? "6" : "", *n = v6 ? "6" : "4", *i = v6 ? "v6" : "";

	put(t, "\tchain note%s {\n", n);
	if (is_restricted(r)) {
		put(t, "\t\t%s return\n", v6 ? "ip6 nexthdr 44" : "ip frag-off & 0x3fff != 0");
		put(t,
		    "\t\tmeta l4proto { tcp, udp } update @answers%s { ip%s saddr . meta l4proto . "
		    "th sport . th dport }\n",
		    n, v);
		put(t, "\t\ticmp%s type echo-request update @pings%s { ip%s saddr . icmp%s id }\n",
		    i, n, v, i);
	}
	put(t, "\t}\n");
}

/* Where only some bits count, as the address of IPv4 stands behind others. */
struct masked {
	const char *mask, *bits;
};

static void put_masked(struct text *t, const struct masked *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put(t, "\t\tip6 daddr & %s == %s drop\n", all[i].mask, all[i].bits);
}

/* As in IPv6, by a translator or a tunnel, addresses of IPv4 stand: guard.c. */
static void put_forbidden6(struct text *t, const struct guard_rules *r)
{
	static const struct masked nowhere[] = {
		{ "ffff:ffff::ff00:0", "2001::ff00:0" }, /* Teredo's, with all bits turned */
		{ "ffff:ffff::ff00:0", "2001::8000:0" },
		{ "::fdff:ffff:ff00:0", "::5efe:0:0" }, /* ISATAP's */
		{ "::fdff:ffff:ff00:0", "::5efe:7f00:0" },
	};
	static const struct masked metadata[] = {
		{ "ffff:ffff::ffff:0", "2001::5601:0" },
		{ "::fdff:ffff:ffff:0", "::5efe:a9fe:0" },
		{ "ffff:ffff:ffff:ff:ff::", "64:ff9b:1:a9:fe::" },
		{ "ffff:ffff:ffff:0:ff:ff00::", "64:ff9b:1:0:a9:fe00::" },
		{ "ffff:ffff:ffff::ffff:0", "64:ff9b:1::a9fe:0" },
	};

	put(t, "\tchain dest6 {\n\t\tip6 daddr { ::/64, 64:ff9b::/104, 64:ff9b::7f00:0/104, "
	       "2002::/24, 2002:7f00::/24 } drop\n");
	put_masked(t, nowhere, ARRAY_SIZE(nowhere));
	if (r->link_local)
		return;
	put(t, "\t\tip6 daddr { 64:ff9b::a9fe:0/112, 64:ff9b:1:a9fe::/64, 2002:a9fe::/32, "
	       "fe80::a9fe:a9fe, fd00:ec2::254, fd20:ce::254 } drop\n");
	put_masked(t, metadata, ARRAY_SIZE(metadata));
}

static void put_destinations(struct text *t, const struct guard_rules *r)
{
	put(t, "\tchain dest4 {\n\t\tip daddr { 0.0.0.0/8, 127.0.0.0/8 } drop\n");
	if (!r->link_local)
		put(t, "\t\tip daddr 169.254.0.0/16 drop\n");
	put_dests(t, r, false);
	put_forbidden6(t, r);
	put_dests(t, r, true);
	put_note(t, r, false);
	put_note(t, r, true);
}

/* ---- rates ---- */

static uint64_t at_most(uint64_t n, uint64_t most)
{
	return n < most ? n : most;
}

/* The kernel's bucket of bytes holds one second's and the burst, that of packets the burst. */
static void put_pass(struct text *t, const struct throttle_rates *r, const char *name, bool out)
{
	uint64_t packets = r->rate[out ? THROTTLE_OPS_WRITE : THROTTLE_OPS_READ];
	uint64_t bytes = r->rate[out ? THROTTLE_BYTES_WRITE : THROTTLE_BYTES_READ];

	put(t, "\tchain %s {\n", name);
	if (packets)
		put(t, "\t\tlimit rate over %" PRIu64 "/second burst %" PRIu64 " packets drop\n",
		    at_most(packets, PACKETS_RATE_MAX),
		    at_most(at_most(packets, PACKETS_RATE_MAX) * r->burst_s, UINT32_MAX));
	if (bytes)
		put(t,
		    "\t\tlimit rate over %" PRIu64 " bytes/second burst %" PRIu64 " bytes drop\n",
		    at_most(bytes, BYTES_RATE_MAX),
		    at_most(at_most(bytes, BYTES_RATE_MAX) * (r->burst_s - 1), UINT32_MAX));
	put(t, "\t\taccept\n\t}\n");
}

/* ---- all ---- */

static void put_base(struct text *t, const struct nftables_place *p, bool out)
{
	put(t,
	    "\tchain %s {\n\t\ttype filter hook %s device \"%s\" priority -300; policy drop;\n%s"
	    "\t}\n",
	    out ? "from_guest" : "to_guest", out == p->lower ? "egress" : "ingress", p->interface,
	    out ? from_rules : to_rules);
}

size_t nftables_render(const struct netkit_options *o, uint64_t mac, const struct nftables_place *p,
		       char *out, size_t cap)
{
	static const unsigned int options[] = { 8, 16, 24, 32 };
	struct text t = { .out = out, .cap = cap };
	struct guard_rules r;

	netkit_rules(o, mac, &r);
	put(&t, "define mac = 0x%012" PRIx64 "\n", mac);
	put(&t, "add table netdev %s\ndelete table netdev %s\ntable netdev %s {\n", p->table,
	    p->table, p->table);
	put(&t, "%s", sets);
	put_own4(&t, &r);
	put_own6(&t, &r, "own6", "nh", 64);
	put_own6(&t, &r, "target6", "th", 64);
	put_router(&t);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		put_option(&t, options[i]);
	put_pass(&t, &o->rates, "pass_out", true);
	put_pass(&t, &o->rates, "pass_in", false);
	put_destinations(&t, &r);
	put(&t, "%s%s", from_chains, to_chains);
	put_base(&t, p, true);
	put_base(&t, p, false);
	put(&t, "}\n");
	return t.len < cap ? t.len : 0;
}
