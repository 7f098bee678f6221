# SPDX-License-Identifier: Apache-2.0
"""Boots the tiny guests, one behaviour each, and reads what they say. Any /dev/kvm will do, also one
that emulates ring 0; BULKHEAD_ACCEL=soft takes the software CPU."""

import contextlib
import functools
import os
import pathlib
import re
import select
import signal
import shutil
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TOP / "build"))
BULKHEAD = BUILD / "cmd/bulkhead/bulkhead"
ACCEL = os.environ.get("BULKHEAD_ACCEL", "kvm")
HANGS = 120  # seconds after which a guest counts as hung
POWERED_OFF, PANICKED, CRASHED, ENDED_FROM_OUTSIDE = 0, 3, 4, 6

pytestmark = pytest.mark.skipif(ACCEL == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK),
                                reason="no /dev/kvm")


def words(guest, memory="64M", cmdline="test", flags=()):
    return [BULKHEAD, "run", "--kernel", BUILD / "tests/guest" / f"{guest}.elf", "--memory", memory,
            "--cmdline", cmdline, "--console", "raw", "--accel", ACCEL, "--net", "none", *flags]


@functools.cache
def real_kvm():
    """Whether /dev/kvm runs ring 0 on the processor."""
    return subprocess.run([TOP / "tools/kvm-real"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, check=False).returncode == 0


def run(guest, status=POWERED_OFF, timeout=HANGS, **kwargs):
    """What the guest said; its VM must end with this status."""
    r = subprocess.run(words(guest, **kwargs), stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=timeout, check=False)
    out = r.stdout.decode(errors="replace")
    assert r.returncode == status, f"{r.returncode}\n{out}\n{r.stderr.decode(errors='replace')}"
    return out.splitlines()


def run_checks(guest, at_least, known=(), **kwargs):
    """As run, for a guest that checks by itself: every check it has was made and holds, but for known
    failures (how their lines begin)."""
    lines = run(guest, **kwargs)
    wrong = [line for line in lines if "FAILED" in line]
    assert not [line for line in wrong if not line.startswith(tuple(known))], "\n".join(lines)
    assert sum(line.startswith("ok ") for line in lines) + len(wrong) >= at_least, "\n".join(lines)
    return lines


def checks_of(guest):
    """How many checks a guest's source has outside loops: each prints once."""
    source = (TOP / "tests/guest" / f"{guest}.c").read_text(encoding="ascii")
    return len(re.findall(r"\bcheck(?:_eq)?\(", source))


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(b"bulkhead".ljust(512, b"\0") + bytes((1 << 20) - 512))
    return path


def disk_flags(path):
    return ["--disk", f"{path},format=raw"]


def test_hello():
    assert run("hello", cmdline="a b  c") == [
        "hello", "magic: 0x336ec578", "version: 1", "cmdline: a b  c", "ok rsdp", "modules: 0"]


def test_auto_chooses_and_the_guest_runs():
    """What it chooses is tests/device's; here it must run a guest, whatever it is."""
    r = subprocess.run(words("hello", flags=["--accel", "auto"]), stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=HANGS, check=False)
    assert (r.returncode, r.stdout.splitlines()[0]) == (POWERED_OFF, b"hello")
    assert b" runs the guest: " in r.stderr


def test_initrd_is_a_module(tmp_path):
    (tmp_path / "initrd").write_bytes(b"\x5a" * 5000)
    lines = run("hello", flags=["--initrd", tmp_path / "initrd"])
    assert lines[-3:] == ["modules: 1", "module size: 5000", "first byte: 0x5a"]


def test_most_disks_are_there_in_their_order(tmp_path):
    """Each by its size."""
    flags = []
    for i in range(1, 65):
        (tmp_path / f"{i}.raw").write_bytes(bytes(512 * i))
        flags += disk_flags(tmp_path / f"{i}.raw")
    assert run_checks("many-disks", 64, flags=flags)[-1] == "disks: 64"


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")
def test_most_disks_of_mixed_formats(tmp_path):
    """Raw, qcow2, and qcow2 on a raw one that they all share; on many CPUs."""
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(1 << 20))
    flags = ["--cpus", "8", "--allow", "qcow2"]
    for i in range(1, 65):
        path = tmp_path / f"{i}"
        behind = f",backing={base},backing-format=raw" if i % 3 == 2 else ""
        if i % 3 == 0:
            path.write_bytes(bytes(512 * i))
        else:
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *(["-b", base, "-F", "raw"] if behind else []),
                            path, str(512 * i)], check=True)
        flags += ["--disk", f"{path},format={'qcow2' if i % 3 else 'raw'}{behind}"]
    assert run_checks("many-disks", 64, flags=flags)[-1] == "disks: 64"


@pytest.mark.parametrize("guest", ["cpuid", "ecam", "hostile-bar", "hostile-msix", "hostile-queue",
                                   "ioapic", "mmio", "pio", "sleepbits", "uart", "virtio-rng"])
def test_checks_hold(guest):
    run_checks(guest, checks_of(guest))


def test_poweroff():
    assert run("poweroff") == ["off"]


def test_reboot_can_stop():
    assert run("reboot", flags=["--on-reboot", "stop"]) == ["again"]


def test_restart_is_a_fresh_start(disk):
    disk.write_bytes(bytes(1 << 20))
    lines = run_checks("restart", 3 * 10, flags=disk_flags(disk))
    assert [line for line in lines if line.startswith("start")] == ["start: 1", "start: 2", "start: 3"]
    assert disk.read_bytes()[:1] == b"\3"


