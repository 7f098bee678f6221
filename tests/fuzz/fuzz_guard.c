/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames in both directions, right ones that were spoiled and bytes of the fuzzer's, before rules of its choice.
 * What must hold is looked for in the bytes themselves, in the plainest way.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/unit/testframe.h"

#include "lib/frames/guard.h"

#include <string.h>

#define OWN4 "10.0.2.15"
#define OWN6 "2001:db8:0:2::15"

static struct guard_rules rules;
static struct guard_known known;
static struct testframe f;

static void choose_rules(void)
{
	static const char *const dests[] = { "198.51.100.0/24:443", "0.0.0.0/0", "::/0",
					     "[2001:db8::/32]:53-80" };
	const uint8_t what = take();
	const char *why;

	memset(&rules, 0, sizeof(rules));
	memset(&known, 0, sizeof(known));
	memcpy(rules.mac, tf_guest, sizeof(rules.mac));
	rules.fixed4 = what & 1;
	rules.fixed6 = what & 2;
	require(addr_parse(OWN4, &rules.ip4) == 0 && addr_parse(OWN6, &rules.ip6) == 0);
	rules.restricted = what & 4;
	rules.link_local = what & 8;
	for (size_t i = 0; i < 4; i++)
		if (what & 16U << i)
			require(dest_parse(dests[i], &rules.dests[rules.n_dests++], &why) == 0);
}

/* ---- frames ---- */

static void make_raw(void)
{
	f.len = take() * 8U % TF_MAX;
	for (size_t i = 0; i < f.len; i++)
		f.at[i] = take();
}

static void make(void)
{
	static const char *const far[] = { "198.51.100.7", "127.0.0.1", "169.254.169.254",
					   "255.255.255.255", "10.0.2.2" };
	static const char *const far6[] = { "2001:db8::7", "ff02::1", "fe80::1", "::1",
					    "64:ff9b::7f00:1" };
	const uint8_t what = take(), which = take();
	const char *const to = far[which % 5], *const to6 = far6[which % 5];
	const bool to_guest = what & 128;

	switch (what % 10) {
	case 0:
		make_raw();
		break;
	case 1:
		tf_dhcp(&f, false, which & 1 ? OWN4 : "0.0.0.0", to, 3, 7, "0.0.0.0");
		break;
	case 2:
		tf_dhcp(&f, true, "10.0.2.2", OWN4, 5, 7, OWN4);
		break;
	case 3:
		tf_router(&f, "fe80::1", "2001:db8:0:2::", which);
		break;
	case 4:
		tf_neighbour(&f, to_guest, OWN6, to6, 135 + (which & 1), OWN6, which >> 4 & 3,
			     tf_guest);
		break;
	case 5:
		tf_arp(&f, tf_guest, 1 + (which & 1), which & 2 ? OWN4 : "0.0.0.0", to);
		break;
	case 6:
		tf_tcp(&f, to_guest, to_guest ? to : OWN4, 443, to_guest ? OWN4 : to, 443);
		break;
	case 7:
		tf_udp(&f, to_guest, to_guest ? to6 : OWN6, 53, to_guest ? OWN6 : to6, 53, which);
		break;
	case 8:
		tf_ipv6(&f, to_guest, OWN6, to6, which & 1 ? 0 : 44, 48);
		f.at[TF_V6_BODY] = take();
		break;
	default:
		tf_icmpv6(&f, to_guest, to_guest ? to6 : OWN6, to_guest ? OWN6 : to6, which,
			  8 + which);
		break;
	}
	for (unsigned int n = take() % 4; n && f.len; n--)
		f.at[(take() | take() << 8) % f.len] = take();
	if (!(take() & 15))
		f.len = (size_t)(take() | take() << 8) % (f.len + 1);
}

/* ---- what must hold ---- */

static bool is(size_t at, const void *bytes, size_t len)
{
	return at + len <= f.len && memcmp(f.at + at, bytes, len) == 0;
}

static void check_ipv4(void)
{
	const struct addr *own = rules.fixed4 ? &rules.ip4 : &known.ip4;
	static const uint8_t none[4];
	const uint8_t *to = f.at + TF_IP + 16;

	require(rules.fixed4 || known.leased || is(TF_IP + 12, none, 4));
	if (is(TF_IP + 12, none, 4)) /* DHCP's client alone, to all */
		require(f.at[TF_IP + 9] == IP_UDP && is(TF_V4_BODY, "\0\x44\0\x43", 4) &&
			is(TF_IP + 16, "\xff\xff\xff\xff", 4));
	else
		require(is(TF_IP + 12, own->b + 12, 4));
	require(f.at[TF_IP] == 0x45 || f.at[TF_IP + 9] == IP_IGMP);
	require(to[0] != 127 && (to[0] != 0 || is(TF_IP + 16, known.server.b + 12, 4)));
	require(rules.link_local || to[0] != 169 || to[1] != 254 ||
		is(TF_IP + 16, known.server.b + 12, 4));
	/* a first ping is neither an answer nor a question for a name */
	if (rules.public && !rules.n_dests && f.at[TF_IP + 9] == IP_ICMP && f.at[TF_V4_BODY] == 8)
		require(to[0] != 10 && to[0] < 224 && (to[0] != 192 || to[1] != 168));
}

static void check_ipv6(void)
{
	static const uint8_t none[ADDR_LEN];
	const uint8_t *from = f.at + TF_IP + 8, *to = f.at + TF_IP + 24;
	const uint8_t next = f.at[TF_IP + 6];

	require(next != 43 && next != 51 && next != 59 && next != 60);
	if (memcmp(from, none, ADDR_LEN) != 0)
		require((from[0] == 0xfe && from[1] == 0x80) ||
			is(TF_IP + 8, rules.ip6.b, ADDR_LEN) || !rules.fixed6);
	if (!rules.fixed6)
		for (size_t i = 0; i < GUARD_OTHERS_MAX; i++)
			require(memcmp(from, none, ADDR_LEN) == 0 ||
				memcmp(known.others[i].b, from, ADDR_LEN) != 0);
	require(memcmp(to, none, 10) != 0);
	if (next == IP_ICMPV6)
		require(f.at[TF_V6_BODY] != 134 && f.at[TF_V6_BODY] != 137);
	if (rules.restricted && !rules.n_dests && next == IP_ICMPV6 && f.at[TF_V6_BODY] > 129)
		require(to[0] == 0xff || to[0] == 0xfe || to[0] == 0x20 || to[0] >> 1 == 0x7e);
}

static void check_passed(void)
{
	require(f.len >= ETHER_LEN && is(ETHER_ADDR_LEN, tf_guest, ETHER_ADDR_LEN));
	if (is(12, "\x08\x06", 2))
		require(is(TF_IP + 8, tf_guest, ETHER_ADDR_LEN));
	else if (is(12, "\x08\0", 2))
		check_ipv4();
	else if (is(12, "\x86\xdd", 2))
		check_ipv6();
	else
		require(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	in.data = data;
	in.left = size;
	choose_rules();
	rules.public = size & 1;
	while (in.left) {
		const bool to_guest = take() & 1;

		make();
		if (to_guest)
			require(guard_to_guest(&rules, &known, f.at, f.len) < GUARD_VERDICTS);
		else if (guard_from_guest(&rules, &known, f.at, f.len) == GUARD_PASS)
			check_passed();
	}
	return 0;
}
