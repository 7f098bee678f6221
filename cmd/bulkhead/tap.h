/* SPDX-License-Identifier: Apache-2.0 */
/* A tap for a network card, with the rights of who starts the VM. */
#ifndef BULKHEAD_CMD_BULKHEAD_TAP_H
#define BULKHEAD_CMD_BULKHEAD_TAP_H

#include <stdbool.h>

/*
 * Joins the tap of that name, which is there already and whose owner the caller is, unless it is root. It comes with
 * virtio's header before each frame, all offloads that dev-net knows, and never blocks. bare: without the header and
 * offloads, so that whoever has it can write no frame that the kernel makes several packets of. The descriptor, or a
 * negative errno with what is wrong and what would be right.
 */
[[nodiscard]] int tap_open(const char *name, bool bare, const char **ret_why);
/*
 * Makes one of that name, which goes with its last descriptor; -EEXIST: there is such an interface. Likewise.
 */
[[nodiscard]] int tap_make(const char *name, bool bare, const char **ret_why);

/* What tap_make does with the descriptor of a macvtap of that name, which is there. 0, or a negative errno. */
[[nodiscard]] int tap_join(int fd, const char *name, bool bare, const char **ret_why);

#endif
