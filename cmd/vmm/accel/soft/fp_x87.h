/* SPDX-License-Identifier: Apache-2.0 */
/* Running x87 instructions on the host; see fp_x87_run.c and fp_x87_short.c. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FP_X87_H
#define BULKHEAD_VMM_ACCEL_SOFT_FP_X87_H

#include "cmd/vmm/accel/soft/fp.h"

#define X87_STUB 8
#define X87_HIDDEN __attribute__((visibility("hidden")))

/* One for each instruction: by opcode and ModRM; memory forms by ModRM.reg, again with 16-bit
 * operand size. */
extern const uint8_t soft_x87_reg[512][X87_STUB] X87_HIDDEN;
extern const uint8_t soft_x87_mem[64][X87_STUB] X87_HIDDEN;
extern const uint8_t soft_x87_mem16[64][X87_STUB] X87_HIDDEN;

/* The slow path. flags: what FCMOVcc sees, in the layout of RFLAGS; returns those that are left. */
X87_HIDDEN uint32_t soft_x87_call(const struct soft_fx *in, struct soft_fx *out,
				  const uint8_t *stub, void *operand, uint32_t flags);

/* The fast path: n of `regs` go in as ST(0) and ST(1), and what is left comes back there. Returns
 * FSW, its TOP counted from zero, and the flags above it. */
struct x87_reg {
	uint8_t b[16];
};
X87_HIDDEN uint32_t soft_x87_short(struct x87_reg regs[2], const uint8_t *stub, unsigned int n,
				   void *operand, unsigned int fcw, uint32_t flags);

/* The fast path if it applies; false and nothing done if not. Nothing is pending. */
bool soft_x87_reg_short(struct soft_cpu *c, const struct soft_insn *i, uint32_t *ret_flags);
bool soft_x87_load_short(struct soft_cpu *c, const struct soft_insn *i, const uint8_t *stub,
			 uint8_t *operand);
bool soft_x87_store_short(struct soft_cpu *c, const struct soft_insn *i, const uint8_t *stub,
			  uint64_t linear, unsigned int bytes);

#endif
