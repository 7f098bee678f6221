# SPDX-License-Identifier: Apache-2.0
"""A VM with a CD-ROM: what whoever takes dev-cdrom over has not: a way to write the image, or anything but to read it."""

import os

import pytest

import second
import test_second_step
from taken import shared_beside
from test_behind import links
from test_first_step import Intruder
from test_ring import submit_all

ROLE, IMAGE, SIZE = "dev-cdrom", 5, 1 << 20
WRITE, PWRITE, FALLOCATE, FTRUNCATE = 1, 18, 285, 77


@pytest.fixture
def start(ground):
    disc = ground.place.file("cd.iso", b"disc" * (SIZE // 4))
    words = ("--cdrom", disc, "--allow", "virtio-scsi")
    return lambda: ground.start(*words, more=(ROLE,))


def test_the_first_step(start, ground, neighbour, count):
    intruder = Intruder(lambda: start().take(ROLE)).try_all(ground, neighbour)
    count(ROLE, intruder.tried, intruder.gains)


def test_what_it_holds(start, neighbour, count):
    """The image, to be read; of memory that others share guest RAM, the note of requests and its state."""
    machine = start()
    pid = machine.pids[ROLE]
    files = {name for name in links(pid) if name.startswith("/") and not name.startswith(("/memfd", "/guest-ram"))}
    gains = [("held", name, "") for name in files if os.path.basename(name) != "cd.iso"]
    gains += shared_beside(pid, ("guest-ram", "inflight", "cdrom-state"))
    for fd in os.listdir(f"/proc/{pid}/fd"):
        if os.readlink(f"/proc/{pid}/fd/{fd}").endswith("cd.iso"):
            with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
                flags = int(next(line.split()[1] for line in f if line.startswith("flags:")), 8)
            gains += [("held", "the image, to be written", fd)] * (flags & os.O_ACCMODE != os.O_RDONLY)
    count(ROLE, 3, gains)
    machine.finish()


def test_its_ring(start, ground, neighbour, count):
    """Also the writes that a disk's ring has are none."""
    machine = start()
    t = machine.take(ROLE)
    tried, gains = submit_all(t, ground.targets)
    t.release()
    with open(ground.place.dir / "cd.iso", "rb") as f:
        gains += [("ring", "the image is another", "")] * (f.read() != b"disc" * (SIZE // 4))
    count(ROLE, tried + 1, gains)
