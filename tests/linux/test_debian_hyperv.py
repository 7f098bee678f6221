# SPDX-License-Identifier: Apache-2.0
"""A Debian kernel that finds Hyper-V's interface: it takes KVM for Hyper-V, and its clock and timers for its own. Without
the option it sees nothing of that."""

import pytest

import vm

pytestmark = pytest.mark.skipif(vm.ACCEL != "kvm", reason="KVM alone has it")
HYPERV = ["--hyperv", "--allow", "hyperv"]


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "scratch.raw"
    path.write_bytes(bytes(8 << 20))
    return path


def start(disk, cpus, flags=()):
    return vm.run("hyperv", cpus=cpus, words="bh.disk=vda", flags=["--disk", f"{disk},format=raw", *flags])


def takes_it_for_hyper_v(disk, cpus):
    g = start(disk, cpus, HYPERV)
    g.said(r"clock now hyperv_clocksource_tsc_page\b")
    g.said(rf"timers {cpus} of Hyper-V,")
    g.said(r"log .*Hypervisor detected: Microsoft Hyper-V")
    g.said(r"log .*Hyper-V: Host Build 10\.0\.14393")
    assert "kvm-clock" not in g.text()
    count, on = map(int, g.said(r"interrupts of Hyper-V's timers (\d+) (\d+)").groups())
    assert on == cpus and count >= 10
    g.said(r"interrupts of the LAPIC's timer 0 0")
    assert 2 <= int(g.said(r"slept (\d+)")[1]) <= 20
    complaints = [line for line in g.text().splitlines() if "complaint" in line]
    assert all("Unable to read current time from RTC" in line for line in complaints), complaints


def test_linux_takes_it_for_hyper_v(disk):
    takes_it_for_hyper_v(disk, 1)


def test_many_cpus(disk):
    takes_it_for_hyper_v(disk, 8)


def test_without_it_nothing_of_it_is_there(disk):
    g = start(disk, 1)
    g.said(r"clock now kvm-clock\b")
    g.said(r"timers 0 of Hyper-V, 1 of the LAPIC")
    g.said(r"log .*Hypervisor detected: KVM")
    g.said(r"interrupts of Hyper-V's timers 0 0")
    assert int(g.said(r"interrupts of the LAPIC's timer (\d+)")[1]) > 0
    assert "hyperv" not in g.said(r"there is (.*)")[1]
