/* SPDX-License-Identifier: Apache-2.0 */
/* What devices of the VM are joined to outside of it, opened with the rights of the user. */
#ifndef BULKHEAD_CMD_BULKHEAD_LINKS_H
#define BULKHEAD_CMD_BULKHEAD_LINKS_H

#include "cmd/bulkhead/net/keeper.h"
#include "lib/config/config.h"

#include <stddef.h>

/* They are above the numbers that they have in the supervisor. */
#define LINKS_ABOVE (SUPERVISOR_FD_LINKS + KIND_LINK_FDS_MAX)

#define LINK_VALUE_MAX 64 /* bytes of what is said of a way */

struct links {
	int fds[KIND_LINK_FDS_MAX];
	size_t n;
	struct net_made made[KIND_LINKS_MAX]; /* of the host's network; nobody's yet */
	size_t n_made;
	pid_t supervisor; /* of the VM that runs, or 0 */
	int seed;	  /* a disk that was made for it (seed.h), or -1 */
};

/*
 * Before anything else is opened: opens what the devices' ways say but for passts, in the order of the devices, closes all else that the command was started with but 0, 1
 * and 2, and settles what was left open of those devices. 0, or an exit status after one line.
 */
[[nodiscard]] int links_take(struct vm_config *c, struct links *ret);
/*
 * The same of one device that is attached, in two steps. Before anything else is opened: takes what its way says by a
 * number, and closes all else; *ret stays as it is where it says none. Later: opens what it says otherwise. As links_take.
 */
[[nodiscard]] int links_take_one(const struct config_device *d, int *ret);
[[nodiscard]] int links_open_one(const struct config_device *d, pid_t supervisor, int *ret);
void links_close(struct links *l);
/* Removes what was made for them: there is no VM. */
void links_undo(struct links *l);

#endif
