/* SPDX-License-Identifier: Apache-2.0 */
/* Taps that root makes; see bridge.h. */
#include "cmd/bulkhead/net/bridge.h"

#include "cmd/bulkhead/net/host.h"
#include "cmd/bulkhead/net/rules.h"
#include "cmd/bulkhead/tap.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define NAMES_TRIED 8

static int blame(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return -error;
}

static int check_bridge(const char *bridge, const char **ret_why)
{
	if (!if_nametoindex(bridge))
		return blame(ENODEV,
			     "there is no such interface: `ip link add NAME type bridge` makes one",
			     ret_why);
	if (!host_is_driven_by(bridge, "bridge"))
		return blame(EINVAL, "it is no bridge: `ip link add NAME type bridge` makes one",
			     ret_why);
	return 0;
}

/* By a name of nobody else's. */
static int make(struct rules_interface *i, const struct tap_form *form, int *ret,
		const char **ret_why)
{
	int r = -EEXIST;

	for (int n = 0; n < NAMES_TRIED && r == -EEXIST; n++) {
		host_make_name(i->name);
		*ret_why = "no name for its tap is free";
		r = tap_make(i->name, form, ret, ret_why);
	}
	if (r == 0)
		i->index = if_nametoindex(i->name);
	return r;
}

/* It passes nothing before it is up, and is ruled by then. */
static int tie(const char *bridge, const struct rules_interface *i, const char **ret_why)
{
	int r = host_copy_mtu(bridge, i->name);

	host_be_silent(i->name);
	if (r == 0)
		r = host_join_bridge(bridge, i->index);
	if (r == 0)
		r = host_set_up(i->name);
	return r < 0 ? blame(-r, strerror(-r), ret_why) : 0;
}

static int rule_and_tie(const struct config_device *d, const char *bridge,
			const struct rules_interface *i, const char **ret_why)
{
	int r;

	rules_sweep(0);
	r = rules_load(d, i, ret_why);
	if (r < 0)
		return r;
	r = tie(bridge, i, ret_why);
	if (r < 0)
		rules_remove(i->index);
	return r;
}

int bridge_open(const struct config_device *d, const char *bridge, int *ret,
		unsigned int *ret_index, const char **ret_why)
{
	const struct tap_form form = { config_link_fds(d), kind_link_is_bare(d->kind, d->options),
				       kind_link_has_uso(d->kind, d->options) };
	struct rules_interface i = { .index = 0 };
	int r = check_bridge(bridge, ret_why);

	if (r == 0)
		r = make(&i, &form, ret, ret_why);
	if (r < 0)
		return r;
	r = rule_and_tie(d, bridge, &i, ret_why);
	if (r < 0)
		fds_close(ret, form.queues);
	else
		*ret_index = i.index;
	return r;
}

/* They are quoted to nft as they are. */
static bool is_plain(const char *name)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return name[strspn(name, plain)] == 0;
}

int bridge_rule_tap(const struct config_device *d, const char *tap, unsigned int *ret_index,
		    const char **ret_why)
{
	struct rules_interface i = { .index = if_nametoindex(tap) };
	int r;

	*ret_index = 0;
	if (geteuid() == 0)
		rules_sweep(i.index);
	if (!d->kind->link.ruled(d->options))
		return 0;
	if (geteuid() != 0)
		return blame(
			EPERM,
			"guard=on, addresses, destinations and rates on a tap take root, which "
			"tells the host's kernel: it is as guarded as its administrator made "
			"it, see TAPS in bulkhead(1)",
			ret_why);
	if (!is_plain(tap))
		return blame(EINVAL,
			     "rules are for a name of letters, digits, '.', '_' and '-' only",
			     ret_why);
	snprintf(i.name, sizeof(i.name), "%s", tap);
	r = rules_load(d, &i, ret_why);
	if (r == 0)
		*ret_index = i.index;
	return r;
}
