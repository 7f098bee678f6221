/* SPDX-License-Identifier: Apache-2.0 */
/* The software CPU's local APIC: its registers and priorities; see lapic.h. */
#include "cmd/vmm/accel/soft/lapic_state.h"

#include "cmd/vmm/accel/soft/alone.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 0x00050014U /* six LVT entries, no EOI suppression */

int soft_lapic_create(struct soft_cpu *c)
{
	c->lapic = calloc(1, sizeof(*c->lapic));
	return c->lapic ? 0 : -ENOMEM;
}

void soft_lapic_reset(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;

	/* not the signals: a SIPI may follow an INIT closely */
	memset(l, 0, offsetof(struct soft_lapic, signals));
	l->base = LAPIC_START | BASE_ENABLE | (c->index == 0 ? BASE_BSP : 0);
	l->reg[REG_ID] = c->index << 24;
	l->reg[REG_DFR] = UINT32_MAX;
	l->reg[REG_SVR] = 0xff;
	for (unsigned int r = REG_LVT_TIMER; r <= REG_LVT_ERROR; r++)
		l->reg[r] = LVT_MASKED;
	l->timer_due = UINT64_MAX;
	soft_vcpu_arm(c, UINT64_MAX);
}

static int highest(const uint32_t bits[8])
{
	for (int i = 7; i >= 0; i--)
		if (bits[i])
			return i * 32 + 31 - __builtin_clz(bits[i]);
	return -1;
}

static int highest_irr(struct soft_lapic *l)
{
	uint32_t copy[8];

	for (int i = 0; i < 8; i++)
		copy[i] = atomic_load_explicit(&l->irr[i], memory_order_acquire);
	return highest(copy);
}

/* ---- priority ---- */

static uint32_t priority(const struct soft_lapic *l)
{
	int in_service = highest(l->isr);
	uint32_t isr_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;
	uint32_t tpr = l->reg[REG_TPR] & 0xff;

	return (tpr & 0xf0) >= isr_class ? tpr : isr_class;
}

bool soft_lapic_pending(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;
	int vector;

	if (!(l->reg[REG_SVR] & SVR_ENABLE))
		return false;
	vector = highest_irr(l);
	return vector >= 0 && ((uint32_t)vector & 0xf0) > (priority(l) & 0xf0);
}

int soft_lapic_take(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;
	int vector;

	if (!soft_lapic_pending(c))
		return -1;
	vector = highest_irr(l);
	atomic_fetch_and(&l->irr[vector / 32], ~(1U << vector % 32));
	l->isr[vector / 32] |= 1U << vector % 32;
	return vector;
}

static void eoi(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;
	int vector = highest(l->isr);
	struct accel_exit e = { .kind = ACCEL_EXIT_EOI };

	if (vector < 0)
		return;
	l->isr[vector / 32] &= ~(1U << vector % 32);
	if (atomic_load(&l->tmr[vector / 32]) & 1U << vector % 32) {
		e.eoi_vector = (uint8_t)vector;
		soft_io(c, &e);
	}
	soft_vcpu_wake(c, WAKE_INTERRUPT); /* the next one may fit now */
}

uint64_t soft_lapic_get_tpr(struct soft_cpu *c)
{
	return c->lapic->reg[REG_TPR] >> 4 & 0xf;
}

void soft_lapic_set_tpr(struct soft_cpu *c, uint64_t v)
{
	c->lapic->reg[REG_TPR] = (uint32_t)(v & 0xf) << 4;
	soft_vcpu_wake(c, WAKE_INTERRUPT);
}

/* ---- registers ---- */

uint32_t lapic_read(struct soft_cpu *c, unsigned int r)
{
	struct soft_lapic *l = c->lapic;

	switch (r) {
	case REG_ID:
		return lapic_is_x2apic(l) ? c->index : l->reg[r];
	case REG_LDR:
		return lapic_is_x2apic(l) ? (c->index >> 4) << 16 | 1U << (c->index & 15) :
					    l->reg[r];
	case REG_VERSION:
		return VERSION;
	case REG_PPR:
		return priority(l);
	case REG_TIMER_CURRENT:
		return lapic_current_count(l);
	}
	if (r >= REG_ISR && r < REG_ISR + 8)
		return l->isr[r - REG_ISR];
	if (r >= REG_TMR && r < REG_TMR + 8)
		return atomic_load(&l->tmr[r - REG_TMR]);
	if (r >= REG_IRR && r < REG_IRR + 8)
		return atomic_load(&l->irr[r - REG_IRR]);
	return r < N_REGS ? l->reg[r] : 0;
}

static void write_lvt(struct soft_cpu *c, unsigned int r, uint32_t v)
{
	struct soft_lapic *l = c->lapic;
	uint32_t old = l->reg[r];

	l->reg[r] = v & (r == REG_LVT_TIMER ? 0x700ffU : 0x1f7ffU);
	if (!(l->reg[REG_SVR] & SVR_ENABLE))
		l->reg[r] |= LVT_MASKED;
	if (r == REG_LVT_TIMER && LVT_MODE(old) != LVT_MODE(v)) {
		l->deadline = 0;
		lapic_arm(c, UINT64_MAX);
	}
}

static void write_svr(struct soft_cpu *c, uint32_t v)
{
	c->lapic->reg[REG_SVR] = v & 0x1ff;
	if (v & SVR_ENABLE) {
		soft_vcpu_wake(c, WAKE_INTERRUPT); /* what has waited since it was off */
		return;
	}
	for (unsigned int r = REG_LVT_TIMER; r <= REG_LVT_ERROR; r++)
		c->lapic->reg[r] |= LVT_MASKED;
}

void lapic_write(struct soft_cpu *c, unsigned int r, uint32_t v)
{
	struct soft_lapic *l = c->lapic;

	switch (r) {
	case REG_TPR:
		l->reg[r] = v & 0xff;
		soft_vcpu_wake(c, WAKE_INTERRUPT);
		break;
	case REG_EOI:
		eoi(c);
		break;
	case REG_LDR:
		l->reg[r] = v & 0xff000000;
		break;
	case REG_DFR:
		l->reg[r] = v | 0x0fffffff;
		break;
	case REG_SVR:
		write_svr(c, v);
		break;
	case REG_ESR:
		l->reg[r] = 0;
		break;
	case REG_ICR_LOW:
		l->reg[r] = v & ~(1U << 12);
		lapic_send_ipi(c, (uint64_t)l->reg[REG_ICR_HIGH] << 32 | v);
		break;
	case REG_ICR_HIGH:
		l->reg[r] = v & 0xff000000;
		break;
	case REG_TIMER_INITIAL:
		l->reg[r] = v;
		lapic_start_counter(c);
		break;
	case REG_TIMER_DIVIDE:
		l->reg[r] = v & 0xb;
		break;
	default:
		if (r >= REG_LVT_TIMER && r <= REG_LVT_ERROR)
			write_lvt(c, r, v);
	}
}

void soft_lapic_mmio(struct soft_cpu *c, uint64_t offset, unsigned int width, bool write,
		     uint8_t *data)
{
	struct soft_lapic *l = c->lapic;
	uint32_t v = UINT32_MAX;

	if (!(l->base & BASE_ENABLE) || lapic_is_x2apic(l) || width != 4 || (offset & 0xf)) {
		if (!write)
			memset(data, 0xff, width);
		return;
	}
	if (write) {
		memcpy(&v, data, 4);
		lapic_write(c, (unsigned int)(offset >> 4), v);
	} else {
		v = lapic_read(c, (unsigned int)(offset >> 4));
		memcpy(data, &v, 4);
	}
}
