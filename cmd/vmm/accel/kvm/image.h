/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image of a vCPU that KVM runs: image_schema.c says what it may hold, image.c takes it from KVM and gives
 * it back. Names are the manuals'; the LAPIC's registers are numbered by 16 bytes.
 */
#ifndef BULKHEAD_VMM_ACCEL_KVM_IMAGE_H
#define BULKHEAD_VMM_ACCEL_KVM_IMAGE_H

#include "lib/state/state.h"

#define KVM_IMAGE_SEGMENTS 8U /* cs, ds, es, fs, gs, ss, tr, ldt */
#define KVM_IMAGE_LAPIC 64U
#define KVM_IMAGE_XSAVE_EXTENDED 440U /* what follows the header of an XSAVE area of 4096 bytes */

/* The segments' attributes: bits of a descriptor from type on, and one of KVM's own. */
#define KVM_ATTR_PRESENT (1U << 7)
#define KVM_ATTR_UNUSABLE (1U << 16)
#define KVM_ATTR_BITS (0xf0ffU | KVM_ATTR_UNUSABLE)

struct kvm_image {
	uint64_t gpr[16], rip, rflags; /* gpr in the order of struct kvm_regs */
	uint64_t base[KVM_IMAGE_SEGMENTS];
	uint32_t limit[KVM_IMAGE_SEGMENTS], attr[KVM_IMAGE_SEGMENTS];
	uint16_t selector[KVM_IMAGE_SEGMENTS];
	uint64_t gdt_base, idt_base;
	uint16_t gdt_limit, idt_limit;
	uint64_t cr0, cr2, cr3, cr4, efer, apic_base, xcr0;
	uint64_t dr[4], dr6, dr7;
	/* the XSAVE area */
	uint16_t fcw, fsw, fop;
	uint8_t ftw;
	uint32_t mxcsr;
	uint64_t fip, fdp, st[16], xmm[32], xstate_bv, extended[KVM_IMAGE_XSAVE_EXTENDED];
	uint32_t lapic[KVM_IMAGE_LAPIC];
	/* events that are not delivered yet */
	uint8_t exception, exception_nr, exception_has_error;
	uint32_t exception_error;
	uint8_t interrupt, interrupt_nr, interrupt_soft, interrupt_shadow;
	uint8_t nmi_injected, nmi_pending, nmi_masked;
	uint32_t mp_state;
	/* MSRs; one that the host does not have is 0 */
	uint64_t star, lstar, cstar, sfmask, kernel_gs_base;
	uint64_t sysenter_cs, sysenter_esp, sysenter_eip;
	uint64_t pat, misc_enable, misc_features, power_ctl, tsc_aux, debugctl, mcg_status;
	uint64_t spec_ctrl, virt_spec_ctrl, tsx_ctrl, umwait_control, hwcr, xss, xfd, xfd_err;
	uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];
	uint64_t kvm_system_time, kvm_wall_clock;
	uint64_t tsc_adjust, tsc, tsc_deadline;
	/* Hyper-V's: what is of the VM is the same in each vCPU's */
	uint64_t hv_guest_os_id, hv_hypercall, hv_reference_tsc, hv_assist;
	uint64_t hv_scontrol, hv_siefp, hv_simp, hv_sint[16], hv_stimer[8], hv_crash[5];
	uint64_t clock; /* ns, of the VM: the first vCPU's counts */
};

#define KVM_LAPIC_ID 0x02
#define KVM_LAPIC_VERSION 0x03
#define KVM_LAPIC_TPR 0x08

extern const struct state_schema kvm_vcpu_schema;

/* ---- image_msrs.c ---- */

struct accel_vcpu;

#define KVM_SAVED_MSRS 92

/* Those that the host has; 0 for others. 0, or a negative errno. */
[[nodiscard]] int kvm_msrs_read(const struct accel_vcpu *v, uint64_t ret[KVM_SAVED_MSRS]);
[[nodiscard]] int kvm_msrs_write(const struct accel_vcpu *v, const uint64_t values[KVM_SAVED_MSRS]);
/* -ENOTSUP: the guest has changed one that an image has no place for, which would be lost without a word. */
[[nodiscard]] int kvm_msrs_check_others(const struct accel_vcpu *v);
void kvm_msrs_to_image(const uint64_t values[KVM_SAVED_MSRS], struct kvm_image *ret);
void kvm_msrs_from_image(const struct kvm_image *i, uint64_t ret[KVM_SAVED_MSRS]);
/* Whether the host has all that are not 0. */
bool kvm_msrs_fit(const struct accel_vcpu *v, const struct kvm_image *i);

#endif
