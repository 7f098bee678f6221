# SPDX-License-Identifier: Apache-2.0
"""dev-net with several pairs of queues on a tap of as many: orders that cannot be or come while rings run, pairs whose
rings are not there, a process that dies; and which frames come in which pair."""

import os
import signal
import struct

import pytest

from bh import frames, guest, net, process
from bh.devices import Net, NetOnTap
from bh.process import Process
from bh.tap import Tap
from test_net import settled

PAIRS, ROOM, FLOWS = 4, 2048, 48
MQ = net.CONTROLLED | net.F_MQ

needs_tap = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                               reason="a tap is made by root, by /dev/net/tun")
pytestmark = needs_tap


@pytest.fixture
def tap():
    t = Tap(queues=PAIRS)
    yield t
    t.close()


class Card:
    """A driver that uses so many of a card's pairs, and has filled their rings."""

    def __init__(self, start, tap, pairs=PAIRS, features=MQ, rings=None, **how):
        self.tap, self.n = tap, len(tap.fds)
        self.device = start(NetOnTap, tap=tap, features=features, **how)
        self.control = 2 * self.n if features & net.F_MQ else net.CONTROLQ
        self.session = self.device.open(n_queues=rings or 2 * self.n + 1, num=256)
        self.places = [[] for _ in range(self.n)]
        if pairs > 1:
            assert self.use(pairs) == net.OK

    def use(self, pairs):
        return net.control(self.session, net.PAIRS_SET, struct.pack("<H", pairs), queue=self.control)

    def fill(self, *pairs, n=FLOWS):
        for pair in pairs or range(self.n):
            self.places[pair] += [net.offer(self.session, ROOM, pair=pair) for _ in range(n)]

    def came(self, pair):
        """Those that are there, in their order."""
        self.session.settle()
        q, got = self.session.queue(2 * pair), []
        while q.pending():
            for _, written in self.session.wait(1, 2 * pair):
                got.append(self.session.memory.read(self.places[pair].pop(0), written)[12:])
        return got

    def gather(self, n):
        """The frames of all pairs once there are so many: pair -> frames."""
        got = {pair: [] for pair in range(self.n)}
        while sum(map(len, got.values())) < n:
            for pair in got:
                got[pair] += self.came(pair)
        assert sum(map(len, got.values())) == n
        return {pair: fs for pair, fs in got.items() if fs}


def to_guest(flow, number=0):
    """A datagram of one of many flows."""
    return net.MAC + net.OTHER + frames.udp(to=frames.OWN, port=9, from_port=5000 + flow, from_address=frames.FAR,
                                            data=struct.pack("<II", flow, number))[12:]


# ---- orders that cannot be ----

@pytest.mark.parametrize("data", [b"", b"\1", bytes(3), *(struct.pack("<H", n) for n in (0, PAIRS + 1, 0x8000, 0xffff))],
                         ids=lambda d: d.hex() or "nothing")
def test_numbers_that_cannot_be(start, tap, data):
    """An error is the answer, and the pairs are what they were."""
    card = Card(start, tap, pairs=2)
    assert net.control(card.session, net.PAIRS_SET, data, queue=card.control) == net.ERR
    card.fill()
    for flow in range(FLOWS):
        tap.send(to_guest(flow))
    assert set(card.gather(FLOWS)) == {0, 1}
    settled(card.device, card.session)


def test_other_commands_of_the_class(start, tap):
    """RSS and hashes are not offered."""
    card = Card(start, tap, pairs=1)
    for number in (1, 2, 255):
        assert net.control(card.session, (4, number), bytes(60), queue=card.control) == net.ERR
    settled(card.device, card.session)


def test_without_the_feature(start, tap):
    """The control queue is the third one then, and there is one pair; rings behind it are of no use, and of no harm."""
    card = Card(start, tap, pairs=1, features=net.CONTROLLED)
    assert card.use(2) == net.ERR
    assert net.control(card.session, net.RX_PROMISC, b"\1") == net.OK
    card.session.submit([guest.Buf(card.session.memory.put(bytes(80)), 80)], 2 * PAIRS)
    card.session.submit([guest.Buf(card.session.memory.put(bytes(80)), 80)], net.TRANSMITQ + 2)
    card.fill(0)
    for flow in range(FLOWS):
        tap.send(to_guest(flow))
    assert set(card.gather(FLOWS)) == {0}
    settled(card.device, card.session)


