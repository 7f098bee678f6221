/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vCPU alone with guest RAM: how LOCK is emulated where one host instruction cannot or must not do
 * it (an operand on two cache lines or pages, or not in RAM). The host would stop the bus of every
 * processor for a locked access across cache lines, or end the process (split_lock_detect).
 *
 * A vCPU is `inside` while it may touch guest RAM. Who wants to be alone waits until all others have
 * left, which they do at their next boundary between blocks; who enters meanwhile waits.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_ALONE_H
#define BULKHEAD_VMM_ACCEL_SOFT_ALONE_H

#include "cmd/vmm/accel/soft/soft.h"

/* All of them: the CPU's own thread. */
void soft_ram_enter(struct soft_cpu *c);
void soft_ram_leave(struct soft_cpu *c);
/* In the middle of an instruction. An exception in between ends it (soft_raise). */
void soft_alone_begin(struct soft_cpu *c);
void soft_alone_end(struct soft_cpu *c);
/* An access to the vmm's buses, which may wait for others: outside, unless alone. */
void soft_io(struct soft_cpu *c, struct accel_exit *e);

#endif
