/* SPDX-License-Identifier: Apache-2.0 */
/* MMX. The registers are the x87 stack's, in c->fx.st once TOP is zero. */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_imm.h"
#include "cmd/vmm/accel/soft/fp_ops.h"

/* The source operand, then the change of the x87 state that any MMX instruction makes. */
INLINE uint64_t enter_with_rm(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	uint64_t v = 0;

	need_mmx(c);
	if (i->is_mem)
		v = mem_get(c, i, width);
	soft_fp_enter_mmx(c);
	return i->is_mem ? v : mm_get(c, i->rm);
}

#define PICK_ONE(name)       \
	FP_PICK(name)        \
	{                    \
		(void)i;     \
		return name; \
	}

#define MMX(name, bytes)                                                                 \
	OP(mmx_##name)                                                                   \
	{                                                                                \
		uint64_t src = enter_with_rm(c, i, bytes), dst = mm_get(c, i->reg);      \
                                                                                         \
		__asm__("movq %0, %%mm0\n\tmovq %1, %%mm1\n\t" #name " %%mm1, %%mm0\n\t" \
			"movq %%mm0, %0\n\temms"                                         \
			: "+r"(dst)                                                      \
			: "r"(src)                                                       \
			: "mm0", "mm1");                                                 \
		mm_put(c, i->reg, dst);                                                  \
		return soft_next(c, i);                                                  \
	}                                                                                \
	PICK_ONE(mmx_##name)

#define MMX_8(map, op, name) MMX(name, 8)
#define MMX_4(map, op, name) MMX(name, 4)

FP_LIST_MMX_SSE(MMX_8)
FP_LIST_UNPACK(MMX_4)

/* Lanes are independent, so the vector form of a shift does for the low half. */
#define MMX_SHIFT(op, r, name)                                         \
	OP(mmx_##name##_imm)                                           \
	{                                                              \
		__m128i v, count = _mm_cvtsi32_si128((uint8_t)i->imm); \
                                                                       \
		need_mmx(c);                                           \
		soft_fp_enter_mmx(c);                                  \
		v = from_u64(mm_get(c, i->rm));                        \
		__asm__(#name " %1, %0" : "+x"(v) : "x"(count));       \
		mm_put(c, i->rm, to_u64(v));                           \
		return soft_next(c, i);                                \
	}                                                              \
	PICK_ONE(mmx_##name##_imm)

FP_LIST_SHIFT(MMX_SHIFT)

/* The low half of PSHUFLW. */
OP(mmx_pshufw)
{
	__m128i v = from_u64(enter_with_rm(c, i, 8));

	v = soft_fp_stub(soft_fp_pshuflw, i->imm)(v, v);
	mm_put(c, i->reg, to_u64(v));
	return soft_next(c, i);
}
PICK_ONE(mmx_pshufw)

/* Both operands in one vector, shifted. */
OP(mmx_palignr)
{
	uint64_t src = enter_with_rm(c, i, 8);
	__m128i v = _mm_unpacklo_epi64(from_u64(src), from_u64(mm_get(c, i->reg)));

	v = soft_fp_stub(soft_fp_psrldq, i->imm)(v, v);
	mm_put(c, i->reg, to_u64(v));
	return soft_next(c, i);
}
PICK_ONE(mmx_palignr)

OP(mmx_pmovmskb)
{
	uint64_t v = enter_with_rm(c, i, 8);

	c->gpr[i->reg] = (uint32_t)_mm_movemask_epi8(from_u64(v));
	return soft_next(c, i);
}
PICK_ONE(mmx_pmovmskb)

OP(mmx_pinsrw)
{
	unsigned int shift = 16 * (i->imm & 3);
	uint64_t v;

	need_mmx(c);
	v = i->is_mem ? mem_get(c, i, 2) : c->gpr[i->rm] & 0xffff;
	soft_fp_enter_mmx(c);
	mm_put(c, i->reg, (mm_get(c, i->reg) & ~(0xffffULL << shift)) | v << shift);
	return soft_next(c, i);
}
PICK_ONE(mmx_pinsrw)

OP(mmx_pextrw)
{
	uint64_t v = enter_with_rm(c, i, 8);

	c->gpr[i->reg] = v >> 16 * (i->imm & 3) & 0xffff;
	return soft_next(c, i);
}
PICK_ONE(mmx_pextrw)

/* ---- moves ---- */

OP(movq_mmx)
{
	uint64_t v = enter_with_rm(c, i, 8);

	mm_put(c, i->reg, v);
	return soft_next(c, i);
}
PICK_ONE(movq_mmx)

/* MOVD, or MOVQ with REX.W, from a general register or memory. */
OP(movd_mmx)
{
	unsigned int width = i->width == 8 ? 8 : 4;
	uint64_t v;

	need_mmx(c);
	v = i->is_mem ? mem_get(c, i, width) : c->gpr[i->rm] & width_mask(width);
	soft_fp_enter_mmx(c);
	mm_put(c, i->reg, v);
	return soft_next(c, i);
}
PICK_ONE(movd_mmx)

/* Intel's CPUs have made TOP zero before a store can fault, and the tags valid behind it. */
OP(movd_rm_mmx)
{
	unsigned int width = i->width == 8 ? 8 : 4;
	uint64_t v;

	need_mmx(c);
	soft_fp_set_top(c, 0);
	v = mm_get(c, i->reg) & width_mask(width);
	if (i->is_mem)
		mem_put(c, i, width, v);
	else
		c->gpr[i->rm] = v;
	soft_fp_enter_mmx(c);
	return soft_next(c, i);
}
PICK_ONE(movd_rm_mmx)

OP(movq_m_mmx)
{
	uint64_t v;

	need_mmx(c);
	soft_fp_set_top(c, 0);
	v = mm_get(c, i->reg);
	if (i->is_mem)
		mem_put(c, i, 8, v);
	soft_fp_enter_mmx(c);
	if (!i->is_mem)
		mm_put(c, i->rm, v);
	return soft_next(c, i);
}
PICK_ONE(movq_m_mmx)

FP_PICK(movntq)
{
	return i->is_mem ? movq_m_mmx : NULL;
}

OP(movq2dq_r)
{
	need_sse(c);
	need_mmx(c);
	soft_fp_enter_mmx(c);
	xmm_put(c, i->reg, from_u64(mm_get(c, i->rm)));
	return soft_next(c, i);
}

OP(movdq2q_r)
{
	need_sse(c);
	need_mmx(c);
	soft_fp_enter_mmx(c);
	mm_put(c, i->reg, c->fx.xmm[i->rm].q[0]);
	return soft_next(c, i);
}

FP_PICK(movq2dq)
{
	return i->is_mem ? NULL : movq2dq_r;
}
FP_PICK(movdq2q)
{
	return i->is_mem ? NULL : movdq2q_r;
}

OP(emms)
{
	need_mmx(c);
	soft_fp_set_top(c, 0);
	c->fx.ftw = 0;
	return soft_next(c, i);
}
PICK_ONE(emms)
