/* SPDX-License-Identifier: Apache-2.0 */
/* MUL, IMUL, DIV, IDIV; the decimal adjustments of legacy modes. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

INLINE int64_t as_signed(uint64_t v, unsigned int w)
{
	unsigned int shift = 64 - 8 * w;

	return (int64_t)(v << shift) >> shift;
}

/* CF and OF: the upper half matters. The other flags are undefined. */
INLINE void mul_flags(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, uint64_t low,
		      bool big)
{
	if (!i->flags_dead)
		cc_set(c, CC_SHL, w, low & width_mask(w), big ? 3 : 0, 0);
}

/* The double-width result to AX, or DX:AX. */
INLINE void put_double(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, uint64_t low,
		       uint64_t high)
{
	if (w == 1) {
		reg_put(c, i, R_AX, 2, (low & 0xff) | (high & 0xff) << 8);
		return;
	}
	reg_put(c, i, R_AX, w, low);
	reg_put(c, i, R_DX, w, high);
}

BODY_RM(mul)
{
	wide r = (wide)src_get(c, i, w, mem, p) * reg_get(c, i, R_AX, w);
	uint64_t low = (uint64_t)r & width_mask(w), high = (uint64_t)(r >> (8 * w)) & width_mask(w);

	put_double(c, i, w, low, high);
	mul_flags(c, i, w, low, high != 0);
	return soft_next(c, i);
}

/* A product whose signed value does not fit the operand size. */
INLINE bool imul_big(wide_signed r, unsigned int w)
{
	return r != as_signed((uint64_t)r & width_mask(w), w);
}

BODY_RM(imul)
{
	wide_signed r = (wide_signed)as_signed(src_get(c, i, w, mem, p), w) *
			as_signed(reg_get(c, i, R_AX, w), w);

	put_double(c, i, w, (uint64_t)r, (uint64_t)(r >> (8 * w)));
	mul_flags(c, i, w, (uint64_t)r, imul_big(r, w));
	return soft_next(c, i);
}

INLINE void imul_to_reg(struct soft_cpu *c, const struct soft_insn *i, unsigned int w, uint64_t a,
			uint64_t b)
{
	wide_signed r = (wide_signed)as_signed(a, w) * as_signed(b, w);

	reg_put(c, i, i->reg, w, (uint64_t)r);
	mul_flags(c, i, w, (uint64_t)r, imul_big(r, w));
}

BODY_RM(imul_r)
{
	imul_to_reg(c, i, w, src_get(c, i, w, mem, p), reg_get(c, i, i->reg, w));
	return soft_next(c, i);
}

BODY_RM(imul_i)
{
	imul_to_reg(c, i, w, src_get(c, i, w, mem, p), (uint64_t)i->imm);
	return soft_next(c, i);
}

/* ---- DIV, IDIV ---- */

struct quotient {
	uint64_t q, r;
};

/* What is checked has to be what divides, or the host faults: other CPUs and devices write to guest
 * memory, and the compiler would be free to read an operand there twice, even in the division itself. */
INLINE uint64_t read_once(uint64_t v)
{
	__asm__("" : "+r"(v));
	return v;
}

/* The upper half is below the divisor, so the quotient fits. */
static struct quotient div64(uint64_t high, uint64_t low, uint64_t d)
{
	struct quotient r;

	__asm__("divq %4" : "=a"(r.q), "=d"(r.r) : "a"(low), "d"(high), "r"(d) : "cc");
	return r;
}

BODY_RM(div)
{
	uint64_t d = read_once(src_get(c, i, w, mem, p));
	uint64_t low = reg_get(c, i, R_AX, w);
	uint64_t high = w == 1 ? c->gpr[R_AX] >> 8 & 0xff : reg_get(c, i, R_DX, w);
	struct quotient r;

	if (high >= d) /* too large, or by 0 */
		soft_raise(c, EX_DE);
	if (w == 8) {
		r = div64(high, low, d);
	} else {
		uint64_t n = high << (8 * w) | low;

		r = (struct quotient){ n / d, n % d };
	}
	put_double(c, i, w, r.q, r.r);
	return soft_next(c, i);
}

