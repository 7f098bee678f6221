/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, OR, ADC, SBB, AND, SUB, XOR, CMP, TEST, INC, DEC, NEG, NOT. */
#include "cmd/vmm/accel/soft/exec.h"
#include "cmd/vmm/accel/soft/operand.h"

enum alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP };

INLINE uint64_t alu_result(enum alu op, uint64_t a, uint64_t b, uint64_t carry)
{
	/* clang-format off */
	switch (op) {
	case ALU_ADD: return a + b;
	case ALU_OR: return a | b;
	case ALU_ADC: return a + b + carry;
	case ALU_SBB: return a - b - carry;
	case ALU_AND: return a & b;
	case ALU_SUB:
	case ALU_CMP: return a - b;
	case ALU_XOR: return a ^ b;
	}
	/* clang-format on */
	return 0;
}

INLINE void alu_flags(struct soft_cpu *c, enum alu op, unsigned int width, uint64_t r, uint64_t a,
		      uint64_t b, uint64_t carry)
{
	/* clang-format off */
	switch (op) {
	case ALU_ADD: cc_set(c, CC_ADD, width, r, a, b); break;
	case ALU_ADC: cc_set(c, CC_ADD + (enum soft_cc)carry * (CC_ADC - CC_ADD), width, r, a, b); break;
	case ALU_SBB: cc_set(c, CC_SUB + (enum soft_cc)carry * (CC_SBB - CC_SUB), width, r, a, b); break;
	case ALU_SUB:
	case ALU_CMP: cc_set(c, CC_SUB, width, r, a, b); break;
	case ALU_OR:
	case ALU_AND:
	case ALU_XOR: cc_set(c, CC_LOGIC, width, r, 0, 0); break;
	}
	/* clang-format on */
}

INLINE bool takes_carry(enum alu op)
{
	return op == ALU_ADC || op == ALU_SBB;
}

/* A number that nothing branches on. */
INLINE uint64_t alu_carry(const struct soft_cpu *c, enum alu op)
{
	uint64_t carry = takes_carry(op) && cc_carry_near(c);

	__asm__("" : "+r"(carry));
	return carry;
}

/* Works the flags out, and runs the instruction once more: a call at the very end, see RM_MEM. */
MISS_OP(settle_carry)
{
	soft_flags_put(c, soft_flags_arith(c));
	return i->fn(c, i);
}

/* Before anything else of an instruction that takes the carry. */
#define NEAR_CARRY(op)                                                      \
	do {                                                                \
		if (takes_carry(op) && __builtin_expect(!cc_is_near(c), 0)) \
			return settle_carry(c, i);                          \
	} while (0)

/* Register destination; the source is at hand. */
INLINE void alu_reg(struct soft_cpu *c, const struct soft_insn *i, enum alu op, unsigned int width,
		    unsigned int dst, uint64_t b)
{
	uint64_t carry = alu_carry(c, op);
	uint64_t a = reg_get(c, i, dst, width);
	uint64_t r = alu_result(op, a, b, carry) & width_mask(width);

	if (op != ALU_CMP)
		reg_put(c, i, dst, width, r);
	alu_flags(c, op, width, r, a, b, carry);
}

INLINE void alu_mem(struct soft_cpu *c, const struct soft_insn *i, enum alu op, unsigned int width,
		    uint64_t b, void *p)
{
	uint64_t carry = alu_carry(c, op);
	struct rmw m;
	uint64_t r;

	if (op == ALU_CMP) {
		m.old = src_get(c, i, width, true, p);
		r = (m.old - b) & width_mask(width);
		alu_flags(c, op, width, r, m.old, b, false);
		return;
	}
	m = rmw_begin(c, i, width, p);
	do
		r = alu_result(op, m.old, b, carry) & width_mask(width);
	while (!rmw_end(c, i, width, &m, r));
	alu_flags(c, op, width, r, m.old, b, carry);
}

