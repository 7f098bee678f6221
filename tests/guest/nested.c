/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on the way to a handler: which become #DF, which are taken after the first, with the EXT
 * bit of their error codes. SDM volume 3, table 6-5, and 6.13. The triple fault is triplefault.c.
 */
#include "tests/guest/lib/trap.h"

#define NOWHERE "0x60000000"
#define EXT 1
#define IDT 2

/* Breaks a vector's gate, so that its delivery raises what the gate's state says. */
static void broken(unsigned int vector, uint16_t selector, uint8_t type)
{
	trap_gate(vector, selector, type, 0);
}

static void mended(unsigned int vector)
{
	trap_gate(vector, KERNEL_CS, GATE_INTERRUPT, 0);
}

/* A benign first: the second is taken, and its error code says where it is from. */
static void after_benign(void)
{
	broken(UD, KERNEL_CS, GATE_ABSENT);
	TRY("#UD, absent gate: #NP", NP, UD * 8 + IDT + EXT, "ud2");
	broken(UD, KERNEL_CS, 0x85);
	TRY("#UD, a gate of a wrong type: #GP", GP, UD * 8 + IDT + EXT, "ud2");
	broken(UD, BEYOND, GATE_INTERRUPT);
	TRY("#UD, handler beyond the GDT: #GP", GP, BEYOND + EXT, "ud2");
	broken(UD, ABSENT_CODE, GATE_INTERRUPT);
	TRY("#UD, handler absent: #NP", NP, ABSENT_CODE + EXT, "ud2");
	mended(UD);
	broken(BP, KERNEL_CS, GATE_ABSENT);
	TRY("INT3, absent gate: #NP without EXT", NP, BP * 8 + IDT, "int3");
	trap_gate(BP, KERNEL_CS, GATE_USER, 0);
}

static void after_contributory(void)
{
	broken(GP, KERNEL_CS, GATE_ABSENT);
	TRY("#GP then #NP: #DF", DF, 0, "movl %0, %%ds" : : "r"(BEYOND));
	mended(GP);
	broken(DE, KERNEL_CS, GATE_ABSENT);
	TRY("#DE then #NP: #DF", DF, 0, "xorl %%ecx, %%ecx; divl %%ecx" : : : "rax", "rcx", "rdx");
	mended(DE);
	broken(NP, ABSENT_CODE, GATE_INTERRUPT);
	TRY("#NP then #NP: #DF", DF, 0, "movl %0, %%ds" : : "r"(ABSENT_DATA));
	mended(NP);
}

static void after_page_fault(void)
{
	broken(PF, KERNEL_CS, GATE_ABSENT);
	TRY("#PF then #NP: #DF", DF, 0, "movl " NOWHERE ", %%eax" : : : "rax");
	mended(PF);
	trap_gate(DF, KERNEL_CS, GATE_INTERRUPT, 2);
	TRY("#PF then #PF: #DF", DF, 0, "movl $" NOWHERE " + 4096, %%esp; pushq %%rax" : :);
	check_eq(trap.rsp, TEST_PAGE + 4096, "RSP of the #DF");
	TRY("#GP then #PF is taken in turn: #DF only by the stack", DF, 0,
	    "movl $" NOWHERE " + 4096, %%esp; movl %0, %%ds"
	    :
	    : "r"(BEYOND));
	mended(DF);
}

/* The stack of the handler is the one that faults: by IST, so that only it does. */
static void on_a_bad_stack(void)
{
	trap_gate(UD, KERNEL_CS, GATE_INTERRUPT, 3);
	tss.ist[2] = TEST_PAGE + 4096;
	TRY("#UD on a stack that is not there: #PF", PF, 2, "ud2");
	check_eq(trap.cr2, TEST_PAGE + 4096 - 8, "CR2 of the push");
	tss.ist[2] = 1ULL << 48;
	TRY("#UD on a stack not canonical: #SS", SS, EXT, "ud2");
	tss.ist[2] = (uint64_t)test_page + 100;
	TRY("an odd IST is aligned", UD, 0, "ud2");
	mended(UD);
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	trap_init();
	after_benign();
	after_contributory();
	after_page_fault();
	on_a_bad_stack();
}
