# SPDX-License-Identifier: Apache-2.0
"""A device that dies again and again, of a guest that uses it without a rest: the VM stands still, and goes on."""

import contextlib
import os
import signal
import subprocess

import pytest

import test_guests as guests
from test_kills import descendants

pytestmark = guests.pytestmark

NAME = "pause-test"
ROUNDS = 20  # looks at a VM that stands still
SAME = 5  # looks by which it has come to rest


def state():
    done = subprocess.run([guests.BULKHEAD, "ps"], capture_output=True, text=True, check=True)
    return [line.split()[2] for line in done.stdout.splitlines() if line.startswith(f"{NAME} ")]


def vcpu_times(pid):
    """What each thread of the vmm but the main one has used so far."""
    times = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        if task == str(pid):
            continue
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            times[task] = int(f.read().split()[0])
    return times


def is_asleep(pid):
    """Whether each of these threads sleeps: on a busy host one that has something to do may wait for long."""
    for task in vcpu_times(pid):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as f:
            if f.read().rpartition(")")[2].split()[0] != "S":
                return False
    return True


def standing(vmm):
    """The same once its vCPUs have heard of the pause, which a busy one uses time until: several looks in a row."""
    before, same = None, 0
    while same < SAME:
        now = vcpu_times(vmm)
        same = same + 1 if now == before and is_asleep(vmm) else 0
        before = now
        assert state() == ["paused"]
    return before


def one(process, name):
    (pid,) = [pid for pid, program in descendants(process.pid) if program == name] or [None]
    return pid


def crash(pid):
    """As a fault of its own code: signals from outside are either no crash (SIGKILL) or not taken by the first
    process of a process namespace. Nothing, of one that has no code yet or any more."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        text = [line.split()[0] for line in f if " r-xp " in line and "/" in line]
    if not text:
        return
    start, end = (int(at, 16) for at in text[0].split("-"))
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as f:
        f.seek(start)
        f.write(b"\xf4" * (end - start))  # hlt, wherever it goes on


def crash_until_paused(process):
    while state() != ["paused"]:
        assert process.poll() is None
        pid = one(process, "dev-rng")
        with contextlib.suppress(OSError):
            if pid:
                crash(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="processes are signalled")
def test_a_vm_stands_still_and_goes_on():
    process = subprocess.Popen(guests.words("pausing", flags=["--name", NAME, "--on-crash", "pause"]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while process.stdout.readline() != "waiting\n":
        assert process.poll() is None
    vmm = one(process, "vmm")
    for _ in range(2):
        crash_until_paused(process)
        vcpus = standing(vmm)
        for _ in range(ROUNDS):
            assert state() == ["paused"]
        assert vcpu_times(vmm) == vcpus, "a vCPU ran"
        done = subprocess.run([guests.BULKHEAD, "resume", NAME], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert state() == ["running"]
        while vcpu_times(vmm) == vcpus:
            assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=guests.HANGS)
    assert process.returncode == 0, err
    assert "ok each request answered" in out and "ok no reset was needed" in out
    assert err.count("; the VM is paused: ") == 2 and "dev-rng was killed by signal SEGV (11)" in err
