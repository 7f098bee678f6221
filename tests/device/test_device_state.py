# SPDX-License-Identifier: Apache-2.0
"""A device's own state through a pipe (vhost-user's DEVICE_STATE), in a confined process."""

import os
import struct

import pytest

from bh import rng, vhost_user as vu
from bh.devices import Blk, Console, Rng

SAVE, LOAD = 0, 1
PROTOCOL = vu.PROTOCOL_KNOWN | vu.PROTOCOL_F_DEVICE_STATE
HEADER = 16
WRITEBACK = 32  # offset of the one byte of a disk's configuration that its driver may write


def begin(front, direction, fd):
    return front.ask_u64(vu.SET_DEVICE_STATE_FD, struct.pack("<II", direction, 0), [fd])


def check(front):
    return front.ask_u64(vu.CHECK_DEVICE_STATE)


def save(front):
    reader, writer = os.pipe()
    assert begin(front, SAVE, writer) == vu.VRING_NOFD
    os.close(writer)
    with open(reader, "rb") as pipe:
        data = pipe.read()
    assert check(front) == 0
    return data


def load(front, data):
    reader, writer = os.pipe()
    assert begin(front, LOAD, reader) == vu.VRING_NOFD
    os.close(reader)
    try:
        with open(writer, "wb") as pipe:
            pipe.write(data)
    except BrokenPipeError:
        pass
    return check(front)


def test_a_disks_write_cache_moves(start, tmp_path):
    """The driver's choice of the write cache, which another process on the same disk then has."""
    image = tmp_path / "disk.raw"
    image.write_bytes(bytes(1 << 20))
    device = start(Blk, image=image)
    session = device.open(protocol=PROTOCOL)
    on = save_stopped(session)
    session.front.tell(vu.SET_CONFIG, vu.config(WRITEBACK, 1, data=b"\0"))
    off = save_stopped(session)
    assert len(on) == HEADER + 1 and on[:-1] == off[:-1] and (on[-1], off[-1]) == (1, 0)
    other = start(Blk, image=image)
    session = other.open(protocol=PROTOCOL)
    session.stop_queues()
    assert session.front.get_config(WRITEBACK, 1) == b"\1"
    assert load(session.front, off) == 0
    assert session.front.get_config(WRITEBACK, 1) == b"\0"
    session.start_queues()
    other.probe(session)


def save_stopped(session):
    session.stop_queues()
    data = save(session.front)
    session.start_queues()
    return data


def test_a_bucket_moves(start):
    """A guest that moves does not find its rate's bucket full again."""
    device = start(Rng, rate=1 << 20)
    session = device.open(protocol=PROTOCOL)
    rng.get(session, 4096)
    session.stop_queues()
    data = save(session.front)
    assert len(data) == HEADER + 8
    other = start(Rng, rate=1 << 20)
    session = other.open(protocol=PROTOCOL)
    session.stop_queues()
    assert load(session.front, data[:HEADER] + bytes(8)) == 0
    assert struct.unpack("<Q", save(session.front)[HEADER:])[0] < 1 << 20
    session.start_queues()
    other.probe(session)


@pytest.mark.parametrize("kind", [Rng, Blk])
def test_hostile_bytes(start, kind):
    device = start(kind)
    session = device.open(protocol=PROTOCOL)
    session.stop_queues()
    before = save(session.front)
    rows = [b"", before[:-1], before + b"\0", bytes(len(before)), b"\xff" * len(before),
            before[:HEADER] + b"\xff" * (len(before) - HEADER), before * 2000]
    rows += [before[:i] + bytes([before[i] ^ 0x80]) + before[i + 1:] for i in range(HEADER)]
    for row in rows:
        assert load(session.front, row) == 1, row[:64].hex()
    after = save(session.front)
    assert after == before
    session.start_queues()
    device.probe(session)
    device.assert_bounded()


@pytest.mark.parametrize("kind", [Rng, Blk])
def test_hostile_pipes(start, kind):
    """What is no pipe, the wrong end, a reader that is gone, a transfer nobody ends: the device goes on."""
    device = start(kind)
    session = device.open(protocol=PROTOCOL)
    session.stop_queues()
    front = session.front
    with open("/dev/null", "r+b") as null:
        assert begin(front, SAVE, null.fileno()) == vu.VRING_NOFD | 1
        assert begin(front, LOAD, null.fileno()) == vu.VRING_NOFD | 1
    reader, writer = os.pipe()
    assert front.ask_u64(vu.SET_DEVICE_STATE_FD, struct.pack("<II", 7, 9), [writer]) & 1
    begin(front, LOAD, writer)
    assert check(front) == 1
    os.close(reader)
    begin(front, SAVE, writer)
    os.close(writer)
    assert check(front) == 1
    reader, writer = os.pipe()
    assert begin(front, LOAD, reader) == vu.VRING_NOFD
    os.write(writer, b"x")
    session.start_queues()  # it goes on without
    device.probe(session)
    os.close(reader)
    os.close(writer)
    device.assert_bounded()


def test_not_offered_where_there_is_none(start):
    device = start(Console)
    session = device.open(protocol=PROTOCOL)
    assert not session.front.protocol_offered & vu.PROTOCOL_F_DEVICE_STATE
    with pytest.raises(vu.Closed):
        front = session.front
        front.ask_u64(vu.CHECK_DEVICE_STATE)
