/* SPDX-License-Identifier: Apache-2.0 */
/* PUSH, POP, PUSHA, POPA, ENTER, LEAVE. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"
#include "cmd/vmm/accel/soft/stack.h"

/* ---- PUSH ---- */

MISS_OP(push_r)
{
	soft_push(c, reg_get(c, i, i->rm, i->width), i->width);
	return soft_next(c, i);
}

OP(push_r64)
{
	uint64_t sp = c->gpr[R_SP] - 8, v = c->gpr[i->rm];
	void *p = soft_tlb_now(c, sp, 8, ACC_WRITE);

	if (__builtin_expect(!p, 0))
		return push_r(c, i);
	host_store(p, 8, v);
	c->gpr[R_SP] = sp;
	return soft_next(c, i);
}

soft_handler pick_push_r(const struct soft_insn *i)
{
	return i->width == 8 ? push_r64 : push_r;
}

const struct soft_insn *op_push_imm(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_push(c, (uint64_t)i->imm & width_mask(i->width), i->width);
	return soft_next(c, i);
}

const struct soft_insn *op_push_rm(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_push(c, rm_get(c, i, i->width), i->width);
	return soft_next(c, i);
}

/* ---- POP ---- */

MISS_OP(pop_r)
{
	uint64_t v = soft_pop(c, i->width);

	reg_put_wide(c, i->rm, i->width, v);
	return soft_next(c, i);
}

OP(pop_r64)
{
	const void *p = soft_tlb_now(c, c->gpr[R_SP], 8, ACC_READ);

	if (__builtin_expect(!p, 0))
		return pop_r(c, i);
	c->gpr[R_SP] += 8;
	c->gpr[i->rm] = host_load(p, 8);
	return soft_next(c, i);
}

soft_handler pick_pop_r(const struct soft_insn *i)
{
	return i->width == 8 ? pop_r64 : pop_r;
}

/* An address with the stack pointer counts from where it points after the pop. */
const struct soft_insn *op_pop_rm(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t before = c->gpr[R_SP], sp = before, offset;
	uint64_t v = soft_pop_at(c, &sp, i->width);

	if (i->is_mem) {
		soft_set_sp(c, sp);
		offset = soft_offset(c, i);
		c->gpr[R_SP] = before; /* the write may fault */
		soft_write(c, soft_linear(c, i->seg, offset, i->width, true), i->width, v);
	}
	soft_set_sp(c, sp);
	if (!i->is_mem)
		reg_put_wide(c, i->rm, i->width, v);
	return soft_next(c, i);
}

/* ---- PUSHA, POPA ---- */

const struct soft_insn *op_pusha(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t sp = c->gpr[R_SP];

	for (unsigned int r = R_AX; r <= R_DI; r++)
		soft_push_at(c, &sp, reg_get(c, i, r, i->width), i->width);
	soft_set_sp(c, sp);
	return soft_next(c, i);
}

const struct soft_insn *op_popa(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t sp = c->gpr[R_SP], v[8];

	for (unsigned int r = 8; r-- > 0;)
		v[r] = soft_pop_at(c, &sp, i->width);
	for (unsigned int r = R_AX; r <= R_DI; r++)
		if (r != R_SP)
			reg_put_wide(c, r, i->width, v[r]);
	soft_set_sp(c, sp);
	return soft_next(c, i);
}

/* ---- ENTER, LEAVE ---- */

/* Copies the pointers of the frames around this one. */
static void push_display(struct soft_cpu *c, const struct soft_insn *i, uint64_t *sp,
			 unsigned int levels, uint64_t frame)
{
	uint64_t bp = c->gpr[R_BP];

	for (unsigned int n = 1; n < levels; n++) {
		uint64_t at = bp -= i->width;

		soft_push_at(c, sp, soft_pop_at(c, &at, i->width), i->width);
	}
	if (levels)
		soft_push_at(c, sp, frame, i->width);
}

const struct soft_insn *op_enter(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int levels = (unsigned int)(i->imm >> 16) & 31;
	uint64_t sp = c->gpr[R_SP], frame, end;

	soft_push_at(c, &sp, c->gpr[R_BP], i->width);
	frame = sp;
	push_display(c, i, &sp, levels, frame);
	sp -= (uint64_t)i->imm & 0xffff;
	/* the end of the frame must be writable, though nothing is written there */
	end = c->long64 ? sp : c->stack32 ? (uint32_t)sp : (uint16_t)sp;
	soft_touch_write(c, soft_linear(c, S_SS, end, i->width, true), i->width);
	soft_set_sp(c, sp);
	reg_put_wide(c, R_BP, i->width, frame);
	return soft_next(c, i);
}

OP(leave_64)
{
	uint64_t sp = c->gpr[R_BP];
	uint64_t v = soft_read(c, soft_linear(c, S_SS, sp, 8, false), 8);

	c->gpr[R_SP] = sp + 8;
	c->gpr[R_BP] = v;
	return soft_next(c, i);
}

OP(leave)
{
	uint64_t sp = c->gpr[R_BP];
	uint64_t v = soft_pop_at(c, &sp, i->width);

	soft_set_sp(c, sp);
	reg_put_wide(c, R_BP, i->width, v);
	return soft_next(c, i);
}

soft_handler pick_leave(const struct soft_insn *i)
{
	return i->width == 8 ? leave_64 : leave;
}
