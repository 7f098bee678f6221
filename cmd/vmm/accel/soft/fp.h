/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floating point and vectors: what the fp_*.c files share.
 *
 * An instruction runs as itself on the host, on operands taken from the guest's FXSAVE image
 * (c->fx), so results are exact by construction. Conditions that could make the host's own
 * instruction fault (unmasked exceptions, misalignment, undefined forms) are decided before.
 *
 * The host's MXCSR keeps the power-on control bits. Where the guest's are the same, as nearly
 * always, instructions run without a switch and leave their sticky flags in the host's register;
 * soft_fp_sync collects them. Where they differ, soft_fp_run switches around the one instruction.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_FP_H
#define BULKHEAD_VMM_ACCEL_SOFT_FP_H

#include "cmd/vmm/accel/soft/fp_state.h"
#include "cmd/vmm/accel/soft/operand.h"
#include "cmd/vmm/accel/soft/sys.h"

#include <emmintrin.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#define MXCSR_DEFAULT 0x1f80U
#define MXCSR_FLAGS 0x3fU
#define MXCSR_CONTROL 0xffc0U
#define MXCSR_KNOWN 0xffffU /* what LDMXCSR accepts; as fx.mxcsr_mask says */

#define FSW_ES (1U << 7)
#define FSW_B (1U << 15)
#define FSW_TOP_SHIFT 11

/* dst, src -> new dst: an instruction as a function. The ABI has them in XMM0 and XMM1. */
typedef __m128i (*fp_fn)(__m128i dst, __m128i src);

/* fp_common.c: the rare ways out of the inline functions below. */
_Noreturn void soft_fp_refuse_sse(struct soft_cpu *c);
_Noreturn void soft_fp_refuse_x87(struct soft_cpu *c);
_Noreturn void soft_fp_refuse_mmx(struct soft_cpu *c);
__m128i soft_fp_load_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			  bool aligned);
void soft_fp_store_slow(struct soft_cpu *c, const struct soft_insn *i, __m128i v,
			unsigned int width, bool aligned);
__m128i soft_fp_run_slow(struct soft_cpu *c, fp_fn fn, __m128i dst, __m128i src);
/* Turns the register stack so that ST(0) is physical register 0, and all tags valid. */
void soft_fp_enter_mmx(struct soft_cpu *c);
void soft_fp_set_top(struct soft_cpu *c, unsigned int top);

/* ---- is it there? ---- */

INLINE void need_sse(struct soft_cpu *c)
{
	if (UNLIKELY((c->cr0 & (CR0_EM | CR0_TS)) || !(c->cr4 & CR4_OSFXSR)))
		soft_fp_refuse_sse(c);
}

INLINE bool x87_pending(const struct soft_cpu *c)
{
	return (c->fx.fsw & FSW_ES) || (c->fx.fsw & ~c->fx.fcw & MXCSR_FLAGS);
}

INLINE void need_x87(struct soft_cpu *c)
{
	if (UNLIKELY(c->cr0 & (CR0_EM | CR0_TS)))
		soft_fp_refuse_x87(c);
}

INLINE void need_mmx(struct soft_cpu *c)
{
	if (UNLIKELY((c->cr0 & (CR0_EM | CR0_TS)) || x87_pending(c)))
		soft_fp_refuse_mmx(c);
}

/* ---- registers ---- */

INLINE __m128i xmm_get(const struct soft_cpu *c, unsigned int r)
{
	return _mm_load_si128((const __m128i *)(const void *)&c->fx.xmm[r]);
}

INLINE void xmm_put(struct soft_cpu *c, unsigned int r, __m128i v)
{
	_mm_store_si128((__m128i *)(void *)&c->fx.xmm[r], v);
}

/* An MMX register, once soft_fp_enter_mmx has made TOP zero. */
INLINE uint64_t mm_get(const struct soft_cpu *c, unsigned int r)
{
	uint64_t v;

	memcpy(&v, c->fx.st[r & 7].b, 8);
	return v;
}

/* A write sets the exponent to all ones. */
INLINE void mm_put(struct soft_cpu *c, unsigned int r, uint64_t v)
{
	memcpy(c->fx.st[r & 7].b, &v, 8);
	memset(c->fx.st[r & 7].b + 8, 0xff, 2);
}

