/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KVM accelerator's own structures. Split irqchip: LAPICs in the kernel, IOAPIC in the vmm, no
 * PIT and no PIC. Interface: Linux Documentation/virt/kvm/api.rst.
 */
#ifndef BULKHEAD_VMM_ACCEL_KVM_KVM_H
#define BULKHEAD_VMM_ACCEL_KVM_KVM_H

#include "cmd/vmm/accel/accel.h"
#include "cmd/vmm/accel/kvm/image.h"
#include "cmd/vmm/accel/watch.h"
#include "lib/state/state.h"

#include <linux/kvm.h>
#include <time.h>

#define KVM_CPUID_MAX 128
#define KVM_MSRS_MAX 512
#define KVM_MSR_HYPERV 0x40000000 /* the first of Hyper-V's */

/* What a vCPU was when KVM had just made it; a guest reset puts it back. */
struct kvm_pristine {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xsave xsave;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct kvm_lapic_state lapic;
	struct kvm_vcpu_events events;
	struct kvm_mp_state mp_state;
	bool has_xcrs;
};

/* All of a vCPU, for its row of the state contract. */
struct kvm_whole {
	struct kvm_pristine state;
	uint64_t msrs[KVM_SAVED_MSRS]; /* image_msrs.c says which */
	uint64_t clock;		       /* ns, of the VM; the first vCPU's counts */
};

struct accel_vcpu {
	struct accel *accel;
	int fd;
	bool ran;
	unsigned int index;
	struct kvm_run *run;
	timer_t kick_timer; /* expires as SIGUSR1 in the vCPU's thread */
	struct watch watch; /* of its writes to eventfds that devices share: SIGUSR2 */
	struct kvm_pristine *pristine;
	struct kvm_whole *whole; /* of its image, as quiesce found it */
};

/* One irqfd slot: GSI IOAPIC_PINS + slot. */
struct kvm_route {
	bool used;
	struct msi msi;
};

struct accel {
	int kvm_fd;
	int vm_fd;
	size_t run_size; /* bytes of a vCPU's shared page run */
	unsigned int n_vcpus;
	unsigned int n_ram;
	bool hyperv; /* the guest has Hyper-V's interface instead of KVM's */
	struct kvm_cpuid2 *cpuid;
	struct kvm_msr_list *msr_list;
	struct kvm_msrs *msrs; /* power-on values, the same for every vCPU; read-only, state.c */
	struct kvm_route routes[IOAPIC_PINS + ACCEL_IRQ_SLOTS];
	struct accel_vcpu vcpus[VCPUS_MAX];
};

/* cpuid.c: makes a->cpuid, what every vCPU is offered before its own topology. */
[[nodiscard]] int kvm_cpuid_prepare(struct accel *a);
/* Sets the CPUID of one vCPU. */
[[nodiscard]] int kvm_cpuid_set(struct accel *a, struct accel_vcpu *v);

/* state.c */
[[nodiscard]] int kvm_state_capture(struct accel_vcpu *v);
/* Once, when the first vCPU has been made. */
[[nodiscard]] int kvm_state_capture_msrs(struct accel *a);
[[nodiscard]] int kvm_vcpu_reset(struct accel_vcpu *v, const struct cpu_boot_state *boot);

/* What KVM has now, but for MSRs. */
[[nodiscard]] int kvm_state_read(const struct accel_vcpu *v, struct kvm_pristine *ret);

/*
 * image.c: object is a struct accel_vcpu that does not run, in its own thread. The first vCPU brings the VM's
 * clock, and so is loaded first. What no image holds and the guest has changed all the same makes quiesce
 * fail with -ENOTSUP.
 */
extern const struct state_ops kvm_vcpu_state;

/* irq.c */
[[nodiscard]] int kvm_msi_send(struct accel *a, const struct msi *msi);
[[nodiscard]] int kvm_irqfd_bind(struct accel *a, unsigned int slot, int eventfd,
				 const struct msi *msi);
[[nodiscard]] int kvm_irqfd_unbind(struct accel *a, unsigned int slot, int eventfd);
void kvm_irqfd_settle(struct accel *a);
[[nodiscard]] int kvm_ioeventfd_bind(struct accel *a, uint64_t gpa, int eventfd);
[[nodiscard]] int kvm_ioeventfd_unbind(struct accel *a, uint64_t gpa, int eventfd);
[[nodiscard]] int kvm_set_ioapic_pin(struct accel *a, unsigned int pin, const struct msi *msi);

/* vcpu.c */
[[nodiscard]] int kvm_vcpu_create(struct accel *a, unsigned int index, struct accel_vcpu **ret);
[[nodiscard]] int kvm_vcpu_enter_thread(struct accel_vcpu *v);
[[nodiscard]] int kvm_vcpu_run(struct accel_vcpu *v, struct accel_exit *ret);
void kvm_vcpu_kick(struct accel_vcpu *v);
void kvm_count_event(int eventfd);

#endif
