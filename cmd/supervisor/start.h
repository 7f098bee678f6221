/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a VM's processes. */
#ifndef BULKHEAD_SUPERVISOR_START_H
#define BULKHEAD_SUPERVISOR_START_H

#include "cmd/supervisor/open.h"
#include "cmd/supervisor/vm.h"

/*
 * Starts every process of the VM and puts it into the loop. 0, or a negative errno with *ret_why
 * one line; what was started then is for parts_kill.
 */
[[nodiscard]] int parts_start(struct vm *vm, const struct opened *o, const struct jail_host *host,
			      struct open_error *ret_why);
/* Kills and reaps whatever runs. */
void parts_kill(struct vm *vm);

#endif
