# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified OVMF boots a unified kernel image from a GPT disk: the kernel finds CPUs, memory and devices
by what firmware was told, restarts, and powers off by firmware's own way."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import pytest

import uefi
from vm import ACCEL, BULKHEAD, HANGS

pytestmark = pytest.mark.skipif(uefi.missing() is not None, reason=f"{uefi.missing()} is not there: tools/deps check")


@pytest.fixture(scope="module")
def disks(tmp_path_factory):
    """Of a test's name: a raw disk that boots it."""
    made = {}

    def of(test):
        if test not in made:
            made[test] = uefi.bootable(tmp_path_factory.mktemp(test), test)
        return made[test]

    return of


def words(disk, *flags, memory="256M", cpus=1, form="raw"):
    """Without a kernel it is OVMF that boots."""
    return [BULKHEAD, "run", "--accel", ACCEL, "--disk", f"{disk},format={form}", "--memory", memory, "--cpus", str(cpus),
            "--console", "raw", *flags]


def run(*args, **kwargs):
    r = subprocess.run(words(*args, **kwargs), stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS,
                       check=False)
    return r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")


@pytest.mark.parametrize("cpus, memory, form", [(1, "256M", "raw"), (2, "5G", "qcow2")])
def test_a_unified_kernel_image(disks, tmp_path, cpus, memory, form):
    disk = disks("smp")
    if form == "qcow2":
        disk = tmp_path / "disk.qcow2"
        subprocess.run([BULKHEAD, "image", "convert", "-f", "raw", "-O", "qcow2", disks("smp"), disk],
                       check=True, capture_output=True)
    flags = ["--allow", "qcow2"] if form == "qcow2" else []
    status, out, err = run(disk, *flags, cpus=cpus, memory=memory, form=form)
    assert status == 0, out + err
    assert f"cpus {cpus}" in out and "test smp status 0" in out, out
    assert "powered off" in err


def test_it_restarts(disks, tmp_path):
    """By firmware's own way, once: the second boot is as the first."""
    state = tmp_path / "state.raw"
    state.write_bytes(bytes(1 << 20))
    status, out, err = run(disks("reboot-once"), "--disk", f"{state},format=raw", cpus=2)
    assert status == 0, out + err
    assert out.count("BdsDxe: starting") == 2 and "second boot" in out, out
    assert "the guest reboots" in err or "powered off" in err


def test_the_order_of_disks(disks):
    """The second disk boots where it is said to be first, though both could."""
    status, out, err = run(disks("smp"), "--disk", f"{disks('poweroff')},format=raw", "--boot", "disk2,disk1")
    assert status == 0, out + err
    assert "from PciRoot(0x0)/Pci(0x3,0x0)" in out and "Pci(0x2,0x0)" not in out and "test smp" not in out, out


def test_variables_last(disks, tmp_path):
    """A boot entry that the guest makes is there after a restart, where the VM was killed with all its processes, and is what
    OVMF goes by then."""
    disk, variables = disks("efi-entry"), tmp_path / "vars"
    with subprocess.Popen(words(disk, "--firmware-vars", variables), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        for line in p.stdout:
            if b"an entry is made" in line:
                kill_at_once(p.pid)
                break
        else:
            raise AssertionError(p.stderr.read())
    assert variables.stat().st_size > os.stat(uefi.VARS).st_size  # its log is there
    status, out, err = run(disk, "--firmware-vars", variables)
    assert status == 0, out + err
    assert "the entry is there" in out and 'starting Boot00AB "Bulkhead' in out, out
    assert variables.stat().st_size == os.stat(uefi.VARS).st_size


def kill_at_once(pid):
    """dev-flash stands still before, as it ends in order once it sees that the VM has ended."""
    processes = [(pid, ""), *below(pid)]
    for signal_, names in ((signal.SIGSTOP, ("dev-flash",)), (signal.SIGKILL, {name for _, name in processes})):
        for each, name in processes:
            if name in names:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal_)


@pytest.mark.parametrize("role, flags", [("dev-firmware", []), ("dev-flash", ["--firmware-vars", "vars"])])
def test_a_device_that_is_killed(disks, tmp_path, role, flags):
    """It is killed while firmware runs, again and again: its successor goes on."""
    with subprocess.Popen(words(disks("smp"), *flags), cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as p:
        try:
            assert p.stdout.read(1)
            kill_below(p.pid, role)
            kills = 1
            for line in p.stderr:
                if f"{role} was killed".encode() in line and b"started again" in line and kills < 5:
                    kill_below(p.pid, role)
                    kills += 1
            out = p.stdout.read()
        finally:
            p.kill()
    assert p.returncode == 0 and kills == 5
    assert b"test smp status 0" in out


def below(pid):
    """(pid, name) of all processes below one."""
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield int(child), pathlib.Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip()
            yield from below(child)


def kill_below(pid, role):
    """The process of that name, once it is there."""
    deadline = time.monotonic() + HANGS
    while time.monotonic() < deadline:
        for child, name in below(pid):
            if name == role:
                os.kill(child, signal.SIGKILL)
                return
        time.sleep(0.02)
    raise AssertionError(f"there is no {role}")
