/* SPDX-License-Identifier: Apache-2.0 */
/* What a host's KVM must have; see host.h. */
#include "lib/kvm/host.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

/* Capabilities without which nothing runs; the name is for the user. */
static const struct {
	int cap;
	const char *missing;
} needed_caps[] = {
	{ KVM_CAP_SPLIT_IRQCHIP, "/dev/kvm has no split irqchip (KVM_CAP_SPLIT_IRQCHIP)" },
	{ KVM_CAP_IRQFD, "/dev/kvm has no irqfd (KVM_CAP_IRQFD)" },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, "/dev/kvm has no ioeventfd of any length" },
	{ KVM_CAP_SIGNAL_MSI, "/dev/kvm has no KVM_SIGNAL_MSI" },
	{ KVM_CAP_IMMEDIATE_EXIT, "/dev/kvm has no immediate exit (KVM_CAP_IMMEDIATE_EXIT)" },
};

int kvm_host_check(int kvm_fd, const char **ret_why)
{
	if (ioctl(kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		*ret_why = "/dev/kvm is not KVM with API version 12";
		return -ENODEV;
	}
	for (size_t i = 0; i < ARRAY_SIZE(needed_caps); i++) {
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed_caps[i].cap) > 0)
			continue;
		*ret_why = needed_caps[i].missing;
		return -ENODEV;
	}
	return 0;
}

struct wall {
	int cap;
	const char *missing;
};

static const char *first_missing(int kvm_fd, const struct wall *walls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, walls[i].cap) <= 0)
			return walls[i].missing;
	return NULL;
}

const char *kvm_host_lacks(int kvm_fd)
{
	static const struct wall walls[] = {
		{ KVM_CAP_X86_MSR_FILTER, "KVM has no filter of MSRs" },
		{ KVM_CAP_ENFORCE_PV_FEATURE_CPUID, "KVM does not enforce paravirtual features" },
	};

	return first_missing(kvm_fd, walls, ARRAY_SIZE(walls));
}

const char *kvm_host_lacks_hyperv(int kvm_fd)
{
	static const struct wall walls[] = {
		{ KVM_CAP_HYPERV_SYNIC, "KVM has no SynIC of Hyper-V's" },
		{ KVM_CAP_SYS_HYPERV_CPUID, "KVM does not say what it has of Hyper-V's interface" },
		{ KVM_CAP_HYPERV_ENFORCE_CPUID,
		  "KVM does not keep guests to what they are offered of Hyper-V's interface" },
	};
	const char *lacks = kvm_host_lacks(kvm_fd);

	return lacks ? lacks : first_missing(kvm_fd, walls, ARRAY_SIZE(walls));
}
