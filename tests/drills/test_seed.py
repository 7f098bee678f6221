# SPDX-License-Identifier: Apache-2.0
"""image-seed, which makes cloud-init's disk, taken over in its middle: a call of each kind, and what it holds."""

import threading
import time

import pytest

import machines
import second
from conftest import BUILD
from bh.slowfile import SlowFile
from taken import Died, Thread
from test_first_step import Intruder

CONTROL, DISK, INPUT = 3, 4, 5
WRITE, PWRITE, FTRUNCATE = 1, 18, 77
LIMIT = 2 << 20  # bytes of the disk


class Seeds:
    """VMs that are to start, each of which waits for its user-data to be read."""

    def __init__(self, ground):
        self.ground, self.place, self.slow, self.running, self.taken = ground, ground.place, [], [], []
        if not (self.place.dir / "cmd/image-seed").exists():
            self.place.install(BUILD / "cmd/image-seed/image-seed", "image-seed")

    def start(self):
        slow = SlowFile(self.place.dir / f"user-data-{len(self.slow)}", 4096)
        slow.content[:10] = b"#!/bin/sh\n"
        slow.hold_reads = True
        self.slow.append(slow)
        self.running.append(self.place.start("run", "--kernel", self.place.kernel,
                                             "--cloud-init", f"user-data={slow.place}", errors="replace"))
        slow.wait_held(1)
        return next(p for p, exe in self.place.processes()
                    if exe.endswith("/image-seed") and p not in [t.tid for t in self.taken])

    def take(self):
        """It waits for its file where no tracer stops it: the file comes once it is traced."""
        pid = self.start()
        threading.Thread(target=release_once_traced, args=(pid, self.slow[-1]), daemon=True).start()
        self.taken.append(Thread(pid))
        return self.taken[-1]

    def close(self):
        for process in self.running:
            process.kill()
            process.communicate()
        for slow in self.slow:
            slow.close()


def release_once_traced(pid, slow):
    end = time.monotonic() + machines.HANGS_S
    while time.monotonic() < end:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            if "TracerPid:\t0\n" not in f.read():
                time.sleep(0.1)  # it is told to stop right after that
                break
    slow.release()


@pytest.fixture(scope="module")
def seeds(ground):
    s = Seeds(ground)
    yield s
    s.close()


@pytest.fixture(scope="module")
def user_seeds(user_ground):
    s = Seeds(user_ground)
    yield s
    s.close()


def test_the_first_step(seeds, neighbour, count):
    intruder = Intruder(seeds.take).try_all(seeds.ground, neighbour)
    count("image-seed", intruder.tried, intruder.gains)


def test_the_first_step_of_an_ordinary_users(user_seeds, neighbour, count):
    intruder = Intruder(user_seeds.take).try_all(user_seeds.ground, neighbour)
    count("image-seed", intruder.tried, intruder.gains)


def test_its_input_is_only_read_and_its_disk_is_bounded(seeds, neighbour, count):
    t, tried, gains = seeds.take(), 0, []
    data = t.put(b"x" * 16)
    for name, nr, args in (("write", WRITE, (INPUT, data, 16)), ("pwrite", PWRITE, (INPUT, data, 16, 0)),
                           ("beyond", PWRITE, (DISK, data, 16, LIMIT)), ("far", PWRITE, (DISK, data, 16, 1 << 40))):
        tried += 1
        try:
            result = t.call(nr, *args)
        except Died:  # SIGXFSZ
            t = seeds.take()
            data = t.put(b"x" * 16)
            continue
        gains += [("file", name, str(result))] if result.succeeded else []
    t.release()
    count("image-seed", tried, gains)


def test_what_it_says(seeds, neighbour, count):
    """The command ends in order, with one line and without a control character."""
    t = seeds.take()
    process = seeds.running[-1]
    for data in (b"", b"\0", b"\xff" * 4096, second.control(5, text="a line"), second.control(2, 0, "\x1b[2Jx")):
        second.send(t, CONTROL, data)
    try:
        t.call(231, 1)  # exit_group
    except Died:
        pass
    out, err = process.communicate(timeout=machines.HANGS_S)
    shown = [c for c in out + err if ord(c) < 32 and c != "\n"]
    count("image-seed", 1, [("terminal", repr(shown), "")] if shown else [])
    assert process.returncode == 1 and err.startswith("bulkhead: ") and err.count("\n") == 1, err
