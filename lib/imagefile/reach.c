/* SPDX-License-Identifier: Apache-2.0 */
/* How near an address is; see reach.h. */
#include "lib/imagefile/reach.h"

#include "lib/base/cleanup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The first bits of an address, as many as count. */
struct range {
	uint8_t first[16];
	unsigned int bits;
	enum reach reach;
};

/* RFC 6890 */
static const struct range v4_ranges[] = {
	{ { 127 }, 8, REACH_HOST },	     { { 0 }, 8, REACH_HOST },
	{ { 224 }, 3, REACH_HOST }, /* multicast, and reserved */
	{ { 10 }, 8, REACH_NETWORK },	     { { 172, 16 }, 12, REACH_NETWORK },
	{ { 192, 168 }, 16, REACH_NETWORK }, { { 169, 254 }, 16, REACH_NETWORK },
	{ { 100, 64 }, 10, REACH_NETWORK },
};

static const struct range v6_ranges[] = {
	{ { 0 }, 96, REACH_HOST }, /* ::1, ::, and the oldest form of IPv4's */
	{ { 0xff }, 8, REACH_HOST },
	{ { 0xfc }, 7, REACH_NETWORK },
	{ { 0xfe, 0x80 }, 9, REACH_NETWORK }, /* fe80::/10 and fec0::/10 */
};

/* Where an IPv4 address stands in an IPv6 one. */
static const struct {
	uint8_t first[12];
	unsigned int bits, at;
} embedded[] = {
	{ { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 96, 12 }, /* ::ffff:0:0/96 */
	{ { 0, 0x64, 0xff, 0x9b }, 96, 12 },			  /* 64:ff9b::/96, NAT64 */
	{ { 0x20, 0x02 }, 16, 2 },				  /* 6to4 */
};

static bool begins_with(const uint8_t *address, const uint8_t *first, unsigned int bits)
{
	const unsigned int rest = bits % 8;

	return memcmp(address, first, bits / 8) == 0 &&
	       (!rest || (address[bits / 8] ^ first[bits / 8]) >> (8 - rest) == 0);
}

static enum reach find(const struct range *ranges, size_t n, const uint8_t *address)
{
	for (size_t i = 0; i < n; i++)
		if (begins_with(address, ranges[i].first, ranges[i].bits))
			return ranges[i].reach;
	return REACH_WORLD;
}

static enum reach reach_of_v6(const uint8_t *address)
{
	for (size_t i = 0; i < ARRAY_SIZE(embedded); i++)
		if (begins_with(address, embedded[i].first, embedded[i].bits))
			return find(v4_ranges, ARRAY_SIZE(v4_ranges), address + embedded[i].at);
	return find(v6_ranges, ARRAY_SIZE(v6_ranges), address);
}

enum reach reach_of(const struct sockaddr *address)
{
	uint8_t bytes[16];

	switch (address->sa_family) {
	case AF_INET:
		memcpy(bytes, (const uint8_t *)address + offsetof(struct sockaddr_in, sin_addr), 4);
		return find(v4_ranges, ARRAY_SIZE(v4_ranges), bytes);
	case AF_INET6:
		memcpy(bytes, (const uint8_t *)address + offsetof(struct sockaddr_in6, sin6_addr),
		       16);
		return reach_of_v6(bytes);
	default:
		return REACH_HOST;
	}
}
