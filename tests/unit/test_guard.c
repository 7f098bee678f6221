/* SPDX-License-Identifier: Apache-2.0 */
/* What passes between a guest and the outside: foreign addresses, roles and destinations first. */
#include "tests/unit/testframe.h"
#include "tests/unit/unit.h"

#include "lib/frames/guard.h"

#define OWN4 "10.0.2.15"
#define OWN6 "2001:db8:0:2::15"
#define NET6 "2001:db8:0:2::"
#define LL "fe80::15"
#define ROUTER_LL "fe80::1"
#define SERVER "10.0.2.2"
#define FAR "198.51.100.7"

static struct testframe f;
static struct guard_rules rules;
static struct guard_known known;

static int setup(void **state)
{
	(void)state;
	memset(&rules, 0, sizeof(rules));
	memset(&known, 0, sizeof(known));
	memcpy(rules.mac, tf_guest, sizeof(rules.mac));
	return 0;
}

static enum guard_verdict out(void)
{
	return guard_from_guest(&rules, &known, f.at, f.len);
}

static enum guard_verdict in(void)
{
	return guard_to_guest(&rules, &known, f.at, f.len);
}

#define OUT(verdict) assert_int_equal(out(), verdict)
#define IN(verdict) assert_int_equal(in(), verdict)

static void lease(const char *address)
{
	tf_dhcp(&f, false, "0.0.0.0", "255.255.255.255", 3, 0x1234, "0.0.0.0");
	OUT(GUARD_PASS);
	tf_dhcp(&f, true, SERVER, address, 5, 0x1234, address);
	IN(GUARD_PASS);
}

static void advertise(void)
{
	tf_router(&f, ROUTER_LL, NET6, 3600);
	IN(GUARD_PASS);
}

static void allow(const char *text)
{
	const char *why;

	assert_int_equal(dest_parse(text, &rules.dests[rules.n_dests++], &why), 0);
}

static enum guard_verdict tcp_to(const char *to, unsigned int port)
{
	tf_tcp(&f, false, strchr(to, ':') ? OWN6 : OWN4, 40000, to, port);
	return out();
}

/* ---- MAC addresses ---- */

static void foreign_mac(void **state)
{
	(void)state;
	lease(OWN4);
	for (size_t i = 0; i < ETHER_ADDR_LEN; i++) {
		tf_tcp(&f, false, OWN4, 1, FAR, 80);
		f.at[ETHER_ADDR_LEN + i] ^= 1;
		OUT(GUARD_MAC);
		tf_arp(&f, tf_guest, 1, OWN4, SERVER);
		f.at[TF_IP + 8 + i] ^= 1; /* the sender that ARP says */
		OUT(GUARD_MAC);
		tf_dhcp(&f, false, "0.0.0.0", "255.255.255.255", 1, 1, "0.0.0.0");
		f.at[f.len - 300 + 28 + i] ^= 1; /* DHCP's client */
		OUT(GUARD_MAC);
	}
	tf_tcp(&f, true, FAR, 80, OWN4, 1); /* another's frame */
	OUT(GUARD_MAC);
}

static void to_the_guest_alone(void **state)
{
	(void)state;
	tf_tcp(&f, true, FAR, 80, OWN4, 1);
	IN(GUARD_PASS);
	f.at[5] ^= 1;
	IN(GUARD_MAC);
	memset(f.at, 0xff, ETHER_ADDR_LEN);
	IN(GUARD_PASS);
	tf_tcp(&f, true, FAR, 80, OWN4, 1);
	memcpy(f.at + ETHER_ADDR_LEN, tf_guest, ETHER_ADDR_LEN); /* its own comes back */
	IN(GUARD_MAC);
	f.len = 20;
	IN(GUARD_MALFORMED);
}

/* ---- IPv4 ---- */

static void nothing_before_a_lease(void **state)
{
	(void)state;
	assert_int_equal(tcp_to(FAR, 80), GUARD_SOURCE);
	tf_tcp(&f, false, "0.0.0.0", 1, FAR, 80);
	OUT(GUARD_SOURCE);
	tf_arp(&f, tf_guest, 1, OWN4, SERVER);
	OUT(GUARD_SOURCE);
	tf_arp(&f, tf_guest, 1, "0.0.0.0", OWN4);
	OUT(GUARD_PASS);
	tf_arp(&f, tf_guest, 2, "0.0.0.0", OWN4);
	OUT(GUARD_SOURCE);
	lease(OWN4);
	assert_int_equal(tcp_to(FAR, 80), GUARD_PASS);
	tf_arp(&f, tf_guest, 1, OWN4, SERVER);
	OUT(GUARD_PASS);
}

