/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fast path of x87 instructions (see fp_x87_run.c): which registers an instruction reads, and
 * what becomes of the stack and of the condition bits.
 */
#include "cmd/vmm/accel/soft/fp_x87.h"

#define C1 (1U << 9)
#define FSW_FLAGS 0x7fU /* exceptions and a stack fault */
#define C_ALL (1U << 8 | 1U << 9 | 1U << 10 | 1U << 14)

/* ---- the stack; st[] begins with ST(0) ---- */

static unsigned int top_of(const struct soft_cpu *c)
{
	return c->fx.fsw >> FSW_TOP_SHIFT & 7;
}

static bool valid(const struct soft_cpu *c, unsigned int n)
{
	return c->fx.ftw >> ((top_of(c) + n) & 7) & 1;
}

static void put_top(struct soft_cpu *c, unsigned int top)
{
	c->fx.fsw = (uint16_t)((c->fx.fsw & ~(7U << FSW_TOP_SHIFT)) | (top & 7) << FSW_TOP_SHIFT);
}

static void put_reg(struct soft_cpu *c, unsigned int n, const void *v)
{
	memcpy(c->fx.st[n].b, v, 10);
}

static void push(struct soft_cpu *c, const void *v)
{
	unsigned int top = (top_of(c) - 1) & 7;

	memmove(&c->fx.st[1], &c->fx.st[0], 7 * sizeof(c->fx.st[0]));
	memset(c->fx.st[0].b, 0, 16);
	put_reg(c, 0, v);
	c->fx.ftw |= (uint8_t)(1U << top);
	put_top(c, top);
}

/* The value stays in the register, which becomes ST(7). */
static void pop(struct soft_cpu *c)
{
	typeof(c->fx.st[0]) first = c->fx.st[0];
	unsigned int top = top_of(c);

	memmove(&c->fx.st[0], &c->fx.st[1], 7 * sizeof(c->fx.st[0]));
	c->fx.st[7] = first;
	c->fx.ftw &= (uint8_t) ~(1U << top);
	put_top(c, top + 1);
}

static void put_conditions(struct soft_cpu *c, uint32_t fsw, uint32_t which)
{
	c->fx.fsw = (uint16_t)((c->fx.fsw & ~which) | (fsw & (which | FSW_FLAGS)));
}

static bool all_masked(const struct soft_cpu *c)
{
	return (c->fx.fcw & MXCSR_FLAGS) == MXCSR_FLAGS;
}

/* Flags of former instructions that the guest has cleared meanwhile must not come back. */
static uint32_t run(struct soft_cpu *c, struct x87_reg regs[2], const uint8_t *stub, unsigned int n,
		    void *operand, uint32_t flags)
{
	uint32_t r;

	if (c->x87_left & ~c->fx.fsw) {
		__asm__ volatile("fnclex");
		c->x87_left = 0;
	}
	r = soft_x87_short(regs, stub, n, operand, c->fx.fcw, flags);
	c->x87_left |= r & FSW_FLAGS;
	return r;
}

/* ---- results ---- */

/* n registers went in, the second of them ST(other). */
static void put_results(struct soft_cpu *c, const struct x87_reg regs[2], unsigned int n,
			unsigned int other, uint32_t fsw)
{
	unsigned int left = (8 - (fsw >> FSW_TOP_SHIFT & 7)) & 7;

	if (left > n) {
		push(c, regs[0].b);
		return;
	}
	if (left == n && n)
		put_reg(c, 0, regs[0].b);
	if (n == 2 && left)
		put_reg(c, other, regs[left - 1].b);
	for (; left < n; left++)
		pop(c);
}

/* ---- memory forms: D9, DB, DD and DF load to the stack, the others operate ---- */

bool soft_x87_load_short(struct soft_cpu *c, const struct soft_insn *i, const uint8_t *stub,
			 uint8_t *operand)
{
	unsigned int n = i->opcode & 1 ? 0 : 1;
	bool compares = n && (i->modrm & 0x30) == 0x10;
	struct x87_reg regs[2];
	uint32_t fsw;

	if (!all_masked(c) || (n ? !valid(c, 0) : valid(c, 7)))
		return false;
	if (n)
		memcpy(regs[0].b, c->fx.st[0].b, 10);
	fsw = run(c, regs, stub, n, operand, 0);
	put_results(c, regs, n, 0, fsw);
	put_conditions(c, fsw, compares ? C_ALL : C1);
	return true;
}

bool soft_x87_store_short(struct soft_cpu *c, const struct soft_insn *i, const uint8_t *stub,
			  uint64_t linear, unsigned int bytes)
{
	uint8_t operand[16] = { 0 };
	struct x87_reg regs[2];
	uint32_t fsw;

	(void)i;
	if (!all_masked(c) || !valid(c, 0))
		return false;
	memcpy(regs[0].b, c->fx.st[0].b, 10);
	fsw = run(c, regs, stub, 1, operand, 0);
	bytes_store(c, linear, operand, bytes);
	put_results(c, regs, 1, 0, fsw);
	put_conditions(c, fsw, C1);
	return true;
}

