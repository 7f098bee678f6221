/* SPDX-License-Identifier: Apache-2.0 */
/* Reserved bits of control registers and MSRs, and values that do not go together: #GP(0) and nothing
 * changed. SDM volume 3, 2.5, and volume 2, MOV and WRMSR. Where vendors differ, nothing is asked. */
#include "tests/guest/lib/trap.h"

#define APIC_BASE 0x1b
#define PAT 0x277
#define SPEC_CTRL 0x48
#define PRED_CMD 0x49
#define MCG_CAP 0x179
#define MCG_STATUS 0x17a
#define EFER 0xc0000080
#define LSTAR 0xc0000082
#define FS_BASE 0xc0000100
#define KERNEL_GS 0xc0000102
#define TSC_AUX 0xc0000103

static void write_refused(const char *what, unsigned int n, uint64_t v)
{
	uint64_t before = read_cr(n);

	switch (n) {
	case 0:
		TRY(what, GP, 0, "mov %0, %%cr0" : : "r"(v));
		break;
	case 3:
		TRY(what, GP, 0, "mov %0, %%cr3" : : "r"(v));
		break;
	default:
		TRY(what, GP, 0, "mov %0, %%cr4" : : "r"(v));
		break;
	}
	check_eq(read_cr(n), before, "unchanged");
}

/* emulated: see test_cpu.py */
static void control(bool emulated)
{
	write_refused("CR0: PG without PE", 0, read_cr(0) & ~1ULL);
	write_refused("CR0: NW without CD", 0, read_cr(0) | 1ULL << 29);
	if (!emulated)
		write_refused("CR0: the upper half", 0, read_cr(0) | 1ULL << 32);
	write_refused("CR0: no PG in 64-bit code", 0, read_cr(0) & ~(1ULL << 31));
	if (!emulated)
		write_refused("CR3: above the physical addresses", 3, read_cr(3) | 1ULL << 60);
	write_refused("CR4: no PAE in long mode", 4, read_cr(4) & ~(1ULL << 5));
	write_refused("CR4: the upper half", 4, read_cr(4) | 1ULL << 33);
	write_refused("CR4: bit 15", 4, read_cr(4) | 1ULL << 15);
	WRITE_CR(0, read_cr(0) | 1ULL << 4);
	check_eq(read_cr(0) >> 4 & 1, 1, "CR0.ET is fixed");
	TRY("CR8 up to 15", NONE, 0, "mov %0, %%cr8; mov %1, %%cr8" : : "r"(15ULL), "r"(0ULL));
	TRY("CR8: bit 4", GP, 0, "mov %0, %%cr8" : : "r"(16ULL));
	TRY("LMSW does not clear PE", NONE, 0, "lmsw %w0" : : "r"(0));
	check_eq(read_cr(0) & 1, 1, "PE");
}

