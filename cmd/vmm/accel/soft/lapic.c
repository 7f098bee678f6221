/* SPDX-License-Identifier: Apache-2.0 */
/* The software CPU's local APIC; see lapic.h. Registers: SDM volume 3, table 11-1. */
#include "cmd/vmm/accel/soft/lapic.h"

#include "cmd/vmm/accel/soft/vcpu.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

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

#define VERSION 0x00050014U /* six LVT entries, no EOI suppression */
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

#define TIMER_HZ 1000000000U /* the timer counts ns, as the TSC does */

#define SIGNAL_INIT (1U << 8)
#define SIGNAL_SIPI (1U << 9)
#define SIGNAL_NMI (1U << 10)

/* irr, tmr and signals are set by any thread, all else by the vCPU's own. */
struct soft_lapic {
	uint64_t base;
	uint32_t reg[N_REGS];
	uint32_t isr[8];
	_Atomic uint32_t irr[8];
	_Atomic uint32_t tmr[8];
	uint64_t timer_start;     /* ns */
	uint64_t timer_due;       /* ns, UINT64_MAX: not running */
	uint64_t deadline;        /* IA32_TSC_DEADLINE */
	_Atomic uint32_t signals; /* SIGNAL_*, with the SIPI's vector below; last, see reset */
};

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

