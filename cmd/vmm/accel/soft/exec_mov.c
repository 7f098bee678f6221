/* SPDX-License-Identifier: Apache-2.0 */
/* MOV, MOVZX, MOVSX, LEA, XCHG, CMOVcc, SETcc, BSWAP, conversions within a register. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

/* ---- MOV ---- */

BODY_RM(mov_rm_r)
{
	uint64_t v = reg_get(c, i, i->reg, w);

	if (mem)
		dst_put(c, i, w, v, p);
	else
		reg_put(c, i, i->rm, w, v);
	return soft_next(c, i);
}

BODY_RM(mov_r_rm)
{
	reg_put(c, i, i->reg, w, src_get(c, i, w, mem, p));
	return soft_next(c, i);
}

BODY_RM(mov_rm_i)
{
	if (mem)
		dst_put(c, i, w, (uint64_t)i->imm, p);
	else
		reg_put(c, i, i->rm, w, (uint64_t)i->imm);
	return soft_next(c, i);
}

BODY(mov_r_i)
{
	reg_put(c, i, i->rm, w, (uint64_t)i->imm);
	return soft_next(c, i);
}

OP_RM_WRITE(mov_rm_r_w, mov_rm_r)
OP_RM_READ(mov_r_rm_w, mov_r_rm)
OP_RM_WRITE(mov_rm_i_w, mov_rm_i)
OP_WIDTHS(mov_r_i_w, mov_r_i)

/* clang-format off */
soft_handler pick_mov_rm_r(const struct soft_insn *i) { return mov_rm_r_w(i); }
soft_handler pick_mov_r_rm(const struct soft_insn *i) { return mov_r_rm_w(i); }
soft_handler pick_mov_rm_i(const struct soft_insn *i) { return mov_rm_i_w(i); }
soft_handler pick_mov_r_i(const struct soft_insn *i) { return mov_r_i_w(i); }
/* clang-format on */

/* A0 to A3: the address is the immediate. */
const struct soft_insn *op_mov_a_moffs(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t at = soft_linear(c, i->seg, (uint64_t)i->imm, i->width, false);

	reg_put(c, i, R_AX, i->width, soft_read(c, at, i->width));
	return soft_next(c, i);
}

const struct soft_insn *op_mov_moffs_a(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t at = soft_linear(c, i->seg, (uint64_t)i->imm, i->width, true);

	soft_write(c, at, i->width, c->gpr[R_AX]);
	return soft_next(c, i);
}

/* ---- MOVZX, MOVSX, MOVSXD: from 1, 2 or 4 bytes to the operand size ---- */

INLINE uint64_t sign_extend(uint64_t v, unsigned int from)
{
	unsigned int shift = 64 - 8 * from;

	return (uint64_t)((int64_t)(v << shift) >> shift);
}

