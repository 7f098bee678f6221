/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links to running VMs: their supervisors listen on abstract sockets named
 * bulkhead/UID/NAME. An abstract name can be taken by anybody, so the peer's uid is looked at.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_VMLINK_H
#define BULKHEAD_CMD_BULKHEAD_VMLINK_H

#include "lib/control/control.h"

#define VMLINK_TIMEOUT_S 5 /* for an answer */

/* A connected socket, or -ENOENT when no VM of this user has the name, -EOVERFLOW when this user's
 * id stands for others' too (lib/sandbox/peer.h), or a negative errno. */
[[nodiscard]] int vmlink_open(const char *name);
/* The same for a VM of any user. Its supervisor serves nobody but that user. */
[[nodiscard]] int vmlink_open_of(uid_t uid, const char *name);
/* Says in one line why vmlink_open failed, and returns the command's exit status. */
int vmlink_complain(const char *name, int error);
/*
 * Sends a message without a descriptor and waits for the answer, which is of the wanted type or
 * CTL_REFUSED. *ret_fd as control_recv. 1, or a negative errno: -EPROTO another answer, -EPIPE.
 */
[[nodiscard]] int vmlink_ask(int sock, const struct control_msg *q, enum control_type wanted,
			     struct control_msg *ret, int *ret_fd);
/* Calls fn with every name that this user's VMs listen on. 0 or a negative errno. */
[[nodiscard]] int vmlink_each(void (*fn)(const char *name, void *owner), void *owner);

#endif
