/* SPDX-License-Identifier: Apache-2.0 */
/* Allowed destinations; see dest.h. */
#include "lib/frames/dest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define RIGHT "ADDRESS[/BITS][:PORT[-PORT]], as 10.0.0.0/8:443 or [2001:db8::/32]:443"

static int fail(const char *why, const char **ret_why)
{
	*ret_why = why;
	return -EINVAL;
}

/* Up to most, in digits alone; *at is left behind it. */
static bool number(const char **at, unsigned int most, unsigned int *ret)
{
	const char *from = *at;
	unsigned int n = 0;

	while (**at >= '0' && **at <= '9' && n <= most)
		n = n * 10 + (unsigned int)(*(*at)++ - '0');
	*ret = n;
	return *at != from && n <= most;
}

static int parse_ports(const char *at, struct dest *d, const char **ret_why)
{
	unsigned int first = 0, last;

	if (!number(&at, UINT16_MAX, &first))
		return fail(RIGHT, ret_why);
	last = first;
	if (*at == '-') {
		at++;
		if (!number(&at, UINT16_MAX, &last))
			return fail(RIGHT, ret_why);
	}
	if (*at || !first || last < first)
		return fail("a network with ports of 1 to 65535, the lower one first", ret_why);
	d->ports = true;
	d->first = (uint16_t)first;
	d->last = (uint16_t)last;
	return 0;
}

static int parse_net(char *text, struct dest *d, const char **ret_why)
{
	char *slash = strchr(text, '/');
	unsigned int bits = 0, most;
	const char *at = slash ? slash + 1 : NULL;

	if (slash)
		*slash = 0;
	if (addr_parse(text, &d->net) < 0)
		return fail(RIGHT, ret_why);
	most = addr_is_v4(&d->net) ? ADDR_BITS - ADDR_V4_BITS : ADDR_BITS;
	if (at && (!number(&at, most, &bits) || *at))
		return fail("a network of up to 32 bits, of IPv6 up to 128", ret_why);
	d->bits = (uint8_t)((at ? bits : most) + ADDR_BITS - most);
	if (!addr_is_net(&d->net, d->bits))
		return fail("a network without bits behind its own, as 10.0.0.0/8, not 10.1.2.3/8",
			    ret_why);
	return 0;
}

/* Cuts the text in two: the network, and where the ports begin, or NULL: there are none. False: brackets that are
 * not closed, or have something else behind them. */
static bool cut(char *text, char **ret_net, char **ret_ports)
{
	bool brackets = *text == '[';
	char *end = brackets ? strchr(text, ']') : strchr(text, ':');

	*ret_net = text + brackets;
	*ret_ports = NULL;
	if (brackets) {
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*end++ = 0;
	} else if (!end || strchr(end + 1, ':')) {
		return true; /* none, or IPv6 */
	}
	if (*end) {
		*end = 0;
		*ret_ports = end + 1;
	}
	return true;
}

int dest_parse(const char *text, struct dest *ret, const char **ret_why)
{
	struct dest d = { .ports = false };
	char copy[DEST_TEXT_MAX], *net, *ports;

	if (strlen(text) >= sizeof(copy))
		return fail(RIGHT, ret_why);
	memcpy(copy, text, strlen(text) + 1);
	if (!cut(copy, &net, &ports))
		return fail(RIGHT, ret_why);
	if (ports && parse_ports(ports, &d, ret_why) < 0)
		return -EINVAL;
	if (parse_net(net, &d, ret_why) < 0)
		return -EINVAL;
	*ret = d;
	return 0;
}

void dest_say(const struct dest *d, char out[DEST_TEXT_MAX])
{
	bool v4 = d->bits >= ADDR_V4_BITS && addr_is_v4(&d->net);
	char net[ADDR_TEXT_MAX], ports[16] = "";

	addr_say(&d->net, net);
	if (d->ports)
		snprintf(ports, sizeof(ports), ":%u-%u", d->first, d->last);
	snprintf(out, DEST_TEXT_MAX,
		 v4	  ? "%s/%u%s" :
		 d->ports ? "[%s/%u]%s" :
			    "%s/%u%s",
		 net, d->bits - (v4 ? ADDR_V4_BITS : 0), ports);
}

bool dest_has(const struct dest *d, const struct addr *a, const uint16_t *port)
{
	/* of ::/0, which would have all of IPv4 */
	if (addr_is_v4(&d->net) != addr_is_v4(a) || !addr_within(a, &d->net, d->bits))
		return false;
	return !d->ports || (port && *port >= d->first && *port <= d->last);
}
