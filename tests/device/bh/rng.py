# SPDX-License-Identifier: Apache-2.0
"""virtio-rng, the driver (Virtual I/O Device 1.2, section 5.4)."""

from . import guest
from .guest import Buf
from .session import Session


def get(session, length, sizes=None, indirect=False):
    """Asks once, with buffers of sizes bytes (one of length by default). What the device wrote.
    Checks that it wrote nothing behind what it says."""
    memory = session.memory
    mark = memory.next
    at = memory.put(bytes([guest.CANARY]) * length)
    bufs, done = [], 0
    for size in sizes or [length]:
        bufs.append(Buf(at + done, size, True))
        done += size
    head = session.submit(bufs, indirect=indirect)
    [(got, written)] = session.wait(1)
    assert got == head
    assert 0 < written <= length, f"{written} bytes said to be written into {length}"
    data = memory.read(at, length)
    assert data[written:] == bytes([guest.CANARY]) * (length - written), \
        "bytes behind the used length were written"
    memory.next = mark
    return data[:written]


def open_rng(sock, watch=(), **how):
    return Session(sock, watch=watch, **how).start()
