/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links to running VMs: lib/names is how they are found. Nobody but their user's own processes is
 * listened to.
 */
#ifndef BULKHEAD_CMD_BULKHEAD_VMLINK_H
#define BULKHEAD_CMD_BULKHEAD_VMLINK_H

#include "lib/control/control.h"

#include <stdbool.h>

#define VMLINK_TIMEOUT_S 5 /* for an answer; of all together, for the answers of all */

/* A connected socket, or -ENOENT when no VM of this user has the name, -EOVERFLOW when this user's
 * id stands for others' too (lib/sandbox/peer.h), -EAGAIN when its listener takes no more connections, or a
 * negative errno. */
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
/* Waits for the answer to what was sent, at most so long (-1: as long as it takes): as vmlink_ask, or CTL_ENDED.
 * -ETIMEDOUT. */
[[nodiscard]] int vmlink_await(int sock, enum control_type wanted, int64_t ms,
			       struct control_msg *ret);
/* Calls fn with every name that this user's VMs listen on. 0 or a negative errno. */
[[nodiscard]] int vmlink_each(void (*fn)(const char *name, void *owner), void *owner);

struct vmlink_state {
	const char *name;
	bool busy; /* somebody, who may be anybody, has the name and takes no more connections */
	bool told; /* info is there; else it is silent */
	struct control_info info;
};

/* The same with what each of them says of itself: all are asked at once, and waited for together. */
[[nodiscard]] int vmlink_ask_all(void (*fn)(const struct vmlink_state *s));

#endif
