# SPDX-License-Identifier: Apache-2.0
"""A disk that becomes larger: what whoever takes its dev-blk over, before or afterwards, makes of its bound. It is the
size that the VM's user said, not a byte more, and moves by nothing that a dev-blk does."""

import struct

import pytest

import machines
import ring
from ring import Ring, sqe
from test_metadata import FSIZE, PRLIMIT, UNLIMITED, limit_of

FTRUNCATE, FALLOCATE, PWRITEV = 77, 285, 296
IMAGE = 5
NEW = 1 << 20


@pytest.fixture
def machine(ground):
    m = ground.start(launcher=True)
    yield m
    m.discard()


def larger(machine, size):
    """As its user; the new process of the disk is dev-blk from then on."""
    place = machine.ground.place
    code, _, err = place.call("resize", f"vm{machine.run.pid}", machine.disk, size)
    assert code == 0, err
    (pid,) = [p for p in machines.children(machine.pids["supervisor"]) if machines.name_of(p) == "dev-blk"]
    assert pid != machine.pids["dev-blk"]
    machine.pids["dev-blk"] = pid


def attempts(t, limit):
    iov = t.put(struct.pack("<2Q", t.put(b"x" * 512), 512))
    more = t.put(struct.pack("<2Q", UNLIMITED, UNLIMITED))
    r = Ring(t)
    for at in (limit, limit + 512, limit - 256, 1 << 40):
        yield f"write at {at}", r.submit(sqe(ring.WRITEV, offset=at, address=iov, length=1))[1]
    for name, call in (("prlimit", (PRLIMIT, 0, FSIZE, more, 0)), ("ftruncate", (FTRUNCATE, IMAGE, 1 << 30)),
                       ("fallocate", (FALLOCATE, IMAGE, 0, limit, 4096)), ("pwritev", (PWRITEV, IMAGE, iov, 1, limit, 0))):
        result = t.call(*call)
        yield name, result.value if result.succeeded else None


@pytest.mark.parametrize("when", ["before", "afterwards"])
def test_it_grows_by_its_users_word_alone(machine, count, when):
    if when == "afterwards":
        larger(machine, "1M")
    size, gains, tried = machine.disk.stat().st_size, [], 0
    assert size == limit_of(machine.pids["dev-blk"]) == (NEW if when == "afterwards" else 1 << 16)
    t = machine.take("dev-blk")
    for name, result in attempts(t, size):
        tried += 1
        if machine.disk.stat().st_size > size:
            gains.append(("grow", name, f"{result}, {machine.disk.stat().st_size}"))
    t.release()
    count("dev-blk", tried, gains)
