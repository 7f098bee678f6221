# SPDX-License-Identifier: Apache-2.0
"""One ground with a neighbour for all drills, and the count of what was tried."""

import collections
import hashlib
import os
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "tests/device"), str(TOP / "tests/drills")]

import machines  # noqa: E402
from taken import maps_of  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TOP / "build")).resolve()
TRIED = collections.Counter()
GAINED = []


def pytest_collection_modifyitems(items):
    for item in items:
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="takes processes over as root"))


def ram_digest(pid):
    (start, end), *_ = [m[:2] for m in maps_of(pid) if "guest-ram" in m[3]]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as f:
        f.seek(start)
        return hashlib.sha256(f.read(end - start)).hexdigest()


@pytest.fixture(scope="session")
def ground():
    g = machines.Ground(BUILD, False)
    yield g
    g.close()


@pytest.fixture(scope="session")
def user_ground():
    """An ordinary user's."""
    g = machines.Ground(BUILD, True)
    yield g
    g.close()


@pytest.fixture(scope="session")
def neighbour(ground):
    """A second VM: after everything its memory and disk are as before, and it still serves."""
    machine = ground.start()
    vmm = machine.pids["vmm"]
    machine.ram = next(m[0] for m in maps_of(vmm) if "guest-ram" in m[3])
    machine.await_sleep()
    before, disk = ram_digest(vmm), machine.disk.read_bytes()
    yield machine
    assert ram_digest(vmm) == before and machine.disk.read_bytes() == disk
    machine.finish()


@pytest.fixture(scope="session")
def count():
    """Counts what a role tried and gained; a gain fails the drill."""
    def add(role, tried, gains):
        TRIED[role] += tried
        GAINED.extend((role, *g) for g in gains)
        assert not gains

    return add


def pytest_terminal_summary(terminalreporter):
    for role in TRIED:
        gained = sum(g[0] == role for g in GAINED)
        terminalreporter.write_line(f"{role:20} tried {TRIED[role]:5}, gained {gained}")
    terminalreporter.write_line(f"tried {sum(TRIED.values())}, gained {len(GAINED)}")
