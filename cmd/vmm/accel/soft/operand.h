/* SPDX-License-Identifier: Apache-2.0 */
/* Operands of integer instructions: registers at any width, memory, read-modify-write. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_OPERAND_H
#define BULKHEAD_VMM_ACCEL_SOFT_OPERAND_H

#include "cmd/vmm/accel/soft/flags.h"
#include "cmd/vmm/accel/soft/soft_mem.h"

#define INLINE static inline __attribute__((always_inline))
#define OP(name) static const struct soft_insn *name(struct soft_cpu *c, const struct soft_insn *i)

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 wide_signed;

/* The signatures of bodies that handlers are made from. BODY_RM is for registers and for memory; p is
 * then the operand's host address, or NULL for the slow path. */
#define BODY(name)                                                                         \
	INLINE const struct soft_insn *name(struct soft_cpu *c, const struct soft_insn *i, \
					    unsigned int w)
#define BODY_RM(name)                                                                      \
	INLINE const struct soft_insn *name(struct soft_cpu *c, const struct soft_insn *i, \
					    [[maybe_unused]] unsigned int w,               \
					    [[maybe_unused]] bool mem, [[maybe_unused]] void *p)

/* Without REX, byte registers 4 to 7 are AH, CH, DH, BH. */
INLINE uint64_t reg_get(const struct soft_cpu *c, const struct soft_insn *i, unsigned int r,
			unsigned int width)
{
	if (width == 1 && !i->rex && r >= 4)
		return (c->gpr[r - 4] >> 8) & 0xff;
	return c->gpr[r] & width_mask(width);
}

INLINE void reg_put(struct soft_cpu *c, const struct soft_insn *i, unsigned int r,
		    unsigned int width, uint64_t v)
{
	switch (width) {
	case 8:
		c->gpr[r] = v;
		break;
	case 4:
		c->gpr[r] = (uint32_t)v;
		break;
	case 2:
		c->gpr[r] = (c->gpr[r] & ~0xffffULL) | (v & 0xffff);
		break;
	case 1:
		if (!i->rex && r >= 4)
			c->gpr[r - 4] = (c->gpr[r - 4] & ~0xff00ULL) | (v & 0xff) << 8;
		else
			c->gpr[r] = (c->gpr[r] & ~0xffULL) | (v & 0xff);
		break;
	}
}

/* For destinations that are never byte registers. */
INLINE void reg_put_wide(struct soft_cpu *c, unsigned int r, unsigned int width, uint64_t v)
{
	if (width == 8)
		c->gpr[r] = v;
	else if (width == 4)
		c->gpr[r] = (uint32_t)v;
	else
		c->gpr[r] = (c->gpr[r] & ~0xffffULL) | (v & 0xffff);
}

INLINE uint64_t mem_address(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			    bool write)
{
	return soft_linear(c, i->seg, soft_offset(c, i), width, write);
}

/* The linear address in 64-bit code, for a look into the TLB: only canonical ones are ever there. */
INLINE uint64_t flat_address(const struct soft_cpu *c, const struct soft_insn *i)
{
	uint64_t a =
		(uint64_t)(int64_t)i->disp + c->regs[i->base] + (c->regs[i->index] << i->scale);

	return __builtin_expect(i->flat == FLAT_YES, 1) ? a : a + c->seg[i->seg].base;
}

/* Host address of a memory operand that the TLB knows, or NULL. */
INLINE void *mem_hit(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
		     enum soft_access kind)
{
	if (__builtin_expect(i->flat == FLAT_NO, 0))
		return NULL;
	return soft_tlb_now(c, flat_address(c, i), width, kind);
}

/* exec_slow.c: what the TLB does not know, and legacy modes. */
uint64_t soft_mem_get_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width);
void soft_mem_put_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
		       uint64_t v);

INLINE uint64_t host_load(const void *p, unsigned int width)
{
	uint64_t v = 0;

	/* clang-format off */
	switch (width) {
	case 1: memcpy(&v, p, 1); break;
	case 2: memcpy(&v, p, 2); break;
	case 4: memcpy(&v, p, 4); break;
	case 8: memcpy(&v, p, 8); break;
	}
	/* clang-format on */
	return v;
}

