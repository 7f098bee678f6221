# SPDX-License-Identifier: Apache-2.0
"""Takes of everything that the host shares out, until it is refused: the rest of the VM and the
neighbour live."""

import os
import stat
import struct

import pytest

import machines
from taken import Died
from test_second_step import conclude

MB = 1 << 20
RAM = 64 * MB
MEMORY_MOST = RAM + 512 * MB  # of one process, beside what it had
STEP = 64 * MB
SHARED, PRIVATE, ANON, NORESERVE = 1, 2, 0x20, 0x4000
READ_WRITE = 3
MMAP, BRK = 9, 12
MAKE_DESCRIPTORS = {"dup": 32, "dup2": 33, "dup3": 292, "fcntl": 72, "eventfd2": 290, "timerfd": 283,
                    "epoll": 291, "pipe2": 293, "memfd": 319, "signalfd": 289, "socketpair": 53}


def until_refused(calls, most):
    """How many of the calls succeed one after another; most + 1 when they never end."""
    n = 0
    for result in calls:
        if not result.succeeded or n > most:
            break
        n += 1
    return n


def make_descriptors(t, nr):
    pair = t.put(bytes(8))
    args = {32: (3,), 33: (3, 200), 292: (3, 200, 0), 72: (3, 0, 0), 290: (0, 0x80800), 283: (1, 0x80800),  # in the forms that pass
           
            291: (0,), 293: (pair, 0), 319: (t.text("x"), 0), 289: (-1, pair, 8, 0),
            53: (1, 1, 0, pair)}[nr]
    while True:
        yield t.call(nr, *args)


def drill(ground, count, role, tries, **how):
    """tries: from the taken thread, (name, gained) each; how: its VM is started."""
    machine = ground.start(**how)
    t, tried, gains = machine.take(role), 0, []
    try:
        for name, gained in tries(t):
            tried += 1
            gains += [("exhaustion", name, "")] if gained else []
        t.release()
    except Died:
        tried += 1
    conclude(machine, role)
    count(role, tried, gains)


def most_files(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        (line,) = [ln for ln in f if ln.startswith("Max open files")]
    return int(line.split()[4])


def descriptors(t):
    limit = most_files(t.pid)
    assert limit <= 640
    for name, nr in MAKE_DESCRIPTORS.items():
        made = until_refused(make_descriptors(t, nr), limit)
        yield f"{name}: {made}", len(os.listdir(f"/proc/{t.pid}/fd")) > limit or made > limit
        t.forget()


def size_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        (line,) = [ln for ln in f if ln.startswith("VmSize:")]
    return int(line.split()[1]) << 10


def regular_files(t):
    return [fd for fd in sorted(map(int, os.listdir(f"/proc/{t.pid}/fd")))
            if stat.S_ISREG(os.stat(f"/proc/{t.pid}/fd/{fd}").st_mode)]


def grow_heap(t):
    got = t.call(BRK, 0)
    top = got.value
    while top:
        top += STEP
        got = t.call(BRK, top)
        if got.value != top:
            return
        yield got


def map_on(t, flags, fd):
    while True:
        yield t.call(MMAP, 0, STEP, READ_WRITE, flags, fd, 0)


def memory(t):
    """Address space, of which memory that is its own, or page tables, may become as much."""
    before, most = size_of(t.pid), MEMORY_MOST // STEP
    ways = [("private", PRIVATE | ANON, -1), ("shared", SHARED | ANON, -1),
            *((f"of {fd}", flags, fd) for fd in regular_files(t) for flags in (PRIVATE, SHARED))]
    for name, flags, fd in ways:
        for more in (0, NORESERVE):
            until_refused(map_on(t, flags | more, fd), most)
            yield name, size_of(t.pid) > before + MEMORY_MOST
    until_refused(grow_heap(t), most)
    yield "heap", size_of(t.pid) > before + MEMORY_MOST


def write_on(t, fd):
    chunk = 16 << 10
    data = t.put(bytes(chunk))
    while True:
        yield t.call(1, fd, data, chunk)


def files(t):
    """Guest RAM, the kernel, an image: what is written to them stays within their sizes."""
    for fd in regular_files(t):
        path = f"/proc/{t.pid}/fd/{fd}"
        size = os.stat(path).st_size
        n = until_refused(write_on(t, fd), (size + MB) >> 14)
        yield f"{n} writes to {fd}", os.stat(path).st_size > size
        t.forget()
        yield f"ftruncate of {fd}", t.call(77, fd, size + MB).succeeded


def tasks(t):
    clone_args = struct.pack("<Q", 0) + bytes(24) + struct.pack("<Q", 17) + bytes(24)
    for name, nr, args in (("fork", 57, ()), ("clone", 56, (17, 0, 0, 0, 0)),
                           ("clone3", 435, (t.put(clone_args), 64))):
        made = t.call(nr, *args)
        yield name, made.children > 0 or made.succeeded


@pytest.mark.parametrize("tries", [descriptors, memory, files, tasks], ids=lambda f: f.__name__)
@pytest.mark.parametrize("role", machines.ROLES)
def test_exhaustion(ground, neighbour, count, role, tries):
    if tries is files and role in ("supervisor", "relay"):
        pytest.skip("holds no file but the user's standard streams")
    drill(ground, count, role, tries)