static void foreign_ipv4(void **state)
{
	static const char *const foreign[] = { "10.0.2.16", SERVER,	 FAR,
					       "0.0.0.0",   "127.0.0.1", "255.255.255.255",
					       "224.0.0.1" };

	(void)state;
	lease(OWN4);
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		tf_tcp(&f, false, foreign[i], 1, FAR, 80);
		OUT(GUARD_SOURCE);
		tf_ipv4(&f, false, foreign[i], FAR, IP_ICMP, 8);
		OUT(GUARD_SOURCE);
		tf_arp(&f, tf_guest, 2, foreign[i], SERVER);
		OUT(GUARD_SOURCE);
	}
	tf_arp(&f, tf_guest, 3, OWN4, SERVER); /* reverse ARP's */
	OUT(GUARD_ROLE);
}

/* Only an ACK from outside, to this guest's MAC and to its own request, is a lease. */
static void no_lease(void **state)
{
	static const struct {
		size_t at; /* from the end of the frame */
		uint8_t value;
	} lies[] = {
		{ 300, 1 },	  /* a request */
		{ 300 - 7, 9 },	  /* another number */
		{ 300 - 33, 9 },  /* another MAC address */
		{ 300 - 239, 9 }, /* no DHCP */
		{ 300 - 246, 2 }, /* an offer */
		{ 300 - 246, 6 }, /* a NAK */
	};

	(void)state;
	tf_dhcp(&f, false, "0.0.0.0", "255.255.255.255", 3, 0x1234, "0.0.0.0");
	OUT(GUARD_PASS);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, OWN4);
		f.at[f.len - lies[i].at] = lies[i].value;
		(void)in();
		assert_false(known.leased);
	}
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, "0.0.0.0");
	(void)in();
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, "127.0.0.1");
	(void)in();
	assert_false(known.leased);
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, OWN4);
	IN(GUARD_PASS);
	assert_true(known.leased);
}

/* Options that run on, or end in the middle of one, are read no further. */
static void dhcp_options_that_lie(void **state)
{
	(void)state;
	tf_dhcp(&f, false, "0.0.0.0", "255.255.255.255", 3, 0x1234, "0.0.0.0");
	OUT(GUARD_PASS);
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, OWN4);
	f.at[f.len - 300 + 241] = 255; /* the name's length */
	IN(GUARD_PASS);
	assert_false(known.leased);
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, OWN4);
	memset(f.at + f.len - 60, 0, 60);
	f.at[f.len - 1] = 53; /* no length, no value */
	IN(GUARD_PASS);
	assert_false(known.leased);
}

static void a_lease_from_the_guest_itself_counts_for_nothing(void **state)
{
	(void)state;
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, OWN4);
	memcpy(f.at + ETHER_ADDR_LEN, tf_guest, ETHER_ADDR_LEN);
	OUT(GUARD_ROLE);
	assert_false(known.leased);
	lease(OWN4);
	lease("10.0.2.99"); /* the next one is the one */
	assert_int_equal(tcp_to(FAR, 80), GUARD_SOURCE);
}

static void a_fixed_address(void **state)
{
	(void)state;
	rules.fixed4 = true;
	assert_int_equal(addr_parse(OWN4, &rules.ip4), 0);
	assert_int_equal(tcp_to(FAR, 80), GUARD_PASS);
	lease("10.0.2.99");
	tf_tcp(&f, false, "10.0.2.99", 1, FAR, 80);
	OUT(GUARD_SOURCE);
}

static void a_server_of_addresses(void **state)
{
	(void)state;
	lease(OWN4);
	tf_udp(&f, false, OWN4, 67, "255.255.255.255", 68, 300);
	OUT(GUARD_ROLE);
	tf_udp(&f, false, OWN4, 67, FAR, 99, 300);
	OUT(GUARD_ROLE);
	tf_udp(&f, false, OWN4, 9, "255.255.255.255", 68, 300);
	OUT(GUARD_ROLE);
	for (unsigned int type = 5; type <= 9; type += 4) { /* redirects, routers */
		tf_ipv4(&f, false, OWN4, FAR, IP_ICMP, 8);
		f.at[TF_V4_BODY] = (uint8_t)type;
		OUT(GUARD_ROLE);
	}
}

