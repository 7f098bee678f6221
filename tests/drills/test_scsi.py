# SPDX-License-Identifier: Apache-2.0
"""A VM with a disk behind virtio-scsi: whoever takes its dev-scsi over has what the taker of a dev-blk has, and no more."""

import os

import pytest

from taken import shared_beside
from test_behind import links
from test_first_step import Intruder
from test_ring import grow, submit_all

ROLE, SIZE = "dev-scsi", 1 << 20
OWN = ("guest-ram", "inflight", "scsi-state")


@pytest.fixture
def start(ground):
    """A machine, whose SCSI disk is its own: that of a machine before may still be locked."""
    def one():
        disk = ground.place.file(f"scsi-{len(os.listdir(ground.place.dir))}.raw", b"disk" * (SIZE // 4))
        machine = ground.start("--disk", f"{disk},format=raw,bus=scsi", "--allow", "scsi-disk", more=(ROLE,))
        machine.scsi = disk
        return machine

    return one


def test_the_first_step(start, ground, neighbour, count):
    intruder = Intruder(lambda: start().take(ROLE)).try_all(ground, neighbour)
    count(ROLE, intruder.tried, intruder.gains)


def test_what_it_holds(start, neighbour, count):
    """One image; of memory that others share guest RAM, the note of requests and its state."""
    machine = start()
    pid = machine.pids[ROLE]
    files = {name for name in links(pid) if name.startswith("/") and not name.startswith(("/memfd", "/guest-ram"))}
    gains = [("held", name, "") for name in files if os.path.basename(name) != os.path.basename(machine.scsi)]
    gains += shared_beside(pid, OWN)
    count(ROLE, 2, gains)
    machine.finish()


def test_its_ring(start, ground, neighbour, count):
    """What a dev-blk's does not do, it does not; and its image becomes no larger."""
    machine = start()
    t = machine.take(ROLE)
    tried, gains = submit_all(t, ground.targets)
    before = os.stat(machine.scsi)
    for name, result in grow(t, before.st_size):
        tried += 1
        now = os.stat(machine.scsi)
        grew = now.st_size > before.st_size or now.st_blocks * 512 > before.st_size + 4096
        if grew or (result is not None and result > 0):
            gains.append(("disk", name, f"{result}: {now.st_size} bytes, {now.st_blocks} blocks"))
    t.release()
    count(ROLE, tried, gains)
