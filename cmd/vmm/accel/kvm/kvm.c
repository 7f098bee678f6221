/* SPDX-License-Identifier: Apache-2.0 */
/* The KVM accelerator: the VM, its memory and its table of operations; see kvm.h. */
#include "cmd/vmm/accel/kvm/kvm.h"

#include "cmd/vmm/accel/kvm/hyperv.h"
#include "lib/base/cleanup.h"
#include "lib/kvm/host.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/*
 * MSRs that no guest is to reach, whatever CPUID says: older kernels look at CPUID for few of them, and a
 * vmm that was taken over can set EFER.SVME by the registers that it shares with KVM (of KVM 6.1, also
 * with kvm_amd.nested=0). VMRUN then asks for nothing but VM_HSAVE_PA, which stays 0. Of Hyper-V's those that
 * are offered pass, where any is.
 */
static int refuse_msrs(struct accel *a)
{
	static uint8_t none[8], hyperv[KVM_HYPERV_MSRS / 8]; /* a clear bit refuses */
	const uint32_t both = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
	struct kvm_msr_filter f = {
		.flags = KVM_MSR_FILTER_DEFAULT_ALLOW,
		.ranges = {
			{ both, KVM_HYPERV_MSRS, KVM_MSR_HYPERV, hyperv },
			{ both, 0x20, 0x480, none },     /* capabilities of VMX */
			{ both, 4, 0xc0010114, none },   /* VM_CR, IGNNE, SMM_CTL, VM_HSAVE_PA */
		},
	};

	if (a->hyperv)
		kvm_hyperv_allow(hyperv);
	return ioctl(a->vm_fd, KVM_X86_SET_MSR_FILTER, &f) < 0 ? -errno : 0;
}

static int make_vm(struct accel *a)
{
	uint64_t identity_map = KVM_IDENTITY_MAP;
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IOAPIC_PINS } };

	do
		a->vm_fd = ioctl(a->kvm_fd, KVM_CREATE_VM, 0);
	while (a->vm_fd < 0 && errno == EINTR);
	if (a->vm_fd < 0)
		return -errno;
	if (ioctl(a->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) < 0 ||
	    ioctl(a->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_START) < 0 ||
	    ioctl(a->vm_fd, KVM_ENABLE_CAP, &split) < 0)
		return -errno;
	return kvm_host_lacks(a->kvm_fd) ? 0 : refuse_msrs(a); /* said by the supervisor */
}

static int list_msrs(struct accel *a)
{
	size_t size = sizeof(*a->msr_list) + KVM_MSRS_MAX * sizeof(a->msr_list->indices[0]);

	a->msr_list = calloc(1, size);
	if (!a->msr_list)
		return -ENOMEM;
	a->msr_list->nmsrs = KVM_MSRS_MAX;
	return ioctl(a->kvm_fd, KVM_GET_MSR_INDEX_LIST, a->msr_list) < 0 ? -errno : 0;
}

static void accel_free(struct accel *a)
{
	closep(&a->vm_fd);
	free(a->msr_list);
	free(a->cpuid);
	free(a);
}

static int prepare(struct accel *a)
{
	int r = make_vm(a);

	if (r < 0)
		return r;
	r = ioctl(a->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (r < (int)sizeof(struct kvm_run))
		return r < 0 ? -errno : -ENODEV;
	a->run_size = (size_t)r;
	r = list_msrs(a);
	if (r < 0)
		return r;
	return kvm_cpuid_prepare(a);
}

static int check_host(int fd, bool hyperv, const char **ret_why)
{
	int r = kvm_host_check(fd, ret_why);

	if (r < 0 || !hyperv)
		return r;
	*ret_why = kvm_host_lacks_hyperv(fd);
	return *ret_why ? -ENOTSUP : 0;
}

static int kvm_open(int fd, const struct accel_machine *machine, struct accel **ret,
		    const char **ret_why)
{
	struct accel *a;
	int r = check_host(fd, machine->hyperv, ret_why);

	if (r < 0)
		return r;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->kvm_fd = fd;
	a->vm_fd = -1;
	a->n_vcpus = machine->n_vcpus;
	a->hyperv = machine->hyperv;
	r = prepare(a);
	if (r < 0) {
		*ret_why = r == -ENOTSUP ? "KVM lacks a part of Hyper-V's interface" :
					   "/dev/kvm refuses to make a VM with a split irqchip";
		accel_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

static int add_memory(struct accel *a, uint64_t gpa, void *host, uint64_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = a->n_ram,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(a->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -errno;
	a->n_ram++;
	return 0;
}

static int kvm_add_ram(struct accel *a, uint64_t gpa, void *host, uint64_t size)
{
	return add_memory(a, gpa, host, size, 0);
}

/* A write leaves the guest as one to memory that is not there (KVM_EXIT_MMIO). */
static int kvm_add_rom(struct accel *a, uint64_t gpa, void *host, uint64_t size)
{
	return add_memory(a, gpa, host, size, KVM_MEM_READONLY);
}

const struct accel_ops accel_kvm = {
	.name = "kvm",
	.open = kvm_open,
	.add_ram = kvm_add_ram,
	.add_rom = kvm_add_rom,
	.vcpu_create = kvm_vcpu_create,
	.msi_send = kvm_msi_send,
	.irqfd_bind = kvm_irqfd_bind,
	.irqfd_unbind = kvm_irqfd_unbind,
	.irqfd_settle = kvm_irqfd_settle,
	.ioeventfd_bind = kvm_ioeventfd_bind,
	.ioeventfd_unbind = kvm_ioeventfd_unbind,
	.set_ioapic_pin = kvm_set_ioapic_pin,
	.vcpu_enter_thread = kvm_vcpu_enter_thread,
	.vcpu_reset = kvm_vcpu_reset,
	.vcpu_run = kvm_vcpu_run,
	.vcpu_kick = kvm_vcpu_kick,
	.count_event = kvm_count_event,
};
