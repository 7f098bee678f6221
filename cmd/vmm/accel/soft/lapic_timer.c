/* SPDX-License-Identifier: Apache-2.0 */
/* The LAPIC's timer, which counts ns, as the TSC does: SDM volume 3, 11.5.4. */
#include "cmd/vmm/accel/soft/lapic_state.h"

static uint64_t divisor(const struct soft_lapic *l)
{
	uint32_t d = l->reg[REG_TIMER_DIVIDE];
	uint32_t code = (d & 3) | (d & 8) >> 1;

	return code == 7 ? 1 : 2ULL << code;
}

void lapic_arm(struct soft_cpu *c, uint64_t due)
{
	c->lapic->timer_due = due;
	soft_vcpu_arm(c, due);
}

void lapic_start_counter(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;
	uint64_t initial = l->reg[REG_TIMER_INITIAL];

	l->timer_start = soft_now();
	if (LVT_MODE(l->reg[REG_LVT_TIMER]) == MODE_DEADLINE)
		return;
	lapic_arm(c, initial ? l->timer_start + initial * divisor(l) : UINT64_MAX);
}

uint32_t lapic_current_count(const struct soft_lapic *l)
{
	uint64_t initial = l->reg[REG_TIMER_INITIAL];
	uint64_t gone = (soft_now() - l->timer_start) / divisor(l);

	if (!initial || LVT_MODE(l->reg[REG_LVT_TIMER]) == MODE_DEADLINE)
		return 0;
	if (LVT_MODE(l->reg[REG_LVT_TIMER]) == MODE_PERIODIC)
		return (uint32_t)(initial - gone % initial);
	return gone >= initial ? 0 : (uint32_t)(initial - gone);
}

void lapic_set_deadline(struct soft_cpu *c, uint64_t tsc)
{
	struct soft_lapic *l = c->lapic;

	if (LVT_MODE(l->reg[REG_LVT_TIMER]) != MODE_DEADLINE)
		return;
	l->deadline = tsc;
	lapic_arm(c, tsc ? tsc - c->tsc_offset : UINT64_MAX);
}

uint64_t soft_lapic_next_timer(struct soft_cpu *c)
{
	return c->lapic->timer_due;
}

void soft_lapic_run_timer(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;
	uint32_t lvt = l->reg[REG_LVT_TIMER];
	uint64_t now = soft_now();
	uint64_t period;

	if (l->timer_due > now)
		return;
	if (LVT_MODE(lvt) == MODE_PERIODIC) {
		period = (uint64_t)l->reg[REG_TIMER_INITIAL] * divisor(l);
		/* periods that passed unseen are not made up for */
		lapic_arm(c, l->timer_due + ((now - l->timer_due) / period + 1) * period);
	} else {
		l->deadline = 0;
		lapic_arm(c, UINT64_MAX);
	}
	if (!(lvt & LVT_MASKED))
		lapic_accept(c, DELIVER_FIXED, (uint8_t)lvt, false);
}