#define EXTENDS(name, from, expr)                         \
	BODY_RM(name##_body)                              \
	{                                                 \
		uint64_t v = src_get(c, i, from, mem, p); \
                                                          \
		reg_put_wide(c, i->reg, w, expr);         \
		return soft_next(c, i);                   \
	}                                                 \
	OP_RM_FROM(name##_w, name##_body, ACC_READ, from, from, from, from)

EXTENDS(movzx8, 1, v)
EXTENDS(movzx16, 2, v)
EXTENDS(movsx8, 1, sign_extend(v, 1))
EXTENDS(movsx16, 2, sign_extend(v, 2))
EXTENDS(movsx32, 4, sign_extend(v, 4))

/* clang-format off */
soft_handler pick_movzx8(const struct soft_insn *i) { return movzx8_w(i); }
soft_handler pick_movzx16(const struct soft_insn *i) { return movzx16_w(i); }
soft_handler pick_movsx8(const struct soft_insn *i) { return movsx8_w(i); }
soft_handler pick_movsx16(const struct soft_insn *i) { return movsx16_w(i); }
/* clang-format on */

/* 63 is ARPL outside 64-bit code; at 16 bits MOVSXD is MOV. */
soft_handler pick_movsxd(const struct soft_insn *i)
{
	if (!i->code64)
		return op_arpl;
	return i->width == 2 ? mov_r_rm_w(i) : movsx32_w(i);
}

/* ---- LEA ---- */

OP(lea_64)
{
	c->gpr[i->reg] =
		(uint64_t)(int64_t)i->disp + c->regs[i->base] + (c->regs[i->index] << i->scale);
	return soft_next(c, i);
}

OP(lea_any)
{
	reg_put_wide(c, i->reg, i->width, soft_offset(c, i));
	return soft_next(c, i);
}

soft_handler pick_lea(const struct soft_insn *i)
{
	return i->width == 8 && i->addr_width == 8 && !i->rip_relative ? lea_64 : lea_any;
}

/* ---- XCHG ---- */

INLINE uint64_t host_swap(struct soft_cpu *c, void *p, unsigned int w, uint64_t v)
{
	if (__builtin_expect(crosses_line(p, w), 0))
		return soft_split_swap(c, p, w, v);
	/* clang-format off */
	switch (w) {
	case 1: return __atomic_exchange_n((uint8_t *)p, (uint8_t)v, __ATOMIC_SEQ_CST);
	case 2: return __atomic_exchange_n((uint16_t *)p, (uint16_t)v, __ATOMIC_SEQ_CST);
	case 4: return __atomic_exchange_n((uint32_t *)p, (uint32_t)v, __ATOMIC_SEQ_CST);
	default: return __atomic_exchange_n((uint64_t *)p, v, __ATOMIC_SEQ_CST);
	}
	/* clang-format on */
}

/* With memory it is locked whether the prefix is there or not. */
BODY(xchg_mem)
{
	uint64_t v = reg_get(c, i, i->reg, w);
	struct rmw m = { .host = mem_hit(c, i, w, ACC_WRITE) };

	if (!m.host) {
		struct rmw slow;

		soft_rmw_begin_slow(c, mem_address(c, i, w, true), w, true, &slow);
		m = slow;
	}
	if (m.host) {
		m.old = host_swap(c, m.host, w, v);
	} else {
		const struct rmw slow = m;

		soft_rmw_end_slow(c, w, true, &slow, v);
	}
	reg_put(c, i, i->reg, w, m.old);
	return soft_next(c, i);
}

BODY(xchg_reg)
{
	uint64_t a = reg_get(c, i, i->reg, w), b = reg_get(c, i, i->rm, w);

	reg_put(c, i, i->rm, w, a);
	reg_put(c, i, i->reg, w, b);
	return soft_next(c, i);
}

BODY(xchg_a)
{
	uint64_t a = reg_get(c, i, R_AX, w), b = reg_get(c, i, i->rm, w);

	reg_put(c, i, i->rm, w, a);
	reg_put(c, i, R_AX, w, b);
	return soft_next(c, i);
}

OP_WIDTHS(xchg_mem_w, xchg_mem)
OP_WIDTHS(xchg_reg_w, xchg_reg)
OP_WIDTHS(xchg_a_w, xchg_a)

soft_handler pick_xchg(const struct soft_insn *i)
{
	return i->is_mem ? xchg_mem_w(i) : xchg_reg_w(i);
}

/* 90 to 97: NOP and PAUSE where no register is exchanged. */
soft_handler pick_xchg_a(const struct soft_insn *i)
{
	if (i->rm != R_AX)
		return xchg_a_w(i);
	return i->rep == 0xf3 ? op_pause : op_nop;
}

/* ---- CMOVcc, SETcc ---- */

/* The source is read, and a 32-bit destination cleared above, whatever the condition. */
BODY_RM(cmov)
{
	uint64_t v = src_get(c, i, w, mem, p);

	if (!soft_condition(c, i->opcode & 0xf))
		v = reg_get(c, i, i->reg, w);
	reg_put(c, i, i->reg, w, v);
	return soft_next(c, i);
}

OP_RM_READ(cmov_w, cmov)

soft_handler pick_cmov(const struct soft_insn *i)
{
	return cmov_w(i);
}

const struct soft_insn *op_setcc(struct soft_cpu *c, const struct soft_insn *i)
{
	rm_put(c, i, 1, soft_condition(c, i->opcode & 0xf));
	return soft_next(c, i);
}

/* ---- within registers ---- */

const struct soft_insn *op_bswap(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t v = c->gpr[i->rm];

	if (i->width == 8)
		c->gpr[i->rm] = __builtin_bswap64(v);
	else if (i->width == 4)
		c->gpr[i->rm] = __builtin_bswap32((uint32_t)v);
	else
		reg_put(c, i, i->rm, 2, 0); /* undefined; what CPUs do */
	return soft_next(c, i);
}

/* CBW, CWDE, CDQE */
const struct soft_insn *op_cbw(struct soft_cpu *c, const struct soft_insn *i)
{
	reg_put(c, i, R_AX, i->width, sign_extend(c->gpr[R_AX], i->width / 2U));
	return soft_next(c, i);
}

/* CWD, CDQ, CQO */
const struct soft_insn *op_cwd(struct soft_cpu *c, const struct soft_insn *i)
{
	bool negative = c->gpr[R_AX] & width_sign(i->width);

	reg_put(c, i, R_DX, i->width, negative ? UINT64_MAX : 0);
	return soft_next(c, i);
}

/* A non-temporal store is a store. */
const struct soft_insn *op_movnti(struct soft_cpu *c, const struct soft_insn *i)
{
	mem_put(c, i, i->width, reg_get(c, i, i->reg, i->width));
	return soft_next(c, i);
}
