/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's filters. None of these calls takes a path, a process id or a socket address, and none
 * can make memory executable. KVM is reached through numbered requests only: no new VM, no new
 * vCPU, no new memory slot, no device assignment.
 */
#include "cmd/vmm/policy.h"

#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/syscall.h>

/* A vCPU runs the guest, takes the machine's lock, and does what an access to a register calls
 * for: interrupts and notifiers in KVM, messages to a device's process. */
static const struct sandbox_rule vcpu_rules[] = {
	SB_IOCTL(KVM_RUN),
	SB_IOCTL(KVM_SIGNAL_MSI),
	SB_IOCTL(KVM_IRQFD),
	SB_IOCTL(KVM_IOEVENTFD),
	SB_IOCTL(KVM_SET_GSI_ROUTING),
	/* guest reset puts the power-on state back */
	SB_IOCTL(KVM_SET_REGS),
	SB_IOCTL(KVM_SET_SREGS),
	SB_IOCTL(KVM_SET_LAPIC),
	SB_IOCTL(KVM_SET_MSRS),
	SB_IOCTL(KVM_SET_XCRS),
	SB_IOCTL(KVM_SET_XSAVE),
	SB_IOCTL(KVM_SET_DEBUGREGS),
	SB_IOCTL(KVM_SET_VCPU_EVENTS),
	SB_IOCTL(KVM_SET_MP_STATE),
	SB_CALL(futex),        /* the lock, and standing still */
	SB_CALL(write),        /* eventfds */
	SB_CALL(read),
	SB_CALL(sendmsg),      /* vhost-user and vfio-user */
	SB_CALL(recvmsg),
	SB_CALL(ppoll),        /* waits for their replies, with a limit */
	SB_CALL(close),        /* descriptors that a reply should not have carried */
	SB_CALL(timerfd_settime), /* bytes for the UART go on together */
	SB_CALL(rt_sigreturn), /* from the kick */
};

const struct sandbox_policy vmm_vcpu_policy = {
	.name = "vmm:vcpu",
	.rules = vcpu_rules,
	.n_rules = ARRAY_SIZE(vcpu_rules),
};

/* A software vCPU needs nothing of KVM, but a clock, a sleep and its own timer. */
static const struct sandbox_rule soft_vcpu_rules[] = {
	SB_CALL(futex),
	SB_CALL(timer_settime), /* the LAPIC's timer, and kicks */
	SB_CALL(clock_gettime), /* where the vDSO has no clock */
	SB_CALL(sched_yield),   /* PAUSE, when vCPUs outnumber cores */
	SB_CALL(write),
	SB_CALL(read),
	SB_CALL(epoll_ctl),     /* interrupt eventfds join and leave the main thread's loop */
	SB_CALL(sendmsg),
	SB_CALL(recvmsg),
	SB_CALL(ppoll),
	SB_CALL(close),
	SB_CALL(timerfd_settime),
	SB_CALL(rt_sigreturn),
};

const struct sandbox_policy vmm_soft_vcpu_policy = {
	.name = "vmm:soft-vcpu",
	.rules = soft_vcpu_rules,
	.n_rules = ARRAY_SIZE(soft_vcpu_rules),
};

/* The main thread loads the kernel, shakes hands with the devices, waits for events, and resets. */
static const struct sandbox_rule main_rules[] = {
	SB_CALL(epoll_wait),
	SB_CALL(epoll_ctl),
	SB_CALL(ppoll),
	SB_CALL(read),
	SB_CALL(write),
	SB_CALL(recvmsg),
	SB_CALL(sendmsg),
	SB_CALL(futex),
	SB_CALL(timer_settime), /* kicks a vCPU out of KVM_RUN */
	SB_CALL(preadv),        /* kernel and initrd, straight into guest RAM */
	SB_CALL(pread64),
	SB_CALL(fstat),
	SB_CALL_EQ(fcntl, 1, F_GET_SEALS), /* of the page that a device shares */
	SB_CALL(eventfd2),      /* kicks and calls of the devices' queues */
	SB_CALL(timerfd_create),
	SB_CALL(timerfd_settime),
	SB_MMAP_NOEXEC,         /* the page that a vfio-user device shares; heap */
	SB_CALL(munmap),
	SB_CALL(brk),
	SB_CALL(madvise),       /* gives guest RAM back at reset */
	SB_CALL(close),
	SB_CALL(exit_group),
	SB_IOCTL(KVM_SIGNAL_MSI),
	SB_IOCTL(KVM_IRQFD),
	SB_IOCTL(KVM_IOEVENTFD),
	SB_IOCTL(KVM_SET_GSI_ROUTING),
};

const struct sandbox_policy vmm_policy = {
	.name = "vmm",
	.rules = main_rules,
	.n_rules = ARRAY_SIZE(main_rules),
	.limits = {
		.nofile = 512,
		.nproc = 64, /* KVM starts a worker of its own in the vmm's name at the first entry */
		.as = SB_UNSET, /* set from the size of guest RAM */
		.fsize = SB_UNSET,
		.memlock = 0,
	},
};
