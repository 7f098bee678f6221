/* SPDX-License-Identifier: Apache-2.0 */
/* What needs more of the kernel than the vmm's filters allow. No hostile byte is read yet. */
#ifndef BULKHEAD_VMM_PREPARE_H
#define BULKHEAD_VMM_PREPARE_H

#include "cmd/vmm/args.h"
#include "cmd/vmm/machine.h"

/* The accelerator with guest RAM and vCPUs, whose threads wait confined; and who answers at which port
 * and address. 0, or 1 after the supervisor was told why not. */
[[nodiscard]] int vmm_prepare(struct machine *m, const struct vmm_args *args);

#endif
