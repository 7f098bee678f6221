# SPDX-License-Identifier: Apache-2.0
"""Hyper-V's interface on KVM, by registers: what is not offered is refused, what is offered does as Microsoft's
specification says, and nothing of it is there unless it was asked for (registers.c, cpuid.c)."""

import os
import select
import subprocess

import pytest

from test_guests import (ACCEL, BULKHEAD, ENDED_FROM_OUTSIDE, HANGS, PANICKED, checks_of, real_kvm, run,
                         run_checks, words)

FLAGS = ["--hyperv", "--allow", "hyperv"]

pytestmark = pytest.mark.skipif(ACCEL != "kvm" or not real_kvm(), reason="real KVM alone has it")


def test_only_where_allowed():
    r = subprocess.run(words("hyperv", flags=["--hyperv"]), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=HANGS, check=False)
    assert r.returncode == 1 and "say --allow hyperv to use it all the same" in r.stderr and not r.stdout


def test_hostile_guest():
    assert run_checks("hyperv", checks_of("hyperv"), flags=FLAGS)[-1] == "went on"


def test_time_timers_and_apic():
    run_checks("hyperv-time", checks_of("hyperv-time"), flags=FLAGS)


def test_its_reset_is_a_reset():
    lines = run("hyperv", cmdline="reset", flags=[*FLAGS, "--on-reboot", "stop"])
    assert "went on" not in lines


def test_its_crash_is_a_panic():
    run("hyperv", status=PANICKED, cmdline="crash", flags=FLAGS)


def test_a_crash_can_go_on():
    assert run("hyperv", cmdline="crash", flags=[*FLAGS, "--on-panic", "continue"])[-1] == "went on"


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_reset_forgets_it_all(cpus):
    """Timers that run and pages that are written among it."""
    name = f"hyperv-{os.getpid()}"
    flags = [*FLAGS, "--name", name, "--cpus", str(cpus)]
    with subprocess.Popen(words("hyperv", cmdline="again", flags=flags), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, bufsize=0) as p:
        try:
            for _ in range(4):
                assert select.select([p.stdout], [], [], HANGS)[0], "hangs"
                assert p.stdout.readline() == b"fresh\n", p.stderr.read1()
            subprocess.run([BULKHEAD, "stop", "--now", name], check=True, timeout=HANGS)
            assert p.wait(HANGS) == ENDED_FROM_OUTSIDE
        finally:
            p.kill()
