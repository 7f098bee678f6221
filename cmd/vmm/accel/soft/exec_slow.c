/* SPDX-License-Identifier: Apache-2.0 */
/* The ways of memory operands that the TLB does not know, and the lock of split accesses. */
#include "cmd/vmm/accel/soft/operand.h"

#include <pthread.h>

static pthread_mutex_t split_mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread bool split_held;

void soft_split_lock(void)
{
	pthread_mutex_lock(&split_mutex);
	split_held = true;
}

void soft_split_unlock(void)
{
	split_held = false;
	pthread_mutex_unlock(&split_mutex);
}

void soft_split_release(void)
{
	if (split_held)
		soft_split_unlock();
}

uint64_t soft_mem_get_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width)
{
	return soft_read(c, mem_address(c, i, width, false), width);
}

void soft_mem_put_slow(struct soft_cpu *c, const struct soft_insn *i, unsigned int width, uint64_t v)
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
		soft_split_lock();
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
		soft_split_unlock();
}
