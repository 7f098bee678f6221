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

/* ---- lapic_image.c: its part of a vCPU's image; the vCPU stands still ---- */

#define SOFT_LAPIC_REGS 64
#define SOFT_TIME_MAX (UINT64_C(1) << 62) /* ns */
#define SOFT_LAPIC_SIGNALS 0x7ffU

struct soft_lapic_image {
	uint64_t base;
	uint32_t reg[SOFT_LAPIC_REGS];
	uint32_t isr[8], irr[8], tmr[8];
	uint8_t timer_on;
	uint64_t timer_left; /* ns until it fires */
	uint64_t timer_gone; /* ns since it was set */
	uint64_t deadline;
	uint32_t signals; /* INIT, SIPI and NMI that have come */
};

/* Rows of a schema whose image has a struct soft_lapic_image as a member. */
#define SOFT_LAPIC_STATE(type, m)                                                                 \
	STATE_ANY(type, m.base), STATE_ANYS(type, m.reg), STATE_ANYS(type, m.isr),                \
		STATE_ANYS(type, m.irr), STATE_ANYS(type, m.tmr), STATE_BOOL(type, m.timer_on),   \
		STATE_RANGE(type, m.timer_left, 0, SOFT_TIME_MAX), STATE_ANY(type, m.timer_gone), \
		STATE_ANY(type, m.deadline), STATE_BITS(type, m.signals, SOFT_LAPIC_SIGNALS)

/* NULL, or what is wrong. */
[[nodiscard]] const char *soft_lapic_image_check(const struct soft_lapic_image *i);
void soft_lapic_save(const struct soft_cpu *c, struct soft_lapic_image *ret);
/* The image is legal. Time has stood still since it was saved. */
void soft_lapic_load(struct soft_cpu *c, const struct soft_lapic_image *image);

#endif
