/* SPDX-License-Identifier: Apache-2.0 */
/* An IP address of either version: IPv4's as IPv6 has them (RFC 4291, 2.5.5.2), ::ffff:192.0.2.1. */
#ifndef BULKHEAD_FRAMES_ADDR_H
#define BULKHEAD_FRAMES_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADDR_LEN 16U
#define ADDR_BITS 128U
#define ADDR_V4_BITS 96U /* before the address itself */

struct addr {
	uint8_t b[ADDR_LEN];
};

/* An initializer. */
#define ADDR_V4(a, b, c, d)                                                  \
	{                                                                    \
		{                                                            \
			0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d \
		}                                                            \
	}

static inline struct addr addr_v4(const uint8_t at[4])
{
	return (struct addr)ADDR_V4(at[0], at[1], at[2], at[3]);
}

static inline struct addr addr_v6(const uint8_t at[ADDR_LEN])
{
	struct addr a;

	memcpy(a.b, at, ADDR_LEN);
	return a;
}

static inline bool addr_equal(const struct addr *a, const struct addr *b)
{
	return memcmp(a->b, b->b, ADDR_LEN) == 0;
}

/* The first bits of both are the same. */
bool addr_within(const struct addr *a, const struct addr *net, unsigned int bits);
/* None of the bits behind the first ones is set. */
bool addr_is_net(const struct addr *net, unsigned int bits);
bool addr_is_v4(const struct addr *a);
/* :: or 0.0.0.0 */
bool addr_is_unspecified(const struct addr *a);
/* Multicast, or IPv4's broadcast to all. */
bool addr_is_group(const struct addr *a);
/* fe80::/64 */
bool addr_is_link_local6(const struct addr *a);

/* Of a text; 0 or -EINVAL. */
[[nodiscard]] int addr_parse(const char *text, struct addr *ret);
#define ADDR_TEXT_MAX 46U /* with its 0 */
void addr_say(const struct addr *a, char out[ADDR_TEXT_MAX]);

#endif
