# SPDX-License-Identifier: Apache-2.0
"""What dev-blk's io_uring does for whoever takes dev-blk over: reads, writes and syncs of its image."""

import os
import struct

import ring
from ring import EACCES, EBADF, FIXED_FILE, KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, Ring, sqe

GIVEN = {ring.READV, ring.WRITEV, ring.FSYNC}
NO_SUCH = -22  # the kernel does not have the operation
FAR, MUCH = 1 << 30, 64 << 20


def entries(t, targets):
    """(name, entry, results that are no gain) of what the ring must not do."""
    path = t.text(targets.file)
    data = t.put(bytes(64))
    iov = t.put(struct.pack("<2Q", data, 64))
    for op in set(range(ring.N_OPS)) - GIVEN:
        for flags in (0, FIXED_FILE):
            yield f"operation {op} with flags {flags}", sqe(op, flags=flags), (-EACCES, NO_SUCH)
    for op in (ring.OPENAT, ring.STATX, ring.CLOSE, ring.TIMEOUT):
        entry = sqe(op, fd=-100, flags=0, address=path)
        yield f"operation {op} with a path", entry, (-EACCES,)
    for fd in range(64):
        entry = sqe(ring.WRITEV, fd=fd, flags=0, address=iov, length=1)
        yield f"descriptor {fd} that is not registered", entry, (-EACCES,)
        if fd:
            entry = sqe(ring.READV, fd=fd, address=iov, length=1)
            yield f"registered descriptor {fd}", entry, (-EBADF,)
    for mode in (0, KEEP_SIZE, KEEP_SIZE | ZERO_RANGE, KEEP_SIZE | PUNCH_HOLE):
        entry = sqe(ring.FALLOCATE, offset=FAR, address=MUCH, length=mode)
        yield f"fallocate in mode {mode}", entry, (-EACCES,)


def submit_all(t, targets):
    r, gains, tried = Ring(t), [], 0
    for name, entry, refusals in entries(t, targets):
        tried += 1
        entered, result = r.submit(entry)
        if targets.touched() or result not in refusals:
            gains.append(("ring", name, f"{entered}, {result}"))
    return tried, gains


def test_operations(ground, neighbour, count):
    machine = ground.start()
    t = machine.take("dev-blk")
    tried, gains = submit_all(t, ground.targets)
    t.release()
    count("dev-blk", tried, gains)


def grow(t, size):
    """What would take more of the disk than the image has: (name, result)."""
    r = Ring(t)
    iov = t.put(struct.pack("<2Q", t.put(b"x" * 64), 64))
    for at in (size, size + 4096, FAR, (1 << 62)):
        yield f"write at {at}", r.submit(sqe(ring.WRITEV, offset=at, address=iov, length=1))[1]
    for mode in (0, KEEP_SIZE, KEEP_SIZE | ZERO_RANGE):
        entry = sqe(ring.FALLOCATE, offset=FAR, address=MUCH, length=mode)
        yield f"fallocate in mode {mode} on the ring", r.submit(entry)[1]
        for fd in range(12):
            called = t.call(285, fd, mode, FAR, MUCH)
            yield f"fallocate of {fd} in mode {mode}", 0 if called.succeeded else -EACCES


def test_the_disk_does_not_grow(ground, neighbour, count):
    """Neither its size nor, behind its end, the space that it takes of the host's."""
    machine = ground.start()
    before = os.stat(machine.disk)
    t = machine.take("dev-blk")
    gains, tried = [], 0
    for name, result in grow(t, before.st_size):
        tried += 1
        now = os.stat(machine.disk)
        grew = now.st_size > before.st_size or now.st_blocks * 512 > before.st_size + 4096
        if grew or (result is not None and result > 0):
            gains.append(("disk", name, f"{result}: {now.st_size} bytes, {now.st_blocks} blocks"))
    t.release()
    count("dev-blk", tried, gains)


def test_what_it_is_for(ground, neighbour):
    """The same ring reads and writes the image: the refusals above are the ring's own."""
    machine = ground.start()
    t = machine.take("dev-blk")
    r = Ring(t)
    data = t.put(b"written by the taker".ljust(64))
    iov = t.put(struct.pack("<2Q", data, 64))
    assert r.submit(sqe(ring.WRITEV, address=iov, length=1))[1] == 64
    assert machine.disk.read_bytes().startswith(b"written by the taker")
    assert r.submit(sqe(ring.READV, offset=64, address=iov, length=1))[1] == 64
    assert t.read(data, 64) == machine.disk.read_bytes()[64:128]
    t.release()