def test_the_first_pairs_control_queue_with_the_feature(start, tap):
    """A command there is no frame's buffer: it has something to read."""
    card = Card(start, tap, pairs=2)
    card.session.submit([guest.Buf(card.session.memory.put(b"\4\0\2\0"), 4),
                         guest.Buf(card.session.memory.alloc(1), 1, True)], net.CONTROLQ)
    for flow in range(FLOWS):
        tap.send(to_guest(flow))
    while not card.session.needs_reset():
        card.session.settle()
    card.device.assert_bounded()


def test_a_stream_has_one_pair(start):
    device = start(Net, features=MQ)
    session = device.open(n_queues=3)
    assert not session.front.features & net.F_MQ
    assert net.control(session, net.PAIRS_SET, b"\1\0") == net.ERR
    settled(device, session)


@pytest.mark.parametrize("queues", [1, 3, 5])
def test_as_many_as_were_opened(build, tap, queues):
    """Its supervisor gives it what it says; anything else is a mistake that is said."""
    page = net.state_page()
    fds = {4: page, net.STATE_FD: page, **{net.TAP_FD + i: fd for i, fd in enumerate(tap.fds)}}
    p = Process(build, "dev-net", ["--mac=52:54:00:12:34:56", f"--queues={queues}"], fds)
    p.wait_end()
    assert p.said(process.CTL_FAILED)[0].text == "dev-net: --queues: not as many as its tap has: Invalid argument"
    p.close()
    os.close(page)


# ---- orders while all runs ----

def test_again_and_again_under_load(start, tap):
    """Each flow's frames come in their order as long as nobody moves it; nothing is lost that had a buffer."""
    card = Card(start, tap)
    sent = 0
    for turn in range(60):
        card.fill(n=2)
        assert card.use(1 + turn % PAIRS) == net.OK
        tap.send(to_guest(turn % 7, turn))
        sent += 1
        got = card.gather(1)
        assert max(got) <= turn % PAIRS
    assert sent == 60
    settled(card.device, card.session)


def test_frames_that_wait_move_to_a_pair_that_is_used(start, tap):
    """No buffer was there for them. Their driver uses fewer pairs then: they come in those."""
    card = Card(start, tap)
    for number in range(3):
        for flow in range(FLOWS):
            tap.send(to_guest(flow, number))
    card.session.settle()
    assert card.use(1) == net.OK
    card.fill(0, n=3 * FLOWS)
    got = card.gather(3 * FLOWS)
    assert set(got) == {0}
    seen = {}
    for f in got[0]:
        flow, number = struct.unpack("<II", f[42:])
        assert number == seen.get(flow, -1) + 1
        seen[flow] = number
    settled(card.device, card.session)


def test_pairs_whose_rings_are_not_there(start, tap):
    """What is for them is dropped; the rest goes on, and nothing spins."""
    card = Card(start, tap, pairs=1, rings=2)
    for i in (2 * PAIRS,):  # and the control queue
        q = guest.Queue(card.session.memory, 64, card.session.event_idx)
        card.session.front.start_queue(q, i)
        card.session.queues += [None] * (i - len(card.session.queues)) + [q]
    assert card.use(PAIRS) == net.OK
    card.fill(0, n=2 * FLOWS)
    for flow in range(FLOWS):
        tap.send(to_guest(flow))
    card.device.process.assert_idle()  # it has looked into every lane
    assert card.use(1) == net.OK
    tap.send(to_guest(1000))
    got = []
    while not got or got[-1] != to_guest(1000):
        got += card.came(0)
    assert len(got) < FLOWS
    card.session.queues = [q for q in card.session.queues if q]
    card.device.process.assert_idle()
    card.device.assert_bounded()


def test_a_broken_ring_of_a_later_pair(start, tap):
    """The whole device needs a reset, after which one pair is used."""
    card = Card(start, tap)
    card.session.submit([guest.Buf(64 << 20, 80)], 2 * 3 + net.TRANSMITQ)
    card.session.settle()
    assert card.session.needs_reset()
    card.session.restart()
    card.places = [[] for _ in range(PAIRS)]
    card.fill()
    for flow in range(FLOWS):
        tap.send(to_guest(flow))
    assert set(card.gather(FLOWS)) == {0}
    settled(card.device, card.session)


# ---- right ones ----

