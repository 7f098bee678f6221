/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a VM's supervisor. */
#ifndef BULKHEAD_CMD_BULKHEAD_LAUNCH_H
#define BULKHEAD_CMD_BULKHEAD_LAUNCH_H

#include "cmd/bulkhead/links.h"
#include "lib/config/config.h"

#include <stdint.h>
#include <sys/types.h>

struct supervisor {
	pid_t pid;
	int control; /* its front */
	int stream;  /* the console's stream; -1 without one */
};

/* links are closed. 0, or a negative errno with *ret_what what failed. since_ns: when this command started. */
[[nodiscard]] int supervisor_spawn(const struct vm_config *c, struct links *links,
				   uint64_t since_ns, struct supervisor *ret,
				   const char **ret_what);
/*
 * Waits for its end, by its keeper where there is one, and returns its exit status; EXIT_FAILED with
 * *ret_signal when a signal ended it, which is 0 otherwise.
 */
int supervisor_wait(struct supervisor *s, int *ret_signal);

#endif
