/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets a frame on a segment: of neighbours that lie first. */
#include "tests/unit/testframe.h"
#include "tests/unit/unit.h"

#include "cmd/net-switch/segment.h"

#include <stdio.h>
#include <string.h>

#define MAC(n) (UINT64_C(0x525400000000) + (n))
#define BIT(n) ((segment_ports)1 << (n))

static struct segment s;
static struct testframe f;

static int setup(void **state)
{
	(void)state;
	memset(&s, 0, sizeof(s));
	return 0;
}

static void join_as(unsigned int port, uint64_t mac, const char *more)
{
	struct member m;
	char text[MEMBER_TEXT_MAX];

	snprintf(text, sizeof(text), "mac=52:54:00:00:00:%02x%s", (unsigned int)(mac & 255), more);
	assert_int_equal(member_parse(text, &m), 0);
	segment_join(&s, port, &m);
}

/* Port n has the MAC address that ends with n. */
static void join(unsigned int n, const char *more)
{
	join_as(n, MAC(n), more);
}

static void put_mac(uint8_t *at, unsigned int n)
{
	const uint8_t mac[] = { 0x52, 0x54, 0, 0, 0, (uint8_t)n };

	memcpy(at, mac, sizeof(mac));
}

/* The frame that f is becomes one between those two; to 0: to everybody. */
static segment_ports send_as(unsigned int port, unsigned int mac, unsigned int to)
{
	if (to)
		put_mac(f.at, to);
	else
		memset(f.at, 0xff, ETHER_ADDR_LEN);
	put_mac(f.at + ETHER_ADDR_LEN, mac);
	return segment_judge(&s, port, f.at, f.len);
}

static segment_ports tcp(unsigned int port, const char *from, unsigned int to)
{
	tf_tcp(&f, false, from, 1, strchr(from, ':') ? "fd00::99" : "10.0.0.99", 2);
	return send_as(port, port, to);
}

static segment_ports arp(unsigned int port, unsigned int mac, const char *sender, unsigned int to)
{
	const uint8_t own[] = { 0x52, 0x54, 0, 0, 0, (uint8_t)mac };

	tf_arp(&f, own, 1, sender, "10.0.0.99");
	return send_as(port, port, to);
}

/* What is counted of a port; every one that joins has its own MAC address there. */
static void assert_counted(unsigned int port, const char *counts)
{
	char text[SEGMENT_TEXT_MAX], *at;

	assert_true(segment_say(&s, port, text));
	at = strstr(text, ": ");
	assert_non_null(at);
	assert_string_equal(at + 2, counts);
}

/* ---- whose it is ---- */

static void no_foreign_mac(void **state)
{
	(void)state;
	join(1, "");
	join(2, "");
	assert_int_equal(tcp(1, "10.0.0.1", 2), BIT(2));
	tf_tcp(&f, false, "10.0.0.1", 1, "10.0.0.99", 2);
	assert_int_equal(send_as(1, 2, 2), 0);	       /* another's */
	assert_int_equal(send_as(1, 9, 2), 0);	       /* nobody's */
	assert_int_equal(arp(1, 2, "10.0.0.1", 2), 0); /* within ARP */
	f.at[ETHER_ADDR_LEN] |= 1;
	assert_int_equal(segment_judge(&s, 1, f.at, f.len), 0);
	for (size_t len = 0; len < ETHER_LEN; len++)
		assert_int_equal(segment_judge(&s, 1, f.at, len), 0);
}

static void to_nobody(void **state)
{
	(void)state;
	join(1, "");
	join(2, "");
	assert_int_equal(tcp(1, "10.0.0.1", 9), 0);
	assert_int_equal(tcp(1, "10.0.0.1", 1), 0); /* itself */
	assert_int_equal(tcp(3, "10.0.0.3", 1), 0); /* who has not joined */
	segment_leave(&s, 2);
	assert_int_equal(tcp(1, "10.0.0.1", 2), 0);
}

static void an_address_is_of_who_has_it(void **state)
{
	(void)state;
	join(1, "");
	join(2, "");
	join(3, "");
	assert_int_equal(tcp(1, "10.0.0.1", 2), BIT(2));
	assert_int_equal(tcp(3, "10.0.0.1", 2), 0);
	assert_int_equal(arp(3, 3, "10.0.0.1", 0), 0);
	assert_int_equal(tcp(1, "fd00::1", 2), BIT(2));
	assert_int_equal(tcp(3, "fd00::1", 2), 0);
	assert_int_equal(tcp(1, "10.0.0.1", 2), BIT(2));
	segment_leave(&s, 1);
	assert_int_equal(tcp(3, "10.0.0.1", 2), BIT(2));
}

