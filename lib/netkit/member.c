/* SPDX-License-Identifier: Apache-2.0 */
/* A card on a segment; see member.h. */
#include "lib/netkit/member.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdio.h>

static const struct option options[] = {
	{ .name = "mac", .type = OPTION_MAC, OPTION_FIELD(struct member, mac), .min = 1 },
	{ .name = "isolated",
	  .type = OPTION_ONOFF,
	  OPTION_FIELD(struct member, isolated),
	  .max = 1,
	  .initial = "off" },
	{ .name = "ip",
	  .type = OPTION_OWN,
	  .own_at = offsetof(struct member, frames),
	  .set = netkit_set_ip,
	  .put = netkit_put_ip,
	  .flags = OPTION_ADDS_UP },
};

/* ---- as a text ---- */

static const struct option *find(struct span name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (span_is(name, options[i].name))
			return &options[i];
	return NULL;
}

static int set(struct member *m, struct span word, unsigned int *seen)
{
	const struct option *o = find(span_cut(&word, '='));
	unsigned int bit = o ? 1U << (o - options) : 0;
	const char *why;

	if (!o || (*seen & bit && !(o->flags & OPTION_ADDS_UP)))
		return -EINVAL;
	*seen |= bit;
	return option_set_span(o, m, word, &why);
}

int member_parse(const char *text, struct member *ret)
{
	struct span rest = span_of(text);
	struct member m = { .mac = 0 };
	unsigned int seen = 0;
	int r = 0;

	while (r == 0 && rest.len)
		r = set(&m, span_cut(&rest, ','), &seen);
	if (r < 0 || !m.mac)
		return -EINVAL;
	*ret = m;
	return 0;
}

void member_say(const struct member *m, char out[MEMBER_TEXT_MAX])
{
	char value[ADDR_TEXT_MAX];
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		for (unsigned int k = 0; option_say(&options[i], m, k, value, sizeof(value)); k++)
			at += (size_t)snprintf(out + at, MEMBER_TEXT_MAX - at, "%s%s=%s",
					       at ? "," : "", options[i].name, value);
}
_Static_assert(MEMBER_TEXT_MAX >=
		       sizeof("mac=,isolated=off,ip=,ip=") + 17 + ADDR_TEXT_MAX + ADDR_TEXT_MAX,
	       "room for all of it");

/* ---- beside another ---- */

static bool is_shared(const struct addr *a, const struct addr *b)
{
	return !addr_is_unspecified(a) && addr_equal(a, b);
}

bool member_goes_with(const struct member *m, const struct member *other,
		      char why[MEMBER_REASON_MAX])
{
	const struct netkit_options *a = &m->frames, *b = &other->frames;
	bool ip4 = is_shared(&a->ip4, &b->ip4), ip6 = is_shared(&a->ip6, &b->ip6);
	char text[ADDR_TEXT_MAX];

	if (m->mac == other->mac) {
		(void)!option_say(&options[0], m, 0, text, sizeof(text));
		snprintf(
			why, MEMBER_REASON_MAX,
			"another card there has the MAC address %s: say another one by mac=", text);
		return false;
	}
	if (!ip4 && !ip6)
		return true;
	addr_say(ip4 ? &a->ip4 : &a->ip6, text);
	snprintf(why, MEMBER_REASON_MAX, "another card there has ip=%s: say another address", text);
	return false;
}
