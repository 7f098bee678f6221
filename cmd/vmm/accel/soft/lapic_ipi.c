/* SPDX-License-Identifier: Apache-2.0 */
/* What LAPICs send each other, and messages of devices: SDM volume 3, 11.6 and 11.11. */
#include "cmd/vmm/accel/soft/lapic_state.h"

#define SIGNAL_INIT (1U << 8)
#define SIGNAL_SIPI (1U << 9)
#define SIGNAL_NMI (1U << 10)

/* Any thread. */
void lapic_accept(struct soft_cpu *c, unsigned int mode, uint8_t vector, bool level)
{
	struct soft_lapic *l = c->lapic;
	uint32_t bit = 1U << vector % 32;

	switch (mode) {
	case DELIVER_FIXED:
	case DELIVER_LOWEST:
		if (vector < 16)
			return;
		if (level)
			atomic_fetch_or(&l->tmr[vector / 32], bit);
		else
			atomic_fetch_and(&l->tmr[vector / 32], ~bit);
		atomic_fetch_or(&l->irr[vector / 32], bit);
		break;
	case DELIVER_NMI:
		atomic_fetch_or(&l->signals, SIGNAL_NMI);
		break;
	case DELIVER_INIT:
		atomic_fetch_or(&l->signals, SIGNAL_INIT);
		break;
	case DELIVER_SIPI:
		atomic_fetch_and(&l->signals, ~0xffU);
		atomic_fetch_or(&l->signals, SIGNAL_SIPI | vector);
		break;
	default:
		return;
	}
	soft_vcpu_wake(c, WAKE_INTERRUPT);
}

static bool addressed(struct soft_cpu *c, uint32_t dest, bool logical, bool wide)
{
	struct soft_lapic *l = c->lapic;
	uint32_t id = c->index;
	uint32_t ldr = l->reg[REG_LDR] >> 24;

	if (dest == (wide ? UINT32_MAX : 0xff))
		return true;
	if (!logical)
		return dest == id;
	if (lapic_is_x2apic(l)) {
		uint32_t cluster = id >> 4;

		return wide ? dest >> 16 == cluster && (dest & 1U << (id & 15)) :
			      cluster == 0 && id < 8 && (dest & 1U << id);
	}
	if (l->reg[REG_DFR] >> 28 == 0xf)
		return dest & ldr & 0xff;
	return (dest & 0xf0) == (ldr & 0xf0) && (dest & ldr & 0xf);
}

static void deliver(struct accel *vm, uint32_t dest, bool logical, bool wide, unsigned int mode,
		    uint8_t vector, bool level)
{
	for (unsigned int i = 0; i < vm->n_vcpus; i++) {
		if (!vm->cpus[i] || !addressed(vm->cpus[i], dest, logical, wide))
			continue;
		lapic_accept(vm->cpus[i], mode, vector, level);
		if (mode == DELIVER_LOWEST)
			return; /* any one of them may be the one */
	}
}

void soft_lapic_msi(struct accel *vm, const struct msi *msi)
{
	if ((msi->address & ~0xfffffULL) != LAPIC_START)
		return;
	deliver(vm, (msi->address >> 12) & 0xff, msi->address & 1U << 2, false,
		(msi->data >> 8) & 7, (uint8_t)msi->data, msi->data & 1U << 15);
}

void lapic_send_ipi(struct soft_cpu *c, uint64_t icr)
{
	bool wide = lapic_is_x2apic(c->lapic);
	uint32_t dest = wide ? (uint32_t)(icr >> 32) : (uint32_t)(icr >> 56);
	unsigned int mode = (icr >> 8) & 7;
	unsigned int shorthand = (icr >> 18) & 3;

	/* the de-assert of INIT is an event of the past */
	if (mode == DELIVER_INIT && !(icr & 1U << 14))
		return;
	if (!shorthand) {
		deliver(c->vm, dest, icr & 1U << 11, wide, mode, (uint8_t)icr, false);
		return;
	}
	for (unsigned int i = 0; i < c->vm->n_vcpus; i++) {
		struct soft_cpu *to = c->vm->cpus[i];
		bool self = to == c;

		if (to && (shorthand == 1 ? self : shorthand == 2 || !self))
			lapic_accept(to, mode, (uint8_t)icr, false);
	}
}

struct soft_signals soft_lapic_signals(struct soft_cpu *c)
{
	uint32_t s = atomic_exchange(&c->lapic->signals, 0);

	return (struct soft_signals){ .init = s & SIGNAL_INIT,
				      .sipi = s & SIGNAL_SIPI,
				      .nmi = s & SIGNAL_NMI,
				      .sipi_vector = (uint8_t)s };
}