/* As many as an intruder likes cost nobody else his. */
static void a_flood_of_addresses(void **state)
{
	char text[ADDR_TEXT_MAX];

	(void)state;
	join(1, "");
	join(2, "");
	assert_int_equal(tcp(1, "10.0.0.1", 2), BIT(2));
	for (unsigned int i = 2; i < 2000; i++) {
		snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
		assert_int_equal(tcp(2, text, 1), BIT(1));
	}
	assert_int_equal(tcp(2, "10.0.0.1", 1), 0);
	assert_int_equal(tcp(1, "10.0.0.1", 2), BIT(2));
	/* its own oldest has made way */
	assert_int_equal(tcp(1, "10.0.0.2", 2), BIT(2));
	assert_int_equal(tcp(1, text, 2), 0);
}

static void what_is_said_is_kept(void **state)
{
	(void)state;
	join(1, "");
	assert_int_equal(tcp(1, "10.0.0.2", 1), 0); /* taken before its owner is there */
	assert_int_equal(tcp(1, "fd00::2", 1), 0);
	assert_int_equal(tcp(1, "fe80::5054:ff:fe00:2", 1), 0);
	join(2, ",ip=10.0.0.2,ip=fd00::2");
	assert_int_equal(tcp(1, "10.0.0.2", 2), 0);
	assert_int_equal(tcp(1, "fd00::2", 2), 0);
	assert_int_equal(tcp(1, "fe80::5054:ff:fe00:2", 2), 0); /* which a MAC address makes */
	assert_int_equal(tcp(2, "10.0.0.2", 1), BIT(1));
	assert_int_equal(tcp(2, "fd00::2", 1), BIT(1));
	assert_int_equal(tcp(2, "fe80::5054:ff:fe00:2", 1), BIT(1));
	assert_int_equal(tcp(2, "10.0.0.3", 1), 0); /* nothing else */
	assert_int_equal(tcp(2, "fd00::3", 1), 0);
}

static void nobodys_addresses(void **state)
{
	static const char *const none[] = {
		"0.0.0.0",	"127.0.0.1", "224.0.0.1",	"255.255.255.255", "::",
		"::1",		"ff02::1",   "fe80::a9fe:a9fe", "169.254.169.254", "169.254.1.1",
		"fd00:ec2::254"
	};

	(void)state;
	join(1, "");
	join(2, "");
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		assert_int_equal(tcp(1, none[i], 2), 0);
}

static void no_router_and_no_server(void **state)
{
	(void)state;
	join(1, "");
	join(2, "");
	tf_router(&f, "fe80::1", "fd00::", 3600);
	assert_int_equal(send_as(1, 1, 0), 0);
	tf_udp(&f, false, "10.0.0.1", 67, "255.255.255.255", 68, 300);
	assert_int_equal(send_as(1, 1, 0), 0);
	tf_udp(&f, false, "fe80::1", 547, "ff02::1", 546, 100);
	assert_int_equal(send_as(1, 1, 0), 0);
	tf_icmpv6(&f, false, "fe80::1", "ff02::1", 137, 48);
	assert_int_equal(send_as(1, 1, 0), 0);
	tf_ether(&f, tf_guest, tf_other, 0x8100); /* nor what is tagged */
	assert_int_equal(send_as(1, 1, 2), 0);
	tf_ether(&f, tf_guest, tf_other, 0x88b5);
	assert_int_equal(send_as(1, 1, 2), 0);
}

static void neighbours(void **state)
{
	const uint8_t own[] = { 0x52, 0x54, 0, 0, 0, 1 }, other[] = { 0x52, 0x54, 0, 0, 0, 2 };

	(void)state;
	join(1, "");
	join(2, ",ip=fd00::2");
	tf_neighbour(&f, false, "fd00::1", "ff02::1", 135, "fd00::2", 1, own);
	assert_int_equal(send_as(1, 1, 0), BIT(2));
	tf_neighbour(&f, false, "fd00::1", "fd00::2", 136, "fd00::1", 2, own); /* to one */
	assert_int_equal(send_as(1, 1, 2), BIT(2));
	tf_neighbour(&f, false, "fd00::1", "fd00::2", 136, "fd00::1", 2, other);
	assert_int_equal(send_as(1, 1, 2), 0);
	tf_neighbour(&f, false, "fd00::1", "ff02::1", 136, "fd00::2", 2, own); /* for another */
	assert_int_equal(send_as(1, 1, 0), 0);
	tf_neighbour(&f, false, "::", "ff02::1", 135, "fd00::2", 0, own); /* whether it is free */
	assert_int_equal(send_as(1, 1, 0), BIT(2));
}

/* ---- who hears it ---- */

