/* SPDX-License-Identifier: Apache-2.0 */
/* The stack of 64-bit code, on the fast path; everything else is seg.h's soft_push and soft_pop. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_STACK_H
#define BULKHEAD_VMM_ACCEL_SOFT_STACK_H

#include "cmd/vmm/accel/soft/operand.h"
#include "cmd/vmm/accel/soft/seg.h"

INLINE void push64(struct soft_cpu *c, uint64_t v)
{
	uint64_t sp = c->gpr[R_SP] - 8;
	void *p = soft_tlb_now(c, sp, 8, ACC_WRITE);

	if (__builtin_expect(!p, 0)) {
		soft_push(c, v, 8);
		return;
	}
	host_store(p, 8, v);
	c->gpr[R_SP] = sp;
}

#endif
