/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the local APIC share; for lapic*.c only. Registers: SDM volume 3, table 11-1. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_LAPIC_STATE_H
#define BULKHEAD_VMM_ACCEL_SOFT_LAPIC_STATE_H

#include "cmd/vmm/accel/soft/lapic.h"
#include "cmd/vmm/accel/soft/vcpu.h"

#define REG_ID 0x02
#define REG_VERSION 0x03
#define REG_TPR 0x08
#define REG_PPR 0x0a
#define REG_EOI 0x0b
#define REG_LDR 0x0d
#define REG_DFR 0x0e
#define REG_SVR 0x0f
#define REG_ISR 0x10
#define REG_TMR 0x18
#define REG_IRR 0x20
#define REG_ESR 0x28
#define REG_ICR_LOW 0x30
#define REG_ICR_HIGH 0x31
#define REG_LVT_TIMER 0x32
#define REG_LVT_THERMAL 0x33
#define REG_LVT_ERROR 0x37
#define REG_TIMER_INITIAL 0x38
#define REG_TIMER_CURRENT 0x39
#define REG_TIMER_DIVIDE 0x3e
#define REG_SELF_IPI 0x3f
#define N_REGS 0x40

#define SVR_ENABLE (1U << 8)
#define LVT_MASKED (1U << 16)
#define LVT_MODE(v) (((v) >> 17) & 3)
#define MODE_ONESHOT 0
#define MODE_PERIODIC 1
#define MODE_DEADLINE 2

#define BASE_BSP (1U << 8)
#define BASE_X2APIC (1U << 10)
#define BASE_ENABLE (1U << 11)

#define DELIVER_FIXED 0
#define DELIVER_LOWEST 1
#define DELIVER_NMI 4
#define DELIVER_INIT 5
#define DELIVER_SIPI 6

/* irr, tmr and signals are set by any thread, all else by the vCPU's own. */
struct soft_lapic {
	uint64_t base;
	uint32_t reg[N_REGS];
	uint32_t isr[8];
	_Atomic uint32_t irr[8];
	_Atomic uint32_t tmr[8];
	uint64_t timer_start;	  /* ns */
	uint64_t timer_due;	  /* ns, UINT64_MAX: not running */
	uint64_t deadline;	  /* IA32_TSC_DEADLINE */
	_Atomic uint32_t signals; /* SIGNAL_*, with the SIPI's vector below; last, see reset */
};

static inline bool lapic_is_x2apic(const struct soft_lapic *l)
{
	return l->base & BASE_X2APIC;
}

/* A register by its number, in either mode (lapic.c). */
uint32_t lapic_read(struct soft_cpu *c, unsigned int r);
void lapic_write(struct soft_cpu *c, unsigned int r, uint32_t v);

/* An interrupt, or a DELIVER_* event, arrives (lapic_ipi.c). Any thread. */
void lapic_accept(struct soft_cpu *c, unsigned int mode, uint8_t vector, bool level);
void lapic_send_ipi(struct soft_cpu *c, uint64_t icr);

/* The timer (lapic_timer.c). due: ns, UINT64_MAX stops it. */
void lapic_arm(struct soft_cpu *c, uint64_t due);
void lapic_start_counter(struct soft_cpu *c);
uint32_t lapic_current_count(const struct soft_lapic *l);
void lapic_set_deadline(struct soft_cpu *c, uint64_t tsc);

#endif