static void groups(void **state)
{
	(void)state;
	join(1, "");
	join(2, "");
	join(63, "");
	assert_int_equal(arp(1, 1, "10.0.0.1", 0), BIT(2) | BIT(63));
	assert_int_equal(arp(63, 63, "10.0.0.63", 0), BIT(1) | BIT(2));
}

static void isolated_ports(void **state)
{
	(void)state;
	join(1, "");
	join(2, ",isolated=on");
	join(3, ",isolated=on");
	assert_int_equal(tcp(2, "10.0.0.2", 3), 0);
	assert_int_equal(tcp(3, "10.0.0.3", 2), 0);
	assert_int_equal(tcp(2, "10.0.0.2", 1), BIT(1));
	assert_int_equal(tcp(1, "10.0.0.1", 2), BIT(2));
	assert_int_equal(arp(2, 2, "10.0.0.2", 0), BIT(1));
	assert_int_equal(arp(1, 1, "10.0.0.1", 0), BIT(2) | BIT(3));
}

static unsigned int count(unsigned int port, unsigned int times)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < times; i++)
		n += arp(port, port, "10.0.0.0", 0) != 0;
	return n;
}

/* It may say to groups so much, to one as much as it likes, and costs no other port anything. */
static void a_flood_to_everybody(void **state)
{
	(void)state;
	join(1, ",ip=10.0.0.0");
	join(2, "");
	assert_int_equal(count(1, 10000), SEGMENT_GROUP_FRAMES);
	assert_int_equal(tcp(1, "10.0.0.0", 2), BIT(2));
	assert_int_equal(arp(2, 2, "10.0.0.2", 0), BIT(1));
	segment_pass_ms(&s, 100);
	assert_int_equal(count(1, 10000), SEGMENT_GROUP_FRAMES / 10);
	segment_pass_ms(&s, 1000000); /* no more is saved up than a second's */
	assert_int_equal(count(1, 10000), SEGMENT_GROUP_FRAMES);
}

static void bytes_to_everybody(void **state)
{
	unsigned int n = 0;

	(void)state;
	join(1, "");
	join(2, "");
	for (unsigned int i = 0; i < 10000; i++) {
		tf_udp(&f, false, "10.0.0.1", 1, "10.0.0.255", 2, 1972);
		n += send_as(1, 1, 0) != 0;
	}
	assert_in_range(n, 1, SEGMENT_GROUP_FRAMES);
	assert_true((size_t)n * f.len <= SEGMENT_GROUP_BYTES + f.len);
}

/* ---- what is said of a card ---- */

/* ---- what is counted ---- */

static void counts(void **state)
{
	char text[SEGMENT_TEXT_MAX];

	(void)state;
	assert_false(segment_say(&s, 1, text));
	join(1, ",isolated=on");
	join(2, ",isolated=on,ip=10.0.0.2");
	join(3, "");
	assert_counted(1, "0 passed, 0 dropped");
	assert_int_equal(tcp(1, "10.0.0.1", 3), BIT(3));
	assert_int_equal(tcp(1, "10.0.0.1", 2), 0);
	assert_int_equal(tcp(1, "10.0.0.1", 9), 0);
	assert_int_equal(tcp(1, "10.0.0.2", 3), 0);
	assert_int_equal(send_as(1, 2, 3), 0);
	assert_int_equal(segment_judge(&s, 1, f.at, 3), 0);
	segment_lose(&s, 1);
	assert_counted(
		1,
		"1 passed, 6 dropped: malformed 1, mac 1, address 1, nobody 1, isolated 1, unread 1");
	assert_counted(2, "0 passed, 0 dropped");
	assert_true(segment_say(&s, 2, text));
	assert_string_equal(
		text, "port 2 mac=52:54:00:00:00:02,isolated=on,ip=10.0.0.2: 0 passed, 0 dropped");
	segment_leave(&s, 1);
	join(1, "");
	assert_counted(1, "0 passed, 0 dropped"); /* nothing of before */
}

/* Whatever the numbers are, a line has its end. */
static void counts_that_are_long(void **state)
{
	char text[SEGMENT_TEXT_MAX];

	(void)state;
	join(63, ",isolated=off,ip=255.255.255.254,ip=2001:db8:ffff:ffff:ffff:ffff:ffff:ffff");
	s.ports[63].n_passed = UINT64_MAX;
	for (size_t i = 0; i < SEGMENT_DROPS; i++)
		s.ports[63].n_dropped[i] = UINT64_MAX / SEGMENT_DROPS;
	assert_true(segment_say(&s, 63, text));
	assert_true(strlen(text) > SEGMENT_TEXT_MAX - 40 && strlen(text) < SEGMENT_TEXT_MAX);
}

