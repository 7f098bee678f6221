/* SPDX-License-Identifier: Apache-2.0 */
/* SSE arithmetic, compares and conversions: what uses MXCSR. */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_ops.h"

/* volatile: the flags that the instruction leaves in the host's MXCSR are a result too. */
#define RUN(name, text)                                                  \
	static inline __m128i run_##name(__m128i dst, __m128i src)       \
	{                                                                \
		__asm__ volatile(text " %1, %0" : "+x"(dst) : "x"(src)); \
		return dst;                                              \
	}

#define FORMS(name, bytes)                                                                        \
	OP(name##_r)                                                                              \
	{                                                                                         \
		need_sse(c);                                                                      \
		xmm_put(c, i->reg, fp_run(c, run_##name, xmm_get(c, i->reg), xmm_get(c, i->rm))); \
		return soft_next(c, i);                                                           \
	}                                                                                         \
	OP(name##_m)                                                                              \
	{                                                                                         \
		__m128i src;                                                                      \
                                                                                                  \
		need_sse(c);                                                                      \
		src = (bytes) == 16 ? vec_load_aligned(c, i) : vec_load(c, i, bytes);             \
		xmm_put(c, i->reg, fp_run(c, run_##name, xmm_get(c, i->reg), src));               \
		return soft_next(c, i);                                                           \
	}                                                                                         \
	FP_PICK(name)                                                                             \
	{                                                                                         \
		return i->is_mem ? name##_m : name##_r;                                           \
	}

#define ARITH(name, bytes) RUN(name, #name) FORMS(name, bytes)
#define ARITH_4(op, name) \
	ARITH(name##ps, 16) ARITH(name##pd, 16) ARITH(name##ss, 4) ARITH(name##sd, 8)

FP_LIST_ARITH(ARITH_4)
ARITH(haddps, 16)
ARITH(haddpd, 16)
ARITH(hsubps, 16)
ARITH(hsubpd, 16)
ARITH(addsubps, 16)
ARITH(addsubpd, 16)
ARITH(cvtps2pd, 8)
ARITH(cvtpd2ps, 16)
ARITH(cvtss2sd, 4)
ARITH(cvtsd2ss, 8)
ARITH(cvtdq2ps, 16)
ARITH(cvtps2dq, 16)
ARITH(cvttps2dq, 16)
ARITH(cvttpd2dq, 16)
ARITH(cvtpd2dq, 16)
ARITH(cvtdq2pd, 8)

/* ---- from a general register or integer in memory ---- */

#define FROM_INT(name, width)                                                              \
	static inline __m128i run_##name##_##width(__m128i dst, __m128i src)               \
	{                                                                                  \
		if ((width) == 8)                                                          \
			__asm__ volatile(#name "q %1, %0" : "+x"(dst) : "r"(to_u64(src))); \
		else                                                                       \
			__asm__ volatile(#name "l %1, %0"                                  \
					 : "+x"(dst)                                       \
					 : "r"((uint32_t)to_u64(src)));                    \
		return dst;                                                                \
	}                                                                                  \
	OP(name##_##width)                                                                 \
	{                                                                                  \
		uint64_t v;                                                                \
                                                                                           \
		need_sse(c);                                                               \
		v = i->is_mem ? mem_get(c, i, width) : c->gpr[i->rm];                      \
		xmm_put(c, i->reg,                                                         \
			fp_run(c, run_##name##_##width, xmm_get(c, i->reg), from_u64(v))); \
		return soft_next(c, i);                                                    \
	}

#define FROM_INT_BOTH(name)                                 \
	FROM_INT(name, 4)                                   \
	FROM_INT(name, 8)                                   \
	FP_PICK(name)                                       \
	{                                                   \
		return i->width == 8 ? name##_8 : name##_4; \
	}

FROM_INT_BOTH(cvtsi2ss)
FROM_INT_BOTH(cvtsi2sd)

/* ---- to a general register ---- */

/* %q and %k, not the type alone: gcc 12 folds functions whose asm differs in operand types only. */

#define TO_INT(name, width, bytes)                                                  \
	static inline __m128i run_##name##_##width(__m128i dst, __m128i src)        \
	{                                                                           \
		uint64_t q;                                                         \
		uint32_t d;                                                         \
                                                                                    \
		(void)dst;                                                          \
		if ((width) == 8) {                                                 \
			__asm__ volatile(#name " %1, %q0" : "=r"(q) : "x"(src));    \
			return from_u64(q);                                         \
		}                                                                   \
		__asm__ volatile(#name " %1, %k0" : "=r"(d) : "x"(src));            \
		return from_u64(d);                                                 \
	}                                                                           \
	OP(name##_##width)                                                          \
	{                                                                           \
		__m128i src;                                                        \
                                                                                    \
		need_sse(c);                                                        \
		src = xmm_rm(c, i, bytes);                                          \
		c->gpr[i->reg] = to_u64(fp_run(c, run_##name##_##width, src, src)); \
		return soft_next(c, i);                                             \
	}

#define TO_INT_BOTH(name, bytes)                            \
	TO_INT(name, 4, bytes)                              \
	TO_INT(name, 8, bytes)                              \
	FP_PICK(name)                                       \
	{                                                   \
		return i->width == 8 ? name##_8 : name##_4; \
	}

TO_INT_BOTH(cvtss2si, 4)
TO_INT_BOTH(cvttss2si, 4)
TO_INT_BOTH(cvtsd2si, 8)
TO_INT_BOTH(cvttsd2si, 8)

/* ---- compares that set flags ---- */

#define COMPARE(name, bytes)                                                                      \
	static inline __m128i run_##name(__m128i dst, __m128i src)                                \
	{                                                                                         \
		bool z, p, b;                                                                     \
                                                                                                  \
		__asm__ volatile(#name " %4, %3"                                                  \
				 : "=@ccz"(z), "=@ccp"(p), "=@ccc"(b)                             \
				 : "x"(dst), "x"(src));                                           \
		return _mm_cvtsi32_si128((z ? (int)FL_ZF : 0) | (p ? (int)FL_PF : 0) |            \
					 (b ? (int)FL_CF : 0));                                   \
	}                                                                                         \
	OP(name)                                                                                  \
	{                                                                                         \
		__m128i src;                                                                      \
                                                                                                  \
		need_sse(c);                                                                      \
		src = xmm_rm(c, i, bytes);                                                        \
		soft_flags_put(c,                                                                 \
			       (uint32_t)to_u64(fp_run(c, run_##name, xmm_get(c, i->reg), src))); \
		return soft_next(c, i);                                                           \
	}                                                                                         \
	FP_PICK(name)                                                                             \
	{                                                                                         \
		(void)i;                                                                          \
		return name;                                                                      \
	}

COMPARE(ucomiss, 4)
COMPARE(comiss, 4)
COMPARE(ucomisd, 8)
COMPARE(comisd, 8)

/* ---- to and from MMX registers ---- */

/* The source is a vector; the result an MMX register, in the low half here. */
#define TO_MMX(name, bytes)                                                      \
	static inline __m128i run_##name(__m128i dst, __m128i src)               \
	{                                                                        \
		__asm__ volatile(#name " %1, %%mm0\n\tmovq2dq %%mm0, %0\n\temms" \
				 : "=x"(dst)                                     \
				 : "x"(src)                                      \
				 : "mm0");                                       \
		return dst;                                                      \
	}                                                                        \
	OP(name)                                                                 \
	{                                                                        \
		__m128i src;                                                     \
                                                                                 \
		need_sse(c);                                                     \
		need_mmx(c);                                                     \
		src = xmm_rm(c, i, bytes);                                       \
		soft_fp_enter_mmx(c); /* also when #XM follows */                \
		src = fp_run(c, run_##name, src, src);                           \
		mm_put(c, i->reg, to_u64(src));                                  \
		return soft_next(c, i);                                          \
	}                                                                        \
	FP_PICK(name)                                                            \
	{                                                                        \
		(void)i;                                                         \
		return name;                                                     \
	}

TO_MMX(cvtps2pi, 8)
TO_MMX(cvttps2pi, 8)
TO_MMX(cvtpd2pi, 16)
TO_MMX(cvttpd2pi, 16)

/* A memory operand leaves the x87 state alone (on AMD; Intel says so of CVTPI2PD only). */
#define FROM_MMX(name)                                                              \
	static inline __m128i run_##name(__m128i dst, __m128i src)                  \
	{                                                                           \
		__asm__ volatile("movdq2q %1, %%mm0\n\t" #name " %%mm0, %0\n\temms" \
				 : "+x"(dst)                                        \
				 : "x"(src)                                         \
				 : "mm0");                                          \
		return dst;                                                         \
	}                                                                           \
	OP(name)                                                                    \
	{                                                                           \
		__m128i src, r;                                                     \
                                                                                    \
		need_sse(c);                                                        \
		if (i->is_mem) {                                                    \
			src = vec_load(c, i, 8);                                    \
		} else {                                                            \
			need_mmx(c);                                                \
			soft_fp_enter_mmx(c);                                       \
			src = from_u64(mm_get(c, i->rm));                           \
		}                                                                   \
		r = fp_run(c, run_##name, xmm_get(c, i->reg), src);                 \
		xmm_put(c, i->reg, r);                                              \
		return soft_next(c, i);                                             \
	}                                                                           \
	FP_PICK(name)                                                               \
	{                                                                           \
		(void)i;                                                            \
		return name;                                                        \
	}

FROM_MMX(cvtpi2ps)
FROM_MMX(cvtpi2pd)
