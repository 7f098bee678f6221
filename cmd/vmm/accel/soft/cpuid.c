/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU that the interpreter presents: x86-64-v2 with RDTSCP, a TSC of 1 GHz whose frequency is
 * in leaf 15h, and the bits that tell a kernel not to guard against faults of real silicon that
 * guest code cannot reach here (msr.c has the rest of them).
 */
#include "cmd/vmm/accel/soft/kvmclock.h"
#include "cmd/vmm/accel/soft/sys.h"
#include "cmd/vmm/accel/soft/vcpu.h"
#include "cmd/vmm/accel/topology.h"

#define LEAF_MAX 0x16
#define LEAF_EXT_MAX 0x80000008
#define LINEAR_BITS 48

static struct soft_cpuid features(const struct soft_cpu *c)
{
	struct soft_cpuid r = {
		.eax = SOFT_CPU_SIGNATURE,
		.ebx = c->index << 24 | c->vm->n_vcpus << 16 | 8 << 8 /* CLFLUSH: 64 bytes */,
		/* SSE3, SSSE3, CX16, SSE4.1, SSE4.2, x2APIC, POPCNT, TSC deadline, hypervisor */
		.ecx = 1U << 0 | 1U << 9 | 1U << 13 | 1U << 19 | 1U << 20 | 1U << 21 | 1U << 23 |
		       1U << 24 | 1U << 31,
		/* FPU, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT,
		 * CLFSH, MMX, FXSR, SSE, SSE2 */
		.edx = 1U << 0 | 1U << 2 | 1U << 3 | 1U << 4 | 1U << 5 | 1U << 6 | 1U << 7 |
		       1U << 8 | 1U << 9 | 1U << 11 | 1U << 12 | 1U << 13 | 1U << 14 | 1U << 15 |
		       1U << 16 | 1U << 19 | 1U << 23 | 1U << 24 | 1U << 25 | 1U << 26,
	};

	if (c->vm->n_vcpus > 1)
		r.edx |= 1U << 28;
	return r;
}

static struct soft_cpuid more_features(uint32_t subleaf)
{
	/* BHI_CTRL: without it kernels clear a branch history in software at every system call,
	 * whatever ARCH_CAPABILITIES says of it */
	if (subleaf == 2)
		return (struct soft_cpuid){ .edx = 1U << 4 };
	if (subleaf)
		return (struct soft_cpuid){ 0 };
	return (struct soft_cpuid){
		.eax = 2, /* the last subleaf */
		/* FSGSBASE, SMEP, ERMS, SMAP */
		.ebx = 1U << 0 | 1U << 7 | 1U << 9 | 1U << 20,
		.ecx = 1U << 2, /* UMIP */
		/* FSRM, SPEC_CTRL, ARCH_CAPABILITIES, SSBD */
		.edx = 1U << 4 | 1U << 26 | 1U << 29 | 1U << 31,
	};
}

static struct soft_cpuid topology(const struct soft_cpu *c, uint32_t subleaf)
{
	struct soft_cpuid r = { .ecx = subleaf, .edx = c->index };

	if (subleaf == 0) {
		r.ebx = 1;
		r.ecx |= 1U << 8;
	} else if (subleaf == 1) {
		r.eax = topology_bits(c->vm->n_vcpus);
		r.ebx = c->vm->n_vcpus;
		r.ecx |= 2U << 8;
	}
	return r;
}

static struct soft_cpuid basic(const struct soft_cpu *c, uint32_t leaf, uint32_t subleaf)
{
	switch (leaf) {
	case 0x0: /* "GenuineIntel": kernels read leaf 15h of this vendor only */
		return (struct soft_cpuid){ LEAF_MAX, 0x756e6547, 0x6c65746e, 0x49656e69 };
	case 0x1:
		return features(c);
	case 0x2:
		return (struct soft_cpuid){ .eax = 0x00feff01, .edx = 0 };
	case 0x6:
		return (struct soft_cpuid){ .eax = 1U << 2 }; /* the APIC timer never stops */
	case 0x7:
		return more_features(subleaf);
	case 0xb:
		return topology(c, subleaf);
	case 0x15: /* crystal and TSC run alike */
		return (struct soft_cpuid){ 1, 1, (uint32_t)SOFT_TSC_HZ, 0 };
	case 0x16:
		return (struct soft_cpuid){ SOFT_TSC_HZ / 1000000, SOFT_TSC_HZ / 1000000, 100, 0 };
	}
	return (struct soft_cpuid){ 0 };
}

static struct soft_cpuid brand(uint32_t leaf)
{
	static const char text[48] = "Bulkhead software CPU";
	struct soft_cpuid r;

	__builtin_memcpy(&r, text + (size_t)16 * (leaf - 0x80000002), sizeof(r));
	return r;
}

static struct soft_cpuid extended(const struct soft_cpu *c, uint32_t leaf)
{
	switch (leaf) {
	case 0x80000000:
		return (struct soft_cpuid){ .eax = LEAF_EXT_MAX };
	case 0x80000001: /* LAHF; SYSCALL, NX, RDTSCP, LM */
		return (struct soft_cpuid){ .ecx = 1U << 0,
					    .edx = 1U << 11 | 1U << 20 | 1U << 27 | 1U << 29 };
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
		return brand(leaf);
	case 0x80000007:
		return (struct soft_cpuid){ .edx = 1U << 8 }; /* invariant TSC */
	case 0x80000008:
		return (struct soft_cpuid){ .eax = SOFT_PHYS_BITS | LINEAR_BITS << 8,
					    .ecx = c->vm->n_vcpus - 1 };
	}
	return (struct soft_cpuid){ 0 };
}

struct soft_cpuid soft_cpuid(const struct soft_cpu *c, uint32_t leaf, uint32_t subleaf)
{
	if (leaf >= 0x80000000)
		return extended(c, leaf);
	if (leaf >= KVMCLOCK_LEAF && leaf <= KVMCLOCK_LEAF_MAX)
		return soft_kvmclock_cpuid(leaf);
	return basic(c, leaf, subleaf);
}
