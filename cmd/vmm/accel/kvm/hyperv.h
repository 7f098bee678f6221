/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest on KVM has of Hyper-V's interface, where its user wants it: CPUID's leaves from 40000000h on, MSRs and
 * a page for hypercalls, by which Windows tells the time and sets timers. KVM does the work; here is what of it a guest
 * is offered, and nothing that is not offered can be had. It takes the place of KVM's own interface: a guest has one of
 * the two. Names are those of Microsoft's Hypervisor Top-Level Functional Specification (TLFS) 6.0b.
 */
#ifndef BULKHEAD_VMM_ACCEL_KVM_HYPERV_H
#define BULKHEAD_VMM_ACCEL_KVM_HYPERV_H

#include "cmd/vmm/accel/kvm/kvm.h"

#define KVM_HYPERV_MSRS 0x1000 /* all of Hyper-V's MSRs, from KVM_MSR_HYPERV on */

/* Puts Hyper-V's leaves in the place of all others from 40000000h on, a->cpuid. -ENOTSUP: KVM lacks one that is offered;
 * or as KVM says. */
[[nodiscard]] int kvm_hyperv_offer(struct accel *a);
/* Sets the bits of the MSRs that are offered, in a bitmap of KVM_HYPERV_MSRS bits. */
void kvm_hyperv_allow(uint8_t *bits);
/* Of one vCPU that has its CPUID: what is not offered is refused from now on. */
[[nodiscard]] int kvm_hyperv_enforce(struct accel_vcpu *v);
/* Those that keep what a guest has written, in the order in which they are put back. */
extern const uint32_t kvm_hyperv_kept[];
extern const size_t kvm_hyperv_n_kept;
/* What KVM_EXIT_HYPERV and KVM_EXIT_SYSTEM_EVENT are to the vmm; a hypercall is answered in run. */
void kvm_hyperv_exit(struct kvm_run *run, struct accel_exit *ret);

#endif