def test_configuration(start, tap):
    card = Card(start, tap)
    assert card.session.front.features & net.F_MQ
    assert struct.unpack_from("<H", card.session.front.get_config(0, 12), 8) == (PAIRS,)
    settled(card.device, card.session)


def test_sent_in_any_pair(start, tap):
    """Also in one that is not used any more."""
    card = Card(start, tap, pairs=2)
    for pair in range(PAIRS):
        data = net.frame(os.urandom(100))
        net.send(card.session, data, pair=pair)
        assert tap.recv() == (bytes(10), data)
    settled(card.device, card.session)


@pytest.mark.parametrize("pairs", range(1, PAIRS + 1))
def test_each_flow_comes_in_one_of_the_pairs_that_are_used(start, tap, pairs):
    card = Card(start, tap, pairs=pairs)
    card.fill(n=3 * FLOWS)
    for number in range(3):
        for flow in range(FLOWS):
            tap.send(to_guest(flow, number))
    got = card.gather(3 * FLOWS)
    assert set(got) == set(range(pairs))
    of = {}
    for pair, fs in got.items():
        for f in fs:
            flow, number = struct.unpack("<II", f[42:])
            assert of.setdefault(flow, (pair, -1)) == (pair, number - 1)
            of[flow] = (pair, number)
    assert len(of) == FLOWS
    settled(card.device, card.session)


def test_a_flow_comes_back_where_it_was_sent(start, tap):
    card = Card(start, tap)
    card.fill()
    for pair in (2, 0, 3, 1):
        for flow in range(4):
            there = net.OTHER + net.MAC + frames.udp(port=5000 + flow, from_port=9)[12:]
            back = net.MAC + net.OTHER + frames.udp(to=frames.OWN, port=9, from_port=5000 + flow, from_address=frames.FAR)[12:]
            net.send(card.session, there, pair=pair)
            assert tap.recv()[1] == there
            tap.send(back)
            assert card.gather(1) == {pair: [back]}
    settled(card.device, card.session)


def test_a_large_frame_is_cut_in_each_pair(start, tap):
    """Each keeps its own place in its own large frame while buffers are missing."""
    from test_net_tap import check_tcp, header, tcp  # pylint: disable=import-outside-toplevel
    card = Card(start, tap)
    large = [tcp(bytes([pair]) * 5000) for pair in range(PAIRS)]
    flows = {}
    for pair, data in enumerate(large):  # one flow each, whose way back the tap learns
        flow = data[:34] + struct.pack(">H", 3000 + pair) + data[36:]
        there = net.OTHER + net.MAC + flow[12:26] + flow[30:34] + flow[26:30] + flow[36:38] + flow[34:36] + flow[38:]
        net.send(card.session, there[:1000], pair=pair)
        assert tap.recv()[1] == there[:1000]
        flows[pair] = flow
    for pair, flow in flows.items():
        tap.send(flow, header(gso=1400))
    got = {pair: b"" for pair in flows}
    for _ in range(4):
        for pair in flows:
            at = net.offer(card.session, ROOM, pair=pair)
            [(_, written)] = card.session.wait(1, 2 * pair)
            got[pair] += card.session.memory.read(at, written)[12 + 54:]
    assert got == {pair: bytes([pair]) * 5000 for pair in flows}
    assert check_tcp
    settled(card.device, card.session)


# ---- a process that dies ----

def test_the_next_process_has_the_pairs(start, tap):
    """And what was in flight in any of them."""
    page = net.state_page()
    card = Card(start, tap, pairs=3, page=page)
    os.kill(card.device.process.pid, signal.SIGKILL)
    card.device.process.wait_end()
    card.session.close()
    card.device.session = None
    again = Card(start, tap, pairs=1, page=page)  # says nothing
    again.fill()
    for flow in range(FLOWS):
        tap.send(to_guest(flow))
    assert set(again.gather(FLOWS)) == {0, 1, 2}
    settled(again.device, again.session)
    os.close(page)


def test_the_tap_is_removed(start, tap):
    card = Card(start, tap)
    card.fill()
    tap.remove()
    while not card.device.process.said(process.CTL_LOG):
        card.session.settle()
    assert [m.text for m in card.device.process.said(process.CTL_LOG)] == \
        ["dev-net: its tap has been removed: the link is down"]
    for pair in range(PAIRS):
        net.send(card.session, net.frame(b"x" * 60), pair=pair)
    settled(card.device, card.session)
    card.device.process.assert_idle()
