/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHL, SHR, SAR, ROL, ROR, RCL, RCR, SHLD, SHRD. A count of 0 changes no flag. OF is defined for
 * counts of 1 only; for others it is what the formula for 1 gives.
 */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

enum shift { SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHL, SH_SHR, SH_SAL, SH_SAR };

INLINE int64_t as_signed(uint64_t v, unsigned int w)
{
	unsigned int shift = 64 - 8 * w;

	return (int64_t)(v << shift) >> shift;
}

/* ---- shifts: 1 to 63 bits, at 8 and 16 bits possibly further than the operand is wide ---- */

INLINE uint64_t shift_result(enum shift op, unsigned int w, uint64_t a, unsigned int n)
{
	switch (op) {
	case SH_SHL:
	case SH_SAL:
		return a << n & width_mask(w);
	case SH_SHR:
		return a >> n;
	default:
		return (uint64_t)(as_signed(a, w) >> n) & width_mask(w);
	}
}

INLINE void shift_flags(struct soft_cpu *c, enum shift op, unsigned int w, uint64_t r, uint64_t a,
			unsigned int n)
{
	unsigned int bits = 8 * w;
	uint64_t carry, overflow;

	if (op == SH_SHL || op == SH_SAL) {
		carry = n <= bits ? a >> (bits - n) & 1 : 0;
		overflow = (r >> (bits - 1) & 1) ^ carry;
	} else if (op == SH_SHR) {
		carry = a >> (n - 1) & 1;
		overflow = ((r << 1 ^ r) >> (bits - 1)) & 1;
	} else {
		carry = (uint64_t)(as_signed(a, w) >> (n - 1)) & 1;
		overflow = 0;
	}
	cc_set(c, CC_SHL, w, r, carry | overflow << 1, 0);
}

/* ---- rotates: CF and OF only ---- */

INLINE uint64_t rotate_left(uint64_t a, unsigned int w, unsigned int n)
{
	unsigned int bits = 8 * w;

	/* cppcheck-suppress zerodivcond; n may well be 0, bits is not */
	n %= bits;
	return n ? (a << n | a >> (bits - n)) & width_mask(w) : a;
}

INLINE void put_carry_overflow(struct soft_cpu *c, uint64_t carry, uint64_t overflow)
{
	uint32_t f = soft_flags_arith(c) & ~(FL_CF | FL_OF);

	soft_flags_put(c, f | (carry ? FL_CF : 0) | (overflow ? FL_OF : 0));
}

INLINE void rotate_flags(struct soft_cpu *c, const struct soft_insn *i, enum shift op,
			 unsigned int w, uint64_t r)
{
	uint64_t top = r >> (8 * w - 1) & 1;

	if (i->flags_dead)
		return;
	if (op == SH_ROL)
		put_carry_overflow(c, r & 1, top ^ (r & 1));
	else
		put_carry_overflow(c, top, top ^ (r >> (8 * w - 2) & 1));
}

/* Through carry: a rotation of bits + 1; *carry in and out. n is 1 to bits. */
INLINE uint64_t rotate_carry(enum shift op, unsigned int w, uint64_t a, unsigned int n,
			     uint64_t *carry)
{
	unsigned int bits = 8 * w;
	uint64_t r, out;

	if (op == SH_RCL) {
		out = a >> (bits - n) & 1;
		r = (n < bits ? a << n : 0) | *carry << (n - 1);
		if (n > 1)
			r |= a >> (bits + 1 - n);
	} else {
		out = a >> (n - 1) & 1;
		r = (n < bits ? a >> n : 0) | *carry << (bits - n);
		if (n > 1)
			r |= a << (bits + 1 - n);
	}
	*carry = out;
	return r & width_mask(w);
}

INLINE uint64_t through_carry(struct soft_cpu *c, enum shift op, unsigned int w, uint64_t a,
			      unsigned int n)
{
	uint64_t carry = cc_carry(c), r, top;

	n %= 8 * w + 1;
	if (!n)
		return a;
	r = rotate_carry(op, w, a, n, &carry);
	top = r >> (8 * w - 1) & 1;
	put_carry_overflow(c, carry, op == SH_RCL ? top ^ carry : top ^ (r >> (8 * w - 2) & 1));
	return r;
}

/* ---- all of them ---- */

/* Computes and sets flags; n is not 0. */
INLINE uint64_t shift_any(struct soft_cpu *c, const struct soft_insn *i, enum shift op,
			  unsigned int w, uint64_t a, unsigned int n)
{
	uint64_t r;

	switch (op) {
	case SH_ROL:
	case SH_ROR:
		r = rotate_left(a, w, op == SH_ROL ? n : 8 * w - n % (8 * w));
		rotate_flags(c, i, op, w, r);
		return r;
	case SH_RCL:
	case SH_RCR:
		return through_carry(c, op, w, a, n);
	default:
		r = shift_result(op, w, a, n);
		shift_flags(c, op, w, r, a, n);
		return r;
	}
}

