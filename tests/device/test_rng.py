# SPDX-License-Identifier: Apache-2.0
"""dev-rng: bytes of the host's generator, no faster than it was told."""

import collections

import pytest

from bh import rng
from bh.devices import Rng
from bh.guest import Buf, CANARY


def test_bytes_look_random(start):
    device = start(Rng)
    session = device.open()
    data = b""
    while len(data) < 64 << 10:
        data += rng.get(session, 4096)
    counts = collections.Counter(data)
    mean = len(data) / 256
    chi2 = sum((counts[b] - mean) ** 2 / mean for b in range(256))
    assert 100 < chi2 < 500, f"chi-square {chi2:.0f} of 255 degrees of freedom"
    assert len({data[i:i + 16] for i in range(0, len(data), 16)}) == len(data) // 16


def test_two_devices_differ(start):
    a, b = (rng.get(start(Rng).open(), 64) for _ in range(2))
    assert a != b


@pytest.mark.parametrize("indirect", [False, True])
@pytest.mark.parametrize("event_idx", [False, True])
def test_buffers_of_every_size(start, event_idx, indirect):
    device = start(Rng)
    session = device.open(event_idx=event_idx, indirect=indirect)
    for length in (1, 2, 3, 7, 8, 31, 63, 64, 65, 511, 4095, 4096, 4097, 65536, 1 << 20):
        data = rng.get(session, length, indirect=indirect)
        if length >= 32:
            assert data.count(CANARY) < len(data)
    pieces = [1, 2, 3, 5, 8, 13, 1, 1, 100]
    assert len(rng.get(session, sum(pieces), pieces, indirect)) >= 1
    device.assert_bounded()


def test_huge_buffers_cost_little(start):
    """A budget, not the guest's length, bounds the work of one request."""
    device = start(Rng)
    session = device.open()
    before = device.process.private_bytes()
    room = 7 << 20
    at = session.memory.alloc(room)
    for _ in range(20):
        session.submit([Buf(at, room, True)])
        [(_, written)] = session.wait()
        assert 0 < written <= room
    assert device.process.private_bytes() - before < 2 << 20
    device.assert_bounded()


def test_rate_is_kept(start):
    """Tokens come with the host's time, which a test cannot hold still: but it bounds what may
    have been served by then, however slowly this test runs."""
    import time
    rate = 65536
    begin = time.monotonic()
    device = start(Rng, rate=rate)
    session = device.open()
    at = session.memory.alloc(4096)
    served = 0
    while served < 1.5 * rate:
        session.submit([Buf(at, 4096, True)])
        [(_, written)] = session.wait()
        served += written
    elapsed = time.monotonic() - begin
    burst = rate  # the bucket holds one second's worth at most
    assert served <= burst + elapsed * rate + 4096, f"{served} bytes in {elapsed:.2f} s"
    device.assert_bounded()


def test_waiting_for_tokens_is_idle(start):
    """A request that has to wait costs no CPU, and the rest of the device still answers."""
    device = start(Rng, rate=1024)
    session = device.open()
    at = session.memory.alloc(4096)
    for _ in range(40):
        session.queues[0].add([Buf(at, 4096, True)])
    session.queues[0].kick()
    session.settle()
    device.process.assert_idle()
    session.restart()
    assert not session.needs_reset()
    device.assert_bounded()


def test_reset_while_a_request_waits(start):
    """Nothing is written after the reset, when the tokens would have come."""
    device = start(Rng, rate=65536)
    session = device.open()
    memory = session.memory
    at = memory.alloc(4096)
    for _ in range(40):
        session.queues[0].add([Buf(at, 4096, True)])
    session.queues[0].kick()
    session.settle()
    session.reset()
    memory.write(at, bytes([CANARY]) * 4096)
    session.start_queues()
    other = memory.alloc(64)
    session.submit([Buf(other, 64, True)])
    session.wait()
    assert memory.read(at, 4096) == bytes([CANARY]) * 4096
    device.assert_bounded()


def test_readable_buffers(start):
    """Nothing to write into: it comes back with nothing written, or the ring is broken."""
    device = start(Rng)
    session = device.open()
    at = session.memory.put(b"guest's words")
    session.submit([Buf(at, 13)])
    session.settle()
    if not session.needs_reset():
        [(_, written)] = session.wait()
        assert written == 0
    assert session.memory.read(at, 13) == b"guest's words"
    session.restart()
    device.probe(session)


def test_requests_are_answered_in_full_when_there_are_tokens(start):
    device = start(Rng)
    session = device.open()
    assert len(rng.get(session, 64)) == 64
