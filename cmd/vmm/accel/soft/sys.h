/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID, MSRs and control registers of the software CPU. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SYS_H
#define BULKHEAD_VMM_ACCEL_SOFT_SYS_H

#include "cmd/vmm/accel/soft/soft.h"

#define CR0_PE (1ULL << 0)
#define CR0_MP (1ULL << 1)
#define CR0_EM (1ULL << 2)
#define CR0_TS (1ULL << 3)
#define CR0_ET (1ULL << 4)
#define CR0_NE (1ULL << 5)
#define CR0_WP (1ULL << 16)
#define CR0_AM (1ULL << 18)
#define CR0_NW (1ULL << 29)
#define CR0_CD (1ULL << 30)
#define CR0_PG (1ULL << 31)

#define CR4_TSD (1ULL << 2)
#define CR4_DE (1ULL << 3)
#define CR4_PSE (1ULL << 4)
#define CR4_PAE (1ULL << 5)
#define CR4_MCE (1ULL << 6)
#define CR4_PGE (1ULL << 7)
#define CR4_OSFXSR (1ULL << 9)
#define CR4_OSXMMEXCPT (1ULL << 10)
#define CR4_UMIP (1ULL << 11)
#define CR4_FSGSBASE (1ULL << 16)
#define CR4_PCIDE (1ULL << 17)
#define CR4_SMEP (1ULL << 20)
#define CR4_SMAP (1ULL << 21)

#define EFER_SCE (1ULL << 0)
#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)
#define EFER_NXE (1ULL << 11)

/* Family 6; the model says nothing beyond what CPUID and ARCH_CAPABILITIES do. */
#define SOFT_CPU_SIGNATURE 0x000306a9

#define SOFT_PHYS_BITS 40 /* of physical addresses, as CPUID says; those above are reserved */

struct soft_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

/* What CPUID answers for a leaf and subleaf. */
struct soft_cpuid soft_cpuid(const struct soft_cpu *c, uint32_t leaf, uint32_t subleaf);

/* false: #GP. */
[[nodiscard]] bool soft_rdmsr(struct soft_cpu *c, uint32_t msr, uint64_t *ret);
[[nodiscard]] bool soft_wrmsr(struct soft_cpu *c, uint32_t msr, uint64_t v);

/* Leave by #GP when the value is not allowed. */
void soft_set_cr0(struct soft_cpu *c, uint64_t v);
void soft_set_cr3(struct soft_cpu *c, uint64_t v);
void soft_set_cr4(struct soft_cpu *c, uint64_t v);
/* EFER as WRMSR sees it; false: #GP. */
[[nodiscard]] bool soft_set_efer(struct soft_cpu *c, uint64_t v);

/* Power-on or INIT state; boot NULL: waits for SIPI (reset vector state otherwise). */
void soft_cpu_reset(struct soft_cpu *c, const struct cpu_boot_state *boot, bool init_only);
/* After a reset: in front of the kernel. */
void soft_cpu_boot(struct soft_cpu *c, const struct cpu_boot_state *b);

#endif