/* By magnitudes; the remainder has the dividend's sign. */
BODY_RM(idiv)
{
	int64_t d = as_signed(read_once(src_get(c, i, w, mem, p)), w);
	uint64_t low = reg_get(c, i, R_AX, w);
	uint64_t high = w == 1 ? c->gpr[R_AX] >> 8 & 0xff : reg_get(c, i, R_DX, w);
	bool negative = high & width_sign(w);
	wide n = (wide)(wide_signed)as_signed(high, w) << (8 * w) | low;
	uint64_t size = d < 0 ? -(uint64_t)d : (uint64_t)d, limit;
	struct quotient r;

	if (negative)
		n = -n;
	if ((uint64_t)(n >> 64) >= size)
		soft_raise(c, EX_DE);
	r = div64((uint64_t)(n >> 64), (uint64_t)n, size);
	limit = width_sign(w) - (negative == (d < 0));
	if (r.q > limit)
		soft_raise(c, EX_DE);
	put_double(c, i, w, negative == (d < 0) ? r.q : -r.q, negative ? -r.r : r.r);
	return soft_next(c, i);
}

OP_RM_READ(mul_w, mul)
OP_RM_READ(imul_w, imul)
OP_RM_READ(imul_r_w, imul_r)
OP_RM_READ(imul_i_w, imul_i)
OP_RM_READ(div_w, div)
OP_RM_READ(idiv_w, idiv)

/* clang-format off */
soft_handler pick_mul(const struct soft_insn *i) { return mul_w(i); }
soft_handler pick_imul(const struct soft_insn *i) { return imul_w(i); }
soft_handler pick_imul_r(const struct soft_insn *i) { return imul_r_w(i); }
soft_handler pick_imul_i(const struct soft_insn *i) { return imul_i_w(i); }
soft_handler pick_div(const struct soft_insn *i) { return div_w(i); }
soft_handler pick_idiv(const struct soft_insn *i) { return idiv_w(i); }
/* clang-format on */

/* ---- decimal adjustments: SDM volume 2, under each name ---- */

static void put_al(struct soft_cpu *c, uint64_t al)
{
	c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffULL) | (al & 0xff);
}

static void put_decimal_flags(struct soft_cpu *c, bool carry, bool half)
{
	uint8_t al = (uint8_t)c->gpr[R_AX];

	soft_flags_put(c, (carry ? FL_CF : 0) | (half ? FL_AF : 0) | (al ? 0 : FL_ZF) |
				  (al & 0x80 ? FL_SF : 0) | (__builtin_parity(al) ? 0 : FL_PF));
}

/* DAA and DAS */
const struct soft_insn *op_daa(struct soft_cpu *c, const struct soft_insn *i)
{
	uint32_t f = soft_flags_arith(c);
	uint8_t old = (uint8_t)c->gpr[R_AX];
	bool down = i->opcode == 0x2f;
	bool half = (old & 0xf) > 9 || (f & FL_AF);
	bool high = old > 0x99 || (f & FL_CF);
	bool carry = high;
	int al = old;

	if (half) {
		al += down ? -6 : 6;
		if (down)
			carry = carry || old < 6;
	}
	if (high)
		al += down ? -0x60 : 0x60;
	put_al(c, (uint64_t)(unsigned int)al);
	put_decimal_flags(c, carry, half);
	return soft_next(c, i);
}

/* AAA and AAS */
const struct soft_insn *op_aaa(struct soft_cpu *c, const struct soft_insn *i)
{
	bool down = i->opcode == 0x3f;
	bool adjust = (c->gpr[R_AX] & 0xf) > 9 || (soft_flags_arith(c) & FL_AF);
	uint16_t ax = (uint16_t)c->gpr[R_AX];

	if (adjust)
		ax = (uint16_t)(down ? ax - 0x106 : ax + 0x106);
	c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffffULL) | (ax & 0xff0f);
	put_decimal_flags(c, adjust, adjust);
	return soft_next(c, i);
}

const struct soft_insn *op_aam(struct soft_cpu *c, const struct soft_insn *i)
{
	uint8_t al = (uint8_t)c->gpr[R_AX], base = (uint8_t)i->imm;

	if (!base)
		soft_raise(c, EX_DE);
	/* cppcheck-suppress zerodivcond; soft_raise does not return */
	c->gpr[R_AX] = (c->gpr[R_AX] & ~0xffffULL) | (uint64_t)(al / base) << 8 | al % base;
	put_decimal_flags(c, false, false);
	return soft_next(c, i);
}

const struct soft_insn *op_aad(struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t ax = c->gpr[R_AX];
	uint8_t al = (uint8_t)(ax + (ax >> 8 & 0xff) * (uint8_t)i->imm);

	c->gpr[R_AX] = (ax & ~0xffffULL) | al;
	put_decimal_flags(c, false, false);
	return soft_next(c, i);
}
