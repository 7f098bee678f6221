# SPDX-License-Identifier: Apache-2.0
"""A device has filled the eventfd of its queue's kicks, so that writing to it waits: its VM does
not."""

import ctypes
import os
import signal
import subprocess

import pytest

import test_guests as guests
from test_kills import descendants

PIDFD_GETFD = 438
ENDED_BY_USER = 6

pytestmark = [guests.pytestmark, pytest.mark.skipif(os.geteuid() != 0, reason="takes a device's descriptors")]


def take_fd(pid, fd):
    """A descriptor of another process, shared as one that it has got by a message."""
    pidfd = os.pidfd_open(pid)
    try:
        taken = ctypes.CDLL(None, use_errno=True).syscall(PIDFD_GETFD, pidfd, fd, 0)
        if taken < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        return taken
    finally:
        os.close(pidfd)


def kicks(pid):
    """The eventfds that a device's loop waits for."""
    names = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    loop = next(fd for fd, name in names.items() if name == "anon_inode:[eventpoll]")
    with open(f"/proc/{pid}/fdinfo/{loop}", encoding="ascii") as f:
        waited = [line.split()[1] for line in f if line.startswith("tfd:")]
    return [take_fd(pid, int(fd)) for fd in waited if names[fd] == "anon_inode:[eventfd]"]


def fill(fd):
    """As a back end that can do anything would: full, and whoever writes more to it waits."""
    os.set_blocking(fd, False)
    amount = 1 << 63
    while amount:
        try:
            os.write(fd, amount.to_bytes(8, "little"))
        except BlockingIOError:
            amount >>= 1
    os.set_blocking(fd, True)


def said(process, line):
    for got in process.stdout:
        if got.strip() == line:
            return
    pytest.fail(f"it ended without saying {line}: {process.stderr.read()}")


def test_nothing_waits_for_a_full_eventfd():
    """The guest goes on, resets, and works with the device again as soon as that one does."""
    command = ["timeout", "-s", "KILL", str(guests.HANGS), *guests.words("full-kick")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        said(process, "ready")
        run = next(descendants(process.pid))[0]
        device = [pid for pid, name in descendants(process.pid) if name == "dev-rng"][-1]
        os.kill(device, signal.SIGSTOP)
        for fd in kicks(device):
            fill(fd)
            os.close(fd)
        os.kill(run, signal.SIGTERM)  # the power button
        said(process, "notified")
        said(process, "notified again")
        said(process, "resets")
        os.kill(device, signal.SIGCONT)
        said(process, "ok served")
        said(process, "ready")
        os.kill(run, signal.SIGTERM)  # the second one ends the VM
        process.stdout.read()
        assert process.wait() == ENDED_BY_USER
