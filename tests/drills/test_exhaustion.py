# SPDX-License-Identifier: Apache-2.0
"""Takes of everything that the host shares out, until it is refused: the rest of the machine and the
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
    args = {32: (3,), 33: (3, 200), 292: (3, 200, 0), 72: (3, 0, 0), 290: (0, 0), 283: (1, 0),
            291: (0,), 293: (pair, 0), 319: (t.text("x"), 0), 289: (-1, pair, 8, 0),
            53: (1, 1, 0, pair)}[nr]
    while True:
        yield t.call(nr, *args)


def drill(ground, count, role, tries):
    """tries: from the taken thread, (name, gained) each."""
    machine = ground.start()
    t, tried, gains = machine.take(role), 0, []
    try:
        for name, gained in tries(t):
            tried += 1
            gains += [("exhaustion", name, "")] if gained else []
            t.forget()
        t.release()
    except Died:
        tried += 1
    conclude(machine, role)
    count(role, tried, gains)


def most_files(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        (line,) = [ln for ln in f if ln.startswith("Max open files")]
    return int(line.split()[4])


@pytest.mark.parametrize("role", machines.ROLES)
def test_descriptors(ground, neighbour, count, role):
    def tries(t):
        limit = most_files(t.pid)
        assert limit <= 512
        for name, nr in MAKE_DESCRIPTORS.items():
            made = until_refused(make_descriptors(t, nr), limit)
            yield f"{name}: {made}", len(os.listdir(f"/proc/{t.pid}/fd")) > limit or made > limit

    drill(ground, count, role, tries)


def sizes_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {k: int(v.split()[0]) << 10 for k, v in
                (line.split(":") for line in f if line.startswith("Vm"))}


@pytest.mark.parametrize("role", machines.ROLES)
def test_memory(ground, neighbour, count, role):
    """Address space, of which memory that is its own may become as much."""
    def grow_heap(t):
        got = t.call(BRK, 0)
        top = got.value
        while top:
            top += STEP
            got = t.call(BRK, top)
            if got.value != top:
                return
            yield got

    def tries(t):
        before, most = sizes_of(t.pid)["VmSize"], MEMORY_MOST // STEP
        files = [fd for fd in map(int, os.listdir(f"/proc/{t.pid}/fd"))
                 if stat.S_ISREG(os.stat(f"/proc/{t.pid}/fd/{fd}").st_mode)]
        for name, flags, fd in (("private", PRIVATE | ANON, -1), ("shared", SHARED | ANON, -1),
                                *((f"private of {fd}", PRIVATE, fd) for fd in files)):
            def maps(flags=flags, fd=fd):
                while True:
                    yield t.call(MMAP, 0, STEP, READ_WRITE, flags | NORESERVE, fd, 0)

            yield name, until_refused(maps(), most) > most
        yield "heap", until_refused(grow_heap(t), most) > most
        assert sizes_of(t.pid)["VmSize"] <= before + MEMORY_MOST

    drill(ground, count, role, tries)


@pytest.mark.parametrize("role", [r for r in machines.ROLES if r not in ("supervisor", "relay")])
def test_files_do_not_grow(ground, neighbour, count, role):
    """Guest RAM, the kernel, an image: what is written to them stays within their sizes."""
    chunk = 16 << 10

    def writes(t, fd):
        data = t.put(bytes(chunk))
        while True:
            yield t.call(1, fd, data, chunk)

    def tries(t):
        for fd in sorted(map(int, os.listdir(f"/proc/{t.pid}/fd"))):
            path = f"/proc/{t.pid}/fd/{fd}"
            size = os.stat(path).st_size
            if stat.S_ISREG(os.stat(path).st_mode):
                n = until_refused(writes(t, fd), (size + MB) // chunk)
                yield f"{n} writes to {fd}", os.stat(path).st_size > size
                t.forget()
                yield f"ftruncate of {fd}", t.call(77, fd, size + MB).succeeded

    drill(ground, count, role, tries)


@pytest.mark.parametrize("role", machines.ROLES)
def test_tasks(ground, neighbour, count, role):
    def tries(t):
        clone_args = struct.pack("<Q", 0) + bytes(24) + struct.pack("<Q", 17) + bytes(24)
        for name, nr, args in (("fork", 57, ()), ("thread", 56, (0x50f00, 0, 0, 0, 0)),
                               ("clone3", 435, (t.put(clone_args), 64))):
            made = t.call(nr, *args)
            yield name, made.children > 0 or made.succeeded

    drill(ground, count, role, tries)
