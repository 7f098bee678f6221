/* SPDX-License-Identifier: Apache-2.0 */
/* Floating point as the rest of the software CPU sees it: the guest's FXSAVE image, c->fx. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FP_STATE_H
#define BULKHEAD_VMM_ACCEL_SOFT_FP_STATE_H

#include "cmd/vmm/accel/soft/soft.h"

/* Whether this host has what the thunks run (SSE4.2); if not, the accelerator must not start. */
bool soft_fp_host_ok(void);

/* Brings c->fx.mxcsr up to date; needed before anybody but fp_*.c reads it. In c's thread. */
void soft_fp_sync(struct soft_cpu *c);

/* Makes c->fx's x87 fields what the host's FXRSTOR makes of them (reserved bits, ES and B). */
void soft_x87_normalise(struct soft_cpu *c);

#endif