/* ---- IPv6 ---- */

static void foreign_ipv6(void **state)
{
	(void)state;
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_SOURCE); /* no network yet */
	advertise();
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_PASS);
	static const char *const foreign[] = { "2001:db8:0:3::15",
					       NET6,
					       ROUTER_LL,
					       "::",
					       "::1",
					       "ff02::1",
					       "::ffff:10.0.2.15",
					       "fe80:0:0:1::15",
					       "fe80::a9fe:a9fe" };
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		tf_ipv6(&f, false, "::", "2001:db8::7", IP_TCP, 20);
		f.at[TF_V6_BODY + 12] = 0x50;
		struct addr a;
		assert_int_equal(addr_parse(foreign[i], &a), 0);
		memcpy(f.at + TF_IP + 8, a.b, ADDR_LEN);
		OUT(GUARD_SOURCE);
	}
	tf_router(&f, ROUTER_LL, NET6, 0); /* the network is no more */
	IN(GUARD_PASS);
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_SOURCE);
}

static void advertisements_that_are_none(void **state)
{
	(void)state;
	tf_router(&f, "2001:db8::1", NET6, 3600); /* not from a link-local address */
	(void)in();
	tf_router(&f, ROUTER_LL, NET6, 3600);
	tf_hops(&f, 254); /* from elsewhere */
	(void)in();
	tf_router(&f, ROUTER_LL, "::ffff:0:0", 3600);
	(void)in();
	tf_router(&f, ROUTER_LL, "fe80::", 3600);
	(void)in();
	tf_router(&f, ROUTER_LL, NET6, 3600);
	f.at[TF_V6_BODY + 17] = 0; /* an option without a length */
	(void)in();
	tf_router(&f, ROUTER_LL, NET6, 3600);
	f.at[TF_V6_BODY + 18] = 48; /* no network of stations */
	(void)in();
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_SOURCE);
}

static void no_router(void **state)
{
	(void)state;
	advertise();
	tf_icmpv6(&f, false, LL, "ff02::1", 134, 48);
	OUT(GUARD_ROLE);
	tf_icmpv6(&f, false, LL, "ff02::1", 137, 48);
	OUT(GUARD_ROLE);
	tf_icmpv6(&f, false, LL, "ff02::1", 130, 48);
	OUT(GUARD_ROLE);
	tf_udp(&f, false, LL, 547, "ff02::1", 546, 100);
	OUT(GUARD_ROLE);
	tf_ipv6(&f, false, LL, "ff02::1", 44, 8 + 48); /* in a fragment */
	f.at[TF_V6_BODY] = IP_ICMPV6;
	f.at[TF_V6_BODY + 8] = 134;
	OUT(GUARD_ROLE);
}

static void neighbours(void **state)
{
	(void)state;
	advertise();
	tf_neighbour(&f, false, "::", "ff02::1:ff00:15", 135, OWN6, 0, NULL);
	OUT(GUARD_PASS);
	tf_neighbour(&f, false, OWN6, "ff02::1:ff00:1", 135, ROUTER_LL, 1, tf_guest);
	OUT(GUARD_PASS);
	tf_neighbour(&f, false, OWN6, "ff02::1:ff00:1", 135, ROUTER_LL, 1, tf_other);
	OUT(GUARD_MAC);
	tf_neighbour(&f, false, OWN6, "ff02::1", 136, OWN6, 2, tf_guest);
	OUT(GUARD_PASS);
	tf_neighbour(&f, false, OWN6, "ff02::1", 136, OWN6, 2, tf_other);
	OUT(GUARD_MAC);
	tf_neighbour(&f, false, OWN6, "ff02::1", 136, ROUTER_LL, 2, tf_guest);
	OUT(GUARD_SOURCE);
	tf_neighbour(&f, false, ROUTER_LL, "ff02::1", 136, OWN6, 2, tf_guest);
	OUT(GUARD_SOURCE);
	tf_neighbour(&f, false, OWN6, "ff02::1", 136, OWN6, 2, tf_guest);
	tf_hops(&f, 254);
	OUT(GUARD_MALFORMED);
	tf_neighbour(&f, false, OWN6, "2001:db8::7", 135, OWN6, 1, tf_guest); /* goes far */
	OUT(GUARD_DEST);
	tf_neighbour(&f, false, OWN6, "ff02::1", 136, OWN6, 2, tf_guest);
	f.at[f.len - 7] = 0; /* an option without a length */
	OUT(GUARD_MAC);
}

