/* SPDX-License-Identifier: Apache-2.0 */
/* SYSCALL and SYSRET to both widths, SYSENTER and SYSEXIT where the vendor has them in long mode. SDM
 * volume 2. What the kernel sees is taken down by its entry, which goes back at once. */
#include "tests/guest/lib/trap.h"

#define EFER 0xc0000080
#define STAR 0xc0000081
#define LSTAR 0xc0000082
#define SFMASK 0xc0000084
#define SYSENTER_CS 0x174
#define SYSENTER_ESP 0x175
#define SYSENTER_EIP 0x176

extern const uint8_t entry_sysretq[], entry_sysretl[], entry_sysenter[], entry_stays[];
extern const uint8_t u_syscall[], u_syscall_end[], u_back32[], u_sysenter[], u_sysenter_end[];
extern uint64_t seen[6];

/* seen: RCX, R11, flags, CS, SS, RSP at the entry */
#define TAKE_DOWN                                                     \
	"movq %rcx, seen; movq %r11, seen + 8; movq %rsp, seen + 40;" \
	"movl $syscall_stack + 2048, %esp; pushfq; popq seen + 16;"   \
	"movq $0, seen + 24; movw %cs, seen + 24; movq $0, seen + 32; movw %ss, seen + 32;"

__asm__(".pushsection .text\n"
	"entry_sysretq: " TAKE_DOWN "movq seen + 40, %rsp; sysretq\n"
	"entry_sysretl: " TAKE_DOWN
	"movl $u_back32 + 0x40000000, %ecx; movq seen + 40, %rsp; sysretl\n"
	"entry_stays: " TAKE_DOWN "int $0x80\n"
	"entry_sysenter: " TAKE_DOWN "movl $u_sysenter_end + 0x40000000, %edx;"
	"movq seen, %rcx; .byte 0x48; sysexit\n"
	".balign 16\nu_syscall: syscall\nu_syscall_end: pushfq; popq %rax; int $0x80\n"
	".balign 16\nu_sysenter: movq %rsp, %rcx; sysenter\nu_sysenter_end: int $0x80\n"
	".balign 16\n.code32\nu_back32: xorl %eax, %eax; movl %cs, %eax; int $0x80\n.code64\n"
	".popsection\n"
	".pushsection .bss\n.balign 16\nseen: .skip 48\nsyscall_stack: .skip 2048\n.popsection\n");

static void by_syscall(void)
{
	wrmsr(STAR, 0x18ULL << 48 | (uint64_t)KERNEL_CS << 32);
	wrmsr(SFMASK, 0x200 | 0x400 | 1);
	wrmsr(LSTAR, (uint64_t)entry_sysretq);
	try_user("SYSCALL and SYSRETQ", NONE, 0, u_syscall, USER_CS64, 0x3ed7);
	check_eq(seen[0], USER(u_syscall_end), "RCX: behind SYSCALL");
	check_eq(seen[1], 0x3ed7, "R11: the flags");
	check_eq(seen[2], 0x38d6, "flags: without SFMASK's");
	check_eq(seen[3], KERNEL_CS, "CS");
	check_eq(seen[4], KERNEL_SS, "SS");
	check_eq(seen[5], USER_STACK_TOP, "RSP stays");
	check_eq(trap.cs, USER_CS64, "back: CS");
	check_eq(trap.ss, USER_SS, "back: SS");
	check_eq(trap.rax, 0x3ed7, "back: flags");
	wrmsr(LSTAR, (uint64_t)entry_sysretl);
	try_user("SYSRETL", NONE, 0, u_syscall, USER_CS64, 0);
	check_eq(trap.rax, USER_CS32, "CS of 32 bits");
	check_eq(trap.ss, USER_SS, "its SS");
	wrmsr(EFER, rdmsr(EFER) & ~1ULL);
	try_user("#UD: SYSCALL without SCE", UD, 0, u_syscall, USER_CS64, 0);
	TRY("#UD: SYSRET without SCE", UD, 0, "sysretq");
	wrmsr(EFER, rdmsr(EFER) | 1);
	wrmsr(LSTAR, (uint64_t)entry_stays);
	TRY("SYSCALL in ring 0", TRAP_LEAVE, 0, "syscall" : : : "rcx", "r11");
	check_eq(trap.cs, KERNEL_CS, "stays there");
}

static bool is_intel(void)
{
	uint32_t r[4];

	cpuid(0, 0, r);
	return r[2] == 0x6c65746e; /* "ntel" */
}

static void by_sysenter(void)
{
	if (!is_intel())
		return; /* AMD's long mode has none */
	wrmsr(SYSENTER_EIP, (uint64_t)entry_sysenter);
	wrmsr(SYSENTER_ESP, 0x1234560);
	wrmsr(SYSENTER_CS, 0);
	try_user("#GP: SYSENTER without its CS", GP, 0, u_sysenter, USER_CS64, 0);
	wrmsr(SYSENTER_CS, KERNEL_CS);
	try_user("SYSENTER and SYSEXIT", NONE, 0, u_sysenter, USER_CS64, 0x3200);
	check_eq(seen[5], 0x1234560, "RSP by its MSR");
	check_eq(seen[2] & 0x200, 0, "IF is clear");
	check_eq(seen[3], KERNEL_CS, "CS");
	check_eq(seen[4], KERNEL_CS + 8, "SS");
	check_eq(trap.cs, KERNEL_CS + 32 + 3, "back: CS");
	check_eq(trap.ss, KERNEL_CS + 40 + 3, "back: SS");
	wrmsr(SYSENTER_CS, 0);
	TRY("#GP: SYSEXIT without its CS", GP, 0, ".byte 0x48; sysexit");
}

void guest_main(const struct pvh_info *info)
{
	(void)info;
	trap_init();
	by_syscall();
	by_sysenter();
}