static bool x2apic(const struct soft_lapic *l)
{
	return l->base & BASE_X2APIC;
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
		c->vm->io.access(c->vm->io.ctx, &e);
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

/* ---- delivery to other LAPICs ---- */

/* Any thread. */
static void accept(struct soft_cpu *c, unsigned int mode, uint8_t vector, bool level)
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
	if (x2apic(l)) {
		uint32_t cluster = id >> 4;

		return wide ? dest >> 16 == cluster && (dest & 1U << (id & 15))
			    : cluster == 0 && id < 8 && (dest & 1U << id);
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
		accept(vm->cpus[i], mode, vector, level);
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

static void send_ipi(struct soft_cpu *c, uint64_t icr)
{
	bool wide = x2apic(c->lapic);
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
			accept(to, mode, (uint8_t)icr, false);
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

/* ---- timer ---- */

static uint64_t divisor(const struct soft_lapic *l)
{
	uint32_t d = l->reg[REG_TIMER_DIVIDE];
	uint32_t code = (d & 3) | (d & 8) >> 1;

	return code == 7 ? 1 : 2ULL << code;
}

static void arm(struct soft_cpu *c, uint64_t due)
{
	c->lapic->timer_due = due;
	soft_vcpu_arm(c, due);
}

static void start_counter(struct soft_cpu *c)
{
	struct soft_lapic *l = c->lapic;
	uint64_t initial = l->reg[REG_TIMER_INITIAL];

	l->timer_start = soft_now();
	if (LVT_MODE(l->reg[REG_LVT_TIMER]) == MODE_DEADLINE)
		return;
	arm(c, initial ? l->timer_start + initial * divisor(l) : UINT64_MAX);
}

static uint32_t current_count(const struct soft_lapic *l)
{
	uint64_t initial = l->reg[REG_TIMER_INITIAL];
	uint64_t gone = (soft_now() - l->timer_start) / divisor(l);

	if (!initial || LVT_MODE(l->reg[REG_LVT_TIMER]) == MODE_DEADLINE)
		return 0;
	if (LVT_MODE(l->reg[REG_LVT_TIMER]) == MODE_PERIODIC)
		return (uint32_t)(initial - gone % initial);
	return gone >= initial ? 0 : (uint32_t)(initial - gone);
}

static void set_deadline(struct soft_cpu *c, uint64_t tsc)
{
	struct soft_lapic *l = c->lapic;

	if (LVT_MODE(l->reg[REG_LVT_TIMER]) != MODE_DEADLINE)
		return;
	l->deadline = tsc;
	arm(c, tsc ? tsc - c->tsc_offset : UINT64_MAX);
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
		arm(c, l->timer_due + ((now - l->timer_due) / period + 1) * period);
	} else {
		l->deadline = 0;
		arm(c, UINT64_MAX);
	}
	if (!(lvt & LVT_MASKED))
		accept(c, DELIVER_FIXED, (uint8_t)lvt, false);
}

/* ---- registers ---- */

static uint32_t read_reg(struct soft_cpu *c, unsigned int r)
{
	struct soft_lapic *l = c->lapic;

	switch (r) {
	case REG_ID:
		return x2apic(l) ? c->index : l->reg[r];
	case REG_LDR:
		return x2apic(l) ? (c->index >> 4) << 16 | 1U << (c->index & 15) : l->reg[r];
	case REG_VERSION:
		return VERSION;
	case REG_PPR:
		return priority(l);
	case REG_TIMER_CURRENT:
		return current_count(l);
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
		arm(c, UINT64_MAX);
	}
}

static void write_svr(struct soft_cpu *c, uint32_t v)
{
	c->lapic->reg[REG_SVR] = v & 0x1ff;
	if (v & SVR_ENABLE)
		return;
	for (unsigned int r = REG_LVT_TIMER; r <= REG_LVT_ERROR; r++)
		c->lapic->reg[r] |= LVT_MASKED;
}

static void write_reg(struct soft_cpu *c, unsigned int r, uint32_t v)
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
		send_ipi(c, (uint64_t)l->reg[REG_ICR_HIGH] << 32 | v);
		break;
	case REG_ICR_HIGH:
		l->reg[r] = v & 0xff000000;
		break;
	case REG_TIMER_INITIAL:
		l->reg[r] = v;
		start_counter(c);
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

	if (!(l->base & BASE_ENABLE) || x2apic(l) || width != 4 || (offset & 0xf)) {
		if (!write)
			memset(data, 0xff, width);
		return;
	}
	if (write) {
		memcpy(&v, data, 4);
		write_reg(c, (unsigned int)(offset >> 4), v);
	} else {
		v = read_reg(c, (unsigned int)(offset >> 4));
		memcpy(data, &v, 4);
	}
}

/* SDM volume 3, table 11-6: a bit for each register. */
#define BIT_OF(r) (1ULL << (r))
#define BITS_OF(first, n) (((1ULL << (n)) - 1) << (first))
static const uint64_t x2apic_readable =
	BIT_OF(REG_ID) | BIT_OF(REG_VERSION) | BIT_OF(REG_TPR) | BIT_OF(REG_PPR) | BIT_OF(REG_LDR) |
	BIT_OF(REG_SVR) | BITS_OF(REG_ISR, 24) | BIT_OF(REG_ESR) | BIT_OF(REG_ICR_LOW) |
	BITS_OF(REG_LVT_TIMER, 6) | BITS_OF(REG_TIMER_INITIAL, 2) | BIT_OF(REG_TIMER_DIVIDE);
static const uint64_t x2apic_writable =
	BIT_OF(REG_TPR) | BIT_OF(REG_EOI) | BIT_OF(REG_SVR) | BIT_OF(REG_ESR) | BIT_OF(REG_ICR_LOW) |
	BITS_OF(REG_LVT_TIMER, 6) | BIT_OF(REG_TIMER_INITIAL) | BIT_OF(REG_TIMER_DIVIDE) |
	BIT_OF(REG_SELF_IPI);

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
	if (!x2apic(l) || !in_set(x2apic_readable, msr - MSR_X2APIC))
		return false;
	*ret = read_reg(c, msr - MSR_X2APIC);
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
	if (x2apic(l) && (v & BASE_ENABLE) && !(v & BASE_X2APIC))
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
		set_deadline(c, v);
		return true;
	}
	if (!x2apic(l) || r >= N_REGS)
		return false;
	if (r == REG_ICR_LOW) {
		l->reg[REG_ICR_LOW] = (uint32_t)v;
		l->reg[REG_ICR_HIGH] = (uint32_t)(v >> 32);
		send_ipi(c, v);
		return true;
	}
	if (!in_set(x2apic_writable, r) || v & x2apic_reserved(r))
		return false;
	if (r == REG_SELF_IPI)
		accept(c, DELIVER_FIXED, (uint8_t)v, false);
	else
		write_reg(c, r, (uint32_t)v);
	return true;
}
