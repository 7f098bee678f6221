/* SPDX-License-Identifier: Apache-2.0 */
/* What devices of the VM are joined to outside of it, opened with the rights of the user. */
#ifndef BULKHEAD_CMD_BULKHEAD_LINKS_H
#define BULKHEAD_CMD_BULKHEAD_LINKS_H

#include "lib/config/config.h"

#include <stddef.h>

/* They are above the numbers that they have in the supervisor. */
#define LINKS_ABOVE (SUPERVISOR_FD_LINKS + KIND_LINKS_MAX)

#define LINK_VALUE_MAX 64 /* bytes of what is said of a way */

struct links {
	int fds[KIND_LINKS_MAX];
	size_t n;
};

/*
 * Before anything else is opened: opens what the devices' ways say, in the order of the devices, closes all else that the command was started with but 0, 1
 * and 2, and settles what was left open of those devices. 0, or an exit status after one line.
 */
[[nodiscard]] int links_take(struct vm_config *c, struct links *ret);
void links_close(struct links *l);

#endif
