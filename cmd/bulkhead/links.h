/* SPDX-License-Identifier: Apache-2.0 */
/* Streams that the command was started with, for devices of the VM. */
#ifndef BULKHEAD_CMD_BULKHEAD_LINKS_H
#define BULKHEAD_CMD_BULKHEAD_LINKS_H

#include "lib/config/config.h"

#include <stddef.h>

/* They are above the numbers that they have in the supervisor. */
#define LINKS_ABOVE (SUPERVISOR_FD_LINKS + KIND_LINKS_MAX)

struct links {
	int fds[KIND_LINKS_MAX];
	size_t n;
};

/*
 * Before anything else is opened: closes all that the command was started with but 0, 1 and 2, and takes the streams that the configuration names, which then says their
 * numbers in the supervisor, and settles what else was left open of their devices. 0, or an exit status
 * after one line.
 */
[[nodiscard]] int links_take(struct vm_config *c, struct links *ret);
void links_close(struct links *l);

#endif
