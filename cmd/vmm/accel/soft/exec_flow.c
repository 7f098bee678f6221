/* SPDX-License-Identifier: Apache-2.0 */
/* Near JMP, Jcc, CALL, RET, LOOP, JrCXZ; NOP, PAUSE; UD. Far forms are sys_flow.c's. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"
#include "cmd/vmm/accel/soft/stack.h"
#include "cmd/vmm/accel/soft/sys_ops.h"
#include "cmd/vmm/accel/soft/vcpu.h"

/* Where a branch of this operand size goes: the instruction pointer is cut to it. */
INLINE uint64_t cut(uint64_t target, unsigned int w)
{
	return target & width_mask(w);
}

INLINE bool canonical(uint64_t a)
{
	return (uint64_t)((int64_t)(a << 16) >> 16) == a;
}

/* A target that is no address is the branch's fault, not the target's. */
INLINE void check_target(struct soft_cpu *c, uint64_t target, unsigned int w)
{
	if (w == 8) {
		if (__builtin_expect(!canonical(target), 0))
			RAISE_GP0(c);
	} else if (!c->long64 && target > c->seg[S_CS].limit) {
		RAISE_GP0(c);
	}
}

INLINE uint64_t relative(const struct soft_cpu *c, const struct soft_insn *i, unsigned int w)
{
	return cut(c->rip + i->len + (uint64_t)i->imm, w);
}

/* ---- JMP ---- */

BODY(jmp)
{
	uint64_t target = relative(c, i, w);

	check_target(c, target, w);
	c->rip = target;
	return soft_follow(c);
}

BODY_RM(jmp_rm)
{
	uint64_t target = src_get(c, i, w, mem, p);

	check_target(c, target, w);
	c->rip = target;
	return soft_follow(c);
}

OP_WIDTHS(jmp_w, jmp)
OP_RM_READ(jmp_rm_w, jmp_rm)

soft_handler pick_jmp(const struct soft_insn *i)
{
	return jmp_w(i);
}
soft_handler pick_jmp_rm(const struct soft_insn *i)
{
	return jmp_rm_w(i);
}

/* ---- Jcc: not taken, the block goes on ---- */

INLINE const struct soft_insn *jcc_on(struct soft_cpu *c, const struct soft_insn *i, unsigned int w,
				      bool taken)
{
	return taken ? jmp(c, i, w) : soft_next(c, i);
}

