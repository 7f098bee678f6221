/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vmm's filters. None of these calls takes a path, a process id or a socket address, and none
 * can make memory executable. KVM is reached through numbered requests only: no new VM, no new
 * vCPU, no new memory slot, no device assignment.
 */
#include "cmd/vmm/policy.h"

#include "cmd/vmm/layout.h"
#include "cmd/vmm/space.h"
#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/fwcfg/flash.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* The channel, eventfds of errors and configuration changes, kick and call of 17 queues; what comes in
 * one message meanwhile. */
#define FDS_EACH_CHANNEL (3 + 2 * 17 + 5)

/* Of every thread but a software vCPU: interrupts and notifiers in KVM. */
#define KVM_ROUTE_CALLS                                                         \
	SB_IOCTL(KVM_SIGNAL_MSI), SB_IOCTL(KVM_IRQFD), SB_IOCTL(KVM_IOEVENTFD), \
		SB_IOCTL(KVM_SET_GSI_ROUTING)

/*
 * Of a vCPU's thread, for an access to a device's register: eventfds; vhost-user and vfio-user messages, a
 * limited wait for their replies, and descriptors closed that a reply should not have carried; and bytes
 * for the UART, which go on together.
 */
#define DEVICE_ACCESS_CALLS \
	SB_CALL(write), SB_SENDMSG, SB_RECVMSG, SB_PPOLL, SB_CALL(close), SB_TIMERFD_SETTIME

/* A vCPU runs the guest, takes the machine's lock, and does what an access to a register calls
 * for: interrupts and notifiers in KVM, messages to a device's process. */
/* clang-format off */
static const struct sandbox_rule vcpu_rules[] = {
	SB_IOCTL(KVM_RUN),
	KVM_ROUTE_CALLS,
	/* guest reset puts the power-on state back */
	SB_IOCTL(KVM_SET_REGS),
	SB_IOCTL(KVM_SET_SREGS),
	SB_IOCTL(KVM_SET_LAPIC),
	/* one table, which is read-only: any other MSR would be set past what a guest may set */
	SB_FORM(ioctl, SB_IS(1, (uint32_t)KVM_SET_MSRS), SB_IS(2, SPACE_MSRS_AT)),
	SB_IOCTL(KVM_SET_XCRS),
	SB_IOCTL(KVM_SET_XSAVE),
	SB_IOCTL(KVM_SET_DEBUGREGS),
	SB_IOCTL(KVM_SET_VCPU_EVENTS),
	SB_IOCTL(KVM_SET_MP_STATE),
	SB_FUTEX,        /* the lock, and standing still */
	DEVICE_ACCESS_CALLS,
	SB_TIMER_RELATIVE, /* ends a write to a full eventfd */
	SB_CALL(rt_sigreturn), /* from the kick */
};
/* clang-format on */

const struct sandbox_policy vmm_vcpu_policy = {
	.name = "vmm:vcpu",
	.rules = vcpu_rules,
	.n_rules = ARRAY_SIZE(vcpu_rules),
};

/* A software vCPU needs nothing of KVM, but a clock, a sleep and its own timer. */
/* clang-format off */
static const struct sandbox_rule soft_vcpu_rules[] = {
	SB_FUTEX,         /* the lock, HLT, and PAUSE when vCPUs outnumber cores */
	SB_TIMER_ABSOLUTE, /* the LAPIC's timer */
	SB_TIMER_RELATIVE, /* ends a write to a full eventfd */
	SB_CLOCK_MONOTONIC, /* where the vDSO has no clock */
	SB_CLOCK_REALTIME,
	DEVICE_ACCESS_CALLS,
	SB_CALL(rt_sigreturn),
};
/* clang-format on */

const struct sandbox_policy vmm_soft_vcpu_policy = {
	.name = "vmm:soft-vcpu",
	.rules = soft_vcpu_rules,
	.n_rules = ARRAY_SIZE(soft_vcpu_rules),
};

