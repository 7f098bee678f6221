/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of fp_*.c need rarely: refusals, slow memory, a guest's own MXCSR. */
#include "cmd/vmm/accel/soft/fp.h"

bool soft_fp_host_ok(void)
{
	return __builtin_cpu_supports("sse4.2");
}

/* ---- refusals; SDM volume 3, tables 2-2 and 14-1 ---- */

_Noreturn void soft_fp_refuse_sse(struct soft_cpu *c)
{
	soft_raise(c, (c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR) ? EX_UD : EX_NM);
}

_Noreturn void soft_fp_refuse_x87(struct soft_cpu *c)
{
	soft_raise(c, EX_NM);
}

_Noreturn void soft_fp_refuse_mmx(struct soft_cpu *c)
{
	if (c->cr0 & CR0_EM)
		soft_raise(c, EX_UD);
	soft_raise(c, c->cr0 & CR0_TS ? EX_NM : EX_MF);
}

/* ---- memory that the TLB does not have ---- */

/* Misalignment is found before an address that is not canonical: #GP, not #SS. */
static bool misaligned(const struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	uint64_t base = c->long64 && i->seg < S_FS ? 0 : c->seg[i->seg].base;

	return (soft_offset(c, i) + base) & (width - 1);
}

static uint64_t operand(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			bool aligned, bool write)
{
	if (aligned && misaligned(c, i, width))
		RAISE_GP0(c);
	return mem_address(c, i, width, write);
}

__m128i soft_fp_load_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			  bool aligned)
{
	union soft_xmm v = { 0 };

	bytes_load(c, operand(c, i, width, aligned, false), v.b, width);
	return _mm_load_si128((const __m128i *)(const void *)&v);
}

void soft_fp_store_slow(struct soft_cpu *c, const struct soft_insn *i, __m128i v,
			unsigned int width, bool aligned)
{
	bytes_store(c, operand(c, i, width, aligned, true), &v, width);
}

/* ---- MXCSR ---- */

void soft_fp_sync(struct soft_cpu *c)
{
	uint32_t host = _mm_getcsr();

	if (!(host & MXCSR_FLAGS))
		return;
	c->fx.mxcsr |= host & MXCSR_FLAGS;
	_mm_setcsr(MXCSR_DEFAULT);
}

#define MX_IE (1U << 0)
#define MX_DE (1U << 1)
#define MX_ZE (1U << 2)
#define MX_UE (1U << 4)
#define MX_PE (1U << 5)
#define MX_BEFORE (MX_IE | MX_DE | MX_ZE) /* found before the result is computed */
#define MX_FTZ (1U << 15)

/* Under the guest's control bits with everything masked; *ret_flags: what it raised. */
static __m128i run_masked(fp_fn fn, __m128i dst, __m128i src, uint32_t control, uint32_t *ret_flags)
{
	_mm_setcsr((control & ~MXCSR_FLAGS) | MXCSR_DEFAULT);
	dst = fn(dst, src);
	*ret_flags = _mm_getcsr() & MXCSR_FLAGS;
	_mm_setcsr(MXCSR_DEFAULT);
	return dst;
}

/*
 * With an exception unmasked the result is computed aside and #XM raised in its place. Differences
 * between masked and unmasked detection (SDM volume 1, 11.5.2 and 4.9.1.5): an unmasked underflow
 * needs no inexactness, which flushing to zero shows; behind an exception found before the
 * computation, those found after it are not reported.
 */
static uint32_t unmasked_flags(fp_fn fn, __m128i dst, __m128i src, uint32_t control, uint32_t flags)
{
	uint32_t unmasked = ~(control >> 7) & MXCSR_FLAGS, tiny;

	if (flags & unmasked & MX_BEFORE)
		return flags & MX_BEFORE;
	if (unmasked & MX_UE) {
		(void)run_masked(fn, dst, src, control | MX_FTZ, &tiny);
		flags |= tiny & MX_UE;
	}
	return flags;
}

__m128i soft_fp_run_slow(struct soft_cpu *c, fp_fn fn, __m128i dst, __m128i src)
{
	uint32_t control = c->fx.mxcsr, flags;
	uint32_t unmasked = ~(control >> 7) & MXCSR_FLAGS;
	__m128i r;

	soft_fp_sync(c);
	r = run_masked(fn, dst, src, control, &flags);
	if (UNLIKELY(unmasked))
		flags = unmasked_flags(fn, dst, src, control, flags);
	c->fx.mxcsr |= flags;
	if (flags & unmasked)
		soft_raise(c, c->cr4 & CR4_OSXMMEXCPT ? EX_XM : EX_UD);
	return r;
}

/* ---- the register stack ---- */

/* st[] is in stack order: physical register r is st[(r - TOP) & 7]. */
void soft_fp_set_top(struct soft_cpu *c, unsigned int top)
{
	unsigned int old = c->fx.fsw >> FSW_TOP_SHIFT & 7;
	unsigned int turn = top - old;
	typeof(c->fx.st[0]) was[8];

	if (!(turn & 7))
		return;
	memcpy(was, c->fx.st, sizeof(was));
	for (unsigned int n = 0; n < 8; n++)
		c->fx.st[n] = was[(n + turn) & 7];
	c->fx.fsw = (uint16_t)((c->fx.fsw & ~(7U << FSW_TOP_SHIFT)) | top << FSW_TOP_SHIFT);
}

void soft_fp_enter_mmx(struct soft_cpu *c)
{
	soft_fp_set_top(c, 0);
	c->fx.ftw = 0xff;
}
