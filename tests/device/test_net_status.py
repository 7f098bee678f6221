# SPDX-License-Identifier: Apache-2.0
"""dev-net's link, down and up as its supervisor says: what passes meanwhile, and what the guest is told."""

import os
import signal
import struct

import pytest

from bh import net, process
from bh.devices import Net, NetOnTap
from bh.tap import Tap
from test_net import ROOM, settled
from test_net_control import N, needs_tap

FEATURES = net.CONTROLLED | net.F_STATUS | net.F_GUEST_ANNOUNCE
UP, DOWN = net.LINK_UP, 0


@pytest.fixture
def device(start):
    return start(Net, features=FEATURES)


def say(device, how):
    """It has answered when this returns."""
    before = len(device.process.said(process.CTL_CONFIG_CHANGED))
    device.process.control.send(struct.pack("<HHII", process.CTL_LINK, 0, 4, how))
    while len(device.process.said(process.CTL_CONFIG_CHANGED)) == before:
        device.session.settle()
        device.process.drain()


def status(session):
    return struct.unpack("<H", session.front.get_config(6, 2))[0]


def announced(device):
    device.session.settle()
    device.process.drain()
    return len(device.process.said(process.CTL_ANNOUNCED))


@pytest.mark.parametrize("packet", [
    struct.pack("<HHII", process.CTL_LINK, 0, 4, 4), struct.pack("<HHII", process.CTL_LINK, 0, 4, 0xffffffff),
    struct.pack("<HHI", process.CTL_LINK, 0, 0), struct.pack("<HHII", 18, 0, 4, 80 | 24 << 16)],
    ids=["another bit", "every bit", "no number", "a console's"])
def test_what_no_supervisor_says(device, packet):
    device.open()
    device.process.control.send(packet)
    device.process.assert_clean_end(1)


def test_down_nothing_passes(device):
    session = device.open(n_queues=N)
    assert status(session) == net.LINK_UP
    net.probe(session, device.peer)
    at = net.offer(session, ROOM)
    say(device, DOWN)
    assert status(session) == 0
    for i in range(300):  # more than a ring of the link holds
        net.send(session, net.frame(struct.pack("<I", i) + bytes(1400)))
        device.peer.send(net.frame(struct.pack("<I", i) + bytes(1400), to=net.MAC))
    session.settle()
    assert device.peer.drain() == []
    assert not session.queue(net.RECEIVEQ).take_used()
    say(device, UP)
    assert status(session) == net.LINK_UP
    last = net.frame(b"the first one", to=net.MAC)
    device.peer.send(last)
    assert net.received(session, at, ROOM) == last
    net.probe(session, device.peer)
    settled(device, session)


def test_what_waits_for_a_buffer_is_dropped(device):
    session = device.open(n_queues=N)
    for _ in range(5):
        device.peer.send(net.frame(b"before", to=net.MAC))
    session.settle()
    say(device, DOWN)
    say(device, UP)
    at = net.offer(session, ROOM)
    device.peer.send(net.frame(b"after", to=net.MAC))
    assert net.received(session, at, ROOM) == net.frame(b"after", to=net.MAC)
    settled(device, session)


def test_the_other_end_that_takes_nothing_holds_nothing_up(device):
    """What waited for room to be sent is dropped, and the guest has its buffers back."""
    session = device.open(n_queues=N, num=256)
    memory, q = session.memory, session.queue(net.TRANSMITQ)
    whole = net.HEADER + net.frame(bytes(1400))
    at, waits = memory.put(whole), 0
    while not waits:
        for _ in range(100):
            q.add([net.Buf(at, len(whole))])
        q.kick()
        session.settle()
        waits = 100 - len(q.take_used())
    say(device, DOWN)
    session.wait(waits, net.TRANSMITQ)
    settled(device, session)


@needs_tap
def test_on_a_tap(start):
    tap = Tap()
    device = start(NetOnTap, tap=tap, features=FEATURES)
    session = device.open(n_queues=N)
    at = net.offer(session, ROOM)
    say(device, DOWN)
    for _ in range(50):
        tap.send(net.frame(b"from the host", to=net.MAC))
        net.send(session, net.frame(b"from the guest"))
    say(device, UP)
    first, last = net.frame(b"the first one", to=net.MAC), net.frame(b"the last one")
    tap.send(first)
    session.wait(1, net.RECEIVEQ)
    assert session.memory.read(at + 12, len(first)) == first
    net.send(session, last)
    assert tap.recv()[1] == last
    settled(device, session)
    device.process.assert_idle()
    tap.close()


# ---- announcements ----

def test_an_announcement(device):
    """Asked for until the driver says that it was done; each is told once."""
    session = device.open(n_queues=N)
    assert net.control(session, net.ANNOUNCE_ACK) == net.ERR
    for n in range(1, 4):
        say(device, UP | net.ANNOUNCE)
        assert status(session) == net.LINK_UP | net.ANNOUNCE
        assert net.control(session, net.ANNOUNCE_ACK, b"x") == net.ERR
        assert net.control(session, net.ANNOUNCE_ACK) == net.OK
        assert net.control(session, net.ANNOUNCE_ACK) == net.ERR
        assert status(session) == net.LINK_UP
        assert announced(device) == n
    settled(device, session)


def test_a_driver_that_begins_anew(device):
    session = device.open(n_queues=N)
    say(device, UP | net.ANNOUNCE)
    session.restart()
    assert status(session) == net.LINK_UP and announced(device) == 1
    say(device, DOWN)
    session.restart()
    assert status(session) == 0
    settled(device, session)


def test_a_driver_that_cannot(start):
    device = start(Net, features=net.FEATURES | net.F_STATUS)
    session = device.open(n_queues=2)
    say(device, UP | net.ANNOUNCE)
    assert status(session) == net.LINK_UP
    settled(device, session)


def test_the_next_process_is_not_asked_by_the_page(start):
    """Its supervisor asks each process itself."""
    page = net.state_page()
    device = start(Net, features=FEATURES, page=page)
    session = device.open(n_queues=N)
    say(device, UP | net.ANNOUNCE)
    assert net.control(session, net.RX_PROMISC, b"\1") == net.OK  # all is kept
    os.kill(device.process.pid, signal.SIGKILL)
    device.process.wait_end()
    device = start(Net, features=FEATURES, page=page)
    session = device.open(n_queues=N)
    assert status(session) == net.LINK_UP
    assert net.control(session, net.ANNOUNCE_ACK) == net.ERR
    os.close(page)
