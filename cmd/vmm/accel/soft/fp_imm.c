/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instructions with an immediate that the host's own takes as an immediate only: 256 variants of
 * each, made by the assembler, 16 bytes apart, with the shape of an fp_fn (XMM0 and XMM1 come in,
 * XMM0 goes out). So no code is made at run time.
 */
#include "cmd/vmm/accel/soft/fp.h"
#include "cmd/vmm/accel/soft/fp_imm.h"
#include "cmd/vmm/accel/soft/fp_ops.h"

#define STUBS(name, text)                                                 \
	__asm__(".pushsection .text.soft_fp_" #name ",\"ax\",@progbits\n" \
		".balign 16\n"                                            \
		".globl soft_fp_" #name "\n"                              \
		".hidden soft_fp_" #name "\n"                             \
		"soft_fp_" #name ":\n"                                    \
		".set soft_fp_imm, 0\n"                                   \
		".rept 256\n"                                             \
		".balign 16\n"                                            \
		"endbr64\n" text "\n"                                     \
		"ret\n"                                                   \
		".set soft_fp_imm, soft_fp_imm + 1\n"                     \
		".endr\n"                                                 \
		".popsection\n");                                         \
	extern const uint8_t soft_fp_##name[256][SOFT_FP_STUB]            \
		__attribute__((visibility("hidden")));

#define STUBS_PLAIN(name) STUBS(name, #name " $soft_fp_imm, %xmm1, %xmm0")

/* Stubs and the two handlers. */
#define IMM(map, op, column, name, bytes, mx)                                         \
	STUBS_PLAIN(name)                                                             \
	OP(name##_r)                                                                  \
	{                                                                             \
		fp_fn fn = soft_fp_stub(soft_fp_##name, i->imm);                      \
		__m128i dst, src;                                                     \
                                                                                      \
		need_sse(c);                                                          \
		dst = xmm_get(c, i->reg);                                             \
		src = xmm_get(c, i->rm);                                              \
		xmm_put(c, i->reg, (mx) ? fp_run(c, fn, dst, src) : fn(dst, src));    \
		return soft_next(c, i);                                               \
	}                                                                             \
	OP(name##_m)                                                                  \
	{                                                                             \
		fp_fn fn = soft_fp_stub(soft_fp_##name, i->imm);                      \
		__m128i dst, src;                                                     \
                                                                                      \
		need_sse(c);                                                          \
		src = (bytes) == 16 ? vec_load_aligned(c, i) : vec_load(c, i, bytes); \
		dst = xmm_get(c, i->reg);                                             \
		xmm_put(c, i->reg, (mx) ? fp_run(c, fn, dst, src) : fn(dst, src));    \
		return soft_next(c, i);                                               \
	}                                                                             \
	FP_PICK(name)                                                                 \
	{                                                                             \
		return i->is_mem ? name##_m : name##_r;                               \
	}

FP_LIST_IMM(IMM)

/* ---- shifts by bytes ---- */

STUBS(psrldq, "psrldq $soft_fp_imm, %xmm0")
STUBS(pslldq, "pslldq $soft_fp_imm, %xmm0")

#define SHIFT_BYTES(op, r, name)                                 \
	OP(name##_imm)                                           \
	{                                                        \
		fp_fn fn = soft_fp_stub(soft_fp_##name, i->imm); \
		__m128i v;                                       \
                                                                 \
		need_sse(c);                                     \
		v = xmm_get(c, i->rm);                           \
		xmm_put(c, i->rm, fn(v, v));                     \
		return soft_next(c, i);                          \
	}                                                        \
	FP_PICK(name##_imm)                                      \
	{                                                        \
		(void)i;                                         \
		return name##_imm;                               \
	}

FP_LIST_SHIFT_SSE(SHIFT_BYTES)

/* ---- strings: lengths in RAX and RDX, results in RCX, XMM0 and flags ---- */

STUBS_PLAIN(pcmpestrm)
STUBS_PLAIN(pcmpestri)
STUBS_PLAIN(pcmpistrm)
STUBS_PLAIN(pcmpistri)

/* xmm0, xmm1, edi and esi: the lengths, rdx: stub, rcx: where XMM0 goes, r8: where RCX goes;
 * returns the flags. */
__asm__(".pushsection .text.soft_fp_string,\"ax\",@progbits\n"
	".balign 16\n"
	".globl soft_fp_string\n"
	".hidden soft_fp_string\n"
	".type soft_fp_string, @function\n"
	"soft_fp_string:\n"
	"endbr64\n"
	"mov %rdx, %r10\n"
	"mov %rcx, %r11\n"
	"mov %edi, %eax\n"
	"mov %esi, %edx\n"
	"call *%r10\n"
	"movdqu %xmm0, (%r11)\n"
	"mov %ecx, (%r8)\n"
	"pushfq\n"
	"pop %rax\n"
	"ret\n"
	".size soft_fp_string, . - soft_fp_string\n"
	".popsection\n");

uint64_t soft_fp_string(__m128i a, __m128i b, uint32_t len_a, uint32_t len_b, fp_fn stub,
			__m128i *ret_mask, uint32_t *ret_index)
	__attribute__((visibility("hidden")));

/* Lengths count up to the vector's; beyond it, only that they are beyond it. */
static uint32_t string_length(uint64_t v, bool w64)
{
	if (!w64)
		return (uint32_t)v;
	if ((int64_t)v > 16)
		return 16;
	return (int64_t)v < -16 ? (uint32_t)-16 : (uint32_t)v;
}

static __attribute__((noinline)) void run_string(struct soft_cpu *c, const struct soft_insn *i,
						 fp_fn stub, bool index)
{
	bool w64 = i->width == 8;
	__m128i src, mask;
	uint32_t at;
	uint64_t flags;

	need_sse(c);
	src = i->is_mem ? vec_load(c, i, 16) : xmm_get(c, i->rm);
	flags = soft_fp_string(xmm_get(c, i->reg), src, string_length(c->gpr[R_AX], w64),
			       string_length(c->gpr[R_DX], w64), stub, &mask, &at);
	if (index)
		c->gpr[R_CX] = at;
	else
		xmm_put(c, 0, mask);
	soft_flags_put(c, (uint32_t)flags);
}

#define STRING(name, index)                                                    \
	OP(name)                                                               \
	{                                                                      \
		run_string(c, i, soft_fp_stub(soft_fp_##name, i->imm), index); \
		return soft_next(c, i);                                        \
	}                                                                      \
	FP_PICK(name)                                                          \
	{                                                                      \
		(void)i;                                                       \
		return name;                                                   \
	}

STRING(pcmpestrm, false)
STRING(pcmpestri, true)
STRING(pcmpistrm, false)
STRING(pcmpistri, true)
