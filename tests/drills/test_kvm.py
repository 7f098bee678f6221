# SPDX-License-Identifier: Apache-2.0
"""The threads that hold KVM's descriptors, taken over: no request but those that they are given."""

import os
import subprocess

import pytest

import kvm
import machines
from conftest import BUILD, TOP
from taken import Died
from test_first_step import Intruder
from test_second_step import conclude

pytestmark = pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="no KVM")
NUMBERS = 256  # of requests of KVM's kind
REAL = subprocess.run([TOP / "tools/kvm-real"], stdout=subprocess.DEVNULL, check=False).returncode == 0


def names_of(role):
    return kvm.GIVEN if role == "vcpu" else kvm.GIVEN_TO_VMM


@pytest.fixture(scope="module")
def kvm_ground():
    g = machines.Ground(BUILD, False, accel="kvm")
    yield g
    g.close()


def test_it_holds_kvm(kvm_ground):
    t = kvm_ground.start().take("vmm")
    kinds = {to for to in kvm.links(t).values() if "kvm" in to}
    assert {"anon_inode:kvm-vm", "anon_inode:kvm-vcpu:0"} <= kinds
    t.release()


@pytest.mark.parametrize("role", ["vmm", "vcpu"])
def test_kvm_drill_gains_nothing(kvm_ground, neighbour, count, role):
    """All the tries of the first step, by threads whose filters KVM has made wider."""
    intruder = Intruder(lambda: kvm_ground.start().take(role)).try_all(kvm_ground, neighbour)
    count(role, intruder.tried, intruder.gains)


@pytest.mark.parametrize("role", ["vmm", "vcpu"])
def test_kvm_drill_every_number(kvm_ground, neighbour, count, role):
    """Each number, in each direction and of several sizes, is refused unless it is a given one."""
    t, gains, tried = kvm_ground.start().take(role), [], 0
    fds = kvm.descriptors(t)
    data = t.put(bytes(8192))
    given = {kvm.GIVEN[name] for name in names_of(role)}
    for nr in range(NUMBERS):
        for high in (0, 0x40200000, 0x80080000, 0xc0080000):
            request = high | 0xae00 | nr
            if request in given:
                continue
            for fd in fds:
                tried += 1
                if not t.call(16, fd, request, data).refused:
                    gains.append(("kvm", f"{request:#x} of {fd}", ""))
    t.release()
    count(role, tried, gains)


@pytest.mark.parametrize("role", ["vmm", "vcpu"])
def test_kvm_drill_given_requests(kvm_ground, neighbour, role):
    """Those that pass, with garbage: the VM stays up or ends with a reason. A vCPU that runs waits
    for whoever wants something of it, so that is left to its own thread."""
    for name in names_of(role):
        request = kvm.GIVEN[name]
        if name == "RUN":
            continue  # the guest, and no more
        machine = kvm_ground.start()
        t = machine.take(role)
        try:
            for fd in kvm.descriptors(t, vcpus=role == "vcpu"):
                for fill in (b"\0", b"\xff", b"\x41"):
                    t.forget()
                    t.call(16, fd, request, t.put(fill * 8192))
            t.release()
        except Died:
            pass
        conclude(machine, role)


MMAP, MPROTECT, MUNMAP, MREMAP = 9, 10, 11, 25
RW, PRIVATE_ANONYMOUS, FIXED = 3, 0x22, 0x10


def test_kvm_drill_msrs(kvm_ground):
    """A vCPU's MSRs are set from outside to their values at power-on and to nothing else: the table stays
    read-only, and nothing can be put in its place, by either thread."""
    machine = kvm_ground.start()
    t = machine.take("vcpu")
    vcpu = next(fd for fd, to in kvm.links(t).items() if "kvm-vcpu" in to)
    before = t.read(kvm.MSRS_AT, kvm.MSRS_LEN)
    n = int.from_bytes(before[:4], "little")
    assert n > 10
    assert t.call(16, vcpu, kvm.SET_MSRS, kvm.MSRS_AT).value == n
    for at in (t.put(before[:24]), kvm.MSRS_AT + 8, kvm.MSRS_AT | 1 << 32, 0):
        assert t.call(16, vcpu, kvm.SET_MSRS, at).refused
    assert t.call(0, 0, kvm.MSRS_AT, 8).value != 8  # a read into it
    assert t.call(MPROTECT, kvm.MSRS_AT, kvm.MSRS_LEN, RW).refused
    t.release()
    t = machine.take("vmm")
    assert t.call(MPROTECT, kvm.MSRS_AT, kvm.MSRS_LEN, RW).refused
    assert t.call(MUNMAP, kvm.MSRS_AT, kvm.MSRS_LEN).value == 0
    for flags in (PRIVATE_ANONYMOUS, PRIVATE_ANONYMOUS | FIXED):
        assert t.call(MMAP, kvm.MSRS_AT, kvm.MSRS_LEN, RW, flags, -1).refused
    assert t.call(MREMAP, t.base, 4096, 4096, 3, kvm.MSRS_AT).refused
    assert t.call(MMAP, 0, kvm.MSRS_LEN, RW, PRIVATE_ANONYMOUS, -1).value > kvm.MSRS_AT + (1 << 30)
    t.release()


