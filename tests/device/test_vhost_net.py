# SPDX-License-Identifier: Apache-2.0
"""dev-vhost-net: rings of a driver's that the host's kernel serves, over its own /dev/vhost-net where there is one; and
what it is given in the place of one."""

import errno
import os
import struct

import pytest

from bh import guest, net, process, wait
from bh.devices import NetByKernel
from bh.guest import Buf
from bh.tap import Tap
from test_net_status import DOWN, UP, say, status

ROOM = 2048
FEATURES = net.FEATURES | net.F_CTRL_VQ | net.F_STATUS | net.F_GUEST_ANNOUNCE
MERGING = FEATURES | net.F_MRG_RXBUF
MQ = FEATURES | net.F_MQ
N = 3

needs_tap = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                               reason="a tap is made by root, by /dev/net/tun")
needs_vhost = pytest.mark.skipif(not os.path.exists("/dev/vhost-net"), reason="this host has no /dev/vhost-net")
pytestmark = needs_tap


@pytest.fixture
def tap():
    t = Tap()
    yield t
    t.close()


@pytest.fixture
def card(start, tap):
    return start(NetByKernel, tap=tap, features=FEATURES)


def to_guest(n):
    return net.frame(struct.pack("<I", n) + bytes(60), to=net.MAC)


def from_guest(n):
    return net.frame(struct.pack("<I", n) + bytes(60))


def received(session, at):
    """The frame that came into a buffer. Where buffers are not merged older kernels leave num_buffers as it was."""
    [(_, written)] = session.wait(1, net.RECEIVEQ)
    assert session.memory.read(at + written, ROOM - written) == bytes([guest.CANARY]) * (ROOM - written)
    assert session.memory.read(at, 1)[0] & ~2 == 0  # nothing is left to be done to it
    return session.memory.read(at + net.HEADER_LEN, written - net.HEADER_LEN)


def both_ways(session, tap, n=8):
    """Frames pass, each as it is and in order."""
    for i in range(n):
        net.send(session, from_guest(i))
        assert tap.recv()[1] == from_guest(i)
        at = net.offer(session, ROOM)
        tap.send(to_guest(i))
        assert received(session, at) == to_guest(i)


# ---- what is no /dev/vhost-net ----

def refused(start, tap, opener):
    with pytest.raises(process.Ended) as e:
        start(NetByKernel, tap=tap, opener=opener)
    return str(e.value)


def test_it_may_not_be_opened(start, tap):
    assert "dev-vhost-net: /dev/vhost-net: Permission denied" in refused(start, tap, lambda: -errno.EACCES)


@pytest.mark.parametrize("what", ["/dev/null", "/dev/net/tun"])
def test_it_is_something_else(start, tap, what):
    assert "dev-vhost-net: the kernel's vhost-net: " in refused(start, tap, lambda: os.open(what, os.O_RDWR))


# ---- the real one ----

@needs_vhost
def test_frames_pass_both_ways(card, tap):
    session = card.open(n_queues=N)
    both_ways(session, tap, 300)  # more than a ring has
    assert not session.needs_reset()


@needs_vhost
def test_a_frame_in_several_buffers(start, tap):
    session = start(NetByKernel, tap=tap, features=MERGING).open(n_queues=N)
    places = [net.offer(session, 512) for _ in range(4)]
    data = net.frame(os.urandom(1400), to=net.MAC)
    tap.send(data)
    got = b""
    for _, written in session.wait(3, net.RECEIVEQ):
        got += session.memory.read(places.pop(0), written)
    assert struct.unpack_from("<H", got, 10) == (3,)
    assert got[12:] == data


@needs_vhost
def test_a_tap_without_headers(start):
    """The kernel adds them and takes them away; what they say is nothing that the tap is told."""
    tap = Tap(bare=True)
    try:
        session = start(NetByKernel, tap=tap, features=FEATURES, bare="on").open(n_queues=N)
        both_ways(session, tap, 20)
        large = struct.pack("<BBHHHHH", 1, 1, 54, 1000, 34, 16, 0)  # a train that nobody negotiated
        net.send(session, from_guest(7), header=large)
        head, data = tap.recv()
        assert data == from_guest(7) and head == bytes(10)
    finally:
        tap.close()


@needs_vhost
@pytest.mark.parametrize("features, leaves", [(FEATURES, False), (FEATURES | net.F_GUEST_CSUM, True)])
def test_what_is_left_to_be_done_is_the_drivers_choice(start, tap, features, leaves):
    session = start(NetByKernel, tap=tap, features=features).open(n_queues=N)
    at = net.offer(session, ROOM)
    udp = bytes.fromhex("4500002000004000401126ca0a0000010a000002") + struct.pack(">HHHH", 1, 2, 12, 0x1421) + b"data"
    data = net.MAC + net.OTHER + b"\x08\0" + udp
    tap.send(data, struct.pack("<BBHHHH", 1, 0, 0, 0, 34, 6))  # its checksum is left to be done
    [(_, written)] = session.wait(1, net.RECEIVEQ)
    head = session.memory.read(at, written)
    assert bool(head[0] & 1) == leaves
    assert (head[12:] == data) == leaves


