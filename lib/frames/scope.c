/* SPDX-License-Identifier: Apache-2.0 */
/* Whose an address is; see scope.h. */
#include "lib/frames/scope.h"

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

bool scope_is_nowhere(const struct addr *a)
{
	static const struct range v4[] = {
		{ ADDR_V4(0, 0, 0, 0), ADDR_V4_BITS + 8 },
		{ ADDR_V4(127, 0, 0, 0), ADDR_V4_BITS + 8 },
	};

	return is_in(a, v4, COUNT(v4));
}

bool scope_is_metadata(const struct addr *a)
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

bool scope_is_for_hosts_alone(const struct addr *a)
{
	static const struct addr zero;

	return addr_within(a, &zero, 64);
}

/* ISATAP's: below any network (RFC 5214, 6.1). */
static bool is_isatap(const struct addr *a)
{
	static const uint8_t words[] = { 0, 0, 0x5e, 0xfe };

	return (a->b[8] & 0xfd) == words[0] && memcmp(a->b + 9, words + 1, 3) == 0;
}

struct addr scope_meant(const struct addr *a)
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
static bool is_one_way(const struct addr *a, bool (*is)(const struct addr *a))
{
	const uint8_t *b = a->b;
	const struct addr ways[] = { ADDR_V4(b[6], b[7], b[9], b[10]),
				     ADDR_V4(b[7], b[9], b[10], b[11]), addr_v4(b + 9),
				     addr_v4(b + 12) };

	for (size_t i = 0; i < COUNT(ways); i++)
		if (is(&ways[i]))
			return true;
	return false;
}

bool scope_leads_to_metadata(const struct addr *to)
{
	const struct addr a = scope_meant(to);

	return scope_is_metadata(&a) ||
	       (is_of_local_translator(to) && is_one_way(to, scope_is_metadata));
}

/* One of Teredo's stands for a client, and goes by a relay that may be one's own network's: both count. */
bool scope_leads_to_private(const struct addr *to)
{
	const struct addr a = scope_meant(to);
	static const struct addr nat64 = { { 0, 0x64, 0xff, 0x9b } };

	if (is_of_local_translator(to) || is_private(&a))
		return true;
	return !addr_within(to, &nat64, 96) && is_private(to);
}

/* Groups, IPv4's reserved addresses among them. */
static bool is_no_servers(const struct addr *a)
{
	static const struct addr groups = ADDR_V4(224, 0, 0, 0);

	return addr_is_group(a) || addr_within(a, &groups, ADDR_V4_BITS + 3);
}

static bool is_loopback(const struct addr *a)
{
	static const struct addr net = ADDR_V4(127, 0, 0, 0);

	return addr_within(a, &net, ADDR_V4_BITS + 8);
}

enum scope scope_of(const struct addr *a)
{
	const struct addr to = scope_meant(a);

	if ((!addr_is_v4(a) && scope_is_for_hosts_alone(a)) || scope_is_nowhere(&to) ||
	    is_no_servers(&to) || (is_of_local_translator(a) && is_one_way(a, is_loopback)))
		return SCOPE_HOST;
	return scope_leads_to_private(a) || scope_leads_to_metadata(a) ? SCOPE_NETWORK :
									 SCOPE_WORLD;
}