#define JCC(n)                                                    \
	OP(jcc_64_##n)                                            \
	{                                                         \
		return jcc_on(c, i, 8, soft_condition(c, 0x##n)); \
	}

JCC(0)
JCC(1)
JCC(2)
JCC(3)
JCC(4)
JCC(5)
JCC(6)
JCC(7)
JCC(8)
JCC(9)
JCC(a)
JCC(b)
JCC(c)
JCC(d)
JCC(e)
JCC(f)

OP(jcc_any)
{
	return jcc_on(c, i, i->width, soft_condition(c, i->opcode & 0xf));
}

soft_handler pick_jcc(const struct soft_insn *i)
{
	static const soft_handler by_condition[16] = {
		jcc_64_0, jcc_64_1, jcc_64_2, jcc_64_3, jcc_64_4, jcc_64_5, jcc_64_6, jcc_64_7,
		jcc_64_8, jcc_64_9, jcc_64_a, jcc_64_b, jcc_64_c, jcc_64_d, jcc_64_e, jcc_64_f,
	};

	return i->width == 8 ? by_condition[i->opcode & 0xf] : jcc_any;
}

/* ---- direct branches within a page of 64-bit code: block to block without a look at rip ---- */

__attribute__((noinline, cold)) static const struct soft_insn *near_miss(struct soft_cpu *c,
									 const struct soft_insn *i)
{
	const struct soft_page *page = c->code_page;
	uint32_t version = c->code_version;
	const struct soft_insn *to = soft_known_block(c);

	/* a link is from and to what was decoded from the same bytes */
	if (to && c->code_page == page && c->code_version == version)
		((struct soft_insn *)(uintptr_t)i)->to = to;
	return to;
}

INLINE const struct soft_insn *near(struct soft_cpu *c, const struct soft_insn *i)
{
	const struct soft_insn *to = i->to;

	c->rip = c->rip_base + (unsigned int)i->disp;
	if (__builtin_expect(to && soft_undisturbed(c), 1))
		return soft_chain(c, to);
	return near_miss(c, i);
}

#define NEAR_JCC(n)                                                             \
	__attribute__((noinline, cold)) OP(jcc_slow_##n)                        \
	{                                                                       \
		return soft_condition(c, 0x##n) ? near(c, i) : soft_next(c, i); \
	}                                                                       \
	OP(jcc_near_##n)                                                        \
	{                                                                       \
		int known = condition_fast(c, 0x##n);                           \
                                                                                \
		if (__builtin_expect(known < 0, 0))                             \
			return jcc_slow_##n(c, i);                              \
		return known ? near(c, i) : soft_next(c, i);                    \
	}

NEAR_JCC(0)
NEAR_JCC(1)
NEAR_JCC(2)
NEAR_JCC(3)
NEAR_JCC(4)
NEAR_JCC(5)
NEAR_JCC(6)
NEAR_JCC(7)
NEAR_JCC(8)
NEAR_JCC(9)
NEAR_JCC(a)
NEAR_JCC(b)
NEAR_JCC(c)
NEAR_JCC(d)
NEAR_JCC(e)
NEAR_JCC(f)

OP(jmp_near)
{
	return near(c, i);
}

__attribute__((noinline, cold)) OP(call_near_miss)
{
	soft_push(c, c->rip + i->len, 8);
	return near(c, i);
}

OP(call_near)
{
	uint64_t sp = c->gpr[R_SP] - 8;
	void *p = soft_tlb_now(c, sp, 8, ACC_WRITE);

	if (__builtin_expect(!p, 0))
		return call_near_miss(c, i);
	host_store(p, 8, c->rip_base + i->next);
	c->gpr[R_SP] = sp;
	return near(c, i);
}

static soft_handler near_form(const struct soft_insn *i)
{
	static const soft_handler jcc[16] = {
		jcc_near_0, jcc_near_1, jcc_near_2, jcc_near_3, jcc_near_4, jcc_near_5,
		jcc_near_6, jcc_near_7, jcc_near_8, jcc_near_9, jcc_near_a, jcc_near_b,
		jcc_near_c, jcc_near_d, jcc_near_e, jcc_near_f,
	};
	bool two = i->map == 1;

	if (i->width != 8 || !i->code64 || i->map > 1)
		return NULL;
	if ((two && (i->opcode & 0xf0) == 0x80) || (!two && (i->opcode & 0xf0) == 0x70))
		return jcc[i->opcode & 0xf];
	if (!two && (i->opcode == 0xeb || i->opcode == 0xe9))
		return jmp_near;
	return !two && i->opcode == 0xe8 ? call_near : NULL;
}

void soft_link_prepare(struct soft_insn *i)
{
	soft_handler fn = near_form(i);
	int64_t target = i->next + i->imm;

	if (!fn || target < 0 || target >= 4096)
		return;
	i->fn = fn;
	i->disp = (int32_t)target;
	i->to = NULL;
}

/* LOOPNE, LOOPE, LOOP, JrCXZ: the counter is as wide as addresses. */
const struct soft_insn *op_loop(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t count = c->gpr[R_CX] & width_mask(i->addr_width);
	bool taken;

	if (i->opcode == 0xe3)
		return jcc_on(c, i, i->width, count == 0);
	count = (count - 1) & width_mask(i->addr_width);
	taken = count != 0;
	if (i->opcode == 0xe0)
		taken = taken && !soft_condition(c, 4);
	else if (i->opcode == 0xe1)
		taken = taken && soft_condition(c, 4);
	if (taken)
		check_target(c, relative(c, i, i->width), i->width);
	reg_put_wide(c, R_CX, i->addr_width, count);
	return jcc_on(c, i, i->width, taken);
}

/* ---- CALL, RET ---- */

INLINE void push_return(struct soft_cpu *c, const struct soft_insn *i, unsigned int w)
{
	if (w == 8)
		push64(c, c->rip + i->len);
	else
		soft_push(c, cut(c->rip + i->len, w), w);
}

BODY(call)
{
	uint64_t target = relative(c, i, w);

	check_target(c, target, w);
	push_return(c, i, w);
	c->rip = target;
	return soft_follow(c);
}

/* Intel's CPUs have written the return address by the time that they look at the target. */
_Noreturn __attribute__((noinline, cold)) static void call_astray(struct soft_cpu *c,
								  const struct soft_insn *i)
{
	uint64_t sp = c->gpr[R_SP];

	soft_push_at(c, &sp, c->rip + i->len, 8);
	RAISE_GP0(c);
}

BODY_RM(call_rm)
{
	uint64_t target = src_get(c, i, w, mem, p);

	if (w == 8 && __builtin_expect(!canonical(target), 0))
		call_astray(c, i);
	check_target(c, target, w);
	push_return(c, i, w);
	c->rip = target;
	return soft_follow(c);
}

OP_WIDTHS(call_w, call)
OP_RM_READ(call_rm_w, call_rm)

soft_handler pick_call(const struct soft_insn *i)
{
	return call_w(i);
}
soft_handler pick_call_rm(const struct soft_insn *i)
{
	return call_rm_w(i);
}

OP(ret_any)
{
	uint64_t sp = c->gpr[R_SP];
	uint64_t target = soft_pop_at(c, &sp, i->width);

	check_target(c, target, i->width);
	soft_set_sp(c, sp + (uint64_t)i->imm);
	c->rip = target;
	return soft_follow(c);
}

OP(ret_64)
{
	const void *p = soft_tlb_now(c, c->gpr[R_SP], 8, ACC_READ);
	uint64_t target;

	if (__builtin_expect(!p, 0))
		return ret_any(c, i);
	target = host_load(p, 8);
	if (__builtin_expect(!canonical(target), 0))
		return ret_any(c, i);
	c->gpr[R_SP] += 8 + (uint64_t)i->imm;
	c->rip = target;
	return soft_follow(c);
}

soft_handler pick_ret(const struct soft_insn *i)
{
	return i->width == 8 ? ret_64 : ret_any;
}

/* ---- nothing, and less than nothing ---- */

const struct soft_insn *op_nop(struct soft_cpu *c, const struct soft_insn *i)
{
	return soft_next(c, i);
}

#define PAUSES_PER_REST 16

/* Spinning for what a CPU without a core holds: let it have this one. */
const struct soft_insn *op_pause(struct soft_cpu *c, const struct soft_insn *i)
{
	if (c->vm->crowded && ++c->n_pauses % PAUSES_PER_REST == 0)
		soft_vcpu_rest(c);
	return soft_next(c, i);
}

const struct soft_insn *op_ud(struct soft_cpu *c, const struct soft_insn *i)
{
	(void)i;
	soft_raise(c, EX_UD);
}

const struct soft_insn *op_int1(struct soft_cpu *c, const struct soft_insn *i)
{
	soft_interrupt(c, EX_DB, false, false, 0, c->rip + i->len);
	return NULL;
}

/* Outside the bounds is #BR. */
const struct soft_insn *op_bound(struct soft_cpu *c, const struct soft_insn *i)
{
	unsigned int shift = 64 - 8U * i->width;
	uint64_t at = soft_offset(c, i), next = (at + i->width) & width_mask(i->addr_width);
	unsigned int w = i->width;
	int64_t low = (int64_t)(soft_read(c, soft_linear(c, i->seg, at, w, false), w) << shift);
	int64_t high = (int64_t)(soft_read(c, soft_linear(c, i->seg, next, w, false), w) << shift);
	int64_t v = (int64_t)(c->gpr[i->reg] << shift);

	if (v < low || v > high)
		soft_raise(c, EX_BR);
	return soft_next(c, i);
}

const struct soft_insn *op_arpl(struct soft_cpu *c, const struct soft_insn *i)
{
	uint32_t flags = soft_flags_arith(c) & ~FL_ZF;
	unsigned int want = c->gpr[i->reg] & 3;
	uint64_t old;

	if (!soft_protected(c) || (c->rflags & FL_VM))
		soft_raise(c, EX_UD);
	old = rm_get(c, i, 2);
	if ((old & 3) < want) {
		flags |= FL_ZF;
		rm_put(c, i, 2, (old & ~3ULL) | want);
	}
	soft_flags_put(c, flags);
	return soft_next(c, i);
}
