# SPDX-License-Identifier: Apache-2.0
"""dev-net's control queue: commands that are wrong, too many, too early; and what right ones do."""

import os
import signal
import struct

import pytest

from bh import frames, guest, net
from bh.devices import Net, NetOnTap
from bh.guest import Buf, DESC_NEXT, DESC_WRITE
from bh.tap import Tap
from test_net import ROOM, Succession, settled
from test_net_relay import Relay
from test_net_tap import header, tcp

THIRD = bytes.fromhex("02000000beef")
GROUP = bytes.fromhex("01005e000001")
BROADCAST = b"\xff" * 6
N = 3  # queues

needs_tap = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                               reason="a tap is made by root, by /dev/net/tun")


@pytest.fixture
def device(start):
    return start(Net, features=net.CONTROLLED)


def tagged(vlan, to=net.MAC):
    return to + net.OTHER + struct.pack(">HHH", 0x8100, vlan, 0x88b5) + b"tagged" * 8


def come(device, session, *frames):
    """Those of them that come to the guest; the last one does in any case."""
    places = [net.offer(session, ROOM) for _ in range(len(frames) + 1)]
    last = net.frame(b"the last", to=BROADCAST)
    for f in (*frames, last):
        device.peer.send(f)
    got, n = [], 0
    while not got or got[-1] != last:
        for _, written in session.wait(1, net.RECEIVEQ):
            got.append(session.memory.read(places[n], written)[12:])
            n += 1
    for _ in places[n:]:  # which are taken again
        device.peer.send(last)
    if places[n:]:
        session.wait(len(places[n:]), net.RECEIVEQ)
    return got[:-1]


# ---- hostile ----

def is_broken(device, session):
    session.settle()
    assert session.needs_reset()
    session.restart()
    assert net.control(session, net.RX_PROMISC, b"\1") == net.OK
    device.assert_bounded()


@pytest.mark.parametrize("bufs", [
    lambda m: [Buf(m.put(b"\0\0\1"), 3)],
    lambda m: [Buf(m.alloc(8), 8, True)],
    lambda m: [Buf(m.put(b"\0"), 1), Buf(m.alloc(1), 1, True)],
    lambda m: [Buf(64 << 20, 3), Buf(m.alloc(1), 1, True)],
    lambda m: [Buf(m.put(b"\0\0\1"), 3), Buf(64 << 20, 1, True)],
], ids=["no room for the answer", "no command", "half a header", "outside of RAM", "the answer outside of RAM"])
def test_chains_that_cannot_be(device, bufs):
    session = device.open(n_queues=N)
    session.submit(bufs(session.memory), net.CONTROLQ)
    is_broken(device, session)


def test_an_answer_before_its_command(device):
    session = device.open(n_queues=N)
    q, memory = session.queue(net.CONTROLQ), session.memory
    q.write_desc(0, memory.alloc(1), 1, DESC_WRITE | DESC_NEXT, 1)
    q.write_desc(1, memory.put(b"\0\0\1"), 3, 0)
    q.put_avail(0)
    q.publish()
    q.kick()
    is_broken(device, session)


@pytest.mark.parametrize("links", [[0], [1, 0], [1, 2, 1]])
def test_chains_in_circles(device, links):
    session = device.open(n_queues=N)
    q, memory = session.queue(net.CONTROLQ), session.memory
    for i, to in enumerate(links):
        q.write_desc(i, memory.put(b"\0\0\1"), 3, DESC_NEXT, to)
    q.put_avail(0)
    q.publish()
    q.kick()
    is_broken(device, session)


@pytest.mark.parametrize("command,data", [
    ((0, 0), b""), ((0, 0), b"\0\0"), ((0, 0), b"\2"), ((0, 6), b"\1"), ((1, 0), b""), ((1, 0), bytes(4)),
    ((1, 0), struct.pack("<I", 0xffffffff) + bytes(600)), ((1, 0), net.macs([THIRD]) + struct.pack("<I", 0x2aaaaaab)),
    ((1, 0), net.macs([], []) + b"x"), ((1, 1), bytes(5)), ((1, 1), GROUP), ((1, 2), b""), ((2, 0), b"\0\x10"),
    ((2, 2), bytes(2)), ((3, 0), b""), ((4, 0), struct.pack("<H", 8)), ((4, 1), bytes(50)), ((5, 0), bytes(8)),
    ((6, 0), bytes(32)), ((255, 255), b""), ((0, 0), bytes(1 << 20))],
    ids=lambda a: f"{a[0]}.{a[1]}" if isinstance(a, tuple) else str(len(a)))