/* Who has shown that he has it keeps it. */
static void a_neighbours_address(void **state)
{
	(void)state;
	advertise();
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_PASS);
	tf_neighbour(&f, true, LL, OWN6, 136, OWN6, 2, tf_other);
	IN(GUARD_PASS);
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_SOURCE);
}

static void a_fixed_ipv6_address(void **state)
{
	(void)state;
	rules.fixed6 = true;
	assert_int_equal(addr_parse(OWN6, &rules.ip6), 0);
	advertise();
	assert_int_equal(tcp_to("2001:db8::7", 80), GUARD_PASS);
	tf_udp(&f, false, "2001:db8:0:2::16", 1, "2001:db8::7", 53, 0);
	OUT(GUARD_SOURCE);
	tf_udp(&f, false, LL, 1, "ff02::fb", 5353, 0);
	OUT(GUARD_SOURCE);
	tf_udp(&f, false, "fe80::5054:ff:fe12:3456", 1, "ff02::fb", 5353, 0);
	OUT(GUARD_PASS);
}

static void listeners(void **state)
{
	(void)state;
	tf_ipv6(&f, false, "::", "ff02::16", 0, 8 + 28);
	f.at[TF_V6_BODY] = IP_ICMPV6;
	f.at[TF_V6_BODY + 8] = 143;
	tf_hops(&f, 1);
	OUT(GUARD_PASS);
	tf_hops(&f, 64);
	OUT(GUARD_MALFORMED);
	f.at[TF_V6_BODY + 8] = 128; /* options for each hop are theirs alone */
	OUT(GUARD_ROLE);
}

/* ---- destinations ---- */

static void never(void **state)
{
	static const char *const v4[] = { "127.0.0.1", "127.255.0.1",	  "0.0.0.0",
					  "0.1.2.3",   "169.254.169.254", "169.254.0.1" };
	static const char *const v6[] = { "::1",
					  "::",
					  "::10.0.0.1",
					  "fe80::a9fe:a9fe",
					  "fd00:ec2::254",
					  "fd20:ce::254",
					  "64:ff9b::127.0.0.1",
					  "64:ff9b::169.254.169.254",
					  "2002:7f00:1::1",
					  "2002:a9fe:a9fe::1" };

	(void)state;
	lease(OWN4);
	advertise();
	for (unsigned int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < ARRAY_SIZE(v4); i++)
			assert_int_equal(tcp_to(v4[i], 80), GUARD_DEST);
		for (size_t i = 0; i < ARRAY_SIZE(v6); i++)
			assert_int_equal(tcp_to(v6[i], 80), GUARD_DEST);
		tf_tcp(&f, false, OWN6, 1, "2001:db8::7", 80); /* IPv4's, as IPv6 has it */
		struct addr a;
		assert_int_equal(addr_parse("127.0.0.1", &a), 0);
		memcpy(f.at + TF_IP + 24, a.b, ADDR_LEN);
		OUT(GUARD_DEST);
		allow("0.0.0.0/0"); /* whatever else is allowed */
		allow("::/0");
	}
	rules.link_local = true;
	assert_int_equal(tcp_to("169.254.169.254", 80), GUARD_PASS);
	assert_int_equal(tcp_to("fd00:ec2::254", 80), GUARD_PASS);
	assert_int_equal(tcp_to("127.0.0.1", 80), GUARD_DEST);
}

