/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local APIC: timer in its three modes, IPIs of every kind between two CPUs, priorities, and
 * x2APIC. SDM volume 3, chapter 11. Times are never compared, only that something comes or does not.
 */
#include "tests/guest/lib/smp.h"
#include "tests/guest/lib/trap.h"

#define TPR 0x80
#define ESR 0x280
#define ICR 0x300
#define ICR_HIGH 0x310
#define LVT_TIMER 0x320
#define INITIAL 0x380
#define CURRENT 0x390
#define DIVIDE 0x3e0
#define MASKED 0x10000
#define PERIODIC 0x20000
#define DEADLINE 0x40000
#define MSR_DEADLINE 0x6e0
#define ICR_NMI 0x400
#define TO_SELF 0x40000
#define TO_ALL 0x80000
#define TO_OTHERS 0xc0000
#define APIC_BASE 0x1b

/* ---- timer: vector IRQ_VECTOR ---- */

static void one_shot(void)
{
	lapic_write(DIVIDE, 0xb);
	lapic_write(LVT_TIMER, IRQ_VECTOR);
	lapic_write(INITIAL, 10000);
	check(irq_comes(0, 1), "one shot");
	check(irq_stays(0, 1), "only once");
	check_eq(lapic_read(CURRENT), 0, "the count is at its end");
	lapic_write(LVT_TIMER, MASKED | IRQ_VECTOR);
	lapic_write(INITIAL, 10000);
	check(irq_stays(0, 1), "not when masked");
	lapic_write(LVT_TIMER, IRQ_VECTOR);
	lapic_write(INITIAL, 0xffffffff);
	check(lapic_read(CURRENT) > 0, "it counts");
	lapic_write(INITIAL, 0);
	check_eq(lapic_read(CURRENT), 0, "zero stops it");
}

static void periodic(void)
{
	uint32_t n = irq_count(0);

	lapic_write(LVT_TIMER, PERIODIC | IRQ_VECTOR);
	lapic_write(INITIAL, 2000000);
	check(irq_comes(0, n + 4), "periodic");
	lapic_write(INITIAL, 0);
	irq_settle();
	n = irq_count(0);
	check(irq_stays(0, n), "and stops");
}

static void deadline(void)
{
	uint32_t r[4], n = irq_count(0);

	cpuid(1, 0, r);
	if (!check(r[2] >> 24 & 1, "TSC deadline is there"))
		return;
	lapic_write(LVT_TIMER, DEADLINE | IRQ_VECTOR);
	barrier();
	wrmsr(MSR_DEADLINE, rdtsc() + 100000);
	check(irq_comes(0, n + 1), "a deadline");
	check_eq(rdmsr(MSR_DEADLINE), 0, "is gone afterwards");
	wrmsr(MSR_DEADLINE, 1);
	check(irq_comes(0, n + 2), "a deadline of the past");
	wrmsr(MSR_DEADLINE, rdtsc() + (1ULL << 40));
	wrmsr(MSR_DEADLINE, 0);
	check(irq_stays(0, n + 2), "none");
	lapic_write(LVT_TIMER, MASKED);
}

/* ---- IPIs ---- */

static volatile uint32_t other_stop, other_flag;

/* Interrupts on; counts are everybody's. */
static void other(unsigned int cpu)
{
	(void)cpu;
	irq_init();
	other_flag = 1;
	while (!other_stop)
		__asm__ volatile("pause");
	__asm__ volatile("cli");
}

static void send(uint32_t dest, uint32_t icr)
{
	lapic_write(ICR_HIGH, dest << 24);
	lapic_write(ICR, icr);
	while (lapic_read(ICR) & 0x1000)
		;
}

static void ipis(void)
{
	send(0, TO_SELF | (IRQ_VECTOR + 1));
	check(irq_comes(1, 1), "to itself");
	send(1, IRQ_VECTOR + 1);
	check(irq_comes(1, 2), "to the other, by its id");
	send(0, IRQ_VECTOR + 1);
	check(irq_comes(1, 3), "to itself, by its id");
	send(0, TO_OTHERS | (IRQ_VECTOR + 1));
	check(irq_comes(1, 4), "to all others");
	send(0, TO_ALL | (IRQ_VECTOR + 1));
	check(irq_comes(1, 6), "to all");
	send(0xff, IRQ_VECTOR + 1);
	check(irq_comes(1, 8), "broadcast");
	send(9, IRQ_VECTOR + 1);
	check(irq_stays(1, 8), "to nobody");
	lapic_write(TPR, 0x50);
	send(0, TO_SELF | (IRQ_VECTOR + 2));
	check(irq_stays(2, 0), "below the priority: waits");
	check_eq(lapic_read(0x200 + 0x10 * ((IRQ_VECTOR + 2) / 32)) >> ((IRQ_VECTOR + 2) % 32) & 1,
		 1, "in the IRR");
	lapic_write(TPR, 0);
	check(irq_comes(2, 1), "and comes then");
}

