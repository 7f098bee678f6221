# SPDX-License-Identifier: Apache-2.0
"""dev-net with mergeable receive buffers (Virtual I/O Device 1.2, 5.1.6.4): a frame in as many buffers as it
takes, which the driver sees at once."""

import os
import struct

import pytest

from bh import guest, net
from bh.devices import Net
from bh.guest import Buf
from test_net import Succession, kill, settled

MERGE_MAX = 64


@pytest.fixture
def device(start):
    return start(Net, features=net.MERGING, mtu=65535)


@pytest.fixture
def succession(start):
    s = Succession(start, features=net.MERGING, mtu=9000)
    yield s
    s.close()


def offer(session, sizes):
    """A buffer of each size: where they are, by their heads."""
    q, places = session.queue(net.RECEIVEQ), {}
    for size in sizes:
        at = session.memory.put(bytes([guest.CANARY]) * size)
        places[q.add([Buf(at, size, True)])] = at, size
    q.kick()
    return places


def take(session, places, n, fresh=True):
    """The frame that n buffers have; nothing behind what was written was touched, unless a frame that was
    dropped had been there."""
    used = session.wait(n, net.RECEIVEQ)
    assert len(used) == n
    data = b""
    for head, written in used:
        at, size = places[head]
        whole = session.memory.read(at, size)
        assert written and (not fresh or whole[written:] == bytes([guest.CANARY]) * (size - written))
        data += whole[:written]
    assert data[:12] == bytes(10) + struct.pack("<H", n)
    return data[12:]


# ---- hostile ----

@pytest.mark.parametrize("sizes", [[1], [11], [12, 11], [1526, 1]])
def test_a_buffer_without_room_for_a_header(device, sizes):
    """Each must have it (5.1.6.3.1)."""
    session = device.open()
    offer(session, sizes)
    device.peer.send(net.frame(b"z" * 3000, net.MAC))
    while not session.needs_reset():
        session.settle()
    session.restart()
    places = offer(session, [2048, 2048])  # the frame is still there
    assert take(session, places, 2) == net.frame(b"z" * 3000, net.MAC)
    net.probe_transmit(session, device.peer)
    device.assert_bounded()


@pytest.mark.parametrize("second", [False, True])
def test_something_to_read_in_a_buffer(device, second):
    session = device.open()
    if second:
        offer(session, [512])
    session.submit([Buf(session.memory.put(b"read me"), 7), Buf(session.memory.alloc(2048), 2048, True)], net.RECEIVEQ)
    device.peer.send(net.frame(b"z" * 800, net.MAC))
    while not session.needs_reset():
        session.settle()
    session.restart()
    assert take(session, offer(session, [2048]), 1) == net.frame(b"z" * 800, net.MAC)
    device.assert_bounded()


def test_a_buffer_outside_ram_behind_a_good_one(device):
    session = device.open()
    offer(session, [512])
    session.submit([Buf(64 << 20, 2048, True)], net.RECEIVEQ)
    device.peer.send(net.frame(b"z" * 800, net.MAC))
    while not session.needs_reset():
        session.settle()
    assert not session.queue(net.RECEIVEQ).take_used()
    session.restart()
    assert take(session, offer(session, [2048]), 1) == net.frame(b"z" * 800, net.MAC)


def test_a_frame_that_takes_too_many_is_dropped(device):
    """More buffers than are ever merged; and more than the ring has."""
    session = device.open(num=256)
    places = offer(session, [13] * 70)
    device.peer.send(net.frame(b"z" * 2000, net.MAC))
    device.peer.send(net.frame(b"", net.MAC))
    assert take(session, places, 2) == net.frame(b"", net.MAC)  # 1 byte, then 13
    settled(device, session)


def test_a_frame_larger_than_the_ring_is_dropped(device):
    session = device.open(num=4)
    places = offer(session, [512] * 4)
    device.peer.send(net.frame(b"z" * 4000, net.MAC))
    device.peer.send(net.frame(b"y" * 900, net.MAC))
    assert take(session, places, 2, fresh=False) == net.frame(b"y" * 900, net.MAC)
    settled(device, session)


