/* SPDX-License-Identifier: Apache-2.0 */
/* Frames that are none: cut at every byte, with lengths that lie, tags, options, headers, fragments. */
#include "tests/unit/testframe.h"
#include "tests/unit/unit.h"

#include "lib/frames/dest.h"

#include <errno.h>

static struct testframe f;
static struct ip_packet p;

static enum packet_fault parsed(void)
{
	/* where reading too far is seen by the sanitizer */
	uint8_t *copy = test_malloc(f.len ? f.len : 1);
	enum packet_fault r;

	memcpy(copy, f.at, f.len);
	r = packet_parse(copy, f.len, &p);
	test_free(copy);
	return r;
}

/* Each shorter one is refused: none is long enough to be filled up. */
static void assert_cut_anywhere(void)
{
	assert_int_equal(parsed(), PACKET_FINE);
	while (f.len) {
		f.len--;
		assert_int_equal(parsed(), f.len < ETHER_LEN ? PACKET_RUNT : PACKET_MALFORMED);
	}
}

static void cut(void **state)
{
	(void)state;
	tf_arp(&f, tf_guest, 1, "10.0.2.15", "10.0.2.2");
	assert_cut_anywhere();
	tf_udp(&f, false, "10.0.2.15", 1000, "192.0.2.1", 53, 30);
	assert_cut_anywhere();
	tf_tcp(&f, false, "2001:db8::5", 1000, "2001:db8::1", 80);
	assert_cut_anywhere();
	tf_neighbour(&f, false, "fe80::1", "ff02::1", 136, "fe80::1", 2, tf_guest);
	assert_cut_anywhere();
}

static void what_is_read(void **state)
{
	struct addr a;

	(void)state;
	tf_tcp(&f, false, "10.0.2.15", 40000, "192.0.2.1", 443);
	assert_int_equal(parsed(), PACKET_FINE);
	assert_int_equal(p.kind, PACKET_IPV4);
	assert_true(p.has_ports && !p.fragment && !p.later);
	assert_int_equal(p.from_port, 40000);
	assert_int_equal(p.to_port, 443);
	assert_int_equal(addr_parse("192.0.2.1", &a), 0);
	assert_true(addr_equal(&a, &p.to));
	tf_udp(&f, true, "2001:db8::1", 53, "2001:db8::5", 1000, 9);
	assert_int_equal(parsed(), PACKET_FINE);
	assert_int_equal(p.kind, PACKET_IPV6);
	assert_int_equal(p.body_len, 9);
	tf_arp(&f, tf_guest, 2, "10.0.2.15", "10.0.2.2");
	assert_int_equal(parsed(), PACKET_FINE);
	assert_int_equal(p.arp_op, 2);
	assert_int_equal(addr_parse("10.0.2.15", &a), 0);
	assert_true(addr_equal(&a, &p.from));
}

static void other_types(void **state)
{
	static const unsigned int types[] = { 0x8100, 0x88a8, 0x9100, 0x8847,
					      0x8863, 0x88cc, 0x0026, 0x0805 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		tf_ipv4(&f, false, "10.0.2.15", "192.0.2.1", 1, 40);
		tf_put16(f.at + 12, types[i]);
		assert_int_equal(parsed(), PACKET_TYPE);
	}
}

/* What fills a short frame up is fine; a longer one may carry nothing behind its packet. */
static void bytes_behind(void **state)
{
	(void)state;
	tf_arp(&f, tf_guest, 1, "10.0.2.15", "10.0.2.2");
	f.len = 60;
	assert_int_equal(parsed(), PACKET_FINE);
	f.len = 61;
	assert_int_equal(parsed(), PACKET_MALFORMED);
	tf_udp(&f, false, "10.0.2.15", 1000, "192.0.2.1", 53, 0);
	f.len = 60;
	assert_int_equal(parsed(), PACKET_FINE);
	assert_int_equal(p.body_len, 0);
	tf_udp(&f, false, "10.0.2.15", 1000, "192.0.2.1", 53, 100);
	f.len++;
	assert_int_equal(parsed(), PACKET_MALFORMED);
	tf_udp(&f, false, "fe80::1", 1000, "2001:db8::1", 53, 100);
	f.len++;
	assert_int_equal(parsed(), PACKET_MALFORMED);
}

