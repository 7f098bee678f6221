/* SPDX-License-Identifier: Apache-2.0 */
/* Macvtaps; see macvtap.h. */
#include "cmd/bulkhead/net/macvtap.h"

#include "cmd/bulkhead/net/host.h"
#include "cmd/bulkhead/net/keeper.h"
#include "cmd/bulkhead/net/open_files.h"
#include "cmd/bulkhead/net/rules.h"
#include "cmd/bulkhead/tap.h"
#include "lib/base/cleanup.h"
#include "lib/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#define ARGUMENT_MAX 32

static int blame(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return -error;
}

static void device_of(unsigned int index, char *out, size_t cap)
{
	snprintf(out, cap, "/dev/tap%u", index);
}

/* ---- what was left over ---- */

/* One that is up has been opened by then: if nobody has it any more, its VM is gone. */
static bool is_left(const struct if_nameindex *i)
{
	char path[32];

	device_of(i->if_index, path, sizeof(path));
	return host_is_own_name(i->if_name) && host_is_driven_by(i->if_name, "macvlan") &&
	       host_is_up(i->if_name) && open_files_have(path) == 0;
}

static void sweep(void)
{
	struct if_nameindex *all = if_nameindex();

	for (struct if_nameindex *i = all; i && i->if_index; i++)
		if (is_left(i)) {
			const struct net_made made = { i->if_index, true };

			net_keeper_undo(&made, 1);
		}
	if (all)
		if_freenameindex(all);
	rules_sweep(0);
}

/* ---- a new one ---- */

static int make(const struct config_device *d, const char *lower, struct rules_interface *i,
		const char **ret_why)
{
	const struct kind_way *w = kind_way(d->kind, d->options);
	char mode[ARGUMENT_MAX], mac[ARGUMENT_MAX];
	const char *const argv[] = { "ip",	"link", "add",	"link",	   lower,  "name", i->name,
				     "address", mac,	"type", "macvtap", "mode", mode,   NULL };
	int r;

	if (!w->argument(d->options, 0, mode, sizeof(mode)) ||
	    !w->argument(d->options, 1, mac, sizeof(mac)))
		return blame(EINVAL, "its mode and address are not known", ret_why);
	host_make_name(i->name);
	r = tool_run(&tool_ip, argv, NULL, 0, NULL, ret_why);
	if (r == 0)
		i->index = if_nametoindex(i->name);
	return r;
}

static int open_queue(const struct rules_interface *i, const struct tap_form *form,
		      const char **ret_why)
{
	_cleanup_(closep) int fd = -1;
	char path[32];
	int r;

	device_of(i->index, path, sizeof(path));
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return blame(errno, "its /dev/tapN cannot be opened: /dev is no devtmpfs", ret_why);
	r = tap_join(fd, i->name, form, ret_why);
	return r < 0 ? r : take_fd(&fd);
}

static int rule_and_set_up(const struct config_device *d, const struct rules_interface *i,
			   const char **ret_why)
{
	int r = rules_load(d, i, ret_why);

	if (r < 0)
		return r;
	host_be_silent(i->name);
	r = host_set_up(i->name);
	return r < 0 ? blame(-r, strerror(-r), ret_why) : 0;
}

static int finish(const struct config_device *d, const struct rules_interface *i, int *ret,
		  const char **ret_why)
{
	const struct tap_form form = { config_link_fds(d), kind_link_is_bare(d->kind, d->options),
				       kind_link_has_uso(d->kind, d->options) };
	unsigned int k = 0;
	int r = 0;

	for (; k < form.queues && r >= 0; k++)
		r = ret[k] = open_queue(i, &form, ret_why);
	if (r >= 0)
		r = rule_and_set_up(d, i, ret_why);
	if (r < 0)
		fds_close(ret, k);
	return r;
}

int macvtap_open(const struct config_device *d, const char *lower, int *ret,
		 unsigned int *ret_index, const char **ret_why)
{
	struct rules_interface i = { .lower = true };
	struct net_made made = { .interface = true };
	int r;

	if (!if_nametoindex(lower))
		return blame(ENODEV, "there is no such interface of the host's", ret_why);
	if (geteuid() != 0)
		return blame(EPERM,
			     "making a macvtap takes root: it can make a tap for you to use by "
			     "tap=NAME, see TAPS in bulkhead(1)",
			     ret_why);
	sweep();
	r = make(d, lower, &i, ret_why);
	if (r < 0)
		return r;
	r = finish(d, &i, ret, ret_why);
	made.index = i.index;
	if (r < 0)
		net_keeper_undo(&made, 1);
	else
		*ret_index = i.index;
	return r;
}
