/* SPDX-License-Identifier: Apache-2.0 */
/* The LAPIC's part of a vCPU's image; see lapic.h. */
#include "cmd/vmm/accel/soft/lapic_state.h"

#include <string.h>

#define LVT_BITS 0x1f7ffU
#define NO_VECTORS 0xffffU /* 0 to 15 are exceptions' */

/* What a register can hold; what is not here holds nothing of its own. */
static const uint32_t held[N_REGS] = {
	[REG_ID] = 0xff000000U,
	[REG_TPR] = 0xff,
	[REG_LDR] = 0xff000000U,
	[REG_DFR] = UINT32_MAX,
	[REG_SVR] = 0x1ff,
	[REG_ICR_LOW] = UINT32_MAX,
	[REG_ICR_HIGH] = UINT32_MAX,
	[REG_LVT_TIMER] = 0x700ff,
	[REG_LVT_THERMAL] = LVT_BITS,
	[REG_LVT_THERMAL + 1] = LVT_BITS,
	[REG_LVT_THERMAL + 2] = LVT_BITS,
	[REG_LVT_THERMAL + 3] = LVT_BITS,
	[REG_LVT_ERROR] = LVT_BITS,
	[REG_TIMER_INITIAL] = UINT32_MAX,
	[REG_TIMER_DIVIDE] = 0xb,
};

_Static_assert(N_REGS == SOFT_LAPIC_REGS, "all of them");

const char *soft_lapic_image_check(const struct soft_lapic_image *i)
{
	bool periodic = LVT_MODE(i->reg[REG_LVT_TIMER]) == MODE_PERIODIC;

	if ((i->base & ~(uint64_t)(BASE_BSP | BASE_X2APIC | BASE_ENABLE)) != LAPIC_START ||
	    ((i->base & BASE_X2APIC) && !(i->base & BASE_ENABLE)))
		return "lapic.base cannot be";
	for (unsigned int r = 0; r < N_REGS; r++)
		if (i->reg[r] & ~held[r])
			return "lapic.reg has bits that no register holds";
	if ((i->isr[0] | i->irr[0] | i->tmr[0]) & NO_VECTORS)
		return "lapic: an interrupt with an exception's vector";
	if (i->timer_on && periodic && !i->reg[REG_TIMER_INITIAL])
		return "lapic.timer_on with a period of 0";
	return NULL;
}

void soft_lapic_save(const struct soft_cpu *c, struct soft_lapic_image *ret)
{
	const struct soft_lapic *l = c->lapic;
	uint64_t now = soft_now();

	memset(ret, 0, sizeof(*ret));
	ret->base = l->base;
	for (unsigned int r = 0; r < N_REGS; r++)
		ret->reg[r] = l->reg[r] & held[r];
	for (unsigned int i = 0; i < 8; i++) {
		ret->isr[i] = l->isr[i];
		ret->irr[i] = atomic_load(&l->irr[i]);
		ret->tmr[i] = atomic_load(&l->tmr[i]);
	}
	ret->timer_on = l->timer_due != UINT64_MAX;
	if (ret->timer_on && l->timer_due > now)
		ret->timer_left = l->timer_due - now;
	if (ret->timer_left > SOFT_TIME_MAX)
		ret->timer_left = SOFT_TIME_MAX;
	ret->timer_gone = now - l->timer_start;
	ret->deadline = l->deadline;
	ret->signals = atomic_load(&l->signals);
}

void soft_lapic_load(struct soft_cpu *c, const struct soft_lapic_image *image)
{
	struct soft_lapic *l = c->lapic;
	uint64_t now = soft_now();

	l->base = image->base;
	memcpy(l->reg, image->reg, sizeof(l->reg));
	for (unsigned int i = 0; i < 8; i++) {
		l->isr[i] = image->isr[i];
		atomic_store(&l->irr[i], image->irr[i]);
		atomic_store(&l->tmr[i], image->tmr[i]);
	}
	l->timer_start = now - image->timer_gone;
	l->deadline = image->deadline;
	atomic_store(&l->signals, image->signals);
	lapic_arm(c, image->timer_on ? now + image->timer_left : UINT64_MAX);
}