AT = 32 << 20  # of guest RAM: a page directory, code, and a page for the instruction
SAY = b"\xe6\x80"  # out %al, $0x80
VMRUN = b"\x0f\x01\xd8"
VMXON = b"\xc7\x04\x24\x00\x20\x00\x02\xf3\x0f\xc7\x34\x24"  # of the page at AT + 0x2000
SET_HSAVE = b"\xb9\x17\x01\x01\xc0\x31\xd2\x0f\x30"  # wrmsr VM_HSAVE_PA, the page


HYPERV = ("--hyperv", "--allow", "hyperv")


def read_msr(number):
    return b"\xb9" + number.to_bytes(4, "little") + b"\x0f\x32"  # mov ecx, rdmsr


def run_code(t, ram, code, cr4=0, efer=0):
    """Has the vCPU run it; whether it gets to the end (else it is shut down by a fault), or None if KVM
    does not let it begin."""
    vcpu = next(fd for fd, to in kvm.links(t).items() if "kvm-vcpu" in to)
    shared = next(m[0] for m in machines.maps_of(t.pid) if "kvm-vcpu" in m[3])
    t.forget()
    t.write(ram + AT, bytes(4 * (AT >> 22)) + (AT | 0x83).to_bytes(4, "little"))
    t.write(ram + AT + 0x1000, code + SAY)
    t.write(shared + kvm.RUN_IMMEDIATE_EXIT, b"\1")
    t.call(16, vcpu, kvm.GIVEN["RUN"])  # what it was in the middle of
    t.write(shared + kvm.RUN_IMMEDIATE_EXIT, b"\0")
    if t.call(16, vcpu, kvm.GIVEN["SET_SREGS"], t.put(kvm.flat_sregs(AT, cr4, efer))).value != 0:
        return None
    assert t.call(16, vcpu, kvm.GIVEN["SET_REGS"], t.put(kvm.regs_at(AT + 0x1000, AT + 0x2000))).value == 0
    assert t.call(16, vcpu, kvm.GIVEN["SET_MP_STATE"], t.put(bytes(4))).value == 0  # not in a HLT
    ran = t.call(16, vcpu, kvm.GIVEN["RUN"])
    assert ran.value == 0, str(ran)
    reason = int.from_bytes(t.read(shared + kvm.RUN_EXIT_REASON, 4), "little")
    assert reason in (kvm.EXIT_IO, kvm.EXIT_SHUTDOWN), reason
    return reason == kvm.EXIT_IO


@pytest.mark.skipif(not REAL, reason="where KVM emulates ring 0, not even the way there works")
@pytest.mark.parametrize("what,code,registers", [
    ("VMRUN", VMRUN, {"efer": kvm.EFER_SVME}),
    ("VMRUN with a page for the host's state", SET_HSAVE + VMRUN, {"efer": kvm.EFER_SVME}),
    ("VMXON", VMXON, {"cr4": kvm.CR4_VMXE})], ids=["vmrun", "vmrun-hsave", "vmxon"])
def test_kvm_drill_no_guest_in_the_guest(kvm_ground, count, what, code, registers):
    """A vCPU of which all registers were chosen still cannot enter a guest of its own: KVM's code for that
    stays out of reach."""
    machine = kvm_ground.start()
    t = machine.take("vcpu")
    ram = next(m[0] for m in machines.maps_of(t.pid) if "guest-ram" in m[3])
    assert run_code(t, ram, b"")  # the way there works
    gains = [("kvm", what, "")] if run_code(t, ram, code, **registers) else []
    t.release()
    count("vcpu", 1, gains)


@pytest.mark.skipif(not REAL, reason="where KVM emulates ring 0, not even the way there works")
def test_kvm_drill_hyper_v(kvm_ground, count):
    """With Hyper-V's interface a vCPU of which all registers were chosen has what its guest was offered of that, and
    none of KVM's own; and the table of MSRs has more rows, but no other values."""
    t, gains, tried = kvm_ground.start(*HYPERV).take("vcpu"), [], 0
    ram = next(m[0] for m in machines.maps_of(t.pid) if "guest-ram" in m[3])
    assert run_code(t, ram, read_msr(0x40000020))  # the time
    for number in (0x40000010, 0x40000040, 0x400000f1, 0x40000106, 0x40000107, 0x40000118, 0x4b564d00, 0x4b564d01):
        tried += 1
        if run_code(t, ram, read_msr(number)):
            gains.append(("kvm", f"MSR {number:#x}", ""))
    vcpu = next(fd for fd, to in kvm.links(t).items() if "kvm-vcpu" in to)
    table = t.read(kvm.MSRS_AT, kvm.MSRS_LEN)
    n = int.from_bytes(table[:4], "little")
    rows = {int.from_bytes(table[8 + 16 * i:12 + 16 * i], "little"): table[16 + 16 * i:24 + 16 * i] for i in range(n)}
    assert {0x40000000, 0x40000001, 0x40000083, 0x400000b7, 0x40000105} <= rows.keys()
    assert not any(rows[0x40000001]) and t.call(16, vcpu, kvm.SET_MSRS, kvm.MSRS_AT).value == n
    assert t.call(16, vcpu, kvm.SET_MSRS, t.put(table[:24])).refused
    t.release()
    count("vcpu", tried, gains)