static void named_destinations(void **state)
{
	(void)state;
	lease(OWN4);
	advertise();
	allow("198.51.100.0/24:443");
	allow("192.0.2.0/24");
	assert_int_equal(tcp_to(FAR, 443), GUARD_PASS);
	assert_int_equal(tcp_to(FAR, 80), GUARD_DEST);
	assert_int_equal(tcp_to("198.51.101.7", 443), GUARD_DEST);
	assert_int_equal(tcp_to("192.0.2.9", 1), GUARD_PASS);
	assert_int_equal(tcp_to("2001:db8::7", 443), GUARD_DEST);
	tf_ipv4(&f, false, OWN4, FAR, IP_ICMP, 8);
	OUT(GUARD_DEST);
	tf_ipv4(&f, false, OWN4, "192.0.2.9", IP_ICMP, 8);
	OUT(GUARD_PASS);
	tf_ipv4(&f, false, OWN4, FAR, 47, 8); /* a tunnel */
	OUT(GUARD_DEST);
	tf_udp(&f, false, OWN4, 5, "255.255.255.255", 443, 8);
	OUT(GUARD_DEST);
}

/* A fragment's port is not looked at: it passes where every port does. */
static void fragments_have_no_port(void **state)
{
	(void)state;
	lease(OWN4);
	allow("198.51.100.0/24:443");
	allow("192.0.2.0/24");
	for (unsigned int offset = 0; offset < 2; offset++) {
		tf_tcp(&f, false, OWN4, 1, FAR, 443);
		tf_put16(f.at + TF_IP + 6, offset);
		if (!offset)
			tf_put16(f.at + TF_IP + 6, 0x2000);
		f.len += 4; /* a multiple of 8 */
		tf_put16(f.at + TF_IP + 2, 44);
		OUT(GUARD_DEST);
		memcpy(f.at + TF_IP + 16, (const uint8_t[]){ 192, 0, 2, 9 }, 4);
		OUT(GUARD_PASS);
	}
}

static void restricted_to_answers(void **state)
{
	(void)state;
	rules.restricted = true;
	lease(OWN4);
	advertise();
	assert_int_equal(tcp_to(FAR, 80), GUARD_DEST);
	tf_tcp(&f, true, FAR, 5000, OWN4, 22);
	IN(GUARD_PASS);
	tf_tcp(&f, false, OWN4, 22, FAR, 5000);
	OUT(GUARD_PASS);
	tf_tcp(&f, false, OWN4, 22, FAR, 5001);
	OUT(GUARD_DEST);
	tf_tcp(&f, false, OWN4, 23, FAR, 5000);
	OUT(GUARD_DEST);
	tf_udp(&f, false, OWN4, 22, FAR, 5000, 0);
	OUT(GUARD_DEST);
	tf_icmpv6(&f, true, "2001:db8::7", OWN6, 128, 8)[5] = 77;
	IN(GUARD_PASS);
	tf_icmpv6(&f, false, OWN6, "2001:db8::7", 129, 8)[5] = 77;
	OUT(GUARD_PASS);
	tf_icmpv6(&f, false, OWN6, "2001:db8::7", 129, 8)[5] = 78;
	OUT(GUARD_DEST);
	tf_icmpv6(&f, false, OWN6, "2001:db8::7", 1, 40); /* errors are no answers */
	OUT(GUARD_DEST);
	tf_tcp(&f, true, "127.0.0.1", 5000, OWN4, 22); /* whoever was let in so */
	IN(GUARD_PASS);
	assert_int_equal(tcp_to("127.0.0.1", 5000), GUARD_DEST);
}

/* Who asks for his lease to go on may not ask the whole world. */
static void renewals_go_to_the_server(void **state)
{
	(void)state;
	rules.restricted = true;
	lease(OWN4);
	tf_dhcp(&f, false, OWN4, SERVER, 3, 7, "0.0.0.0");
	OUT(GUARD_PASS);
	tf_dhcp(&f, false, OWN4, FAR, 3, 7, "0.0.0.0");
	OUT(GUARD_DEST);
	tf_dhcp(&f, false, "0.0.0.0", FAR, 3, 7, "0.0.0.0");
	OUT(GUARD_SOURCE);
	tf_udp(&f, false, OWN4, 68, SERVER, 67, 100); /* no DHCP */
	OUT(GUARD_MAC);
	tf_udp(&f, false, LL, 546, "ff02::1:2", 547, 100);
	OUT(GUARD_PASS);
	tf_udp(&f, false, LL, 546, "2001:db8::7", 547, 100);
	OUT(GUARD_DEST);
}

