# SPDX-License-Identifier: Apache-2.0
"""The guests that look at the CPU itself: exceptions, privilege, paging, registers, the local APIC,
code that changes. Each checks what the manual says, so that the software CPU and KVM have to say the
same. A /dev/kvm that emulates ring 0 is not asked: it has bugs of its own."""

import functools
import pathlib

import pytest

from test_guests import ACCEL, checks_of, disk, disk_flags, real_kvm, run_checks  # noqa: F401


# How many checks each makes at least: less means that it ended early.
CHECKS = {"faults": 85, "iret": 31, "nested": 16, "paging": 57, "registers": 72, "step": 43,
          "syscalls": 14}

# Where QEMU's TCG (7.2), whose SVM the lab's KVM runs on, is not as the manual says (SDM; volume and
# section), or KVM (6.1) is not. With "tcg" guests leave out what ends the VM there: a push to an
# address that is not canonical (#SS, volume 3, 6.15), the upper half of CR0 and of CR3 (#GP, 2.5);
# and code changed through another address, or by REP STOS over itself, is not seen at once (12.6).
KNOWN = {
    "faults": ["#DB: INT1",                     # volume 3, 6.15: has no INT1
               "#UD: LOCK of MOV",              # volume 2, LOCK
               "#XM", "#UD without OSXMMEXCPT", # volume 3, 6.15: no unmasked SSE exceptions
               "#SS: not canonical, by RBP",    # volume 1, 3.3.7.1: #SS where RBP is the base
               "#PF: read, modify, write",      # volume 3, 4.7: that is a write
               "#NP: gate", "#GP: no gate", "#GP: a gate for ring 0", # 6.13: vector * 16
               "#AC"],                          # volume 3, 6.15: there is none
    "iret": ["#SS: SS absent"],                 # volume 2, IRET
    "nested": ["#UD, ", "INT3, absent gate",    # volume 3, 6.13: vector * 16, and no EXT bit
               "#UD on a stack not canonical"], # the same: no EXT bit
    "paging": ["beyond the physical", "the same, ", "a large page not",
               "NX without NXE"],               # volume 3, 4.7: RSVD comes with P
    "registers": ["CR4: the upper half", "CR8: bit 4",  # volume 3, 2.5
                  "LSTAR: not", "FS base: not", "kernel GS base: not", "TSC_AUX: the upper",
                  "DR7.GD", "DR6.BD", "GD is clear"], # volume 2, WRMSR; volume 3, 17.2.4
    "syscalls": ["flags: without SFMASK's"],    # volume 2, SYSCALL: loses the arithmetic flags
    "apic": ["x2APIC: EOI of something",        # volume 3, 11.12.1.2: KVM takes them
             "x2APIC: TPR, reserved bits"],
}


@functools.cache
def on_tcg():
    return ACCEL == "kvm" and "QEMU TCG" in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii")


def run_cpu(guest, at_least, words="", **kwargs):
    known = [f"FAILED {name}" for name in KNOWN.get(guest, ())] if on_tcg() else ()
    words += " tcg" if on_tcg() else ""
    run_checks(guest, at_least, known=known, cmdline=words.strip() or "test", **kwargs)


@pytest.mark.skipif(ACCEL == "kvm" and not real_kvm(), reason="no real KVM")
class TestCpu:
    @pytest.mark.parametrize("guest", CHECKS)
    def test_does_as_the_manual_says(self, guest):
        run_cpu(guest, CHECKS[guest])

    def test_local_apic(self):
        run_cpu("apic", checks_of("apic"), "2", flags=["--cpus", "2"])

    def test_code_that_changes_runs_as_it_is(self, disk):  # noqa: F811
        at_least = 14 if on_tcg() else 22
        run_cpu("smc", at_least, "2", flags=["--cpus", "2", *disk_flags(disk)])
