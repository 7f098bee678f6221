/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports; see publish.h. */
#include "cmd/dev-net/publish.h"

#include <errno.h>
#include <stdio.h>

static const char right[] =
	"[ADDRESS:]HOSTPORT:PORT[/udp], as 8022:22, 0.0.0.0:80:80 or [::1]:5353:53/udp";

static bool parse_port(const char **at, uint16_t *ret)
{
	unsigned int n = 0;
	const char *from = *at;

	for (; **at >= '0' && **at <= '9' && n <= UINT16_MAX; (*at)++)
		n = n * 10 + (unsigned int)(**at - '0');
	*ret = (uint16_t)n;
	return *at != from && n > 0 && n <= UINT16_MAX;
}

/* What is before the ports, if anything; *at is left behind its colon. */
static bool parse_address(const char **at, struct addr *ret)
{
	char text[ADDR_TEXT_MAX];
	bool brackets = **at == '[';
	const char *from = *at + brackets, *end = strchr(from, brackets ? ']' : ':');
	size_t len;

	*ret = (struct addr)ADDR_V4(127, 0, 0, 1);
	if (!brackets && (!end || !strchr(end + 1, ':')))
		return true;
	len = end ? (size_t)(end - from) : sizeof(text);
	if (len >= sizeof(text) || (brackets && end[1] != ':'))
		return false;
	memcpy(text, from, len);
	text[len] = 0;
	*at = end + 1 + brackets;
	return addr_parse(text, ret) == 0 && addr_is_v4(ret) != brackets &&
	       (addr_is_unspecified(ret) || !addr_is_group(ret));
}

int publish_set(void *owner, const char *value, const char **ret_why)
{
	struct publishes *p = owner;
	struct publish one = { .udp = false };

	*ret_why = "said at most 8 times";
	if (p->n == PUBLISH_MAX)
		return -EINVAL;
	*ret_why = right;
	if (!parse_address(&value, &one.at) || !parse_port(&value, &one.from) || *value++ != ':' ||
	    !parse_port(&value, &one.to))
		return -EINVAL;
	one.udp = strcmp(value, "/udp") == 0;
	if (!one.udp && *value)
		return -EINVAL;
	p->all[p->n++] = one;
	return 0;
}
_Static_assert(PUBLISH_MAX == 8, "as it is said");

bool publish_put(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct publishes *p = owner;
	char at[ADDR_TEXT_MAX];

	if (i >= p->n)
		return false;
	addr_say(&p->all[i].at, at);
	snprintf(out, cap, addr_is_v4(&p->all[i].at) ? "%s:%u:%u%s" : "[%s]:%u:%u%s", at,
		 p->all[i].from, p->all[i].to, p->all[i].udp ? "/udp" : "");
	return true;
}

bool publish_passt(const struct publishes *p, unsigned int i, char *out, size_t cap)
{
	char at[ADDR_TEXT_MAX];

	if (i >= p->n)
		return false;
	addr_say(&p->all[i].at, at);
	snprintf(out, cap, "--%s-ports=%s/%u:%u", p->all[i].udp ? "udp" : "tcp", at, p->all[i].from,
		 p->all[i].to);
	return true;
}
