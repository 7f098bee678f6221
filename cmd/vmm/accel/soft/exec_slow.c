/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of memory operands that the TLB does not know, and of locked ones on two cache lines. */
#include "cmd/vmm/accel/soft/alone.h"
#include "cmd/vmm/accel/soft/operand.h"

uint64_t soft_mem_get_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	return soft_read(c, mem_address(c, i, width, false), width);
}

void soft_mem_put_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
		       uint64_t v)
{
	soft_write(c, mem_address(c, i, width, true), width, v);
}

void soft_rmw_begin_slow(struct soft_cpu *c, uint64_t linear, unsigned int width, bool lock,
			 struct rmw *m)
{
	m->linear = linear;
	m->host = soft_host_rmw(c, linear, width, c->mmu);
	if (m->host) {
		m->old = host_load(m->host, width);
		return;
	}
	if (lock)
		soft_alone_begin(c);
	m->old = soft_read(c, linear, width);
}

void soft_rmw_begin_miss(struct soft_cpu *c, const struct soft_insn *i, unsigned int width,
			 struct rmw *m)
{
	soft_rmw_begin_slow(c, mem_address(c, i, width, true), width, i->lock, m);
}

void soft_rmw_end_slow(struct soft_cpu *c, unsigned int width, bool lock, const struct rmw *m,
		       uint64_t v)
{
	soft_write(c, m->linear, width, v);
	if (lock)
		soft_alone_end(c);
}

void soft_rmw_cancel(struct soft_cpu *c)
{
	soft_alone_end(c);
}

bool soft_split_cas(struct soft_cpu *c, void *p, unsigned int width, uint64_t expected, uint64_t v)
{
	bool same;

	soft_alone_begin(c);
	same = host_load(p, width) == (expected & width_mask(width));
	if (same)
		host_store(p, width, v);
	soft_alone_end(c);
	return same;
}

uint64_t soft_split_swap(struct soft_cpu *c, void *p, unsigned int width, uint64_t v)
{
	uint64_t old;

	soft_alone_begin(c);
	old = host_load(p, width);
	host_store(p, width, v);
	soft_alone_end(c);
	return old;
}