@pytest.mark.parametrize("memory,low,high", [("64M", 64, 0), ("100M", 100, 0), ("3G", 3072, 0),
                                             ("4G", 3072, 1024)])
def test_all_memory_is_there(memory, low, high):
    lines = run_checks("memory", 2, memory=memory)
    assert lines[:2] == [f"KiB: {(low + high) * 1024 - 385}", f"KiB above 4 GiB: {high * 1024}"]


@pytest.mark.parametrize("cpus", [1, 2, 4, 16])
def test_every_cpu_starts(cpus):
    lines = run_checks("smp", 1, cmdline=str(cpus), flags=["--cpus", str(cpus), "--allow", "soft-many-cpus"])
    assert lines == [f"CPU: {i}" for i in range(1, cpus)] + ["ok all others"]


@pytest.mark.skipif(ACCEL == "kvm" and not real_kvm(), reason="KVM that emulates has other locks")
@pytest.mark.parametrize("cpus", [2, 4])
def test_locks_and_order_hold_between_cpus(cpus):
    run_checks("locks", 12, cmdline=str(cpus), flags=["--cpus", str(cpus)])


@pytest.mark.skipif(ACCEL == "kvm" and not real_kvm(), reason="KVM that emulates has other locks")
@pytest.mark.parametrize("cpus", [2, 4, 8])
def test_no_ipi_is_lost(cpus):
    """BULKHEAD_IPIS=1000000 sends as many; here and in make check it is a small part of that."""
    count = int(os.environ.get("BULKHEAD_IPIS", "20000"))
    run_checks("ipis", checks_of("ipis"), cmdline=f"{cpus} {count}", timeout=HANGS + count // 1000,
               flags=["--cpus", str(cpus), "--allow", "soft-many-cpus"])


def test_virtio_blk(disk):
    lines = run_checks("virtio-blk", checks_of("virtio-blk"), flags=disk_flags(disk))
    assert "sectors: 2048" in lines and "sector 0: bulkhead" in lines
    data = disk.read_bytes()
    assert data[512:1024] == data[:512] and not any(data[1024:])


def test_panic_is_reported():
    assert run("panic", status=PANICKED)[-1] == "panic"


@pytest.mark.parametrize("cmdline,status", [
    ("panic=-1 reboot=panic_warm", PANICKED), ("reboot=acpi,panic_warm", PANICKED),
    ("panic=-1", POWERED_OFF), ("reboot=warm,panic_warm", POWERED_OFF)])
def test_a_warm_reset_is_a_panic_if_only_panics_are_warm(cmdline, status):
    assert run("warm", status=status, cmdline=cmdline, flags=["--on-reboot", "stop"]) == ["warm"]
    assert run("reboot", cmdline=cmdline, flags=["--on-reboot", "stop"]) == ["again"]


def test_a_warm_reset_can_go_on():
    flags = ["--on-panic", "continue", "--on-reboot", "stop"]
    assert run("warm", cmdline="reboot=panic_warm", flags=flags) == ["warm"]


@pytest.mark.skipif(ACCEL != "soft", reason="KVM has a processor's knowledge of instructions")
def test_unknown_instructions_are_counted_outside():
    r = subprocess.run(words("undefined"), stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS, check=False)
    assert r.stdout.decode().splitlines() == ["undefined: 10", "with ud2: 11"]
    said = re.findall(r"does not know the instruction 0f 0a at 0x\w+; so far: (\d+)", r.stderr.decode())
    assert said == ["1", "2", "4", "8"], r.stderr.decode()
    assert r.returncode == POWERED_OFF


def test_panic_can_go_on():
    assert run("panic", flags=["--on-panic", "continue"])[-1] == "went on"


def test_triple_fault_is_a_crash():
    assert run("triplefault", status=CRASHED) == ["fault"]


@contextlib.contextmanager
def looping(cpus, starts):
    """A VM whose first CPU has no way out of its exceptions, once it has started so many times. It is ended
    from outside at last."""
    name = f"alignment-{os.getpid()}"
    with subprocess.Popen(words("alignment", flags=["--name", name, "--cpus", str(cpus)]), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        try:
            for _ in range(starts):
                assert select.select([p.stdout], [], [], HANGS)[0], "hangs"
                assert os.read(p.stdout.fileno(), 5) == b"loop\n", p.stderr.read()
            subprocess.run([BULKHEAD, "stop", "--now", name], check=True, timeout=HANGS)
            yield p.wait(HANGS)
        finally:
            p.kill()


@pytest.mark.skipif(ACCEL == "kvm" and not real_kvm(), reason="KVM that emulates gives up")
def test_endless_exceptions_can_be_stopped():
    with looping(cpus=1, starts=1) as status:
        assert status == ENDED_FROM_OUTSIDE


@pytest.mark.skipif(ACCEL == "kvm" and not real_kvm(), reason="KVM that emulates gives up")
def test_endless_exceptions_can_be_reset():
    """Each time by the second CPU."""
    with looping(cpus=2, starts=3) as status:
        assert status == ENDED_FROM_OUTSIDE


def test_sigterm_presses_the_power_button():
    with subprocess.Popen(words("powerbutton"), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as p:
        said = b""
        deadline = time.monotonic() + HANGS
        while b"waiting" not in said and time.monotonic() < deadline:
            said += p.stdout.read1()
        p.send_signal(signal.SIGTERM)
        out, _ = p.communicate(timeout=HANGS)
    assert (said + out).decode().splitlines() == ["waiting", "ok power button", "ok once"]
    assert p.returncode == POWERED_OFF
