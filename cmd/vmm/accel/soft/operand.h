/* SPDX-License-Identifier: Apache-2.0 */
/* Operands of integer instructions: registers at any width, memory, read-modify-write. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_OPERAND_H
#define BULKHEAD_VMM_ACCEL_SOFT_OPERAND_H

#include "cmd/vmm/accel/soft/flags.h"
#include "cmd/vmm/accel/soft/soft_mem.h"

#define INLINE static inline __attribute__((always_inline))
#define OP(name) \
	static const struct soft_insn *name(struct soft_cpu *c, const struct soft_insn *i)

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

INLINE uint64_t mem_address(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			    bool write)
{
	return soft_linear(c, i->seg, soft_offset(c, i), width, write);
}

INLINE uint64_t mem_get(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	return soft_read(c, mem_address(c, i, width, false), width);
}

INLINE void mem_put(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, uint64_t v)
{
	soft_write(c, mem_address(c, i, width, true), width, v);
}

/* The operand that ModRM.rm names. */
INLINE uint64_t rm_get(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	return i->is_mem ? mem_get(c, i, width) : reg_get(c, i, i->rm, width);
}

INLINE void rm_put(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, uint64_t v)
{
	if (i->is_mem)
		mem_put(c, i, width, v);
	else
		reg_put(c, i, i->rm, width, v);
}

INLINE uint64_t host_load(const void *p, unsigned int width)
{
	uint64_t v = 0;

	switch (width) {
	case 1: memcpy(&v, p, 1); break;
	case 2: memcpy(&v, p, 2); break;
	case 4: memcpy(&v, p, 4); break;
	case 8: memcpy(&v, p, 8); break;
	}
	return v;
}

INLINE void host_store(void *p, unsigned int width, uint64_t v)
{
	switch (width) {
	case 1: memcpy(p, &v, 1); break;
	case 2: memcpy(p, &v, 2); break;
	case 4: memcpy(p, &v, 4); break;
	case 8: memcpy(p, &v, 8); break;
	}
}

/* Compare and exchange on the host; works unaligned within a page as the CPU's own does. */
INLINE bool host_cas(void *p, unsigned int width, uint64_t expected, uint64_t v)
{
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
		return __atomic_compare_exchange_n((uint64_t *)p, &e, v, false,
						   __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	}
	}
}

/* Locked operations that cannot be one host access (two pages, not RAM) exclude each other. */
void soft_split_lock(void);
void soft_split_unlock(void);

/*
 * A memory operand that is read, changed and written. rmw_begin finds it (all faults happen here)
 * and reads it; rmw_end writes. For LOCK, rmw_end returns false when somebody else was there in
 * between: compute again from rmw->old.
 */
struct rmw {
	void *host;      /* NULL: by the slow way, under the split lock */
	uint64_t linear;
	uint64_t old;
};

INLINE void rmw_begin(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
		      struct rmw *m)
{
	m->linear = mem_address(c, i, width, true);
	m->host = soft_host_rmw(c, m->linear, width, c->mmu);
	if (m->host) {
		m->old = host_load(m->host, width);
		return;
	}
	if (i->lock)
		soft_split_lock();
	m->old = soft_read(c, m->linear, width);
}

INLINE bool rmw_end(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
		    struct rmw *m, uint64_t v)
{
	if (!m->host) {
		soft_write(c, m->linear, width, v);
		if (i->lock)
			soft_split_unlock();
		return true;
	}
	if (!i->lock) {
		host_store(m->host, width, v);
		return true;
	}
	if (host_cas(m->host, width, m->old, v))
		return true;
	m->old = host_load(m->host, width);
	return false;
}

/* Makes handlers for all four widths of a body that takes the width as a constant. */
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

#endif
