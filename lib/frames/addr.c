/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses; see addr.h. */
#include "lib/frames/addr.h"

#include <arpa/inet.h>
#include <errno.h>

bool addr_within(const struct addr *a, const struct addr *net, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	return memcmp(a->b, net->b, whole) == 0 &&
	       (!rest || (a->b[whole] ^ net->b[whole]) >> (8 - rest) == 0);
}

bool addr_is_net(const struct addr *net, unsigned int bits)
{
	for (unsigned int i = bits; i < ADDR_BITS; i++)
		if (net->b[i / 8] >> (7 - i % 8) & 1)
			return false;
	return true;
}

bool addr_is_v4(const struct addr *a)
{
	static const struct addr v4 = ADDR_V4(0, 0, 0, 0);

	return addr_within(a, &v4, ADDR_V4_BITS);
}

bool addr_is_unspecified(const struct addr *a)
{
	static const struct addr none, none4 = ADDR_V4(0, 0, 0, 0);

	return addr_equal(a, &none) || addr_equal(a, &none4);
}

bool addr_is_group(const struct addr *a)
{
	static const struct addr multicast = ADDR_V4(224, 0, 0, 0),
				 all = ADDR_V4(255, 255, 255, 255);

	if (!addr_is_v4(a))
		return a->b[0] == 0xff;
	return addr_within(a, &multicast, ADDR_V4_BITS + 4) || addr_equal(a, &all);
}

bool addr_is_link_local6(const struct addr *a)
{
	static const struct addr net = { { 0xfe, 0x80 } };

	return addr_within(a, &net, 64);
}

int addr_parse(const char *text, struct addr *ret)
{
	uint8_t v4[4], v6[ADDR_LEN];

	if (inet_pton(AF_INET, text, v4) == 1)
		*ret = addr_v4(v4);
	else if (inet_pton(AF_INET6, text, v6) == 1)
		*ret = addr_v6(v6);
	else
		return -EINVAL;
	return 0;
}

void addr_say(const struct addr *a, char out[ADDR_TEXT_MAX])
{
	if (addr_is_v4(a))
		(void)!inet_ntop(AF_INET, a->b + ADDR_V4_BITS / 8, out, ADDR_TEXT_MAX);
	else
		(void)!inet_ntop(AF_INET6, a->b, out, ADDR_TEXT_MAX);
}