/*
 * Who speaks from more addresses than a port may hold: as many of those that nobody has used are its own, and are kept
 * from others for as long as it goes on. What others use never is, nor what was said of one (ip=).
 */
static void a_squatter(void **state)
{
	char address[32];

	(void)state;
	join(1, "");
	join(2, "");
	join(3, "");
	assert_int_equal(tcp(2, "10.0.0.7", 3), BIT(3));
	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 1; i <= SEGMENT_CLAIMS; i++) {
			snprintf(address, sizeof(address), "10.0.1.%u", i);
			assert_int_equal(tcp(1, address, 3), BIT(3));
			assert_int_equal(tcp(2, address, 3), 0);
			assert_int_equal(tcp(1, "10.0.0.7", 3), 0);
		}
	assert_int_equal(tcp(2, "10.0.0.7", 3), BIT(3));
	assert_counted(2, "2 passed, 48 dropped: address 48");
	assert_int_equal(tcp(1, "10.0.1.99", 3),
			 BIT(3)); /* one more is at the price of one that it had */
	assert_int_equal(tcp(2, "10.0.1.1", 3), BIT(3));
	assert_int_equal(tcp(1, "10.0.1.1", 3), 0);
	join(4, ",ip=10.0.1.5"); /* what was said takes it back */
	assert_int_equal(tcp(1, "10.0.1.5", 3), 0);
	assert_int_equal(tcp(4, "10.0.1.5", 3), BIT(3));
}

static void members(void **state)
{
	static const char *const wrong[] = { "",
					     "mac=",
					     "isolated=on",
					     "mac=52:54:00:00:00:01,mac=52:54:00:00:00:02",
					     "mac=01:54:00:00:00:01",
					     "mac=00:00:00:00:00:00",
					     "mac=52:54:00:00:00:01,isolated",
					     "mac=52:54:00:00:00:01,isolated=yes",
					     "mac=52:54:00:00:00:01,isolated=on,isolated=off",
					     "mac=52:54:00:00:00:01,ip=224.0.0.1",
					     "mac=52:54:00:00:00:01,ip=10.0.0.1,ip=10.0.0.2",
					     "mac=52:54:00:00:00:01,vlan=1",
					     "mac=52:54:00:00:00:01,," };
	char text[MEMBER_TEXT_MAX];
	struct member m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		if (member_parse(wrong[i], &m) == 0)
			fail_msg("'%s' is a member", wrong[i]);
	assert_int_equal(
		member_parse("mac=52:54:00:00:00:01,isolated=on,ip=fd00::1,ip=10.0.0.1", &m), 0);
	member_say(&m, text);
	assert_string_equal(text, "mac=52:54:00:00:00:01,isolated=on,ip=10.0.0.1,ip=fd00::1");
}

static void members_beside_each_other(void **state)
{
	static const struct {
		const char *is, *why;
	} rows[] = {
		{ "mac=52:54:00:00:00:02", NULL },
		{ "mac=52:54:00:00:00:01", "52:54:00:00:00:01" },
		{ "mac=52:54:00:00:00:02,ip=10.0.0.1", "10.0.0.1" },
		{ "mac=52:54:00:00:00:02,ip=fd00::1", "fd00::1" },
		{ "mac=52:54:00:00:00:02,ip=10.0.0.2,ip=fd00::2", NULL },
	};
	struct member first, m;
	char why[MEMBER_REASON_MAX];

	(void)state;
	assert_int_equal(member_parse("mac=52:54:00:00:00:01,ip=10.0.0.1,ip=fd00::1", &first), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(member_parse(rows[i].is, &m), 0);
		assert_int_equal(member_goes_with(&m, &first, why), !rows[i].why);
		if (rows[i].why)
			assert_non_null(strstr(why, rows[i].why));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(no_foreign_mac, setup),
		cmocka_unit_test_setup(to_nobody, setup),
		cmocka_unit_test_setup(an_address_is_of_who_has_it, setup),
		cmocka_unit_test_setup(a_flood_of_addresses, setup),
		cmocka_unit_test_setup(what_is_said_is_kept, setup),
		cmocka_unit_test_setup(nobodys_addresses, setup),
		cmocka_unit_test_setup(no_router_and_no_server, setup),
		cmocka_unit_test_setup(neighbours, setup),
		cmocka_unit_test_setup(groups, setup),
		cmocka_unit_test_setup(isolated_ports, setup),
		cmocka_unit_test_setup(a_flood_to_everybody, setup),
		cmocka_unit_test_setup(bytes_to_everybody, setup),
		cmocka_unit_test_setup(counts, setup),
		cmocka_unit_test_setup(counts_that_are_long, setup),
		cmocka_unit_test_setup(a_squatter, setup),
		cmocka_unit_test(members),
		cmocka_unit_test(members_beside_each_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