static void ipv4_lies(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum packet_fault fault;
	} cases[] = {
		{ 0, 0x65, PACKET_MALFORMED }, /* version */
		{ 0, 0x44, PACKET_MALFORMED }, /* a header that is too short */
		{ 0, 0x46, PACKET_OPTIONS },   { 0, 0x4f, PACKET_OPTIONS },
		{ 2, 1, PACKET_MALFORMED },    /* longer than the frame */
		{ 3, 19, PACKET_MALFORMED },   /* shorter than its header */
		{ 6, 0x80, PACKET_MALFORMED }, /* the reserved bit */
		{ 24, 1, PACKET_MALFORMED },   /* UDP's length */
		{ 25, 7, PACKET_MALFORMED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		tf_udp(&f, false, "10.0.2.15", 1000, "192.0.2.1", 53, 60);
		f.at[TF_IP + cases[i].at] = cases[i].value;
		assert_int_equal(parsed(), cases[i].fault);
	}
	tf_ipv4(&f, false, "10.0.2.15", "224.0.0.22", IP_IGMP, 40);
	f.at[TF_IP] = 0x46; /* its router alert */
	assert_int_equal(parsed(), PACKET_FINE);
	tf_ipv4(&f, false, "10.0.2.15", "192.0.2.1", IP_ICMPV6, 40); /* of the other version */
	assert_int_equal(parsed(), PACKET_MALFORMED);
	tf_tcp(&f, false, "10.0.2.15", 1000, "192.0.2.1", 80);
	f.at[TF_V4_BODY + 12] = 0x40; /* TCP's header is too short, */
	assert_int_equal(parsed(), PACKET_MALFORMED);
	f.at[TF_V4_BODY + 12] = 0x60; /* or longer than the packet */
	assert_int_equal(parsed(), PACKET_MALFORMED);
}

static void ipv4_fragments(void **state)
{
	(void)state;
	tf_udp(&f, false, "10.0.2.15", 1000, "192.0.2.1", 53, 64);
	tf_put16(f.at + TF_V4_BODY + 4, 2000); /* of the whole */
	tf_put16(f.at + TF_IP + 6, 0x2000);
	assert_int_equal(parsed(), PACKET_FINE);
	assert_true(p.fragment && !p.later && p.has_ports);
	tf_put16(f.at + TF_IP + 6, 0x2001);
	assert_int_equal(parsed(), PACKET_FINE);
	assert_true(p.fragment && p.later && !p.has_ports);
	tf_put16(f.at + TF_IP + 6, 0x1fff); /* beyond 65535 bytes */
	assert_int_equal(parsed(), PACKET_MALFORMED);
	/* a first one that has not the whole header of what it carries */
	tf_ipv4(&f, false, "10.0.2.15", "192.0.2.1", IP_TCP, 16);
	tf_put16(f.at + TF_IP + 6, 0x2000);
	assert_int_equal(parsed(), PACKET_MALFORMED);
	/* and one in the middle whose end is not where another can begin */
	tf_ipv4(&f, false, "10.0.2.15", "192.0.2.1", IP_TCP, 27);
	tf_put16(f.at + TF_IP + 6, 0x2001);
	assert_int_equal(parsed(), PACKET_MALFORMED);
}

static void ipv6_headers(void **state)
{
	static const uint8_t refused[] = { 43, 51, 59, 60, 135, 139, 140, 253, 254 };

	(void)state;
	for (size_t i = 0; i < sizeof(refused); i++) {
		tf_ipv6(&f, false, "fe80::1", "2001:db8::1", refused[i], 40);
		assert_int_equal(parsed(), PACKET_OPTIONS);
		tf_ipv6(&f, false, "fe80::1", "2001:db8::1", 44, 40); /* behind a fragment's */
		f.at[TF_V6_BODY] = refused[i];
		assert_int_equal(parsed(), PACKET_OPTIONS);
	}
	tf_ipv6(&f, false, "fe80::1", "ff02::16", 0, 8 + 28);
	f.at[TF_V6_BODY] = IP_ICMPV6;
	f.at[TF_V6_BODY + 8] = 143;
	assert_int_equal(parsed(), PACKET_FINE);
	assert_true(p.hop_options);
	assert_int_equal(p.icmp_type, 143);
	f.at[TF_V6_BODY + 1] = 4; /* longer than the packet */
	assert_int_equal(parsed(), PACKET_MALFORMED);
	f.at[TF_V6_BODY] = 0; /* twice */
	f.at[TF_V6_BODY + 1] = 0;
	assert_int_equal(parsed(), PACKET_OPTIONS);
	tf_ipv6(&f, false, "fe80::1", "2001:db8::1", 0, 4);
	assert_int_equal(parsed(), PACKET_MALFORMED);
	tf_ipv6(&f, false, "fe80::1", "2001:db8::1", 0, 0); /* a jumbogram */
	assert_int_equal(parsed(), PACKET_MALFORMED);
	tf_ipv6(&f, false, "fe80::1", "2001:db8::1", IP_ICMP, 40);
	assert_int_equal(parsed(), PACKET_MALFORMED);
}

