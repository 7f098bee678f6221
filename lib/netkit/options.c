/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a card's frames; see options.h. */
#include "lib/netkit/options.h"

#include <errno.h>
#include <stdio.h>

bool netkit_is_wanted(const struct netkit_options *o)
{
	bool wanted = o->guard || o->restricted || o->link_local || o->public || o->n_dests ||
		      !addr_is_unspecified(&o->ip4) || !addr_is_unspecified(&o->ip6);

	for (unsigned int i = 0; i < THROTTLE_KINDS; i++)
		wanted |= o->rates.rate[i] != 0;
	return wanted;
}

void netkit_rules(const struct netkit_options *o, uint64_t mac, struct guard_rules *ret)
{
	*ret = (struct guard_rules){ .fixed4 = !addr_is_unspecified(&o->ip4),
				     .fixed6 = !addr_is_unspecified(&o->ip6),
				     .ip4 = o->ip4,
				     .ip6 = o->ip6,
				     .link_local = o->link_local,
				     .restricted = o->restricted,
				     .public = o->public,
				     .n_dests = o->n_dests };
	for (unsigned int i = 0; i < ETHER_ADDR_LEN; i++)
		ret->mac[i] = (uint8_t)(mac >> (8 * (ETHER_ADDR_LEN - 1 - i)));
	memcpy(ret->dests, o->dests, sizeof(ret->dests));
}

int netkit_set_ip(void *owner, const char *value, const char **ret_why)
{
	struct netkit_options *o = owner;
	struct addr a, *own;

	*ret_why = "the address of the guest, once of IPv4 and once of IPv6";
	if (addr_parse(value, &a) < 0 || addr_is_unspecified(&a) || addr_is_group(&a))
		return -EINVAL;
	own = addr_is_v4(&a) ? &o->ip4 : &o->ip6;
	if (!addr_is_unspecified(own))
		return -EINVAL;
	*own = a;
	return 0;
}

bool netkit_put_ip(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct netkit_options *o = owner;
	const struct addr *const all[] = { &o->ip4, &o->ip6 };
	char text[ADDR_TEXT_MAX];

	for (size_t k = 0; k < 2; k++) {
		if (addr_is_unspecified(all[k]) || i--)
			continue;
		addr_say(all[k], text);
		snprintf(out, cap, "%s", text);
		return true;
	}
	return false;
}

int netkit_set_dest(void *owner, const char *value, const char **ret_why)
{
	struct netkit_options *o = owner;

	if (o->n_dests == GUARD_DESTS_MAX) {
		*ret_why = "said at most 16 times";
		return -EINVAL;
	}
	if (dest_parse(value, &o->dests[o->n_dests], ret_why) < 0)
		return -EINVAL;
	o->n_dests++;
	return 0;
}
_Static_assert(GUARD_DESTS_MAX == 16, "as it is said");

bool netkit_put_dest(const void *owner, unsigned int i, char *out, size_t cap)
{
	const struct netkit_options *o = owner;
	char text[DEST_TEXT_MAX];

	if (i >= o->n_dests)
		return false;
	dest_say(&o->dests[i], text);
	snprintf(out, cap, "%s", text);
	return true;
}