/* However many there were, the last ones are known, and memory does not grow. */
static void many_flows(void **state)
{
	(void)state;
	rules.restricted = true;
	lease(OWN4);
	for (unsigned int port = 1; port <= 65535; port++) {
		tf_tcp(&f, true, FAR, port, OWN4, 22);
		IN(GUARD_PASS);
		tf_tcp(&f, false, OWN4, 22, FAR, port);
		OUT(GUARD_PASS);
	}
}

/* ---- public addresses alone ---- */

/* The answer of the server, with an option of name servers behind its type. */
static void lease_with_resolver(const char *resolver)
{
	struct addr a;
	uint8_t *o;

	assert_int_equal(addr_parse(resolver, &a), 0);
	tf_dhcp(&f, false, "0.0.0.0", "255.255.255.255", 3, 0x1234, "0.0.0.0");
	OUT(GUARD_PASS);
	tf_dhcp(&f, true, SERVER, OWN4, 5, 0x1234, OWN4);
	o = f.at + f.len - 300 + 247; /* behind the type */
	memcpy(o, (const uint8_t[]){ 6, 4 }, 2);
	memcpy(o + 2, a.b + 12, 4);
	o[6] = 255;
	IN(GUARD_PASS);
}

static enum guard_verdict udp_to(const char *to, unsigned int port)
{
	tf_udp(&f, false, strchr(to, ':') ? OWN6 : OWN4, 40000, to, port, 20);
	return out();
}

