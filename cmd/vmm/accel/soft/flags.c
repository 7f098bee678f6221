/* SPDX-License-Identifier: Apache-2.0 */
/* Lazy flags worked out; see flags.h. */
#include "cmd/vmm/accel/soft/flags.h"

#include "cmd/vmm/accel/soft/seg.h"

/* Bits of RFLAGS that exist. */
#define FL_KNOWN                                                                                \
	(FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_AC | FL_VIF | FL_VIP | \
	 FL_ID)

static uint32_t parity(uint64_t v)
{
	return __builtin_parity((unsigned int)(v & 0xff)) ? 0 : FL_PF;
}

static uint32_t result_flags(const struct soft_lazy *l, unsigned int width)
{
	return parity(l->dst) | (l->dst == 0 ? FL_ZF : 0) |
	       (l->dst & width_sign(width) ? FL_SF : 0);
}

static uint32_t add_flags(const struct soft_lazy *l, unsigned int width, bool carry)
{
	uint64_t overflow = (l->src1 ^ l->dst) & (l->src2 ^ l->dst) & width_sign(width);

	return (carry ? FL_CF : 0) | (overflow ? FL_OF : 0) |
	       ((l->src1 ^ l->src2 ^ l->dst) & 0x10 ? FL_AF : 0);
}

static uint32_t sub_flags(const struct soft_lazy *l, unsigned int width, bool borrow)
{
	uint64_t overflow = (l->src1 ^ l->src2) & (l->src1 ^ l->dst) & width_sign(width);

	return (borrow ? FL_CF : 0) | (overflow ? FL_OF : 0) |
	       ((l->src1 ^ l->src2 ^ l->dst) & 0x10 ? FL_AF : 0);
}

uint32_t soft_flags_arith(const struct soft_cpu *c)
{
	const struct soft_lazy *l = &c->cc;
	unsigned int width = 1U << cc_width_log2(l->op);

	switch (l->op & ~3U) {
	case CC_FLAGS:
		return (uint32_t)l->dst & FL_ARITH;
	case CC_ADD:
		return result_flags(l, width) | add_flags(l, width, l->dst < l->src1);
	case CC_ADC:
		return result_flags(l, width) | add_flags(l, width, l->dst <= l->src1);
	case CC_SUB:
		return result_flags(l, width) | sub_flags(l, width, l->src1 < l->src2);
	case CC_SBB:
		return result_flags(l, width) | sub_flags(l, width, l->src1 <= l->src2);
	case CC_LOGIC:
		return result_flags(l, width);
	case CC_INC:
		return result_flags(l, width) | (l->src2 ? FL_CF : 0) |
		       (l->dst == width_sign(width) ? FL_OF : 0) |
		       ((l->dst & 0xf) == 0 ? FL_AF : 0);
	case CC_DEC:
		return result_flags(l, width) | (l->src2 ? FL_CF : 0) |
		       (l->dst == width_sign(width) - 1 ? FL_OF : 0) |
		       ((l->dst & 0xf) == 0xf ? FL_AF : 0);
	case CC_SHL:
		return result_flags(l, width) | (l->src1 & 1 ? FL_CF : 0) |
		       (l->src1 & 2 ? FL_OF : 0);
	}
	return 0;
}

bool soft_carry_slow(const struct soft_cpu *c)
{
	return soft_flags_arith(c) & FL_CF;
}

bool soft_condition_slow(const struct soft_cpu *c, unsigned int cc)
{
	uint32_t f = soft_flags_arith(c);
	bool less = !(f & FL_SF) != !(f & FL_OF);
	bool r = false;

	/* clang-format off */
	switch (cc >> 1) {
	case 0: r = f & FL_OF; break;
	case 1: r = f & FL_CF; break;
	case 2: r = f & FL_ZF; break;
	case 3: r = f & (FL_CF | FL_ZF); break;
	case 4: r = f & FL_SF; break;
	case 5: r = f & FL_PF; break;
	case 6: r = less; break;
	case 7: r = less || (f & FL_ZF); break;
	}
	/* clang-format on */
	return r != (cc & 1);
}

uint64_t soft_flags_get(struct soft_cpu *c)
{
	return (c->rflags & ~(uint64_t)FL_ARITH) | soft_flags_arith(c) | 2;
}

void soft_flags_set(struct soft_cpu *c, uint64_t flags)
{
	c->rflags = (flags & FL_KNOWN & ~(uint64_t)FL_ARITH) | 2;
	soft_flags_put(c, (uint32_t)flags);
}
