/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lazy arithmetic flags: an operation leaves its result and operands, and the flags are worked out
 * when something asks. Widths are 1, 2, 4, 8 bytes; values are kept zero-extended at their width.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FLAGS_H
#define BULKHEAD_VMM_ACCEL_SOFT_FLAGS_H

#include "cmd/vmm/accel/soft/soft.h"

/* The operation, its width's exponent in the low two bits. */
enum soft_cc {
	CC_FLAGS = 0 << 2, /* dst holds the flags themselves */
	CC_ADD = 1 << 2,   /* dst = src1 + src2 */
	CC_SUB = 2 << 2,   /* dst = src1 - src2, CMP too */
	CC_LOGIC = 3 << 2, /* CF, OF, AF clear */
	CC_ADC = 4 << 2,   /* with carry in: src1 + src2 + 1; CC_ADD otherwise */
	CC_SBB = 5 << 2,   /* src1 - src2 - 1 */
	CC_INC = 6 << 2,   /* CF kept: src2 holds the old one */
	CC_DEC = 7 << 2,
	CC_SHL = 8 << 2, /* src1: CF in bit 0, OF in bit 1 */
};

static inline unsigned int cc_width_log2(uint32_t op)
{
	return op & 3;
}

static inline uint64_t width_mask(unsigned int width)
{
	return width == 8 ? UINT64_MAX : (1ULL << (8 * width)) - 1;
}

static inline uint64_t width_sign(unsigned int width)
{
	return 1ULL << (8 * width - 1);
}

static inline unsigned int log2_width(unsigned int width)
{
	return (unsigned int)__builtin_ctz(width);
}

static inline void cc_set(struct soft_cpu *c, enum soft_cc op, unsigned int width, uint64_t dst,
			  uint64_t src1, uint64_t src2)
{
	c->cc = (struct soft_lazy){ (uint32_t)op | log2_width(width), dst, src1, src2 };
}

/* The six arithmetic flags. */
uint32_t soft_flags_arith(const struct soft_cpu *c);

/* Replaces the six arithmetic flags. */
static inline void soft_flags_put(struct soft_cpu *c, uint32_t flags)
{
	c->cc = (struct soft_lazy){ CC_FLAGS, flags & FL_ARITH, 0, 0 };
}

static inline bool cc_zero(const struct soft_cpu *c)
{
	return (c->cc.op >> 2) == 0 ? c->cc.dst & FL_ZF : c->cc.dst == 0;
}

/* Whether the carry is easily had. */
static inline bool cc_is_near(const struct soft_cpu *c)
{
	return c->cc.op <= (CC_SBB | 3);
}

/* It then; no branch but for flags that were put: what is added has no pattern to foretell. */
static inline bool cc_carry_near(const struct soft_cpu *c)
{
	uint32_t kind = c->cc.op & ~3U;
	bool adds = (kind == CC_ADD) | (kind == CC_ADC);
	uint64_t a = adds ? c->cc.dst : c->cc.src1, b = adds ? c->cc.src1 : c->cc.src2;

	if (kind == CC_FLAGS)
		return c->cc.dst & FL_CF;
	return (a < b) | ((kind >= CC_ADC) & (a == b));
}

bool soft_carry_slow(const struct soft_cpu *c);

static inline bool cc_carry(const struct soft_cpu *c)
{
	return cc_is_near(c) ? cc_carry_near(c) : soft_carry_slow(c);
}

/* Condition codes 0 to 15 of Jcc, SETcc, CMOVcc. */
bool soft_condition_slow(const struct soft_cpu *c, unsigned int cc);

static inline int64_t cc_extend(uint64_t v, uint32_t op)
{
	unsigned int shift = 64 - (8U << (op & 3));

	return (int64_t)(v << shift) >> shift;
}

/* The condition where it is easily had: 0 or 1; -1: ask soft_condition_slow. */
static inline __attribute__((always_inline)) int condition_fast(const struct soft_cpu *c,
								unsigned int cc)
{
	uint32_t op = c->cc.op, kind = op & ~3U;
	uint64_t a = c->cc.src1, b = c->cc.src2, r = c->cc.dst;
	unsigned int inverse = cc & 1;

	if (kind == CC_SUB) { /* compare and jump: nearly all there are */
		/* clang-format off */
		switch (cc >> 1) {
		case 1: return (a < b) ^ inverse;
		case 2: return (r == 0) ^ inverse;
		case 3: return (a <= b) ^ inverse;
		case 4: return (cc_extend(r, op) < 0) ^ inverse;
		case 6: return (cc_extend(a, op) < cc_extend(b, op)) ^ inverse;
		case 7: return (cc_extend(a, op) <= cc_extend(b, op)) ^ inverse;
		}
		/* clang-format on */
		return -1;
	}
	if (kind == CC_LOGIC) {
		/* clang-format off */
		switch (cc >> 1) {
		case 0:
		case 1: return (int)inverse;
		case 2:
		case 3: return (r == 0) ^ inverse;
		case 4:
		case 6: return (cc_extend(r, op) < 0) ^ inverse;
		case 7: return (cc_extend(r, op) <= 0) ^ inverse;
		}
		/* clang-format on */
		return -1;
	}
	if (kind == CC_FLAGS) {
		/* clang-format off */
		switch (cc >> 1) {
		case 0: return !!(r & FL_OF) ^ inverse;
		case 1: return !!(r & FL_CF) ^ inverse;
		case 2: return !!(r & FL_ZF) ^ inverse;
		case 3: return !!(r & (FL_CF | FL_ZF)) ^ inverse;
		case 4: return !!(r & FL_SF) ^ inverse;
		}
		/* clang-format on */
		return -1;
	}
	switch (cc >> 1) { /* the result says it, whatever the operation */
	case 2:
		return (r == 0) ^ inverse;
	case 4:
		return (cc_extend(r, op) < 0) ^ inverse;
	}
	return -1;
}

static inline bool soft_condition(const struct soft_cpu *c, unsigned int cc)
{
	int known = condition_fast(c, cc);

	return __builtin_expect(known < 0, 0) ? soft_condition_slow(c, cc) : known;
}

#endif
