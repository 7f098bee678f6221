/* SPDX-License-Identifier: Apache-2.0 */
/* The LAPIC's model-specific registers: its base, its deadline, and x2APIC mode. */
#include "cmd/vmm/accel/soft/lapic_state.h"

/* SDM volume 3, table 11-6: a bit for each register. */
#define BIT_OF(r) (1ULL << (r))
#define BITS_OF(first, n) (((1ULL << (n)) - 1) << (first))
static const uint64_t x2apic_readable =
	BIT_OF(REG_ID) | BIT_OF(REG_VERSION) | BIT_OF(REG_TPR) | BIT_OF(REG_PPR) | BIT_OF(REG_LDR) |
	BIT_OF(REG_SVR) | BITS_OF(REG_ISR, 24) | BIT_OF(REG_ESR) | BIT_OF(REG_ICR_LOW) |
	BITS_OF(REG_LVT_TIMER, 6) | BITS_OF(REG_TIMER_INITIAL, 2) | BIT_OF(REG_TIMER_DIVIDE);
static const uint64_t x2apic_writable = BIT_OF(REG_TPR) | BIT_OF(REG_EOI) | BIT_OF(REG_SVR) |
					BIT_OF(REG_ESR) | BIT_OF(REG_ICR_LOW) |
					BITS_OF(REG_LVT_TIMER, 6) | BIT_OF(REG_TIMER_INITIAL) |
					BIT_OF(REG_TIMER_DIVIDE) | BIT_OF(REG_SELF_IPI);

static bool in_set(uint64_t set, uint32_t r)
{
	return r < N_REGS && (set >> r & 1);
}

/* Bits that must be 0 in a write. */
static uint64_t x2apic_reserved(uint32_t r)
{
	switch (r) {
	case REG_EOI:
	case REG_ESR:
		return UINT64_MAX;
	case REG_TPR:
	case REG_SELF_IPI:
		return ~0xffULL;
	}
	return ~(uint64_t)UINT32_MAX;
}

#define MSR_APIC_BASE 0x1b
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC 0x800

bool soft_lapic_rdmsr(struct soft_cpu *c, uint32_t msr, uint64_t *ret)
{
	struct soft_lapic *l = c->lapic;

	if (msr == MSR_APIC_BASE) {
		*ret = l->base;
		return true;
	}
	if (msr == MSR_TSC_DEADLINE) {
		*ret = l->deadline;
		return true;
	}
	if (!lapic_is_x2apic(l) || !in_set(x2apic_readable, msr - MSR_X2APIC))
		return false;
	*ret = lapic_read(c, msr - MSR_X2APIC);
	if (msr - MSR_X2APIC == REG_ICR_LOW)
		*ret |= (uint64_t)l->reg[REG_ICR_HIGH] << 32;
	return true;
}

static bool set_base(struct soft_cpu *c, uint64_t v)
{
	struct soft_lapic *l = c->lapic;
	uint64_t known = BASE_BSP | BASE_X2APIC | BASE_ENABLE;

	/* the page stays where it is; x2APIC needs the LAPIC on and goes only by way of off */
	if ((v & ~known) != LAPIC_START || ((v & BASE_X2APIC) && !(v & BASE_ENABLE)))
		return false;
	if (lapic_is_x2apic(l) && (v & BASE_ENABLE) && !(v & BASE_X2APIC))
		return false;
	l->base = v;
	return true;
}

bool soft_lapic_wrmsr(struct soft_cpu *c, uint32_t msr, uint64_t v)
{
	struct soft_lapic *l = c->lapic;
	uint32_t r = msr - MSR_X2APIC;

	if (msr == MSR_APIC_BASE)
		return set_base(c, v);
	if (msr == MSR_TSC_DEADLINE) {
		lapic_set_deadline(c, v);
		return true;
	}
	if (!lapic_is_x2apic(l) || r >= N_REGS)
		return false;
	if (r == REG_ICR_LOW) {
		l->reg[REG_ICR_LOW] = (uint32_t)v;
		l->reg[REG_ICR_HIGH] = (uint32_t)(v >> 32);
		lapic_send_ipi(c, v);
		return true;
	}
	if (!in_set(x2apic_writable, r) || v & x2apic_reserved(r))
		return false;
	if (r == REG_SELF_IPI)
		lapic_accept(c, DELIVER_FIXED, (uint8_t)v, false);
	else
		lapic_write(c, r, (uint32_t)v);
	return true;
}
