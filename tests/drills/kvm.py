# SPDX-License-Identifier: Apache-2.0
"""KVM's requests that nobody who takes the vmm over may make: the VM was made before that."""

import os
import struct


def _io(nr, size=0, direction=0):
    return direction << 30 | size << 16 | 0xae << 8 | nr


def _iow(nr, size):
    return _io(nr, size, 1)


def _ior(nr, size):
    return _io(nr, size, 2)


def _iowr(nr, size):
    return _io(nr, size, 3)


# linux/kvm.h; of /dev/kvm, of a VM and of a vCPU
REFUSED = {
    "GET_API_VERSION": _io(0x00), "CREATE_VM": _io(0x01), "GET_MSR_INDEX_LIST": _iowr(0x02, 4),
    "CHECK_EXTENSION": _io(0x03), "GET_VCPU_MMAP_SIZE": _io(0x04), "GET_SUPPORTED_CPUID": _iowr(0x05, 8),
    "CREATE_VCPU": _io(0x41), "GET_DIRTY_LOG": _iow(0x42, 16), "SET_NR_MMU_PAGES": _io(0x44),
    "SET_USER_MEMORY_REGION": _iow(0x46, 32), "SET_USER_MEMORY_REGION2": _iow(0x49, 160),
    "SET_TSS_ADDR": _io(0x47), "SET_IDENTITY_MAP_ADDR": _iow(0x48, 8), "CREATE_IRQCHIP": _io(0x60),
    "IRQ_LINE": _iow(0x61, 8), "IRQ_LINE_STATUS": _iowr(0x67, 8), "CREATE_PIT2": _iow(0x77, 64),
    "SET_BOOT_CPU_ID": _io(0x78), "REGISTER_COALESCED_MMIO": _iow(0x67, 16),
    "ASSIGN_SET_MSIX_NR": _iow(0x73, 8), "XEN_HVM_CONFIG": _iow(0x7a, 56), "SET_CLOCK": _iow(0x7b, 48),
    "GET_CLOCK": _ior(0x7c, 48), "INTERRUPT": _iow(0x86, 4), "SET_SIGNAL_MASK": _iow(0x8b, 4),
    "GET_FPU": _ior(0x8c, 416), "SET_FPU": _iow(0x8d, 416), "SET_CPUID2": _iow(0x90, 8),
    "TPR_ACCESS_REPORTING": _iowr(0x92, 40), "SET_VAPIC_ADDR": _iow(0x93, 8), "NMI": _io(0x9a),
    "SET_GUEST_DEBUG": _iow(0x9b, 72), "X86_SETUP_MCE": _iow(0x9c, 8), "X86_SET_MCE": _iow(0x9e, 64),
    "ENABLE_CAP": _iow(0xa3, 104), "SET_TSC_KHZ": _io(0xa2), "KVMCLOCK_CTRL": _io(0xad),
    "GET_REGS": _ior(0x81, 144), "GET_SREGS": _ior(0x83, 312), "TRANSLATE": _iowr(0x85, 24),
    "GET_MSRS": _iowr(0x88, 8), "GET_LAPIC": _ior(0x8e, 1024), "SMI": _io(0xb7),
    "MEMORY_ENCRYPT_OP": _iowr(0xba, 8), "MEMORY_ENCRYPT_REG_REGION": _ior(0xbb, 16),
    "GET_NESTED_STATE": _iowr(0xbe, 128), "SET_NESTED_STATE": _iow(0xbf, 128),
    "CLEAR_DIRTY_LOG": _iowr(0xc0, 24), "SET_PMU_EVENT_FILTER": _iow(0xb2, 32),
    "X86_SET_MSR_FILTER": _iow(0xc6, 392), "RESET_DIRTY_RINGS": _io(0xc7), "GET_STATS_FD": _io(0xce),
    "SET_SREGS2": _iow(0xcd, 320), "SET_MEMORY_ATTRIBUTES": _iow(0xd2, 32),
    "CREATE_GUEST_MEMFD": _iowr(0xd4, 64), "PRE_FAULT_MEMORY": _iowr(0xd5, 64),
    "HYPERV_EVENTFD": _iow(0xbd, 24), "GET_SUPPORTED_HV_CPUID": _iowr(0xc1, 8),
    "CREATE_DEVICE": _iowr(0xe0, 12), "SET_DEVICE_ATTR": _iow(0xe1, 24), "GET_DEVICE_ATTR": _iow(0xe2, 24),
}