#define ALU_MEM(name, op, w, kind, statement) \
	BODY_RM(name##_body##w)               \
	{                                     \
		NEAR_CARRY(op);               \
		statement;                    \
		return soft_next(c, i);       \
	}                                     \
	RM_MEM(name, name##_body##w, kind, w, w)

/* The forms of each operation at each width. */
#define ALU_FORMS(name, op, w)                                                 \
	OP(name##_rm_r_##w) /* r/m, r: registers */                            \
	{                                                                      \
		NEAR_CARRY(op);                                                \
		alu_reg(c, i, op, w, i->rm, reg_get(c, i, i->reg, w));         \
		return soft_next(c, i);                                        \
	}                                                                      \
	ALU_MEM(name##_mr, op, w, op == ALU_CMP ? ACC_READ : ACC_WRITE,        \
		alu_mem(c, i, op, w, reg_get(c, i, i->reg, w), p))             \
	OP(name##_r_rm_##w)                                                    \
	{                                                                      \
		NEAR_CARRY(op);                                                \
		alu_reg(c, i, op, w, i->reg, reg_get(c, i, i->rm, w));         \
		return soft_next(c, i);                                        \
	}                                                                      \
	ALU_MEM(name##_rm, op, w, ACC_READ,                                    \
		alu_reg(c, i, op, w, i->reg, src_get(c, i, w, true, p)))       \
	OP(name##_r_i_##w)                                                     \
	{                                                                      \
		NEAR_CARRY(op);                                                \
		alu_reg(c, i, op, w, i->rm, width_mask(w) & (uint64_t)i->imm); \
		return soft_next(c, i);                                        \
	}                                                                      \
	ALU_MEM(name##_mi, op, w, op == ALU_CMP ? ACC_READ : ACC_WRITE,        \
		alu_mem(c, i, op, w, (uint64_t)i->imm & width_mask(w), p))     \
	OP(name##_a_i_##w)                                                     \
	{                                                                      \
		NEAR_CARRY(op);                                                \
		alu_reg(c, i, op, w, R_AX, width_mask(w) & (uint64_t)i->imm);  \
		return soft_next(c, i);                                        \
	}

#define ALU_ALL(name, op) \
	ALU_FORMS(name, op, 1) ALU_FORMS(name, op, 2) ALU_FORMS(name, op, 4) ALU_FORMS(name, op, 8)

ALU_ALL(add, ALU_ADD)
ALU_ALL(or, ALU_OR)
ALU_ALL(adc, ALU_ADC)
ALU_ALL(sbb, ALU_SBB)
ALU_ALL(and, ALU_AND)
ALU_ALL(sub, ALU_SUB)
ALU_ALL(xor, ALU_XOR)
ALU_ALL(cmp, ALU_CMP)

/* clang-format off */
#define ROW_W(name, form) { name##_##form##1, name##_##form##2, name##_##form##4, name##_##form##8 }
#define ROWS(form)                                                                            \
	{                                                                                     \
		ROW_W(add, form), ROW_W(or, form), ROW_W(adc, form), ROW_W(sbb, form),        \
			ROW_W(and, form), ROW_W(sub, form), ROW_W(xor, form),                 \
			ROW_W(cmp, form)                                                      \
	}
/* clang-format on */

static const soft_handler forms_rm_r[8][4] = ROWS(rm_r_);
static const soft_handler forms_m_r[8][4] = ROWS(mr_m);
static const soft_handler forms_r_rm[8][4] = ROWS(r_rm_);
static const soft_handler forms_r_m[8][4] = ROWS(rm_m);
static const soft_handler forms_r_i[8][4] = ROWS(r_i_);
static const soft_handler forms_m_i[8][4] = ROWS(mi_m);
static const soft_handler forms_a_i[8][4] = ROWS(a_i_);

/* LOCK CMP is #UD. */
soft_handler pick_alu_rm_r(const struct soft_insn *i)
{
	unsigned int op = i->opcode >> 3 & 7, w = log2_width(i->width);

	if (i->lock && op == ALU_CMP)
		return NULL;
	return i->is_mem ? forms_m_r[op][w] : forms_rm_r[op][w];
}

/* XOR r, r clears the register whatever it held. */
soft_handler pick_alu_r_rm(const struct soft_insn *i)
{
	unsigned int op = i->opcode >> 3 & 7, w = log2_width(i->width);

	return i->is_mem ? forms_r_m[op][w] : forms_r_rm[op][w];
}

soft_handler pick_alu_a_i(const struct soft_insn *i)
{
	return forms_a_i[i->opcode >> 3 & 7][log2_width(i->width)];
}

soft_handler pick_alu_group1(const struct soft_insn *i)
{
	unsigned int op = i->modrm >> 3 & 7, w = log2_width(i->width);

	if (i->lock && op == ALU_CMP)
		return NULL;
	return i->is_mem ? forms_m_i[op][w] : forms_r_i[op][w];
}

/* ---- TEST ---- */

BODY_RM(test_rm_r)
{
	cc_set(c, CC_LOGIC, w, src_get(c, i, w, mem, p) & reg_get(c, i, i->reg, w), 0, 0);
	return soft_next(c, i);
}

BODY_RM(test_rm_i)
{
	cc_set(c, CC_LOGIC, w, src_get(c, i, w, mem, p) & (uint64_t)i->imm & width_mask(w), 0, 0);
	return soft_next(c, i);
}

INLINE const struct soft_insn *test_a_i(struct soft_cpu *c, const struct soft_insn *i,
					unsigned int w)
{
	cc_set(c, CC_LOGIC, w, c->gpr[R_AX] & (uint64_t)i->imm & width_mask(w), 0, 0);
	return soft_next(c, i);
}

OP_RM_READ(test_rm_r_w, test_rm_r)
OP_RM_READ(test_rm_i_w, test_rm_i)
OP_WIDTHS(test_a_i_w, test_a_i)

/* clang-format off */
soft_handler pick_test_rm_r(const struct soft_insn *i) { return test_rm_r_w(i); }
soft_handler pick_test_rm_i(const struct soft_insn *i) { return test_rm_i_w(i); }
soft_handler pick_test_a_i(const struct soft_insn *i) { return test_a_i_w(i); }
/* clang-format on */

/* ---- INC, DEC, NEG, NOT ---- */

enum unary { UN_INC, UN_DEC, UN_NEG, UN_NOT };

INLINE uint64_t unary_result(enum unary op, uint64_t a)
{
	/* clang-format off */
	switch (op) {
	case UN_INC: return a + 1;
	case UN_DEC: return a - 1;
	case UN_NEG: return -a;
	case UN_NOT: return ~a;
	}
	/* clang-format on */
	return 0;
}

INLINE void unary_flags(struct soft_cpu *c, enum unary op, unsigned int w, uint64_t r, uint64_t a,
			bool carry)
{
	if (op == UN_INC)
		cc_set(c, CC_INC, w, r, a, carry);
	else if (op == UN_DEC)
		cc_set(c, CC_DEC, w, r, a, carry);
	else if (op == UN_NEG)
		cc_set(c, CC_SUB, w, r, 0, a);
}

INLINE const struct soft_insn *unary(struct soft_cpu *c, const struct soft_insn *i, enum unary op,
				     unsigned int w, bool mem, void *p)
{
	bool carry = op <= UN_DEC && !i->flags_dead && cc_carry(c);
	struct rmw m;
	uint64_t r;

	if (!mem) {
		m.old = reg_get(c, i, i->rm, w);
		r = unary_result(op, m.old) & width_mask(w);
		reg_put(c, i, i->rm, w, r);
	} else {
		m = rmw_begin(c, i, w, p);
		do
			r = unary_result(op, m.old) & width_mask(w);
		while (!rmw_end(c, i, w, &m, r));
	}
	unary_flags(c, op, w, r, m.old, carry);
	return soft_next(c, i);
}

BODY_RM(inc)
{
	return unary(c, i, UN_INC, w, mem, p);
}

BODY_RM(dec)
{
	return unary(c, i, UN_DEC, w, mem, p);
}

BODY_RM(neg)
{
	return unary(c, i, UN_NEG, w, mem, p);
}

BODY_RM(invert)
{
	return unary(c, i, UN_NOT, w, mem, p);
}

OP_RM_WRITE(inc_w, inc)
OP_RM_WRITE(dec_w, dec)
OP_RM_WRITE(neg_w, neg)
OP_RM_WRITE(not_w, invert)

/* clang-format off */
soft_handler pick_inc(const struct soft_insn *i) { return inc_w(i); }
soft_handler pick_dec(const struct soft_insn *i) { return dec_w(i); }
soft_handler pick_neg(const struct soft_insn *i) { return neg_w(i); }
soft_handler pick_not(const struct soft_insn *i) { return not_w(i); }
/* clang-format on */

/* INC and DEC by opcode 40 to 4F, outside 64-bit code. */
const struct soft_insn *op_inc_reg(struct soft_cpu *c, const struct soft_insn *i)
{
	bool carry = cc_carry(c);
	unsigned int r = i->opcode & 7;
	uint64_t a = reg_get(c, i, r, i->width);
	bool down = i->opcode & 8;
	uint64_t v = (down ? a - 1 : a + 1) & width_mask(i->width);

	reg_put(c, i, r, i->width, v);
	cc_set(c, down ? CC_DEC : CC_INC, i->width, v, a, carry);
	return soft_next(c, i);
}
