/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V's interface, by a guest that uses it: the time in a page and by MSR, timers that interrupt by a message of
 * SynIC or directly, the LAPIC's registers by MSR. Times are compared with each other alone.
 */
#include "tests/guest/lib/hyperv.h"
#include "tests/guest/lib/trap.h"

#define SINT 2
#define BY_MESSAGE 1 /* IRQ_VECTOR + this */
#define DIRECT 2
#define BY_IPI 3

struct clock { /* TLFS 12.7.3 */
	volatile uint32_t sequence, reserved;
	volatile uint64_t scale;
	volatile int64_t offset;
};

struct message { /* TLFS 11.8.5 */
	volatile uint32_t type;
	volatile uint8_t size, flags;
	uint16_t reserved;
	uint64_t origin;
	volatile uint32_t timer, reserved2;
	volatile uint64_t expired, delivered;
};

static union {
	struct clock clock;
	uint8_t bytes[4096];
} clock_page __attribute__((aligned(4096)));

static uint8_t messages[16][256] __attribute__((aligned(4096)));

static uint64_t now(void)
{
	return rdmsr(HV_TIME_REF_COUNT);
}

/* ---- time ---- */

static void frequencies(void)
{
	uint32_t r[4];

	cpuid(0x15, 0, r);
	check_eq(rdmsr(HV_TSC_FREQUENCY) / 1000, (uint64_t)r[2] * r[1] / r[0] / 1000,
		 "the frequency of the TSC is that of leaf 15h");
	check_eq(rdmsr(HV_APIC_FREQUENCY), 1000000000, "that of the APIC's timer");
}

static uint64_t by_page(void)
{
	const struct clock *c = &clock_page.clock;
	uint64_t low, high;

	__asm__("mulq %3" : "=a"(low), "=d"(high) : "a"(rdtsc()), "r"(c->scale));
	return high + (uint64_t)c->offset;
}

static void time_by_page(void)
{
	uint64_t before, between, after;
	bool in_order = true;

	wrmsr(HV_REFERENCE_TSC, (uint64_t)&clock_page | HV_ENABLE);
	irq_settle();
	check(clock_page.clock.sequence && clock_page.clock.scale, "a page with the clock");
	for (unsigned int i = 0; i < 1000 && in_order; i++) {
		before = now();
		between = by_page();
		after = now();
		/* either may have been rounded down */
		in_order = before <= between + 10 && between <= after + 10;
	}
	check(in_order, "tells the time of the counter");
	before = now();
	irq_settle();
	check(now() > before, "which goes on");
}

/* ---- timers ---- */

static void set_timer(unsigned int n, uint64_t config, uint64_t count)
{
	wrmsr(HV_STIMER0_CONFIG + 2 * n, config);
	wrmsr(HV_STIMER0_COUNT + 2 * n, count);
}

static void directly(void)
{
	const uint64_t config = HV_TIMER_AUTO | HV_TIMER_DIRECT |
				HV_TIMER_VECTOR(IRQ_VECTOR + DIRECT);

	set_timer(0, config, now() + 10000);
	check(irq_comes(DIRECT, 1), "a timer that interrupts");
	check(irq_stays(DIRECT, 1), "once");
	set_timer(0, config, 1);
	check(irq_comes(DIRECT, 2), "one in the past at once");
	set_timer(1, config | HV_TIMER_PERIODIC, 20000);
	check(irq_comes(DIRECT, 6), "a periodic one");
	wrmsr(HV_STIMER0_CONFIG + 2, 0);
	irq_settle();
	check(irq_stays(DIRECT, irq_count(DIRECT)), "until it is off");
	set_timer(0, HV_TIMER_AUTO | HV_TIMER_DIRECT | HV_TIMER_VECTOR(3), 1);
	irq_settle();
	check(true, "one with an exception's vector interrupts nobody");
	set_timer(0, 0, 0);
}

static void by_message(void)
{
	struct message *m = (struct message *)messages[SINT];

	wrmsr(HV_SIMP, (uint64_t)messages | HV_ENABLE);
	wrmsr(HV_SINT0 + SINT, IRQ_VECTOR + BY_MESSAGE);
	set_timer(2, HV_TIMER_AUTO | HV_TIMER_SINT(SINT), now() + 10000);
	check(irq_comes(BY_MESSAGE, 1), "a timer that sends a message");
	check_eq(m->type, HV_MESSAGE_TIMER, "its type");
	check_eq(m->timer, 2, "which timer");
	check(m->expired && m->expired <= m->delivered && m->delivered <= now(), "when");
	set_timer(3, HV_TIMER_AUTO | HV_TIMER_SINT(SINT), 1);
	check(irq_stays(BY_MESSAGE, 1), "the next one waits until it is read");
	check_eq(m->flags & 1, 1, "and says so");
	m->type = 0;
	barrier();
	wrmsr(HV_EOM, 0);
	check(irq_comes(BY_MESSAGE, 2), "and comes then");
	check_eq(m->timer, 3, "of the other timer");
	m->type = 0;
}

/* A page that is no RAM any more when the message comes, lines that are masked. */
static void by_message_to_nowhere(void)
{
	const uint32_t n = irq_count(BY_MESSAGE);

	wrmsr(HV_SIMP, 0);
	set_timer(2, HV_TIMER_AUTO | HV_TIMER_SINT(SINT), 1);
	check(irq_stays(BY_MESSAGE, n), "no page, no message");
	wrmsr(HV_SIMP, (uint64_t)messages | HV_ENABLE);
	wrmsr(HV_SINT0 + SINT, HV_SINT_MASKED | (IRQ_VECTOR + BY_MESSAGE));
	set_timer(2, HV_TIMER_AUTO | HV_TIMER_SINT(SINT) | HV_TIMER_PERIODIC, 1);
	check(irq_stays(BY_MESSAGE, n), "a masked line does not interrupt");
	set_timer(2, 0, 0);
	set_timer(3, 0, 0);
}

/* ---- the LAPIC ---- */

static void local_apic(void)
{
	wrmsr(HV_TPR, 0x50);
	check_eq(lapic_read(0x80), 0x50, "priority by MSR");
	wrmsr(HV_ICR, 0x40000 | (IRQ_VECTOR + BY_IPI));
	check(irq_stays(BY_IPI, 0), "an interrupt of low priority waits");
	wrmsr(HV_TPR, 0);
	check(irq_comes(BY_IPI, 1), "and comes then");
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	irq_init();
	wrmsr(HV_GUEST_OS_ID, HV_OS);
	frequencies();
	time_by_page();
	local_apic();
	directly();
	by_message();
	by_message_to_nowhere();
}
