# SPDX-License-Identifier: Apache-2.0
"""A device's process ends in the middle of an exchange with a vCPU's thread, which may do less than the
vmm's main thread: the guest's reset of the device is done, and the next process serves."""

import os
import signal
import subprocess

import pytest

import test_guests as guests
from test_full_kick import said
from test_kills import descendants

PPOLL = "271"

pytestmark = [guests.pytestmark, pytest.mark.skipif(os.geteuid() != 0, reason="looks into the vmm")]


def waits_for_a_reply(vmm):
    """Whether one of its threads beside the main one does."""
    for task in os.listdir(f"/proc/{vmm}/task"):
        with open(f"/proc/{vmm}/task/{task}/syscall", encoding="ascii") as f:
            if int(task) != vmm and f.read().split()[0] == PPOLL:
                return True
    return False


def only(pid, name):
    return [found for found, known in descendants(pid) if known == name][-1]


def test_a_device_may_end_in_the_middle_of_its_reset():
    command = ["timeout", "-s", "KILL", str(guests.HANGS), *guests.words("device-reset")]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as process:
        said(process, "ready")
        device, vmm = only(process.pid, "dev-rng"), only(process.pid, "vmm")
        os.kill(device, signal.SIGSTOP)
        os.kill(next(descendants(process.pid))[0], signal.SIGTERM)  # the power button
        while not waits_for_a_reply(vmm):
            assert process.poll() is None
        os.kill(device, signal.SIGKILL)
        said(process, "served")
        _, err = process.communicate(timeout=guests.HANGS)
        assert process.returncode == guests.POWERED_OFF, err
        assert "dev-rng was killed by signal KILL (9)" in err and "started again" in err