static void ipv6_fragments(void **state)
{
	uint8_t *at;

	(void)state;
	tf_ipv6(&f, false, "fe80::1", "2001:db8::1", 44, 8 + 32);
	at = f.at + TF_V6_BODY;
	at[0] = IP_UDP;
	tf_put16(at + 2, 1); /* the first, and more follow */
	tf_put16(at + 8 + 4, 100);
	assert_int_equal(parsed(), PACKET_FINE);
	assert_true(p.fragment && !p.later && p.has_ports);
	tf_put16(at + 2, 9);
	assert_int_equal(parsed(), PACKET_FINE);
	assert_true(p.fragment && p.later && !p.has_ports);
	tf_put16(at + 2, 0xfff8);
	assert_int_equal(parsed(), PACKET_MALFORMED);
	at[0] = 44; /* twice */
	tf_put16(at + 2, 0);
	assert_int_equal(parsed(), PACKET_OPTIONS);
	tf_ipv6(&f, false, "fe80::1", "2001:db8::1", 44, 7);
	assert_int_equal(parsed(), PACKET_MALFORMED);
}

static void arp_lies(void **state)
{
	(void)state;
	for (size_t i = 0; i < 6; i++) {
		tf_arp(&f, tf_guest, 1, "10.0.2.15", "10.0.2.2");
		f.at[TF_IP + i] ^= 1;
		assert_int_equal(parsed(), PACKET_MALFORMED);
	}
}

/* ---- destinations ---- */

static void said_again(const char *text, const char *as)
{
	const char *why = "";
	char out[DEST_TEXT_MAX];
	struct dest d, again;

	assert_int_equal(dest_parse(text, &d, &why), 0);
	dest_say(&d, out);
	assert_string_equal(out, as);
	assert_int_equal(dest_parse(out, &again, &why), 0);
	assert_memory_equal(&d, &again, sizeof(d));
}

static void destinations(void **state)
{
	static const char *const wrong[] = {
		"",
		"10.0.0.0/33",
		"10.0.0.1/8",
		"10.0.0.0/",
		"10.0.0/8",
		"10.0.0.0/8:",
		"10.0.0.0/8:0",
		"10.0.0.0/8:7-6",
		"10.0.0.0/8:65536",
		"10.0.0.0/8:1-",
		"10.0.0.0/8:1-2-3",
		"10.0.0.0/8: 1",
		"2001:db8::/129",
		"[2001:db8::/32",
		"[2001:db8::/32]443",
		"[2001:db8::/32]:",
		"2001:db8::1/32",
		"host",
		"10.0.0.0/-1",
		"1111:1111:1111:1111:1111:1111:1111:1111/128:1111111111111111111111111",
	};
	const char *why;
	struct dest d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		why = NULL;
		assert_int_equal(dest_parse(wrong[i], &d, &why), -EINVAL);
		assert_non_null(why);
	}
	said_again("10.0.0.0/8", "10.0.0.0/8");
	said_again("192.0.2.1", "192.0.2.1/32");
	said_again("0.0.0.0/0:443", "0.0.0.0/0:443-443");
	said_again("192.0.2.0/24:1-65535", "192.0.2.0/24:1-65535");
	said_again("::/0", "::/0");
	said_again("2001:db8::1", "2001:db8::1/128");
	said_again("[2001:db8::1]", "2001:db8::1/128");
	said_again("[2001:db8::/32]:80-90", "[2001:db8::/32]:80-90");
}

static bool has(const char *dest, const char *address, int port)
{
	const uint16_t number = (uint16_t)port;
	const char *why;
	struct dest d;
	struct addr a;

	assert_int_equal(dest_parse(dest, &d, &why), 0);
	assert_int_equal(addr_parse(address, &a), 0);
	return dest_has(&d, &a, port < 0 ? NULL : &number);
}

static void what_a_destination_has(void **state)
{
	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.0.1", -1));
	assert_true(has("10.0.0.0/9", "10.127.255.255", 80));
	assert_false(has("10.0.0.0/9", "10.128.0.0", 80));
	assert_true(has("10.0.0.0/8:80-90", "10.0.0.1", 90));
	assert_false(has("10.0.0.0/8:80-90", "10.0.0.1", 91));
	assert_false(has("10.0.0.0/8:1-65535", "10.0.0.1", -1));
	assert_true(has("0.0.0.0/0", "8.8.8.8", -1));
	assert_false(has("0.0.0.0/0", "2001:db8::1", -1));
	assert_false(has("::/0", "8.8.8.8", -1));
	assert_true(has("::/0", "2001:db8::1", -1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut),
		cmocka_unit_test(what_is_read),
		cmocka_unit_test(other_types),
		cmocka_unit_test(bytes_behind),
		cmocka_unit_test(ipv4_lies),
		cmocka_unit_test(ipv4_fragments),
		cmocka_unit_test(ipv6_headers),
		cmocka_unit_test(ipv6_fragments),
		cmocka_unit_test(arp_lies),
		cmocka_unit_test(destinations),
		cmocka_unit_test(what_a_destination_has),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
