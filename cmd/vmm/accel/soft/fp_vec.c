/* SPDX-License-Identifier: Apache-2.0 */
/* Vector instructions that neither use MXCSR nor an immediate: integers, logic, shuffles. */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_ops.h"

/* xmm, xmm and xmm, m of `bytes` (16: aligned). */
#define VEC(name, text, bytes)                                                        \
	OP(name##_r)                                                                  \
	{                                                                             \
		__m128i dst;                                                          \
                                                                                      \
		need_sse(c);                                                          \
		dst = xmm_get(c, i->reg);                                             \
		__asm__(text " %1, %0" : "+x"(dst) : "x"(xmm_get(c, i->rm)));         \
		xmm_put(c, i->reg, dst);                                              \
		return soft_next(c, i);                                               \
	}                                                                             \
	OP(name##_m)                                                                  \
	{                                                                             \
		__m128i dst, src;                                                     \
                                                                                      \
		need_sse(c);                                                          \
		src = (bytes) == 16 ? vec_load_aligned(c, i) : vec_load(c, i, bytes); \
		dst = xmm_get(c, i->reg);                                             \
		__asm__(text " %1, %0" : "+x"(dst) : "x"(src));                       \
		xmm_put(c, i->reg, dst);                                              \
		return soft_next(c, i);                                               \
	}                                                                             \
	FP_PICK(name)                                                                 \
	{                                                                             \
		return i->is_mem ? name##_m : name##_r;                               \
	}

#define VEC_SSE(map, op, name) VEC(name, #name, 16)
#define VEC_LOGIC(op, name) VEC(name##s, #name "s", 16) VEC(name##d, #name "d", 16)
#define VEC_EXTEND(op, name, bytes) VEC(name, #name, bytes)

FP_LIST_MMX_SSE(VEC_SSE)
FP_LIST_UNPACK(VEC_SSE)
FP_LIST_SSE_66(VEC_SSE)
FP_LIST_LOGIC(VEC_LOGIC)
FP_LIST_EXTEND(VEC_EXTEND)
VEC(movsldup, "movsldup", 16)
VEC(movshdup, "movshdup", 16)
VEC(movddup, "movddup", 8)
/* Approximations: no exceptions, no rounding control. */
VEC(rsqrtps, "rsqrtps", 16)
VEC(rsqrtss, "rsqrtss", 4)
VEC(rcpps, "rcpps", 16)
VEC(rcpss, "rcpss", 4)

/* ---- shifts by an immediate: a count in a register means the same ---- */

#define SHIFT(op, r, name)                                             \
	OP(name##_imm)                                                 \
	{                                                              \
		__m128i v, count = _mm_cvtsi32_si128((uint8_t)i->imm); \
                                                                       \
		need_sse(c);                                           \
		v = xmm_get(c, i->rm);                                 \
		__asm__(#name " %1, %0" : "+x"(v) : "x"(count));       \
		xmm_put(c, i->rm, v);                                  \
		return soft_next(c, i);                                \
	}                                                              \
	FP_PICK(name##_imm)                                            \
	{                                                              \
		(void)i;                                               \
		return name##_imm;                                     \
	}

FP_LIST_SHIFT(SHIFT)

/* ---- blends by the sign bits of XMM0 ---- */

#define BLEND(name)                                                     \
	OP(name)                                                        \
	{                                                               \
		__m128i dst, src;                                       \
                                                                        \
		need_sse(c);                                            \
		src = xmm_rm(c, i, 16);                                 \
		dst = xmm_get(c, i->reg);                               \
		__asm__("movdqa %2, %%xmm0\n\t" #name " %%xmm0, %1, %0" \
			: "+&x"(dst)                                    \
			: "x"(src), "x"(xmm_get(c, 0))                  \
			: "xmm0");                                      \
		xmm_put(c, i->reg, dst);                                \
		return soft_next(c, i);                                 \
	}                                                               \
	FP_PICK(name)                                                   \
	{                                                               \
		(void)i;                                                \
		return name;                                            \
	}

BLEND(pblendvb)
BLEND(blendvps)
BLEND(blendvpd)

/* ---- to flags and general registers ---- */

OP(ptest)
{
	__m128i src;
	bool z, carry;

	need_sse(c);
	src = xmm_rm(c, i, 16);
	__asm__("ptest %3, %2" : "=@ccz"(z), "=@ccc"(carry) : "x"(xmm_get(c, i->reg)), "x"(src));
	soft_flags_put(c, (z ? FL_ZF : 0) | (carry ? FL_CF : 0));
	return soft_next(c, i);
}

FP_PICK(ptest)
{
	(void)i;
	return ptest;
}

#define MASK(name)                                                              \
	OP(name)                                                                \
	{                                                                       \
		uint32_t bits;                                                  \
                                                                                \
		need_sse(c);                                                    \
		__asm__(#name " %1, %0" : "=r"(bits) : "x"(xmm_get(c, i->rm))); \
		c->gpr[i->reg] = bits;                                          \
		return soft_next(c, i);                                         \
	}                                                                       \
	FP_PICK(name)                                                           \
	{                                                                       \
		(void)i;                                                        \
		return name;                                                    \
	}

MASK(movmskps)
MASK(movmskpd)
MASK(pmovmskb)
