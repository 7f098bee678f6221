/* SPDX-License-Identifier: Apache-2.0 */
/* What the CPU offers: a hypervisor, x2APIC, no virtualisation of its own. */
#include "tests/guest/lib/guest.h"

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