INLINE void host_store(void *p, unsigned int width, uint64_t v)
{
	/* clang-format off */
	switch (width) {
	case 1: memcpy(p, &v, 1); break;
	case 2: memcpy(p, &v, 2); break;
	case 4: memcpy(p, &v, 4); break;
	case 8: memcpy(p, &v, 8); break;
	}
	/* clang-format on */
}

INLINE uint64_t mem_get(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	const void *p = mem_hit(c, i, width, ACC_READ);

	if (__builtin_expect(!p, 0))
		return soft_mem_get_slow(c, i, width);
	return host_load(p, width);
}

INLINE void mem_put(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, uint64_t v)
{
	void *p = mem_hit(c, i, width, ACC_WRITE);

	if (__builtin_expect(!p, 0))
		soft_mem_put_slow(c, i, width, v);
	else
		host_store(p, width, v);
}

/* The operand that ModRM.rm names. */
INLINE uint64_t rm_get(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	return i->is_mem ? mem_get(c, i, width) : reg_get(c, i, i->rm, width);
}

/* The same where the form is known: handlers that exist for registers and for memory. */
INLINE uint64_t src_get(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, bool mem,
			const void *p)
{
	if (!mem)
		return reg_get(c, i, i->rm, width);
	return p ? host_load(p, width) : soft_mem_get_slow(c, i, width);
}

INLINE void dst_put(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, uint64_t v,
		    void *p)
{
	if (p)
		host_store(p, width, v);
	else
		soft_mem_put_slow(c, i, width, v);
}

INLINE void rm_put(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, uint64_t v)
{
	if (i->is_mem)
		mem_put(c, i, width, v);
	else
		reg_put(c, i, i->rm, width, v);
}

/* A locked access of the host's must not: it would be a split lock. */
#define CACHE_LINE 64U
INLINE bool crosses_line(const void *p, unsigned int width)
{
	return ((uintptr_t)p & (CACHE_LINE - 1)) + width > CACHE_LINE;
}

/* exec_slow.c: the same for operands on two cache lines. */
bool soft_split_cas(struct soft_cpu *c, void *p, unsigned int width, uint64_t expected, uint64_t v);
uint64_t soft_split_swap(struct soft_cpu *c, void *p, unsigned int width, uint64_t v);