static void wrmsr_refused(const char *what, uint32_t msr, uint64_t v)
{
	TRY(what, GP, 0, "wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
}

static void wrmsr_taken(const char *what, uint32_t msr, uint64_t v)
{
	uint64_t before = rdmsr(msr);

	TRY(what, NONE, 0, "wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)));
	check_eq(rdmsr(msr), v, "is read back");
	wrmsr(msr, before);
}

static void msrs(void)
{
	TRY("RDMSR of none", GP, 0, "rdmsr" : : "c"(0x12345678) : "rax", "rdx");
	wrmsr_refused("WRMSR of none", 0x12345678, 0);
	wrmsr_refused("EFER: bit 63", EFER, rdmsr(EFER) | 1ULL << 63);
	wrmsr_refused("EFER: no LME while paging", EFER, rdmsr(EFER) & ~0x100ULL);
	wrmsr_taken("EFER: without SCE", EFER, rdmsr(EFER) & ~1ULL);
	wrmsr_refused("LSTAR: not canonical", LSTAR, 1ULL << 47);
	wrmsr_taken("LSTAR", LSTAR, 0xffff800000000000);
	wrmsr_refused("FS base: not canonical", FS_BASE, 1ULL << 48);
	wrmsr_taken("FS base", FS_BASE, 0x7fffffffffff);
	wrmsr_refused("kernel GS base: not canonical", KERNEL_GS, 1ULL << 63);
	wrmsr_taken("kernel GS base", KERNEL_GS, 0xffffffff80000000);
	wrmsr_refused("PAT: type 2", PAT, 0x0007040600070402);
	wrmsr_refused("PAT: type 8", PAT, 0x0807040600070406);
	wrmsr_taken("PAT", PAT, 0x0007010600070106);
	wrmsr_refused("TSC_AUX: the upper half", TSC_AUX, 1ULL << 32);
	wrmsr_taken("TSC_AUX", TSC_AUX, 0x89abcdef);
	wrmsr_refused("APIC base: bit 0", APIC_BASE, rdmsr(APIC_BASE) | 1);
	wrmsr_refused("x2APIC register without x2APIC", 0x808, 0);
}

/* Machine checks as the CPU offers them: SDM volume 3, 15.3.1. */
static void machine_check(void)
{
	uint32_t r[4];

	cpuid(1, 0, r);
	check(r[3] >> 7 & 1, "MCE");
	check(r[3] >> 14 & 1, "MCA");
	TRY("MCG_CAP", NONE, 0, "rdmsr" : : "c"(MCG_CAP) : "rax", "rdx");
	wrmsr_taken("MCG_STATUS", MCG_STATUS, 0);
	TRY("CR4.MCE", NONE, 0, "mov %0, %%cr4" : : "r"(read_cr(4) | 1ULL << 6));
	check_eq(read_cr(4) >> 6 & 1, 1, "is read back");
	WRITE_CR(4, read_cr(4) & ~(1ULL << 6));
}

/* SPEC_CTRL and PRED_CMD, where the CPU has them: SDM volume 4, table 2-2. */
static void speculation(void)
{
	uint32_t r[4];

	cpuid(7, 0, r);
	if (!(r[3] >> 26 & 1))
		return;
	wrmsr_taken("SPEC_CTRL: IBRS", SPEC_CTRL, 1);
	wrmsr_refused("SPEC_CTRL: bit 63", SPEC_CTRL, 1ULL << 63);
	TRY("PRED_CMD: IBPB", NONE, 0, "wrmsr" : : "c"(PRED_CMD), "a"(1), "d"(0));
	wrmsr_refused("PRED_CMD: bit 63", PRED_CMD, 1ULL << 63);
	TRY("PRED_CMD is not read", GP, 0, "rdmsr" : : "c"(PRED_CMD) : "rax", "rdx");
}

/* What belongs to no part of the machine that the guest has: Hyper-V's, those of KVM that CPUID does not
 * list, and what VMRUN would ask for. */
static void not_there(void)
{
	TRY("RDMSR of Hyper-V's", GP, 0, "rdmsr" : : "c"(0x40000000) : "rax", "rdx");
	wrmsr_refused("Hyper-V: guest OS", 0x40000000, 0x8100);
	wrmsr_refused("Hyper-V: crash parameter", 0x40000100, 0);
	wrmsr_refused("KVM: page faults by interrupt", 0x4b564d02, 0);
	wrmsr_refused("KVM: stolen time", 0x4b564d03, 0);
	wrmsr_refused("KVM: EOI in memory", 0x4b564d04, 0);
	wrmsr_refused("SVM: VM_HSAVE_PA", 0xc0010117, 0x6000);
	TRY("VMX: basic capabilities", GP, 0, "rdmsr" : : "c"(0x480) : "rax", "rdx");
	wrmsr_refused("EFER: SVME", EFER, rdmsr(EFER) | 1ULL << 12);
}

static void bases(void)
{
	uint64_t gs;

	wrmsr(0xc0000101, 0x1111);
	wrmsr(KERNEL_GS, 0x2222);
	__asm__ volatile("swapgs");
	check_eq(rdmsr(0xc0000101), 0x2222, "SWAPGS");
	check_eq(rdmsr(KERNEL_GS), 0x1111, "and the other way");
	wrmsr(0xc0000101, (uint64_t)&gs - 8);
	gs = 77;
	__asm__ volatile("movq %%gs:8, %0" : "=r"(gs) : "0"(0) : "memory");
	check_eq(gs, 77, "GS base counts");
	wrmsr(0xc0000101, (1ULL << 47) - 8);
	TRY("GS: beyond the canonical", GP, 0, "movq %%gs:8, %%rax" : : : "rax");
	TRY("RDFSBASE without FSGSBASE", UD, 0, ".byte 0xf3, 0x48, 0x0f, 0xae, 0xc0" : : : "rax");
	wrmsr(0xc0000101, 0);
}

static void debug_registers(void)
{
	uint64_t v;

	TRY("DR7: the upper half", GP, 0, "mov %0, %%dr7" : : "r"(1ULL << 32));
	TRY("DR6: the upper half", GP, 0, "mov %0, %%dr6" : : "r"(1ULL << 32));
	__asm__ volatile("mov %1, %%dr0; mov %%dr0, %0" : "=r"(v) : "r"(0x123456789abcULL));
	check_eq(v, 0x123456789abc, "DR0");
	__asm__ volatile("mov %1, %%dr7; mov %%dr7, %0" : "=r"(v) : "r"(0ULL));
	check_eq(v, 0x400, "DR7: bit 10 is fixed");
	__asm__ volatile("mov %1, %%dr6; mov %%dr6, %0" : "=r"(v) : "r"(0ULL));
	check_eq(v, 0xffff0ff0, "DR6: fixed bits");
	WRITE_CR(4, read_cr(4) | 8);
	TRY("DR4 with CR4.DE", UD, 0, "mov %%dr4, %%rax" : : : "rax");
	WRITE_CR(4, read_cr(4) & ~8ULL);
	TRY("DR4 without", NONE, 0, "mov %%dr4, %%rax" : : : "rax");
	__asm__ volatile("mov %0, %%dr7" : : "r"(1ULL << 13));
	TRY("DR7.GD", DB, 0, "mov %%dr0, %%rax" : : : "rax");
	__asm__ volatile("mov %%dr6, %0" : "=r"(v));
	check_eq(v, 0xffff2ff0, "DR6.BD");
	__asm__ volatile("mov %%dr7, %0" : "=r"(v));
	check_eq(v, 0x400, "GD is clear in the handler");
}

void guest_main(const struct pvh_info *info)
{
	trap_init();
	control(guest_word(info, "tcg"));
	msrs();
	machine_check();
	speculation();
	not_there();
	bases();
	debug_registers();
}
