/* SPDX-License-Identifier: Apache-2.0 */
/* CPUID, MSRs and control registers of the software CPU. */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_SYS_H
#define BULKHEAD_VMM_ACCEL_SOFT_SYS_H

#include "cmd/vmm/accel/soft/soft.h"
#include "cmd/vmm/control_registers.h"

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
