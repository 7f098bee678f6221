/* SPDX-License-Identifier: Apache-2.0 */
/* A soft vCPU's life in its thread: run loop, sleep, wake-ups, time. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_VCPU_H
#define BULKHEAD_VMM_ACCEL_SOFT_VCPU_H

#include "cmd/vmm/accel/soft/soft.h"

/* CLOCK_MONOTONIC in ns. The guest's TSC is this plus c->tsc_offset: 1 GHz on every host. */
uint64_t soft_now(void);
static inline uint64_t soft_tsc(const struct soft_cpu *c)
{
	return soft_now() + c->tsc_offset;
}
#define SOFT_TSC_HZ 1000000000ULL

/* IF is set, or NMIs are let in, where that may not have been so: whatever was kept out is taken at
 * the next boundary between instructions, SDM volume 3, 6.7.1 and 6.8.1. Own thread. */
static inline void soft_gate_opened(struct soft_cpu *c)
{
	if (c->held)
		atomic_fetch_or_explicit(&c->wake, WAKE_INTERRUPT, memory_order_relaxed);
}

/* Sets bits of c->wake and ends its sleep. Any thread. */
void soft_vcpu_wake(struct soft_cpu *c, unsigned int bits);
/* Gives the core away for a moment, unless something is in c->wake. Own thread. */
void soft_vcpu_rest(struct soft_cpu *c);
/* Asks for WAKE_INTERRUPT at a time (ns; UINT64_MAX: never). Own thread. */
void soft_vcpu_arm(struct soft_cpu *c, uint64_t due);

/* Runs until a kick (true) or a triple fault (false). Own thread. */
[[nodiscard]] bool soft_vcpu_loop(struct soft_cpu *c);

/* exec.c: runs decoded blocks until c->wake is set, the CPU halts, or an exception is in c->fault
 * (then true, with rip at the instruction that caused it). With c->single_step, at most one
 * instruction. Own thread. */
[[nodiscard]] bool soft_execute(struct soft_cpu *c);
/* Makes and frees the cache of decoded blocks; bounded, see cache.c. */
[[nodiscard]] int soft_cache_create(struct soft_cpu *c);
void soft_cache_free(struct soft_cpu *c);
/* Drops every block (CR0.PG, EFER and the like do not need it: blocks are keyed by physical page
 * and mode). */
void soft_cache_clear(struct soft_cpu *c);
/* Forgets which linear page is which physical one; with every flush of the TLB. */
void soft_fetch_flush(struct soft_cpu *c);
/* What devices have written is what runs from now on. */
void soft_code_recheck(struct soft_cpu *c);
/* What a device or another CPU wrote before now is what runs from now on (SDM volume 3, 9.1.3). */
void soft_serialise(struct soft_cpu *c);

#endif