INLINE __m128i from_u64(uint64_t v)
{
	return _mm_cvtsi64_si128((int64_t)v);
}
INLINE uint64_t to_u64(__m128i v)
{
	return (uint64_t)_mm_cvtsi128_si64(v);
}

/* ---- memory ---- */

INLINE __m128i host_load_vec(const void *p, unsigned int width)
{
	uint32_t v4 = 0;

	switch (width) {
	case 16:
		return _mm_loadu_si128((const __m128i *)p);
	case 8:
		return _mm_loadl_epi64((const __m128i *)p);
	case 4:
		memcpy(&v4, p, 4);
		break;
	case 2:
		memcpy(&v4, p, 2);
		break;
	case 1:
		memcpy(&v4, p, 1);
		break;
	}
	return _mm_cvtsi32_si128((int)v4);
}

INLINE void host_store_vec(void *p, unsigned int width, __m128i v)
{
	uint32_t v4;

	switch (width) {
	case 16:
		_mm_storeu_si128((__m128i *)p, v);
		break;
	case 8:
		_mm_storel_epi64((__m128i *)p, v);
		break;
	default:
		v4 = (uint32_t)_mm_cvtsi128_si32(v);
		memcpy(p, &v4, width);
		break;
	}
}

/* A memory operand of 1 to 16 bytes, zero-extended. */
INLINE __m128i vec_load(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	const void *p = mem_hit(c, i, width, ACC_READ);

	return LIKELY(p) ? host_load_vec(p, width) : soft_fp_load_slow(c, i, width, false);
}

/* Any number of bytes within reach of soft_read_bytes. */
INLINE void bytes_load(struct soft_cpu *c, uint64_t linear, void *to, unsigned int n)
{
	const void *p = soft_tlb_now(c, linear, n, ACC_READ);

	if (LIKELY(p))
		memcpy(to, p, n);
	else
		soft_read_bytes(c, linear, to, n);
}

INLINE void bytes_store(struct soft_cpu *c, uint64_t linear, const void *from, unsigned int n)
{
	void *p = soft_tlb_now(c, linear, n, ACC_WRITE);

	if (LIKELY(p))
		memcpy(p, from, n);
	else
		soft_write_bytes(c, linear, from, n);
}

INLINE void vec_store(struct soft_cpu *c, const struct soft_insn *i, __m128i v, unsigned int width)
{
	void *p = mem_hit(c, i, width, ACC_WRITE);

	if (LIKELY(p))
		host_store_vec(p, width, v);
	else
		soft_fp_store_slow(c, i, v, width, false);
}

/* 16 bytes that must be aligned: the guest's pages are on the host, too. */
INLINE __m128i vec_load_aligned(struct soft_cpu *c, const struct soft_insn *i)
{
	const void *p = mem_hit(c, i, 16, ACC_READ);

	if (LIKELY(p && !((uintptr_t)p & 15)))
		return host_load_vec(p, 16);
	return soft_fp_load_slow(c, i, 16, true);
}

INLINE void vec_store_aligned(struct soft_cpu *c, const struct soft_insn *i, __m128i v)
{
	void *p = mem_hit(c, i, 16, ACC_WRITE);

	if (LIKELY(p && !((uintptr_t)p & 15)))
		host_store_vec(p, 16, v);
	else
		soft_fp_store_slow(c, i, v, 16, true);
}

/* The operand of ModRM.rm; a memory operand of 16 bytes is aligned. */
INLINE __m128i xmm_rm(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	if (!i->is_mem)
		return xmm_get(c, i->rm);
	return width == 16 ? vec_load_aligned(c, i) : vec_load(c, i, width);
}

/* ---- instructions that use MXCSR ---- */

INLINE __m128i fp_run(struct soft_cpu *c, fp_fn fn, __m128i dst, __m128i src)
{
	if (LIKELY((c->fx.mxcsr & MXCSR_CONTROL) == MXCSR_DEFAULT))
		return fn(dst, src);
	return soft_fp_run_slow(c, fn, dst, src);
}

#endif