static void private_networks(void **state)
{
	static const char *const private[] = {
		"10.0.2.2",
		"10.255.255.255",
		"172.16.0.1",
		"172.31.255.254",
		"192.168.1.1",
		"100.64.0.1",
		"192.0.0.8",
		"198.19.0.1",
		"224.0.0.251",
		"239.255.255.250",
		"240.0.0.1",
		"255.255.255.255",
		"fc00::1",
		"fd00::1",
		"fe80::1",
		"fec0::1",
		"ff02::fb",
		"ff0e::1",
		"64:ff9b::10.0.0.1",
		"2002:c0a8:101::1",
		"192.88.99.1",
		"64:ff9b:1::8.8.8.8",
		"64:ff9b:1:a00:0:100::",
		"100::1",
		"5f00::1",
		"2001::4136:e378:8000:63bf:f5ff:fffe",	/* Teredo's 10.0.0.1 */
		"2001:0:4136:e378:8000:63bf:3fff:fdd2", /* and of a public one */
		"2001:2::1",
		"2001:db8::5efe:10.0.0.1",
		"2001:db8::200:5efe:192.168.1.1"
	};
	/* to which nothing goes, public=on or not */
	static const char *const nowhere[] = {
		"127.0.0.1",
		"169.254.169.254",
		"0.0.0.0",
		"::1",
		"::10.0.0.1",
		"::ffff:0:10.0.0.1",
		"::ffff:0:8.8.8.8",
		"64:ff9b::127.0.0.1",
		"2002:7f00:1::1",
		"64:ff9b::169.254.169.254",
		"64:ff9b:1::169.254.169.254",
		"64:ff9b:1:a9fe:a9:fe00::",
		"2001:0:4136:e378:8000:63bf:5601:5601", /* Teredo's 169.254.169.254 */
		"2001:0:4136:e378:8000:63bf:80ff:fffe", /* and 127.0.0.1 */
		"2001:db8::5efe:127.0.0.1",
		"2001:db8::200:5efe:169.254.169.254"
	};
	static const char *const public[] = { FAR,
					      "9.255.255.255",
					      "11.0.0.0",
					      "172.15.0.1",
					      "172.32.0.1",
					      "192.167.0.1",
					      "192.169.0.1",
					      "100.128.0.1",
					      "223.255.255.254",
					      "2001:db8::7",
					      "2600::1",
					      "64:ff9b::8.8.8.8",
					      "3ffe::1",
					      "2001:200::1",
					      "2002:808:808::1",
					      "2001:db8::5efe:8.8.8.8",
					      "2001:db8::100:5efe:10.0.0.1" };

	(void)state;
	rules.public = true;
	lease(OWN4);
	advertise();
	for (size_t i = 0; i < ARRAY_SIZE(private); i++) {
		assert_int_equal(tcp_to(private[i], 443), GUARD_PRIVATE);
		assert_int_equal(udp_to(private[i], 53), GUARD_PRIVATE);
		assert_int_equal(udp_to(private[i], 1900), GUARD_PRIVATE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(public); i++)
		assert_int_equal(tcp_to(public[i], 443), GUARD_PASS);
	for (unsigned int public_ = 0; public_ < 2; public_++) {
		rules.public = public_;
		for (size_t i = 0; i < ARRAY_SIZE(nowhere); i++)
			assert_int_equal(tcp_to(nowhere[i], 53), GUARD_DEST);
	}
}

/* Hosts of its user's network, which have public addresses in IPv6; and this host, whose address it may have. */
static void public_addresses_that_are_at_home(void **state)
{
	(void)state;
	rules.public = true;
	lease("198.51.100.9");
	tf_tcp(&f, false, "198.51.100.9", 40000, FAR, 443);
	OUT(GUARD_PASS);
	tf_tcp(&f, false, "198.51.100.9", 40000, "198.51.100.9", 443);
	OUT(GUARD_PRIVATE);
	assert_int_equal(tcp_to("2001:db8:0:2::99", 443), GUARD_SOURCE);
	advertise();
	assert_int_equal(tcp_to("2001:db8:0:2::99", 443), GUARD_PRIVATE);
	assert_int_equal(tcp_to(OWN6, 443), GUARD_PRIVATE);
	assert_int_equal(tcp_to("2001:db8:0:3::99", 443), GUARD_PASS);
	allow("2001:db8:0:2::99/128");
	assert_int_equal(tcp_to("2001:db8:0:2::99", 443), GUARD_PASS);
	rules.n_dests = 0;
	rules.fixed6 = true;
	assert_int_equal(addr_parse("2001:db8:0:7::9", &rules.ip6), 0);
	tf_tcp(&f, false, "2001:db8:0:7::9", 40000, "2001:db8:0:7::9", 443);
	OUT(GUARD_PRIVATE);
}

/* Its own name servers, for names; and whom somebody named. */
static void private_ones_that_are_reached(void **state)
{
	(void)state;
	rules.public = true;
	lease_with_resolver("10.0.2.3");
	assert_int_equal(udp_to("10.0.2.3", 53), GUARD_PASS);
	assert_int_equal(tcp_to("10.0.2.3", 53), GUARD_PASS);
	assert_int_equal(tcp_to("10.0.2.3", 853), GUARD_PASS);
	assert_int_equal(tcp_to("10.0.2.3", 80), GUARD_PRIVATE);
	assert_int_equal(udp_to("10.0.2.4", 53), GUARD_PRIVATE);
	tf_ipv4(&f, false, OWN4, "10.0.2.3", IP_ICMP, 8);
	OUT(GUARD_PRIVATE);
	lease_with_resolver("127.0.0.1");
	assert_int_equal(udp_to("127.0.0.1", 53), GUARD_DEST);
	lease_with_resolver("169.254.169.254");
	assert_int_equal(udp_to("169.254.169.254", 53), GUARD_DEST);
	tf_tcp(&f, true, "192.168.1.9", 5000, OWN4, 22); /* to a published port */
	IN(GUARD_PASS);
	tf_tcp(&f, false, OWN4, 22, "192.168.1.9", 5000);
	OUT(GUARD_PASS);
	tf_tcp(&f, false, OWN4, 23, "192.168.1.9", 5000);
	OUT(GUARD_PRIVATE);
	allow("10.7.0.0/16:443");
	assert_int_equal(tcp_to("10.7.0.1", 443), GUARD_PASS);
	assert_int_equal(tcp_to("10.7.0.1", 80), GUARD_PRIVATE);
	assert_int_equal(tcp_to(FAR, 443), GUARD_DEST);
}

/* DHCPv6's answer, and a router's advertisement, each with one name server. */
static void resolvers_of_ipv6(void **state)
{
	static const uint8_t dhcp[] = { 7, 0, 0, 1, 0, 1, 0, 2, 1, 2, 0, 23, 0, 16 };
	struct addr a;
	uint8_t *o;

	(void)state;
	rules.public = true;
	advertise();
	for (unsigned int far = 0; far < 2; far++) {
		assert_int_equal(addr_parse(far ? "fd00::54" : "fd00::53", &a), 0);
		tf_udp(&f, true, far ? "2001:db8::7" : ROUTER_LL, 547, OWN6, 546,
		       sizeof(dhcp) + ADDR_LEN);
		memcpy(f.at + TF_V6_BODY + 8, dhcp, sizeof(dhcp));
		memcpy(f.at + TF_V6_BODY + 8 + sizeof(dhcp), a.b, ADDR_LEN);
		IN(GUARD_PASS);
	}
	assert_int_equal(udp_to("fd00::53", 53), GUARD_PASS);
	assert_int_equal(udp_to("fd00::54", 53), GUARD_PRIVATE); /* a far server's word */
	o = tf_icmpv6(&f, true, ROUTER_LL, "ff02::1", 134, 16 + 24);
	memcpy(o + 16, (const uint8_t[]){ 25, 3, 0, 0, 0, 0, 1, 0 }, 8);
	assert_int_equal(addr_parse("fd00::55", &a), 0);
	memcpy(o + 24, a.b, ADDR_LEN);
	assert_int_equal(addr_parse("10.0.2.3", &a), 0); /* as IPv6 has IPv4 */
	IN(GUARD_PASS);
	assert_int_equal(udp_to("fd00::55", 53), GUARD_PASS);
	assert_int_equal(tcp_to("fd00::55", 443), GUARD_PRIVATE);
}

/* Cut anywhere: what is behind the end is nobody's name server. */
static void resolvers_that_are_cut(void **state)
{
	(void)state;
	rules.public = true;
	lease_with_resolver("10.0.2.3");
	known = (struct guard_known){ .dhcp_request = 0x1234 };
	f.at[f.len - 300 + 248] = 52; /* longer than what is left */
	IN(GUARD_PASS);
	assert_int_equal(udp_to("10.0.2.3", 53), GUARD_PRIVATE);
}

/* Whom it asks for an address it does not choose: an answer names its name servers. */
static void no_far_server_of_addresses(void **state)
{
	(void)state;
	rules.public = true;
	lease(OWN4);
	tf_dhcp(&f, false, OWN4, FAR, 3, 7, "0.0.0.0");
	OUT(GUARD_DEST);
	tf_dhcp(&f, false, OWN4, SERVER, 3, 7, "0.0.0.0");
	OUT(GUARD_PASS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(foreign_mac, setup),
		cmocka_unit_test_setup(to_the_guest_alone, setup),
		cmocka_unit_test_setup(nothing_before_a_lease, setup),
		cmocka_unit_test_setup(foreign_ipv4, setup),
		cmocka_unit_test_setup(no_lease, setup),
		cmocka_unit_test_setup(dhcp_options_that_lie, setup),
		cmocka_unit_test_setup(a_lease_from_the_guest_itself_counts_for_nothing, setup),
		cmocka_unit_test_setup(a_fixed_address, setup),
		cmocka_unit_test_setup(a_server_of_addresses, setup),
		cmocka_unit_test_setup(foreign_ipv6, setup),
		cmocka_unit_test_setup(advertisements_that_are_none, setup),
		cmocka_unit_test_setup(no_router, setup),
		cmocka_unit_test_setup(neighbours, setup),
		cmocka_unit_test_setup(a_neighbours_address, setup),
		cmocka_unit_test_setup(a_fixed_ipv6_address, setup),
		cmocka_unit_test_setup(listeners, setup),
		cmocka_unit_test_setup(never, setup),
		cmocka_unit_test_setup(named_destinations, setup),
		cmocka_unit_test_setup(fragments_have_no_port, setup),
		cmocka_unit_test_setup(restricted_to_answers, setup),
		cmocka_unit_test_setup(renewals_go_to_the_server, setup),
		cmocka_unit_test_setup(many_flows, setup),
		cmocka_unit_test_setup(private_networks, setup),
		cmocka_unit_test_setup(public_addresses_that_are_at_home, setup),
		cmocka_unit_test_setup(private_ones_that_are_reached, setup),
		cmocka_unit_test_setup(resolvers_of_ipv6, setup),
		cmocka_unit_test_setup(resolvers_that_are_cut, setup),
		cmocka_unit_test_setup(no_far_server_of_addresses, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
