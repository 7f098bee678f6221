/* SPDX-License-Identifier: Apache-2.0 */
/* IRET to every mode there is from 64-bit code, what it refuses, and which flags it takes along. SDM
 * volume 2, IRET. */
#include "tests/guest/lib/trap.h"

/* To labels in here, so that nothing needs to come back by itself. */
#define BLOB(name, text)             \
	extern const uint8_t name[]; \
	__asm__(".pushsection .text\n.balign 16\n" #name ":\n" text "\n.popsection\n")

BLOB(leave, "int $0x80");
BLOB(leave_flags, "pushfq; popq %rax; int $0x80");
/* DS is null in ring 3 when ring 0 had its own in it */
BLOB(leave_ds, "xorl %eax, %eax; movl %ds, %eax; int $0x80");
BLOB(leave_cs32, ".code32\n xorl %eax, %eax; movl %cs, %eax; int $0x80\n.code64");

struct frame {
	uint64_t rip, cs, flags, rsp, ss;
};

/* Below the frame there is room for that of the exception. */
static void go(const char *what, uint64_t vector, uint64_t error, struct frame f)
{
	static struct frame room[32] __attribute__((aligned(16)));

	room[31] = f;
	if (!trap_enter()) {
		__asm__ volatile("movq %0, %%rsp; iretq" : : "r"(&room[31]) : "memory");
		trap_none();
	}
	if (trap.vector == TRAP_LEAVE)
		trap.vector = NONE;
	expect(what, vector, error);
}

static uint64_t own_stack;

static struct frame kernel(const void *rip)
{
	return (struct frame){ (uint64_t)rip, KERNEL_CS, 2, own_stack, KERNEL_SS };
}

static struct frame user(const void *rip, uint64_t cs)
{
	return (struct frame){ USER(rip), cs, 2, USER_STACK_TOP, USER_SS };
}

static void to_every_mode(void)
{
	struct frame f = kernel(leave);

	go("ring 0", NONE, 0, f);
	check_eq(trap.rsp, own_stack, "RSP is always loaded");
	f.ss = 0;
	go("ring 0 with a null SS", NONE, 0, f);
	check_eq(trap.ss, 0, "SS is null");
	f.ss = KERNEL_SS;
	f.cs = KERNEL_CS32;
	f.rip = (uint64_t)leave_cs32;
	go("ring 0, 32 bits", NONE, 0, f);
	check_eq(trap.rax, KERNEL_CS32, "CS there");
	go("ring 3", NONE, 0, user(leave_ds, USER_CS64));
	check_eq(trap.rax, 0, "DS of ring 0 is gone");
	check_eq(trap.ss, USER_SS, "SS of ring 3");
	go("ring 3, 32 bits", NONE, 0, user(leave_cs32, USER_CS32));
	check_eq(trap.rax, USER_CS32, "CS of 32 bits");
}

static void what_is_refused(void)
{
	struct frame f = kernel(leave);

	f.cs = 0;
	go("#GP: CS null", GP, 0, f);
	f.cs = KERNEL_SS;
	go("#GP: CS is data", GP, KERNEL_SS, f);
	f.cs = BEYOND;
	go("#GP: CS beyond", GP, BEYOND, f);
	f.cs = ABSENT_CODE;
	go("#NP: CS absent", NP, ABSENT_CODE, f);
	f.cs = USER_CS64 & ~3ULL;
	go("#GP: CS of ring 3 with RPL 0", GP, USER_CS64 & ~3, f);
	f = kernel(leave);
	f.rip = 1ULL << 48;
	go("#GP: RIP not canonical", GP, 0, f);
	f = kernel(leave);
	f.ss = USER_SS;
	go("#GP: SS of ring 3 in ring 0", GP, USER_SS & ~3, f);
	f.ss = ABSENT_SS;
	go("#SS: SS absent", SS, ABSENT_SS, f);
	f = user(leave, USER_CS64);
	f.ss = 0;
	go("#GP: SS null in ring 3", GP, 0, f);
	f.ss = KERNEL_SS;
	go("#GP: SS of ring 0 in ring 3", GP, KERNEL_SS, f);
	f.ss = 3;
	go("#GP: SS null with RPL 3", GP, 0, f);
	TRY("#GP: NT", GP, 0,
	    "pushfq; orq $0x4000, (%%rsp); popfq; pushq %0; pushq %1; pushq $2;"
	    "pushq %2; pushq %3; iretq"
	    :
	    : "i"(KERNEL_SS), "r"(own_stack), "i"(KERNEL_CS), "r"(leave));
	f = kernel(leave);
	f.rip = TEST_PAGE;
	go("#PF: nothing at RIP", PF, 0x10, f);
	check_eq(trap.rip, TEST_PAGE, "RIP of the fault");
}

#define FLAGS_ALL 0x244cd5ULL /* ID, AC, IOPL 0, NT, OF, DF, SF, ZF, AF, PF, CF, but IF and TF */

static void flags(void)
{
	struct frame f = kernel(leave_flags);

	f.flags = FLAGS_ALL | 2;
	go("flags in ring 0", NONE, 0, f);
	check_eq(trap.rax, FLAGS_ALL | 2, "all there");
	f = user(leave_flags, USER_CS64);
	f.flags = 0x3202;
	go("flags in ring 3", NONE, 0, f);
	check_eq(trap.flags & 0x3200, 0x3200, "IF and IOPL by ring 0");
	f.flags = ~0xffffULL | 2;
	f.flags &= ~(1ULL << 17); /* VM: another mode of old */
	go("bits that are not there", NONE, 0, f);
	check_eq(trap.rax & ~0x3f0000ULL, 2, "stay clear");
}

void guest_main(const struct pvh_info *info)
{
	static uint8_t stack[4096] __attribute__((aligned(16)));

	(void)info;
	own_stack = (uint64_t)(stack + sizeof(stack));
	trap_init();
	to_every_mode();
	what_is_refused();
	flags();
}