/* ---- what IF and an NMI's handler keep out comes behind the IRET ---- */

static volatile uint32_t nmis;

__attribute__((interrupt)) static void on_nmi(struct interrupt_frame *f)
{
	(void)f;
	nmis = nmis + 1;
	if (nmis > 1)
		return;
	/* an interrupt's handler calls nothing */
	__asm__ volatile("movl %0, (%1)" : : "r"(0), "r"(LAPIC_START + ICR_HIGH) : "memory");
	__asm__ volatile("movl %0, (%1)" : : "r"(ICR_NMI), "r"(LAPIC_START + ICR) : "memory");
}

static void behind_iret(void)
{
	uint32_t first = irq_count(1), second = irq_count(2);

	__asm__ volatile("cli");
	send(0, TO_SELF | (IRQ_VECTOR + 1));
	send(0, TO_SELF | (IRQ_VECTOR + 2));
	__asm__ volatile("sti; nop; cli" : : : "memory");
	check_eq(irq_count(1) - first, 1, "the first of two, behind STI; NOP");
	check_eq(irq_count(2) - second, 1, "and the second");
	idt_gate(NMI, on_nmi);
	send(0, ICR_NMI);
	for (unsigned int k = 0; k < 400 && nmis < 2; k++)
		irq_settle();
	check_eq(nmis, 2, "an NMI that an NMI's handler sends");
	__asm__ volatile("sti");
}

static void x2apic(void)
{
	wrmsr(APIC_BASE, rdmsr(APIC_BASE) | 0x400);
	check_eq(rdmsr(0x802), 0, "x2APIC: id");
	check_eq(rdmsr(0x80d), 1, "x2APIC: logical id");
	wrmsr(0x83f, IRQ_VECTOR + 3);
	wrmsr(0x80b, 0);
	for (unsigned int k = 0; k < 100 && !irq_count(3); k++)
		irq_settle();
	check_eq(irq_count(3), 1, "x2APIC: to itself");
	wrmsr(0x830, 1ULL << 32 | TRAP_LEAVE);
	check(true, "x2APIC: to the other");
}

static void refusals(void)
{
	TRY("x2APIC: id is read-only", GP, 0, "wrmsr" : : "c"(0x802), "a"(0), "d"(0));
	TRY("x2APIC: EOI of something", GP, 0, "wrmsr" : : "c"(0x80b), "a"(1), "d"(0));
	TRY("x2APIC: no ICR2", GP, 0, "rdmsr" : : "c"(0x831) : "rax", "rdx");
	TRY("x2APIC: reserved register", GP, 0, "rdmsr" : : "c"(0x804) : "rax", "rdx");
	TRY("x2APIC: TPR, reserved bits", GP, 0, "wrmsr" : : "c"(0x808), "a"(0x100), "d"(0));
	TRY("x2APIC: EOI is write-only", GP, 0, "rdmsr" : : "c"(0x80b) : "rax", "rdx");
	TRY("x2APIC: not back to xAPIC", GP, 0, "wrmsr"
	    :
	    : "c"(APIC_BASE), "a"(0xfee00900), "d"(0));
}

static void nmi(void)
{
	TRY("NMI to itself", NMI, 0, "wrmsr; nop; nop; nop" : : "c"(0x830), "a"(ICR_NMI), "d"(0));
	check_eq(trap.error, 0, "no error code");
	TRY("a second one, after IRET", NMI, 0, "wrmsr; nop; nop; nop"
	    :
	    : "c"(0x830), "a"(ICR_NMI), "d"(0));
}

void guest_main(const struct pvh_info *info)
{
	irq_init();
	one_shot();
	periodic();
	deadline();
	check(smp_start(smp_wanted(info), other), "the other has started");
	for (unsigned int k = 0; k < 400 && !other_flag; k++)
		irq_settle();
	ipis();
	other_stop = 1;
	check(smp_finish(1), "the other has finished");
	behind_iret();
	x2apic();
	__asm__ volatile("cli");
	trap_init();
	refusals();
	nmi();
}