def test_buffers_whose_descriptors_are_a_pass_s_whole_budget(device):
    """Of 1024 descriptors each: a frame that needs two is dropped, and the device does not try for ever."""
    session = device.open(num=256)
    for _ in range(3):
        at = session.memory.alloc(1024)
        session.submit([Buf(at + i, 1, True) for i in range(1024)], net.RECEIVEQ, indirect=True)
    device.peer.send(net.frame(b"z" * 1500, net.MAC))
    device.peer.send(net.frame(b"y" * 500, net.MAC))
    [(_, written)] = session.wait(1, net.RECEIVEQ)
    assert written == 12 + 14 + 500
    settled(device, session)


# ---- as it should be ----

@pytest.mark.parametrize("length", [14, 1500, 1514, 1515, 3040, 65000, net.FRAME_MAX])
def test_as_many_as_it_takes(device, length):
    session = device.open(num=256)
    data = net.frame(os.urandom(length - 14), net.MAC)
    n = -(-(12 + length) // 1526)
    places = offer(session, [1526] * 50)
    device.peer.send(data)
    assert take(session, places, n) == data
    if n < 40:
        device.peer.send(data[:100])
        assert take(session, places, 1) == data[:100]
    settled(device, session)


def test_in_any_sizes(device):
    session = device.open(num=256)
    data = net.frame(os.urandom(2000), net.MAC)
    for sizes in ([12, 12, 3000], [13, 14, 15, 1000, 2000], [25, 2001], [26, 12, 2000], [2026]):
        places = offer(session, sizes)
        device.peer.send(data)
        assert take(session, places, len(sizes)) == data
    settled(device, session)


def test_too_few_are_put_back(device):
    """The frame waits, and no buffer comes back."""
    session = device.open()
    data = net.frame(os.urandom(3000), net.MAC)
    places = offer(session, [1024, 1024])
    device.peer.send(data)
    session.settle()
    settled(device, session)
    assert not session.queue(net.RECEIVEQ).take_used()
    device.process.assert_idle()
    places |= offer(session, [1024])
    assert take(session, places, 3) == data
    settled(device, session)


def test_too_few_are_still_the_driver_s(device):
    """It stops the queue, and finds them where they were: the ring's index has not moved on."""
    session = device.open()
    offer(session, [1024, 1024])
    device.peer.send(net.frame(os.urandom(3000), net.MAC))
    session.settle()
    session.settle()
    assert session.front.stop_queue(net.RECEIVEQ) == 0


def test_buffers_of_one_frame_each_without_the_feature(start):
    device = start(Net, mtu=9000)
    session = device.open()
    places = offer(session, [1024, 4096])
    device.peer.send(net.frame(b"z" * 3000, net.MAC))
    device.peer.send(net.frame(b"y" * 3000, net.MAC))
    (_, first), (head, second) = session.wait(2, net.RECEIVEQ)
    assert (first, second) == (0, 12 + 3014)
    assert session.memory.read(places[head][0] + 26, 3000) == b"y" * 3000
    settled(device, session)


# ---- a process that dies ----

def test_killed_with_frames_on_their_way(succession):
    """Whatever it had taken is taken again, by frames that are whole."""
    frames = [net.frame(struct.pack("<I", i) + os.urandom(2500), net.MAC) for i in range(60)]
    stream, at = b"".join(map(net.pack, frames)), 0
    got = []
    for life in range(6):
        device = succession.next()
        session = device.open(num=256)
        places = offer(session, [1024] * 40)
        end = min(len(stream), at + 14000 + 777 * life)
        succession.peer.sock.sendall(stream[at:end])
        at = end
        session.settle()
        session.settle()
        used = session.queue(net.RECEIVEQ).take_used()
        while used:
            head, _ = used[0]
            (n,) = struct.unpack_from("<H", session.memory.read(places[head][0], 12), 10)
            part, used = used[:n], used[n:]
            assert len(part) == n
            got.append(b"".join(session.memory.read(places[h][0], w) for h, w in part)[12:])
        kill(device)
        session.close()
        device.session = None
    assert len(got) > 20
    assert got == frames[:len(got)]
