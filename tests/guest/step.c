/* SPDX-License-Identifier: Apache-2.0 */
/* Single steps, and the instruction in whose shadow interrupts and steps wait: STI, MOV SS. SDM volume
 * 3, 17.3.1.4 and 6.8. */
#include "tests/guest/lib/trap.h"

#define FLAG_TF 0x100
#define DR6_BS (1ULL << 14)
#define ICR 0x300
#define ICR_SELF 0x40000

static uint64_t dr6(void)
{
	uint64_t v;

	__asm__ volatile("mov %%dr6, %0" : "=r"(v));
	__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ULL));
	return v;
}

/* Where the step ends, from the label `1` on. */
#define STEP(what, at, text)                                                                      \
	do {                                                                                      \
		uint64_t from = 0;                                                                \
                                                                                                  \
		TRY(what, DB, 0,                                                                  \
		    "leaq 1f(%%rip), %%rax; movq %%rax, %0; pushfq; orq $0x100, (%%rsp); popfq\n" \
		    "1:" text                                                                     \
		    : "=m"(*(volatile uint64_t *)&from)                                           \
		    : "r"(KERNEL_SS)                                                              \
		    : "rax", "rcx", "memory");                                                    \
		check_eq(trap.rip - from, at, "RIP");                                             \
		check_eq(dr6() & 0xffff, 0x4ff0, "DR6.BS");                                       \
		check_eq(trap.flags &FLAG_TF, FLAG_TF, "TF in the frame");                        \
	} while (0)

static void steps(void)
{
	STEP("a step of NOP", 1, "nop; nop");
	STEP("a step of MOV SS takes the next along", 3, "movl %1, %%ss; nop; nop");
	STEP("a step of a jump", 3, "jmp 2f; nop; 2: nop");
	STEP("a step of PUSHF", 1, "pushfq; nop");
	STEP("a step of CLI", 1, "cli; nop");
	TRY("a step of one element", DB, 0,
	    "movl $9, %%ecx; movl $guest_end, %%esi; pushfq; orq $0x100, (%%rsp); popfq; rep lodsb"
	    :
	    :
	    : "rax", "rcx", "rsi", "memory");
	check_eq(trap.rcx, 8, "RCX");
	check_eq(dr6() & 0xffff, 0x4ff0, "DR6.BS of it");
	TRY("INT: its handler is not stepped", 0x51, 0,
	    "pushfq; orq $0x100, (%%rsp); popfq; int $0x51"
	    :
	    :);
	check_eq(trap.flags & FLAG_TF, FLAG_TF, "but what it goes back to");
	check_eq(dr6() & DR6_BS, 0, "no BS of it");
	TRY("POPF without TF ends it", NONE, 0, "pushfq; andq $~0x100, (%%rsp); popfq; nop" : :);
}

static void faults_first(void)
{
	TRY("a fault comes before the step", UD, 0, "pushfq; orq $0x100, (%%rsp); popfq; ud2" : :);
	check_eq(trap.flags & FLAG_TF, FLAG_TF, "its frame has TF");
	check_eq(dr6() & DR6_BS, 0, "no BS");
}

static void resume_flag(void)
{
	TRY("a fault", UD, 0, "ud2");
	check_eq(trap.flags >> 16 & 1, 1, "sets RF in its frame");
	TRY("INT3", BP, 0, "int3");
	check_eq(trap.flags >> 16 & 1, 0, "does not");
}

/* An interrupt that waits since before. */
static void pend(void)
{
	lapic_write(ICR, ICR_SELF | 0x50);
}

static void end_interrupt(void)
{
	lapic_write(0xb0, 0);
}

static void shadows(void)
{
	uint64_t from = 0;

	lapic_write(0x80, 0);
	lapic_write(0xf0, 0x1ff);
	pend();
	TRY("STI: behind the next", 0x50, 0,
	    "leaq 1f(%%rip), %%rax; movq %%rax, %0; sti; 1: nop; nop; nop"
	    : "=m"(*(volatile uint64_t *)&from)
	    :
	    : "rax", "memory");
	check_eq(trap.rip - from, 1, "RIP");
	end_interrupt();
	pend();
	TRY("STI, CLI: never", NONE, 0, "sti; cli; nop; nop" : :);
	TRY("and then", 0x50, 0, "sti; nop; nop" : :);
	end_interrupt();
	pend();
	TRY("STI, HLT: ends it", 0x50, 0, "sti; hlt; hlt" : :);
	end_interrupt();
	pend();
	TRY("STI, MOV SS", 0x50, 0,
	    "leaq 1f(%%rip), %%rax; movq %%rax, %0; sti; movl %1, %%ss; nop; 1: nop; nop"
	    : "=m"(*(volatile uint64_t *)&from)
	    : "r"(KERNEL_SS)
	    : "rax", "memory");
	check(trap.rip - from + 1 <= 1, "behind one of the shadows");
	end_interrupt();
	pend();
	TRY("POPF: at once", 0x50, 0,
	    "leaq 1f(%%rip), %%rax; movq %%rax, %0; pushfq; orq $0x200, (%%rsp); popfq; 1: nop; nop"
	    : "=m"(*(volatile uint64_t *)&from)
	    :
	    : "rax", "memory");
	check_eq(trap.rip - from, 0, "RIP of POPF's");
	end_interrupt();
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	trap_init();
	steps();
	faults_first();
	resume_flag();
	shadows();
}
