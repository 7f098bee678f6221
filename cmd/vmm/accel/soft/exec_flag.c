/* SPDX-License-Identifier: Apache-2.0 */
/* CLC, STC, CMC, CLD, STD, LAHF, SAHF. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

const struct soft_insn *op_clc(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_flags_put(c, soft_flags_arith(c) & ~FL_CF);
	return soft_next(c, i);
}

const struct soft_insn *op_stc(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_flags_put(c, soft_flags_arith(c) | FL_CF);
	return soft_next(c, i);
}

const struct soft_insn *op_cmc(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_flags_put(c, soft_flags_arith(c) ^ FL_CF);
	return soft_next(c, i);
}

const struct soft_insn *op_cld(struct soft_cpu *c, const struct soft_insn *i)
{
	c->rflags &= ~(uint64_t)FL_DF;
	return soft_next(c, i);
}

const struct soft_insn *op_std(struct soft_cpu *c, const struct soft_insn *i)
{
	c->rflags |= FL_DF;
	return soft_next(c, i);
}

#define AH_FLAGS (FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF)

const struct soft_insn *op_lahf(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t ah = (soft_flags_arith(c) & AH_FLAGS) | 2;

	c->gpr[R_AX] = (c->gpr[R_AX] & ~0xff00ULL) | ah << 8;
	return soft_next(c, i);
}

const struct soft_insn *op_sahf(struct soft_cpu *c, const struct soft_insn *i)
{
	uint32_t ah = (uint32_t)(c->gpr[R_AX] >> 8) & AH_FLAGS;

	soft_flags_put(c, (soft_flags_arith(c) & FL_OF) | ah);
	return soft_next(c, i);
}