INLINE void shift_reg(struct soft_cpu *c, const struct soft_insn *i, enum shift op, unsigned int w,
		      unsigned int n)
{
	uint64_t a = reg_get(c, i, i->rm, w);

	n &= w == 8 ? 63 : 31;
	/* a 32-bit destination is cleared above even when the count is 0 */
	reg_put(c, i, i->rm, w, n ? shift_any(c, i, op, w, a, n) : a);
}

/* LOCK is not allowed with any of these. */
INLINE void shift_mem(struct soft_cpu *c, const struct soft_insn *i, enum shift op, unsigned int w,
		      unsigned int n)
{
	struct rmw m = rmw_begin(c, i, w, mem_hit(c, i, w, ACC_WRITE));

	n &= w == 8 ? 63 : 31;
	if (n)
		(void)rmw_end(c, i, w, &m, shift_any(c, i, op, w, m.old, n));
}

/* clang-format off */
#define SHIFT_W(name, op, w)                                                                  \
	OP(name##_ri##w) { shift_reg(c, i, op, w, (unsigned int)i->imm); return soft_next(c, i); } \
	OP(name##_rc##w) { shift_reg(c, i, op, w, (unsigned int)c->gpr[R_CX]); return soft_next(c, i); } \
	OP(name##_r1##w) { shift_reg(c, i, op, w, 1); return soft_next(c, i); }               \
	OP(name##_mi##w) { shift_mem(c, i, op, w, (unsigned int)i->imm); return soft_next(c, i); } \
	OP(name##_mc##w) { shift_mem(c, i, op, w, (unsigned int)c->gpr[R_CX]); return soft_next(c, i); } \
	OP(name##_m1##w) { shift_mem(c, i, op, w, 1); return soft_next(c, i); }

#define SHIFT(name, op) SHIFT_W(name, op, 1) SHIFT_W(name, op, 2) SHIFT_W(name, op, 4) SHIFT_W(name, op, 8)
/* clang-format on */

SHIFT(rol, SH_ROL)
SHIFT(ror, SH_ROR)
SHIFT(rcl, SH_RCL)
SHIFT(rcr, SH_RCR)
SHIFT(shl, SH_SHL)
SHIFT(shr, SH_SHR)
SHIFT(sar, SH_SAR)

/* clang-format off */
#define FORM(name, form) { name##_##form##1, name##_##form##2, name##_##form##4, name##_##form##8 }
#define FORMS(name)                                                                           \
	{ { FORM(name, ri), FORM(name, r1), FORM(name, rc) },                                 \
	  { FORM(name, mi), FORM(name, m1), FORM(name, mc) } }
/* clang-format on */

/* By ModRM.reg, memory, count (imm8, 1, CL), width. SAL is SHL. */
static const soft_handler forms[8][2][3][4] = { FORMS(rol), FORMS(ror), FORMS(rcl), FORMS(rcr),
						FORMS(shl), FORMS(shr), FORMS(shl), FORMS(sar) };

/* C0, C1: imm8; D0, D1: 1; D2, D3: CL. */
soft_handler pick_shift(const struct soft_insn *i)
{
	unsigned int count = i->opcode < 0xd0 ? 0 : i->opcode < 0xd2 ? 1 : 2;

	return forms[i->modrm >> 3 & 7][i->is_mem][count][log2_width(i->width)];
}

/* ---- SHLD, SHRD ---- */

/* A 16-bit count above 16 is undefined; the operand then rotates in again. */
INLINE uint64_t double_shift(struct soft_cpu *c, unsigned int w, bool left, uint64_t a, uint64_t b,
			     unsigned int n)
{
	unsigned int bits = 8 * w;
	uint64_t r, carry, sign = width_sign(w);
	wide both;

	if (left) {
		both = (wide)a << bits | b;
		if (w == 2)
			both = both << 16 | a;
		both <<= n;
		r = (uint64_t)(both >> (w == 2 ? 32 : bits));
		carry = n <= bits ? a >> (bits - n) & 1 : b >> (2 * bits - n) & 1;
	} else {
		both = (wide)b << bits | a;
		if (w == 2)
			both |= (wide)a << 32;
		r = (uint64_t)(both >> n);
		carry = n <= bits ? a >> (n - 1) & 1 : b >> (n - 1 - bits) & 1;
	}
	r &= width_mask(w);
	cc_set(c, CC_SHL, w, r, carry | ((r ^ a) & sign ? 2 : 0), 0);
	return r;
}

BODY_RM(shift_double)
{
	bool left = i->opcode < 0xa8;
	unsigned int n = (unsigned int)(i->opcode & 1 ? c->gpr[R_CX] : (uint64_t)i->imm);
	uint64_t b = reg_get(c, i, i->reg, w), a, r;
	struct rmw m;

	n &= w == 8 ? 63 : 31;
	if (mem)
		m = rmw_begin(c, i, w, p);
	a = mem ? m.old : reg_get(c, i, i->rm, w);
	r = n ? double_shift(c, w, left, a, b, n) : a;
	if (!mem)
		reg_put(c, i, i->rm, w, r);
	else if (n)
		(void)rmw_end(c, i, w, &m, r);
	return soft_next(c, i);
}

OP_RM_WRITE(shift_double_w, shift_double)

soft_handler pick_shift_double(const struct soft_insn *i)
{
	return shift_double_w(i);
}
