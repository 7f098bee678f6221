/* SPDX-License-Identifier: Apache-2.0 */
/* The main thread once the vmm is confined: devices, kernel, events. */
#ifndef BULKHEAD_VMM_SERVE_H
#define BULKHEAD_VMM_SERVE_H

#include "cmd/vmm/args.h"
#include "cmd/vmm/machine.h"

/*
 * Shakes hands with the devices, loads the kernel, starts the vCPUs and serves until the VM ends.
 * What happened went to the supervisor over control_fd. Returns main's status.
 */
[[nodiscard]] int vmm_serve(struct machine *m, const struct vmm_args *args, int control_fd);

#endif