@needs_vhost
def test_where_it_stopped_is_said_and_is_right(card, tap):
    """And another process goes on from there."""
    session = card.open(n_queues=N)
    both_ways(session, tap, 5)
    assert session.front.stop_queue(net.TRANSMITQ) == 5
    assert session.front.stop_queue(net.RECEIVEQ) == 5


@needs_vhost
def test_link_down_and_up(card, tap):
    session = card.open(n_queues=N)
    assert status(session) == net.LINK_UP
    both_ways(session, tap)
    at = net.offer(session, ROOM)
    say(card, DOWN)
    assert status(session) == 0
    for i in range(300):
        net.send(session, from_guest(i))  # it comes back, and goes nowhere
        tap.send(to_guest(i))
    session.settle()
    assert not session.queue(net.RECEIVEQ).take_used()
    tap.packets.settimeout(0.2)
    with pytest.raises((TimeoutError, BlockingIOError)):
        while True:
            assert tap.recv()[1] not in [from_guest(i) for i in range(300)]
    tap.packets.settimeout(wait.HANG_S)
    say(card, UP)
    assert status(session) == net.LINK_UP
    tap.send(to_guest(1000))
    assert received(session, at) == to_guest(1000)
    both_ways(session, tap)


@needs_vhost
def test_a_ring_that_cannot_be(card, tap):
    """The kernel finds it; the device needs a reset, and serves again after it."""
    session = card.open(n_queues=N)
    both_ways(session, tap)
    q = session.queue(net.TRANSMITQ)
    q.put_avail(q.num + 5)  # no such descriptor
    q.publish()
    q.kick()
    wait.until(session.needs_reset, "it needs a reset")
    assert card.process.alive


@needs_vhost
def test_buffers_outside_of_memory(card, tap):
    session = card.open(n_queues=N)
    session.submit([Buf(1 << 40, 100)], net.TRANSMITQ)
    wait.until(session.needs_reset, "it needs a reset")
    assert card.process.alive


@needs_vhost
def test_a_tap_that_is_removed(card, tap):
    session = card.open(n_queues=N)
    both_ways(session, tap)
    tap.remove()
    for i in range(3):
        session.submit([Buf(session.memory.put(net.HEADER + from_guest(i)), 12 + 78)], net.TRANSMITQ)
        session.settle()
    assert card.process.alive
    session.front.stop_queue(net.TRANSMITQ)


@needs_vhost
def test_killed_and_another_takes_its_place(start, tap):
    page = guest.sealed_memfd(4096, name="net-set")
    first = start(NetByKernel, tap=tap, features=FEATURES, page=page)
    session = first.open(n_queues=N)
    both_ways(session, tap, 20)
    first.process.kill()
    first.close()
    second = start(NetByKernel, tap=tap, features=FEATURES, page=page)
    both_ways(second.open(n_queues=N), tap, 20)
    os.close(page)


@needs_vhost
def test_pairs(start):
    """Those that are not used get no frame; those that are do."""
    tap = Tap(queues=2)
    try:
        card = start(NetByKernel, tap=tap, features=MQ)
        session = card.open(n_queues=5, num=256)
        both_ways(session, tap, 20)
        assert net.control(session, net.PAIRS_SET, struct.pack("<H", 3), queue=4) == net.ERR
        assert net.control(session, net.PAIRS_SET, struct.pack("<H", 2), queue=4) == net.OK
        for i in range(20):
            net.send(session, from_guest(i), pair=1)
            assert tap.recv()[1] == from_guest(i)
        assert net.control(session, net.PAIRS_SET, struct.pack("<H", 1), queue=4) == net.OK
        both_ways(session, tap, 20)
        net.send(session, from_guest(0), pair=1)  # of none that is used: it comes back
        session.settle()
        assert not session.needs_reset()
    finally:
        tap.close()


@needs_vhost
def test_its_calls_are_few(card, tap):
    """What it may still ask: no other owner, no other descriptor of it."""
    card.open(n_queues=N)
    opened = [os.readlink(f"/proc/{card.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{card.process.pid}/fd")]
    assert opened.count("/dev/vhost-net") == 1
    assert not os.path.exists(f"/proc/{card.process.pid}/fd/{net.LINK_FD}") or \
        not os.readlink(f"/proc/{card.process.pid}/fd/{net.LINK_FD}").startswith("socket")
