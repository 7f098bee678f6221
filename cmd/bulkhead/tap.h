/* SPDX-License-Identifier: Apache-2.0 */
/* A tap for a network card, with the rights of who starts the VM. */
#ifndef BULKHEAD_CMD_BULKHEAD_TAP_H
#define BULKHEAD_CMD_BULKHEAD_TAP_H

#include <stdbool.h>

struct tap_form {
	unsigned int queues; /* 1 or more */
	/* without virtio's header before each frame, and without offloads, so that whoever has it can write no frame that the
	 * kernel makes several packets of */
	bool bare;
	bool uso; /* with the offload of trains of UDP datagrams, which not every kernel has */
};

/*
 * Joins the tap of that name, which is there already and whose owner the caller is, unless it is root. It comes with
 * virtio's header before each frame and all offloads that dev-net knows, unless it is to be bare, and never blocks. 0 with
 * a descriptor for each of its queues in ret; or a negative errno with what is wrong and what would be right, and none.
 */
[[nodiscard]] int tap_open(const char *name, const struct tap_form *f, int *ret,
			   const char **ret_why);
/*
 * Makes one of that name, which goes with its last descriptor; -EEXIST: there is such an interface. Likewise.
 */
[[nodiscard]] int tap_make(const char *name, const struct tap_form *f, int *ret,
			   const char **ret_why);

/* What tap_make does with one descriptor of a macvtap of that name, which is there. 0, or a negative errno. */
[[nodiscard]] int tap_join(int fd, const char *name, const struct tap_form *f,
			   const char **ret_why);

#endif
