# SPDX-License-Identifier: Apache-2.0
"""A disk of a format with metadata: what whoever takes over the process that has it (dev-blk, or storage-file), or
its thread with the metadata, has not. Neither writes a backing file, nor makes the image grow beyond its disk and what
describes it."""

import os
import shutil
import struct
import subprocess

import pytest

import machines
import ring
import second
from ring import Ring, sqe
from taken import Thread
from test_first_step import Intruder
from test_ring import submit_all

IMG = shutil.which("qemu-img")
pytestmark = pytest.mark.skipif(IMG is None, reason="needs qemu-img")

PWRITEV, FALLOCATE, PRLIMIT, FCNTL, SECCOMP = 296, 285, 302, 72, 317
FSIZE, UNLIMITED = 1, 2**64 - 1
ADD_SEALS = 1033
NOTE = 14  # of how far the image may grow, in dev-blk


ROLES = ("dev-blk", "storage-file")


def start(ground, role):
    how = {"options": ",parser=apart", "more": ("storage-file",)} if role == "storage-file" else {}
    return ground.start(qcow2=True, **how)


def volume_of(machine, role):
    """The thread that has the metadata: not the main one, and not the kernel's."""
    pid = machine.pids[role]
    tids = [int(t) for t in os.listdir(f"/proc/{pid}/task") if int(t) != pid and machines.filtered(pid, t)]
    [tid] = [t for t in tids if "iou-" not in open(f"/proc/{pid}/task/{t}/comm", encoding="ascii").read()]
    return Thread(pid, tid)


def limit_of(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("Max file size")).split()[4])


def sizes(machine):
    return machine.top.stat().st_size, machine.disk.stat().st_size


@pytest.mark.parametrize("role", ROLES)
def test_the_first_step_of_the_thread_with_the_metadata(ground, neighbour, count, role):
    intruder = Intruder(lambda: volume_of(start(ground, role), role)).try_all(ground, neighbour)
    count(f"{role}, volume", intruder.tried, intruder.gains)


@pytest.mark.parametrize("role", ROLES)
def test_the_ring(ground, neighbour, count, role):
    t = start(ground, role).take(role)
    allowed = ("registered descriptor 1",)  # its backing file, to be read
    tried, gains = submit_all(t, ground.targets)
    t.release()
    count(role, tried, [g for g in gains if g[1] not in allowed])


def ring_writes(t, limit):
    iov = t.put(struct.pack("<2Q", t.put(b"x" * 64), 64))
    r = Ring(t)
    for at in (limit, limit + 4096, 1 << 40, 1 << 62):
        yield f"write at {at}", r.submit(sqe(ring.WRITEV, offset=at, address=iov, length=1))[1]
    yield "write to the backing file", r.submit(sqe(ring.WRITEV, fd=1, offset=0, address=iov, length=1))[1]


def calls(t, limit, role):
    image, backing = t.find(".qcow2"), t.find(".raw")
    iov = t.put(struct.pack("<2Q", t.put(b"x" * 64), 64))
    more = t.put(struct.pack("<2Q", UNLIMITED, UNLIMITED))
    for at in (limit, limit + 4096, 1 << 40):
        yield f"pwritev at {at}", t.call(PWRITEV, image, iov, 1, at, 0)
    # beside the image: all that storage-file holds; of dev-blk not guest RAM, which it may write
    others = second.held(t) if role == "storage-file" else (backing, *range(7, 13), NOTE)
    for fd in others:
        if fd > 2 and fd != image:
            yield f"pwritev to {fd}", t.call(PWRITEV, fd, iov, 1, 0, 0)
    for mode in (0, 1, 0x10, 0x11):
        yield f"fallocate in mode {mode}", t.call(FALLOCATE, image, mode, limit + (1 << 30), 1 << 26)
    yield "fallocate of the backing file", t.call(FALLOCATE, backing, 3, 0, 4096)
    yield "prlimit", t.call(PRLIMIT, 0, FSIZE, more, 0)
    yield "seccomp", t.call(SECCOMP, 1, 0, more)
    for fd in second.held(t):
        yield f"seals of {fd}", t.call(FCNTL, fd, ADD_SEALS, 15)


@pytest.mark.parametrize("role", ROLES)
def test_nothing_grows_and_nothing_below_changes(ground, neighbour, count, role):
    machine = start(ground, role)
    limit, base = limit_of(machine.pids[role]), machine.disk.read_bytes()
    gains, tried = [], 0
    t = machine.take(role)
    for name, result in ring_writes(t, limit):
        tried += 1
        if result is None or result >= 0 or sizes(machine)[0] > limit:
            gains.append(("grow", name, f"{result}, {sizes(machine)}"))
    t.release()
    t = volume_of(machine, role)
    image = t.find(".qcow2")
    for name, result in calls(t, limit, role):
        tried += 1
        if result.succeeded or sizes(machine)[0] > limit:
            gains.append(("grow", name, f"{result}, {sizes(machine)}"))
    assert t.call(PWRITEV, image, t.put(struct.pack("<2Q", t.put(b"y" * 64), 64)), 1, limit - 64, 0).value == 64
    t.release()
    assert machine.disk.read_bytes() == base
    count(role, tried, gains)