/* Compare and exchange; works unaligned within a page as the CPU's own does. */
INLINE bool host_cas(struct soft_cpu *c, void *p, unsigned int width, uint64_t expected, uint64_t v)
{
	if (__builtin_expect(crosses_line(p, width), 0))
		return soft_split_cas(c, p, width, expected, v);
	switch (width) {
	case 1: {
		uint8_t e = (uint8_t)expected;
		return __atomic_compare_exchange_n((uint8_t *)p, &e, (uint8_t)v, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	case 2: {
		uint16_t e = (uint16_t)expected;
		return __atomic_compare_exchange_n((uint16_t *)p, &e, (uint16_t)v, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	case 4: {
		uint32_t e = (uint32_t)expected;
		return __atomic_compare_exchange_n((uint32_t *)p, &e, (uint32_t)v, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	default: {
		uint64_t e = expected;
		return __atomic_compare_exchange_n((uint64_t *)p, &e, v, false, __ATOMIC_SEQ_CST,
						   __ATOMIC_SEQ_CST);
	}
	}
}

/*
 * A memory operand that is read, changed and written. rmw_begin finds it (all faults happen here)
 * and reads it; rmw_end writes. For LOCK, rmw_end returns false when somebody else was there in
 * between: compute again from rmw->old.
 */
struct rmw {
	void *host; /* NULL: on the slow path; with LOCK, alone (alone.h) */
	uint64_t linear;
	uint64_t old;
};

/* exec_slow.c */
void soft_rmw_begin_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, bool lock,
			 struct rmw *m);
void soft_rmw_begin_miss(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			 struct rmw *m);
void soft_rmw_end_slow(struct soft_cpu *c, unsigned int width, bool lock, const struct rmw *m,
		       uint64_t v);
void soft_rmw_cancel(struct soft_cpu *c); /* of one with LOCK */

/* p: what mem_hit said */
INLINE struct rmw rmw_begin(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			    void *p)
{
	struct rmw m;

	if (__builtin_expect(!p, 0)) {
		struct rmw miss;

		soft_rmw_begin_miss(c, i, width, &miss);
		m = miss;
	} else {
		m.host = p;
		m.linear = 0;
		m.old = host_load(p, width);
	}
	return m;
}

INLINE bool rmw_end(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
		    struct rmw *m, uint64_t v)
{
	if (__builtin_expect(!m->host, 0)) {
		const struct rmw copy = *m;

		soft_rmw_end_slow(c, width, i->lock, &copy, v);
		return true;
	}
	if (!i->lock) {
		host_store(m->host, width, v);
		return true;
	}
	if (host_cas(c, m->host, width, m->old, v))
		return true;
	m->old = host_load(m->host, width);
	return false;
}

/* Writes nothing after all. */
INLINE void rmw_cancel(struct soft_cpu *c, const struct soft_insn *i, const struct rmw *m)
{
	if (!m->host && i->lock)
		soft_rmw_cancel(c);
}

/* Makes handlers for all four widths of a body that takes the width as a constant. */
/* clang-format off */
#define OP_WIDTHS(name, body)                                                                 \
	OP(name##_1) { return body(c, i, 1); }                                                \
	OP(name##_2) { return body(c, i, 2); }                                                \
	OP(name##_4) { return body(c, i, 4); }                                                \
	OP(name##_8) { return body(c, i, 8); }                                                \
	static soft_handler name(const struct soft_insn *i)                                   \
	{                                                                                     \
		static const soft_handler by_width[4] = { name##_1, name##_2, name##_4,       \
							  name##_8 };                         \
		return by_width[log2_width(i->width)];                                        \
	}

/* The same for a body that also takes, as a constant, whether ModRM.rm is memory; from: the width in
 * which it accesses memory. What the TLB does not know is a call at the very end, to a handler that
 * does the same on the slow path, so that the fast path needs no stack frame. */
#define MISS_OP(name) __attribute__((noinline, cold)) OP(name)
#define RM_MEM(name, body, kind, from, w)                                                     \
	MISS_OP(name##_x##w) { return body(c, i, w, true, NULL); }                            \
	OP(name##_m##w)                                                                       \
	{                                                                                     \
		void *p = mem_hit(c, i, from, kind);                                          \
                                                                                              \
		return p ? body(c, i, w, true, p) : name##_x##w(c, i);                        \
	}
#define RM_FORM(name, body, kind, from, w)                                                    \
	OP(name##_r##w) { return body(c, i, w, false, NULL); }                                \
	RM_MEM(name, body, kind, from, w)
/* clang-format on */
#define OP_RM_FROM(name, body, kind, f1, f2, f4, f8)                    \
	RM_FORM(name, body, kind, f1, 1)                                \
	RM_FORM(name, body, kind, f2, 2)                                \
	RM_FORM(name, body, kind, f4, 4)                                \
	RM_FORM(name, body, kind, f8, 8)                                \
	static soft_handler name(const struct soft_insn *i)             \
	{                                                               \
		static const soft_handler by_form[2][4] = {             \
			{ name##_r1, name##_r2, name##_r4, name##_r8 }, \
			{ name##_m1, name##_m2, name##_m4, name##_m8 }, \
		};                                                      \
		return by_form[i->is_mem][log2_width(i->width)];        \
	}
#define OP_RM_READ(name, body) OP_RM_FROM(name, body, ACC_READ, 1, 2, 4, 8)
#define OP_RM_WRITE(name, body) OP_RM_FROM(name, body, ACC_WRITE, 1, 2, 4, 8)

#endif