def test_commands_that_cannot_be(device, command, data):
    """An error is their answer; nothing has changed, and the next one is carried out."""
    session = device.open(n_queues=N)
    assert net.control(session, command, data) == net.ERR
    assert net.control(session, command, data, room=64) == net.ERR
    assert come(device, session, net.frame(b"for another", to=THIRD)) == [net.frame(b"for another", to=THIRD)]
    assert net.control(session, net.RX_PROMISC, b"\1") == net.OK
    settled(device, session)


def test_a_queue_that_was_not_negotiated(start):
    device = start(Net)
    session = device.open(n_queues=N)
    session.submit([Buf(session.memory.put(b"\0\0\1"), 3), Buf(session.memory.alloc(1), 1, True)], net.CONTROLQ)
    session.settle()
    assert session.needs_reset()
    session.restart()
    net.probe(session, device.peer)


def test_before_the_driver_is_there(device):
    """Kicks of a ring that is not enabled yet do nothing; what is in it is carried out then."""
    session = device.open(n_queues=2)
    q = guest.Queue(session.memory, session.num, session.event_idx)
    answer = session.memory.put(b"\xa5")
    q.add([Buf(session.memory.put(b"\0\0\0"), 3), Buf(answer, 1, True)])
    for _ in range(10):
        q.kick()
    session.settle()
    assert not q.pending() and session.memory.read(answer, 1) == b"\xa5"
    session.front.start_queue(q, net.CONTROLQ)
    session.queues.append(q)
    session.wait(1, net.CONTROLQ)
    assert session.memory.read(answer, 1) == b"\0"
    settled(device, session)


def test_a_flood(device):
    """Frames go on beside commands without end."""
    session = device.open(n_queues=N, num=256)
    memory = session.memory
    command, answer = memory.put(bytes((1, 0)) + net.macs([THIRD] * 64, [GROUP] * 64)), memory.alloc(1)
    q = session.queue(net.CONTROLQ)
    for n in range(40):
        for _ in range(100):
            q.add([Buf(command, 2 + 8 + 128 * 6), Buf(answer, 1, True)])
        q.kick()
        data = net.frame(struct.pack("<I", n) + b"beside it")
        net.send(session, data)
        assert device.peer.recv() == data
        session.wait(100, net.CONTROLQ)
    settled(device, session)


# ---- right ones ----

def test_receive_modes(device):
    session = device.open(n_queues=N)
    own, other = net.frame(b"own", to=net.MAC), net.frame(b"other", to=THIRD)
    group = net.frame(b"group", to=GROUP)
    assert come(device, session, own, other, group) == [own, other, group]
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    assert come(device, session, own, other, group) == [own]
    assert net.control(session, net.RX_ALLMULTI, b"\1") == net.OK
    assert come(device, session, own, other, group) == [own, group]
    assert net.control(session, net.RX_ALLUNI, b"\1") == net.OK
    assert come(device, session, own, other, group) == [own, other, group]
    assert net.control(session, net.RX_NOUNI, b"\1") == net.OK
    assert come(device, session, own, other, group) == [group]
    settled(device, session)


@pytest.mark.parametrize("sizes", [[28], [1, 1, 26], [2, 3, 23], [27, 1], [7, 7, 7, 7]])
def test_tables(device, sizes):
    """In any pieces."""
    session = device.open(n_queues=N)
    own, other, group = (net.frame(b"to", to=to) for to in (net.MAC, THIRD, GROUP))
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    assert net.control(session, net.MAC_TABLE_SET, net.macs([THIRD, net.OTHER], [GROUP]), sizes=sizes) == net.OK
    assert come(device, session, own, other, group) == [own, other, group]
    assert net.control(session, net.MAC_TABLE_SET, net.macs([], [])) == net.OK
    assert come(device, session, own, other, group) == [own]
    settled(device, session)


def test_vlans(device):
    session = device.open(n_queues=N)
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    assert net.control(session, net.VLAN_ADD, struct.pack("<H", 7)) == net.OK
    assert come(device, session, tagged(7), tagged(8), tagged(0)) == [tagged(7), tagged(0)]
    assert net.control(session, net.VLAN_DEL, struct.pack("<H", 7)) == net.OK
    assert come(device, session, tagged(7), tagged(8)) == []
    settled(device, session)


