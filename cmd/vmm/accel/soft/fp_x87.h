/* SPDX-License-Identifier: Apache-2.0 */
/* The x87 side of the guest's FXSAVE image. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FP_X87_H
#define BULKHEAD_VMM_ACCEL_SOFT_FP_X87_H

#include "cmd/vmm/accel/soft/soft.h"

/* Makes c->fx's x87 fields what the host's FXRSTOR makes of them (reserved bits, ES and B). */
void soft_x87_normalise(struct soft_cpu *c);

#endif