/* ---- register forms ---- */

enum kind {
	LONG,  /* takes the slow path */
	PUSH,  /* no register in, one more out */
	ONE,   /* ST(0) */
	TWO,   /* ST(0) and ST(i) */
	NEXT,  /* ST(0) and ST(1) */
	LOAD,  /* FLD ST(i) */
	SWAP,  /* FXCH */
	STORE, /* FST, FSTP */
};

/* With a kind: which condition bits come from the host; C1 else. */
#define ALL 0x80U
#define NONE 0x40U

/* D9 E0 to FF; what is missing (FPREM, FXAM, FSINCOS…) takes the slow path. */
static const uint8_t d9_kind[32] = {
	[0x00] = ONE,  [0x01] = ONE,  [0x04] = ONE | ALL, /* FCHS, FABS, FTST */
	[0x08] = PUSH, [0x09] = PUSH, [0x0a] = PUSH,	  [0x0b] = PUSH, [0x0c] = PUSH,
	[0x0d] = PUSH, [0x0e] = PUSH,					 /* constants */
	[0x10] = ONE,  [0x11] = NEXT, [0x13] = NEXT,			 /* F2XM1, FYL2X, FPATAN */
	[0x19] = NEXT, [0x1a] = ONE,  [0x1c] = ONE,	  [0x1d] = NEXT, /* FYL2XP1, FSQRT, FRNDINT,
								     FSCALE */
};

static unsigned int kind_of(const struct soft_insn *i)
{
	unsigned int group = i->modrm >> 3 & 7;

	switch (i->opcode) {
	case 0xde: /* what is popped from ST(0) onto itself is seen in ST(7) */
		if (i->modrm == 0xd9)
			return NEXT | ALL;
		if (!(i->modrm & 7))
			return LONG;
		[[fallthrough]];
	case 0xd8:
	case 0xdc:
		return (group & 6) == 2 ? TWO | ALL : TWO;
	case 0xd9:
		if (group >= 4)
			return d9_kind[i->modrm & 31];
		return group == 0 ? LOAD : group == 1 ? SWAP : group == 3 ? STORE : LONG;
	case 0xda:
		return i->modrm == 0xe9 ? NEXT | ALL : TWO | NONE;
	case 0xdb: /* FCMOVNcc, FUCOMI, FCOMI */
		return TWO | NONE;
	case 0xdd:
		return group >= 4 ? TWO | ALL : group >= 2 ? STORE : LONG;
	}
	return group >= 5 ? TWO | NONE : group == 2 || group == 3 ? STORE : LONG;
}

/* Moves within the stack. */
static bool move(struct soft_cpu *c, const struct soft_insn *i, enum kind kind)
{
	unsigned int n = i->modrm & 7;
	struct x87_reg v;

	if (!valid(c, kind == LOAD ? n : 0) || (kind == LOAD && valid(c, 7)) ||
	    (kind == SWAP && !valid(c, n)))
		return false;
	memcpy(v.b, c->fx.st[kind == LOAD ? n : 0].b, 10);
	if (kind == LOAD) {
		push(c, v.b);
	} else {
		if (kind == SWAP)
			put_reg(c, 0, c->fx.st[n].b);
		put_reg(c, n, v.b);
		if (kind == STORE)
			c->fx.ftw |= (uint8_t)(1U << ((top_of(c) + n) & 7));
		if (kind == STORE && !(i->opcode == 0xdd && (i->modrm & 8) == 0))
			pop(c);
	}
	put_conditions(c, 0, C1);
	return true;
}

/* The same with ST(i) as ST(1). */
static const uint8_t *reg_stub(const struct soft_insn *i, enum kind kind)
{
	unsigned int modrm = i->modrm & 63;

	if (kind == TWO && (modrm & 7))
		modrm = (modrm & 0x38) | 1;
	return soft_x87_reg[(i->opcode & 7U) << 6 | modrm];
}

bool soft_x87_reg_short(struct soft_cpu *c, const struct soft_insn *i, uint32_t *ret_flags)
{
	unsigned int k = kind_of(i), other = 1, n = 1;
	enum kind kind = (enum kind)(k & ~(ALL | NONE));
	struct x87_reg regs[2];
	uint32_t r;

	*ret_flags = soft_flags_arith(c);
	if (kind == LONG || !all_masked(c))
		return false;
	if (kind >= LOAD)
		return move(c, i, kind);
	if (kind == TWO)
		other = i->modrm & 7;
	if (kind == PUSH)
		n = 0;
	else if (kind >= TWO && other)
		n = 2;
	if (n ? !valid(c, 0) || (n == 2 && !valid(c, other)) : valid(c, 7))
		return false;
	memcpy(regs[0].b, c->fx.st[0].b, 10);
	memcpy(regs[1].b, c->fx.st[other].b, 10);
	r = run(c, regs, reg_stub(i, kind), n, NULL, *ret_flags);
	put_results(c, regs, n, other, r);
	put_conditions(c, r, k & ALL ? C_ALL : k & NONE ? 0 : C1);
	*ret_flags = r >> 16;
	return true;
}
