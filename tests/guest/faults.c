/* SPDX-License-Identifier: Apache-2.0 */
/* Every exception with its error code, in ring 0 and in ring 3. SDM volume 3, 6.15. */
#include "tests/guest/lib/trap.h"

#define NOWHERE "0x60000000" /* not mapped: TEST_PAGE */
#define CR0_TS (1ULL << 3)
#define CR0_AM (1ULL << 18)

/* Code for ring 3: its start's address. */
#define BLOB(name, text)             \
	extern const uint8_t name[]; \
	__asm__(".pushsection .text\n.balign 16\n" #name ":\n" text "\n.popsection\n")

BLOB(u_leave, "int $0x80");
BLOB(u_cli, "cli");
BLOB(u_cli_leave, "cli; pushfq; popq %rax; int $0x80");
BLOB(u_hlt, "hlt");
BLOB(u_cr0, "mov %cr0, %rax");
BLOB(u_rdmsr, "rdmsr");
BLOB(u_int13, "int $13");
BLOB(u_int3, "int3");
BLOB(u_in, "in $0x60, %al");
BLOB(u_lgdt, "lgdt (%rsp)");
BLOB(u_clac, ".byte 0x0f, 0x01, 0xca");
BLOB(u_ds, "movl $0x10, %eax; movl %eax, %ds");
BLOB(u_read, "movl " NOWHERE ", %eax");
BLOB(u_write, "movl %eax, " NOWHERE);
BLOB(u_jump, "movl $" NOWHERE ", %eax; jmp *%rax");
BLOB(u_kernel, "movl 0x100000, %eax");
BLOB(u_aligned, "movl %eax, -8(%rsp); int $0x80");
BLOB(u_unaligned, "movl %eax, -7(%rsp); int $0x80");
BLOB(u_into, ".code32\n movb $127, %al; incb %al; into; int $0x80\n.code64");
BLOB(u_into_not, ".code32\n xorl %eax, %eax; into; int $0x80\n.code64");
BLOB(u_bound, ".code32\n movl $5, %eax; pushl $4; pushl $1; .byte 0x62, 0x04, 0x24\n.code64");
BLOB(u_bound_in,
     ".code32\n movl $4, %eax; pushl $4; pushl $1; .byte 0x62, 0x04, 0x24; int $0x80\n.code64");
BLOB(u_aam0, ".code32\n .byte 0xd4, 0\n.code64");
BLOB(u_push_cs32, ".code32\n pushl %cs; popl %eax; int $0x80\n.code64");

static void arithmetic(void)
{
	TRY("#DE: by zero", DE, 0, "xorl %%ecx, %%ecx; divl %%ecx" : : : "rcx", "rax", "rdx");
	TRY("#DE: quotient too large", DE, 0,
	    "movl $2, %%edx; xorl %%eax, %%eax; movl $1, %%ecx; divl %%ecx"
	    :
	    :
	    : "rcx", "rax", "rdx");
	TRY("#DE: the least by -1", DE, 0,
	    "movl $0x80000000, %%eax; cdq; movl $-1, %%ecx; idivl %%ecx"
	    :
	    :
	    : "rcx", "rax", "rdx");
	TRY("#BP", BP, 0, "int3");
	TRY("#DB: INT1", DB, 0, ".byte 0xf1");
	TRY("INT 4", OF, 0, "int $4");
}

static void undefined(void)
{
	TRY("#UD: UD2", UD, 0, "ud2");
	TRY("#UD: LOCK of a register", UD, 0, ".byte 0xf0, 0xff, 0xc0");
	TRY("#UD: LOCK of MOV", UD, 0, ".byte 0xf0, 0x89, 0x04, 0x24");
	TRY("#UD: MOV to CS", UD, 0, ".byte 0x8e, 0xc8");
	TRY("#UD: MOV from CR1", UD, 0, ".byte 0x0f, 0x20, 0xc8");
	TRY("#UD: PUSH ES", UD, 0, ".byte 0x06");
	TRY("#UD: LEA of a register", UD, 0, ".byte 0x8d, 0xc0");
	TRY("#UD: CMPXCHG8B of a register", UD, 0, ".byte 0x0f, 0xc7, 0xc8");
	TRY("#GP: longer than 15 bytes", GP, 0, ".fill 15, 1, 0x66\n .byte 0x90");
}

static void floating(void)
{
	static const uint16_t unmasked = 0x37b;
	static const uint32_t sse_unmasked = 0x1f80 & ~(1U << 9);

	WRITE_CR(0, read_cr(0) | CR0_TS);
	TRY("#NM: x87", NM, 0, "fninit");
	TRY("#NM: SSE", NM, 0, "xorps %%xmm0, %%xmm0" : :);
	__asm__ volatile("clts; fninit");
	TRY("#MF at the next", MF, 0, "fldcw %0; fldz; fld1; fdivp; fwait" : : "m"(unmasked));
	__asm__ volatile("fninit");
	TRY("no #MF by FNSTSW", NONE, 0, "fldcw %0; fldz; fld1; fdivp; fnstsw %%ax"
	    :
	    : "m"(unmasked)
	    : "rax");
	__asm__ volatile("fnclex; fninit");
	TRY("#XM", XM, 0,
	    "ldmxcsr %0; xorps %%xmm0, %%xmm0; movl $1, %%eax; cvtsi2ss %%eax, %%xmm1;"
	    "divss %%xmm0, %%xmm1"
	    :
	    : "m"(sse_unmasked)
	    : "rax");
	WRITE_CR(4, read_cr(4) & ~(1ULL << 10));
	TRY("#UD without OSXMMEXCPT", UD, 0, "divss %%xmm0, %%xmm1" : :);
	WRITE_CR(4, read_cr(4) & ~(3ULL << 9));
	TRY("#UD without OSFXSR", UD, 0, "xorps %%xmm0, %%xmm0" : :);
	WRITE_CR(4, read_cr(4) | 3ULL << 9);
}

static void segments(void)
{
	TRY("#NP: DS", NP, ABSENT_DATA, "movl %0, %%ds" : : "r"(ABSENT_DATA));
	TRY("#NP: FS, RPL kept out", NP, ABSENT_DATA, "movl %0, %%fs" : : "r"(ABSENT_DATA));
	TRY("#SS: SS absent", SS, ABSENT_SS, "movl %0, %%ss" : : "r"(ABSENT_SS));
	TRY("#GP: SS read-only", GP, READ_ONLY, "movl %0, %%ss" : : "r"(READ_ONLY));
	TRY("#GP: SS with RPL 3", GP, USER_SS & ~3, "movl %0, %%ss" : : "r"(USER_SS));
	TRY("#GP: DS beyond the table", GP, BEYOND, "movl %0, %%ds" : : "r"(BEYOND));
	TRY("#GP: DS in no LDT", GP, 0x14, "movl %0, %%ds" : : "r"(0x14));
	TRY("#GP: DS is a system segment", GP, TASK, "movl %0, %%ds" : : "r"(TASK));
	TRY("DS null", NONE, 0, "movl %0, %%ds; movl %1, %%ds" : : "r"(3), "r"(KERNEL_SS));
	TRY("#NP: LLDT of nothing present", GP, ABSENT_DATA, "lldt %w0" : : "r"(ABSENT_DATA));
	TRY("#GP: LTR of a busy task", GP, TASK, "ltr %w0" : : "r"(TASK));
	TRY("#NP: far jump", NP, ABSENT_CODE, "pushq %0; pushq $0; lretq" : : "i"(ABSENT_CODE));
	TRY("#GP: far return to data", GP, KERNEL_SS, "pushq %0; pushq $0; lretq"
	    :
	    : "i"(KERNEL_SS));
}

/* emulated: see test_cpu.py */
static void addresses(bool emulated)
{
	uint64_t odd = 1ULL << 48;

	TRY("#GP: not canonical", GP, 0, "movl (%0), %%eax" : : "r"(odd) : "rax");
	TRY("#SS: not canonical, by RBP", SS, 0, "pushq %%rbp; movq %0, %%rbp; movl (%%rbp), %%eax"
	    :
	    : "r"(odd)
	    : "rax");
	trap_gate(SS, KERNEL_CS, GATE_INTERRUPT, 1);
	if (!emulated)
		TRY("#SS: push", SS, 0, "movq %0, %%rsp; pushq %%rax" : : "r"(odd));
	trap_gate(SS, KERNEL_CS, GATE_INTERRUPT, 0);
	TRY("#GP: jump", GP, 0, "jmp *%0" : : "r"(odd));
	TRY("#GP: MOVAPS", GP, 0, "movaps 1(%%rsp), %%xmm0" : :);
	TRY("#PF: read", PF, 0, "movl " NOWHERE ", %%eax" : : : "rax");
	check_eq(trap.cr2, TEST_PAGE, "CR2");
	TRY("#PF: write", PF, 2, "movl %%eax, " NOWHERE "+4" : :);
	check_eq(trap.cr2, TEST_PAGE + 4, "CR2 of the write");
	TRY("#PF: fetch", PF, 0x10, "movl $" NOWHERE ", %%eax; jmp *%%rax" : : : "rax");
	check_eq(trap.rip, TEST_PAGE, "RIP of the fetch");
	TRY("#PF: read, modify, write", PF, 2, "lock incl " NOWHERE : :);
}

static void interrupts(void)
{
	trap_gate(0x50, KERNEL_CS, GATE_ABSENT, 0);
	TRY("#NP: gate", NP, 0x50 * 8 + 2, "int $0x50");
	trap_gate(0x50, KERNEL_CS, 0x80, 0);
	TRY("#GP: no gate", GP, 0x50 * 8 + 2, "int $0x50");
	trap_gate(0x50, 0, GATE_INTERRUPT, 0);
	TRY("#GP: null handler", GP, 0, "int $0x50");
	trap_gate(0x50, BEYOND, GATE_INTERRUPT, 0);
	TRY("#GP: handler beyond", GP, BEYOND, "int $0x50");
	trap_gate(0x50, KERNEL_CS32, GATE_INTERRUPT, 0);
	TRY("#GP: handler of 32 bits", GP, KERNEL_CS32, "int $0x50");
	trap_gate(0x50, ABSENT_CODE, GATE_INTERRUPT, 0);
	TRY("#NP: handler", NP, ABSENT_CODE, "int $0x50");
	trap_gate(0x50, KERNEL_CS, GATE_INTERRUPT, 7);
	load_task(35);
	TRY("#TS: IST beyond the TSS", TS, TASK, "int $0x50");
	load_task(sizeof(tss) - 1);
	TRY("by IST", 0x50, 0, "int $0x50");
	check_eq(trap.rsp & 7, 0, "the old stack is saved");
}

static void privileges(void)
{
	try_user("ring 3 and back", NONE, 0, u_leave, USER_CS64, 0);
	check_eq(trap.cs, USER_CS64, "CS there");
	check_eq(trap.rsp, USER_STACK_TOP, "RSP there");
	try_user("#GP: CLI", GP, 0, u_cli, USER_CS64, 0);
	try_user("CLI with IOPL 3", NONE, 0, u_cli_leave, USER_CS64, 0x3200);
	check_eq(trap.rax & 0x3200, 0x3000, "IF cleared by ring 3");
	try_user("#GP: HLT", GP, 0, u_hlt, USER_CS64, 0);
	try_user("#GP: MOV from CR0", GP, 0, u_cr0, USER_CS64, 0);
	try_user("#GP: RDMSR", GP, 0, u_rdmsr, USER_CS64, 0);
	try_user("#GP: LGDT", GP, 0, u_lgdt, USER_CS64, 0);
	try_user("#GP: a gate for ring 0", GP, 13 * 8 + 2, u_int13, USER_CS64, 0);
	try_user("#BP by ring 3", BP, 0, u_int3, USER_CS64, 0);
	try_user("#GP: a port", GP, 0, u_in, USER_CS64, 0);
	try_user("#GP: DS of ring 0", GP, KERNEL_SS, u_ds, USER_CS64, 0);
	try_user("#UD: CLAC", UD, 0, u_clac, USER_CS64, 0);
	try_user("#PF: read by ring 3", PF, 4, u_read, USER_CS64, 0);
	try_user("#PF: write by ring 3", PF, 6, u_write, USER_CS64, 0);
	try_user("#PF: fetch by ring 3", PF, 0x14, u_jump, USER_CS64, 0);
	try_user("#PF: ring 0's page", PF, 5, u_kernel, USER_CS64, 0);
}

static void alignment(void)
{
	try_user("unaligned without AM", NONE, 0, u_unaligned, USER_CS64, 1 << 18);
	WRITE_CR(0, read_cr(0) | CR0_AM);
	try_user("#AC", AC, 0, u_unaligned, USER_CS64, 1 << 18);
	try_user("aligned", NONE, 0, u_aligned, USER_CS64, 1 << 18);
	try_user("unaligned without AC", NONE, 0, u_unaligned, USER_CS64, 0);
	WRITE_CR(0, read_cr(0) & ~CR0_AM);
}

static void compatibility(void)
{
	try_user("32 bits", NONE, 0, u_push_cs32, USER_CS32, 0);
	check_eq(trap.rax, USER_CS32, "CS of 32 bits");
	try_user("#OF", OF, 0, u_into, USER_CS32, 0);
	try_user("INTO without OF", NONE, 0, u_into_not, USER_CS32, 0);
	try_user("#BR", BR, 0, u_bound, USER_CS32, 0);
	try_user("BOUND within", NONE, 0, u_bound_in, USER_CS32, 0);
	try_user("#DE: AAM 0", DE, 0, u_aam0, USER_CS32, 0);
}

void guest_main(const struct pvh_info *info)
{
	trap_init();
	arithmetic();
	undefined();
	floating();
	segments();
	addresses(guest_word(info, "tcg"));
	interrupts();
	privileges();
	alignment();
	compatibility();
}
