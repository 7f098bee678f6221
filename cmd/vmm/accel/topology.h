/* SPDX-License-Identifier: Apache-2.0 */
/* How CPUID says which CPUs belong together, alike for all accelerators. */
#ifndef BULKHEAD_VMM_ACCEL_TOPOLOGY_H
#define BULKHEAD_VMM_ACCEL_TOPOLOGY_H

/* Bits that hold the number of any of n siblings. */
static inline unsigned int topology_bits(unsigned int n)
{
	unsigned int bits = 0;

	while (1U << bits < n)
		bits++;
	return bits;
}

#endif