/* The main thread loads the kernel, shakes hands with the devices, waits for events, and resets. */
/* clang-format off */
static const struct sandbox_rule main_rules[] = {
	BLOCK_LOOP_CALLS,
	SB_PPOLL,
	/* counts: of eventfds that a device shares, who could make a plain read wait, and of its own */
	SB_FORM(preadv2, SB_IS(2, 1), SB_IS(5, RWF_NOWAIT)),
	SB_FORM(preadv2, SB_IS(2, 1), SB_IS(5, 0)),
	SB_CALL(write),
	SB_RECVMSG,
	SB_SENDMSG,
	SB_FUTEX,
	SB_TIMER_RELATIVE,      /* kicks a vCPU out of KVM_RUN */
	SB_CALL(preadv),        /* kernel and initrd, straight into guest RAM */
	SB_CALL(pread64),
	SB_CALL(fstat),
	SB_GET_SEALS, /* of the page that a device shares */
	SB_EVENTFD,      /* kicks and calls of the devices' queues */
	SB_TIMERFD_CREATE,
	SB_TIMERFD_SETTIME,
	SB_MMAP_HEAP,
	SB_MMAP_FILE_READ, /* the page that a vfio-user device shares */
	SB_CALL(munmap),
	SB_CALL(brk),
	/* gives guest RAM back at reset; other advice would share pages with other machines (KSM) */
	SB_CALL_EQ(madvise, 2, MADV_REMOVE),
	SB_CALL(close),
	BLOCK_END_CALLS,
	KVM_ROUTE_CALLS,
};
/* clang-format on */

const struct sandbox_policy vmm_policy = {
	.name = "vmm",
	.rules = main_rules,
	.n_rules = ARRAY_SIZE(main_rules),
	.limits = {
		.nofile = 128, /* and FDS_EACH_CHANNEL for each */
		.nproc = 64, /* KVM starts a worker of its own in the vmm's name at the first entry */
		.as = SB_UNSET, /* the sum of `space` below */
		.fsize = SB_UNSET,
		.memlock = 0,
	},
};

static const struct declared_thread threads[] = {
	{ "vCPU", &vmm_vcpu_policy, "kvm", true },
	{ "vCPU", &vmm_soft_vcpu_policy, "soft", true },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ VMM_FD_KVM, FD_CHAR, true, "/dev/kvm" },
	{ VMM_FD_KERNEL, FD_FILE, false, "kernel" },
	{ VMM_FD_INITRD, FD_FILE, true, "initrd" },
	{ VMM_FD_RAM, FD_FILE, false, "guest RAM" },
	{ VMM_FD_ITEMS, FD_FILE, true, "what firmware is told, until it is written" },
	{ VMM_FD_FLASH, FD_FILE, true, "what the guest reads of a flash, until it is mapped" },
	{ VMM_FD_LOG, FD_FILE, true, "which pages of guest RAM devices write to" },
	{ VMM_FD_IDENTITY, FD_FILE, true, "the guest's identity, until it is read" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:kvm-vm", 1, "the VM in KVM" },
	{ "anon_inode:kvm-vcpu", 0, "its virtual CPUs" },
	{ "anon_inode:[timerfd]", 1, "bytes for the UART go on together" },
	{ "/memfd:inflight", 0, "notes of requests in flight, kept for a device's next process" },
	BLOCK_EVENTFD_HELD("kicks and calls of the queues, interrupts, its own threads"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	{ "/memfd:uart", false, "the UART's page of registers" },
	{ "/memfd:" FLASH_VIEW_NAME, false,
	  "the flash of firmware's variables, which the guest reads" },
	{ "anon_inode:kvm-vcpu", true, "a virtual CPU's exits" },
};

static const struct declared_gain gains[] = {
	{ "guest RAM, the virtual CPUs' registers", "they are the guest's", NULL },
	{ "the log of the pages that devices write to", NULL,
	  "the software CPU's; they set bits there, and read nothing" },
	{ "kernel and initrd, read-only", "the loaded copy; the files' bytes are no secret", NULL },
	{ "KVM's VM and virtual CPUs", NULL,
	  "numbered requests only: run, routing, irqfd, ioeventfd, registers, MSRs to their values "
	  "at power-on; no new VM, memory slot or device" },
	{ "one channel a device", NULL,
	  "vhost-user and vfio-user messages of its own choice; each device reads them as "
	  "hostile" },
	BLOCK_EVENTFD_GAIN("the queues' eventfds"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process vmm_declared = {
	.name = "vmm",
	.domain = "bulkhead_vmm_t",
	.job = "the guest's CPUs, memory and PCI",
	.hostile = "the guest's exits, kernel and initrd, the devices' replies",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &vmm_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.channels_from = VMM_FD_CHANNELS,
	.spare_channels = HOTPLUG_SLOTS,
	.fds_each_channel = FDS_EACH_CHANNEL,
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.space = {
		.base = SPACE_BASE,
		.each_vcpu = SPACE_KVM_VCPU,
		.each_soft_vcpu = SPACE_SOFT_VCPU,
		.each_channel = SPACE_CHANNEL,
		.each_soft_page = SPACE_SOFT_PAGE,
	},
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
