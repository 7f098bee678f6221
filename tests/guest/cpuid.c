/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU offers: a hypervisor, x2APIC, no virtualisation of its own. */
#include "tests/guest/lib/guest.h"
#include "tests/guest/lib/trap.h"

#define MSR_KVM_SYSTEM_TIME_NEW 0x4b564d01

struct pvclock { /* Documentation/virt/kvm/x86/msr.rst */
	uint32_t version, pad;
	uint64_t tsc, time;
	uint32_t mul;
	int8_t shift;
	uint8_t flags, pad2[2];
};

/* Leaf 15h against the clock of KVM's interface: what its scale makes of one second's cycles is 10^9 ns. */
static void check_tsc_frequency(void)
{
	static volatile struct pvclock clock;
	uint64_t hz, cycles, ns;
	uint32_t r[4];

	cpuid(0, 0, r);
	check(r[0] >= 0x15, "leaf 15h");
	cpuid(0x15, 0, r);
	check(r[0] && r[1] && r[2], "the crystal's frequency, and the TSC's beside it");
	hz = (uint64_t)r[2] * r[1] / r[0];
	wrmsr(MSR_KVM_SYSTEM_TIME_NEW, (uint64_t)(uintptr_t)&clock | 1);
	cycles = clock.shift < 0 ? hz >> -clock.shift : hz << clock.shift;
	ns = (cycles * (clock.mul >> 8)) >> 24;
	check(ns > 999000000 && ns < 1001000000, "the frequency of kvmclock");
}

void guest_main(const struct pvh_info *info)
{
	uint32_t r[4], top;
	char vendor[13] = { 0 };

	(void)info;
	cpuid(1, 0, r);
	check(r[2] >> 31 & 1, "hypervisor");
	check(r[2] >> 21 & 1, "x2apic");
	check(!(r[2] >> 5 & 1), "no vmx");
	check_eq(r[1] >> 24, 0, "apic id 0");
	cpuid(0x40000000, 0, r);
	memcpy(vendor, &r[1], 12);
	check(memcmp(vendor, "KVMKVMKVM\0\0\0", 12) == 0, "the interface of kvm");
	cpuid(0x40000001, 0, r);
	check(r[0] >> 3 & 1, "kvmclock");
	/* clock, no delay after port I/O, clock, stable clock */
	check_eq(r[0] & ~(1U << 0 | 1U << 1 | 1U << 3 | 1U << 24), 0,
		 "no other paravirtual feature");
	check(!r[1] && !r[2] && !r[3], "no hints");
	cpuid(0x40000000, 0, r);
	check_eq(r[0], 0x40000001, "no further leaf");
	check_tsc_frequency();
	cpuid(0x80000000, 0, r);
	top = r[0];
	cpuid(0x80000001, 0, r);
	check(!(r[2] >> 2 & 1), "no svm");
	check(r[3] >> 29 & 1, "long mode");
	r[0] = r[1] = r[3] = 0;
	if (top >= 0x8000000a)
		cpuid(0x8000000a, 0, r);
	check(!r[0] && !r[1] && !r[3], "no svm features");
}
