/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The paravirtual clock that Linux and others know from KVM (its documentation: "KVM CPUID bits",
 * "KVM-specific MSRs"): the time of day, the TSC's frequency and the time since the machine began,
 * in structures in guest RAM whose addresses the guest writes to MSRs. The TSC here runs as the
 * host's monotonic clock does, so a structure once written stays true until the guest sets its TSC.
 */
#ifndef BULKHEAD_VMM_ACCEL_SOFT_KVMCLOCK_H
#define BULKHEAD_VMM_ACCEL_SOFT_KVMCLOCK_H

#include "cmd/vmm/accel/soft/sys.h"

#define KVMCLOCK_LEAF 0x40000000U
#define KVMCLOCK_LEAF_MAX 0x40000001U

/* Leaves KVMCLOCK_LEAF to KVMCLOCK_LEAF_MAX. */
struct soft_cpuid soft_kvmclock_cpuid(uint32_t leaf);
bool soft_kvmclock_is_msr(uint32_t msr);
uint64_t soft_kvmclock_rdmsr(const struct soft_cpu *c, uint32_t msr);
/* Any value is taken; where the structure would not lie in RAM as a whole nothing is written. */
void soft_kvmclock_wrmsr(struct soft_cpu *c, uint32_t msr, uint64_t v);
/* The TSC has been set: publishes how it relates to the time from now on. */
void soft_kvmclock_update(struct soft_cpu *c);

#endif