def test_another_address(device):
    session = device.open(n_queues=N)
    own, other = net.frame(b"own", to=net.MAC), net.frame(b"other", to=THIRD)
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    assert net.control(session, net.MAC_ADDR_SET, THIRD) == net.OK
    assert come(device, session, own, other) == [other]
    session.restart()  # as at power-on
    assert come(device, session, own, other) == [own, other]
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    assert come(device, session, own, other) == [own]
    settled(device, session)


def test_a_frame_across_the_end_of_the_links_ring(device):
    """Where its address lies in two pieces, too."""
    session = device.open(n_queues=N)
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    own = net.frame(b"o" * 1400, to=net.MAC)
    for _ in range(400):  # more than a ring, whose end they cross anywhere
        at = net.offer(session, ROOM)
        device.peer.send(net.frame(b"x" * 33, to=THIRD))
        device.peer.send(own)
        assert net.received(session, at, ROOM) == own
        session.memory.next = at
    settled(device, session)


# ---- no way past net-relay ----

def test_an_address_of_its_own_choice_is_no_source(start, build):
    """What the guest calls itself is what it receives as; net-relay goes by what the VM was given."""
    relay = Relay(build).begin("--guard=on")
    relay.settle_addresses()
    device = start(Net, features=net.CONTROLLED, link=relay.inner.sock)
    session = device.open(n_queues=N)
    assert net.control(session, net.RX_PROMISC, b"\0") == net.OK
    assert net.control(session, net.MAC_ADDR_SET, THIRD) == net.OK
    assert net.control(session, net.MAC_TABLE_SET, net.macs([frames.ROUTER_MAC], [])) == net.OK
    for mac in (THIRD, frames.ROUTER_MAC, net.MAC):
        net.send(session, frames.udp(port=9, data=b"as another", from_mac=mac))
    last = frames.udp(port=9, data=b"as another", from_mac=net.MAC)
    assert relay.outer.recv() == last
    session.settle()
    assert relay.outer.drain() == []
    settled(device, session)
    device.close()
    relay.close()


# ---- on a tap ----

@needs_tap
def test_offloads(start):
    """Switched off, what a tap leaves to be done is done here; switched on, it goes through."""
    tap = Tap()
    device = start(NetOnTap, tap=tap, features=net.TAKES_LARGE | net.CONTROLLED | net.F_CTRL_GUEST_OFFLOADS)
    session = device.open(n_queues=N)
    large = net.F_GUEST_CSUM | net.F_GUEST_TSO4
    data = tcp(b"x" * 3000)

    def set_offloads(bits):
        return net.control(session, net.OFFLOADS_SET, struct.pack("<Q", bits))

    assert set_offloads(net.F_GUEST_TSO4) == net.ERR
    assert set_offloads(large | net.F_CSUM) == net.ERR
    assert set_offloads(large | 1 << 10) == net.ERR
    for bits, whole in ((large, True), (0, False), (net.F_GUEST_CSUM, False), (large, True)):
        assert set_offloads(bits) == net.OK
        at = [net.offer(session, 4096) for _ in range(1 if whole else 3)]
        tap.send(data, header(gso=1000))
        for place, (_, written) in zip(at, session.wait(len(at), net.RECEIVEQ)):
            assert written == 12 + (len(data) if whole else 54 + 1000)
            assert session.memory.read(place, 2)[1] == (1 if whole else 0)
    settled(device, session)
    tap.close()


# ---- a process that dies ----

def test_the_next_process_has_what_was_set(start):
    s = Succession(start, features=net.CONTROLLED)
    device = s.next()
    session = device.open(n_queues=N)
    for command, data in ((net.RX_PROMISC, b"\0"), (net.MAC_TABLE_SET, net.macs([THIRD], [GROUP])),
                          (net.VLAN_ADD, struct.pack("<H", 9)), (net.MAC_ADDR_SET, net.OTHER)):
        assert net.control(session, command, data) == net.OK
    os.kill(device.process.pid, signal.SIGKILL)
    device.process.wait_end()
    session.close()
    device.session = None
    device = s.next()
    device.peer = s.peer
    session = device.open(n_queues=N)
    frames = [net.frame(b"to", to=to) for to in (net.MAC, THIRD, GROUP, net.OTHER)] + [tagged(9, THIRD), tagged(8, THIRD)]
    assert come(device, session, *frames) == frames[1:5]
    device.peer = None
    settled(device, session)
    device.close()
    s.close()
