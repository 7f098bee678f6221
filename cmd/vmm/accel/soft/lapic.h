/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The software CPU's local APIC: xAPIC page and x2APIC MSRs, timer (one-shot, periodic,
 * TSC-deadline), IPIs, MSI delivery. SDM volume 3, chapter 11.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_LAPIC_H
#define BULKHEAD_VMM_ACCEL_SOFT_LAPIC_H

#include "cmd/vmm/accel/soft/soft.h"

[[nodiscard]] int soft_lapic_create(struct soft_cpu *c);
void soft_lapic_reset(struct soft_cpu *c);
/* An access to the xAPIC page; data is width bytes in place. */
void soft_lapic_mmio(struct soft_cpu *c, uint64_t offset, unsigned int width, bool write,
		     uint8_t *data);
/* RDMSR and WRMSR of 0x800-0x8ff, IA32_APIC_BASE and IA32_TSC_DEADLINE; false: #GP. */
[[nodiscard]] bool soft_lapic_rdmsr(struct soft_cpu *c, uint32_t msr, uint64_t *ret);
[[nodiscard]] bool soft_lapic_wrmsr(struct soft_cpu *c, uint32_t msr, uint64_t v);
/* CR8 */
uint64_t soft_lapic_get_tpr(struct soft_cpu *c);
void soft_lapic_set_tpr(struct soft_cpu *c, uint64_t v);
/* An MSI from anywhere (any thread): delivered to the vCPUs that it addresses, woken if needed. */
void soft_lapic_msi(struct accel *vm, const struct msi *msi);
/* The vCPU's own thread, at a block boundary: takes the highest interrupt above the priority and
 * marks it in service; -1 when there is none. */
int soft_lapic_take(struct soft_cpu *c);
/* Whether take would give one. */
bool soft_lapic_pending(struct soft_cpu *c);
/* INIT, SIPI (vector), NMI since the last call: what arrived, cleared. */
struct soft_signals {
	bool init, sipi, nmi;
	uint8_t sipi_vector;
};
struct soft_signals soft_lapic_signals(struct soft_cpu *c);
/* Host CLOCK_MONOTONIC ns at which the timer fires next, or UINT64_MAX. */
uint64_t soft_lapic_next_timer(struct soft_cpu *c);
/* Fires the timer if it is due. */
void soft_lapic_run_timer(struct soft_cpu *c);

#endif
