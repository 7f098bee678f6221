/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The net keeper: removes what root made of the host's network for a VM when that has ended. It hears nobody. What it sends
 * the kernel then is written before it is confined, and no other byte can be.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_NET_KEEPER_H
#define BULKHEAD_CMD_BULKHEAD_NET_KEEPER_H

#include "cmd/bulkhead/net/rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One interface of the host's. */
struct net_made {
	unsigned int index;
	bool interface; /* was made, too, and not only its rules */
};

/*
 * Starts one for what was made, and waits until it is confined; it ends when `vm` has, a child of the caller's,
 * and all is removed. Its process id, or a negative errno with *ret_what.
 */
[[nodiscard]] pid_t net_keeper_start(const struct net_made *made, size_t n, pid_t vm,
				     const char **ret_what);
/* What it would do, by the caller, who is root: there is no VM. */
void net_keeper_undo(const struct net_made *made, size_t n);

#endif