# MSRs, to their values at power-on only: one table, at one address, that nobody can write to
SET_MSRS = _iow(0x89, 8)
MSRS_AT, MSRS_LEN = 0x200000, 16 << 10
REFUSED["SET_MSRS"] = SET_MSRS

# what a vCPU's thread has for its work
GIVEN = {
    "RUN": _io(0x80), "SIGNAL_MSI": _iow(0xa5, 32), "IRQFD": _iow(0x76, 32), "IOEVENTFD": _iow(0x79, 64),
    "SET_GSI_ROUTING": _iow(0x6a, 8), "SET_REGS": _iow(0x82, 144), "SET_SREGS": _iow(0x84, 312),
    "SET_LAPIC": _iow(0x8f, 1024), "SET_XCRS": _iow(0xa7, 392),
    "SET_XSAVE": _iow(0xa5, 4096), "SET_DEBUGREGS": _iow(0xa2, 128), "SET_VCPU_EVENTS": _iow(0xa0, 64),
    "SET_MP_STATE": _iow(0x99, 4),
}
GIVEN_TO_VMM = ("SIGNAL_MSI", "IRQFD", "IOEVENTFD", "SET_GSI_ROUTING")  # its main thread


def links(t):
    return {fd: os.readlink(f"/proc/{t.pid}/fd/{fd}")
            for fd in sorted(map(int, os.listdir(f"/proc/{t.pid}/fd")))}


def descriptors(t, vcpus=True):
    """KVM's; of a process that has none the first three others, which must not matter either."""
    mine = links(t)
    found = [fd for fd, to in mine.items()
             if to in ("/dev/kvm", "anon_inode:kvm-vm") or (vcpus and "kvm-vcpu" in to)]
    return found or [fd for fd in mine if fd > 2][:3]


# ---- a vCPU that is made to run something else ----

EFER_SVME, CR4_VMXE, CR4_PSE = 1 << 12, 1 << 13, 1 << 4
CR0_PAGED = 0x80000011  # PG, ET, PE
RUN_IMMEDIATE_EXIT, RUN_EXIT_REASON, RUN_IO_PORT = 1, 8, 34  # offsets in the page that KVM shares
EXIT_IO, EXIT_SHUTDOWN = 2, 8
CODE, DATA = 0xb, 0x3  # types of segments


def _segment(selector, kind):
    return struct.pack("<QIH10B", 0, 2**32 - 1, selector, kind, 1, 0, 1, 1, 0, 1, 0, 0, 0)


def flat_sregs(directory, cr4, efer):
    """struct kvm_sregs: ring 0, 32 bits, flat, paged by the directory, and no handler of anything."""
    no_task = struct.pack("<QIH10B", 0, 2**16 - 1, 0, 0xb, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    no_ldt = struct.pack("<QIH10B", 0, 2**16 - 1, 0, 0x2, 1, 0, 0, 0, 0, 0, 0, 0, 0)
    segments = _segment(8, CODE) + _segment(16, DATA) * 5 + no_task + no_ldt
    control = struct.pack("<7Q", CR0_PAGED, 0, directory, cr4 | CR4_PSE, 0, efer, 0xfee00900)
    return segments + bytes(32) + control + bytes(32)


def regs_at(rip, rax):
    """struct kvm_regs."""
    return struct.pack("<18Q", rax, *[0] * 15, rip, 2)
