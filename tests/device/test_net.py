# SPDX-License-Identifier: Apache-2.0
"""dev-net: frames between rings and a stream, neither of which can be trusted."""

import os
import random
import signal
import socket
import struct

import pytest

from bh import net, process
from bh.devices import Net
from bh.guest import Buf

ROOM = 2048


@pytest.fixture
def device(start):
    return start(Net)


def settled(device, session):
    session.settle()
    assert not session.needs_reset()
    device.assert_bounded()


# ---- to the other end ----

def test_sent_frames_arrive_as_they_are(device):
    session = device.open()
    r = random.Random(1)
    for length in (14, 15, 60, 61, 1513, 1514, 1518):
        data = net.frame(r.randbytes(length - 14))
        net.send(session, data)
        assert device.peer.recv() == data
    settled(device, session)


@pytest.mark.parametrize("indirect", [False, True])
def test_sent_in_any_pieces(device, indirect):
    """The header and the frame have no borders that the device could rely on (2.7.4.1)."""
    session = device.open(indirect=indirect)
    data = net.frame(bytes(range(200)))
    for sizes in ([12, 214], [1] * 12 + [214], [5, 100, 121], [13, 213], [225, 1], [26, 200]):
        net.send(session, data, sizes, indirect=indirect)
        assert device.peer.recv() == data
    settled(device, session)


def test_what_is_no_frame_is_dropped(device):
    session = device.open()
    good = net.frame(b"good")
    for data in (b"", b"x", bytes(13), bytes(1519), bytes(9000), bytes(70000)):
        net.send(session, data)
    net.send(session, good)
    assert device.peer.recv() == good
    settled(device, session)


def test_a_large_mtu_takes_large_frames(start):
    device = start(Net, mtu=9000)
    session = device.open()
    for length in (9014, 9018):
        data = net.frame(os.urandom(length - 14))
        net.send(session, data)
        assert device.peer.recv() == data
    net.send(session, bytes(9019))
    net.probe(session, device.peer)


HEADERS = {
    "no header": b"",
    "half a header": bytes(11),
    "checksum asked for": b"\x01" + bytes(11) + net.frame(b"x" * 50),
    "every flag": b"\xff" + bytes(11) + net.frame(b"x" * 50),
    "TSO4": struct.pack("<BBHHHHH", 0, 1, 54, 1448, 0, 0, 0) + net.frame(b"x" * 50),
    "USO": struct.pack("<BBHHHHH", 0, 5, 54, 1448, 0, 0, 0) + net.frame(b"x" * 50),
    "ECN alone": struct.pack("<BBHHHHH", 0, 0x80, 0, 0, 0, 0, 0) + net.frame(b"x" * 50),
    "every type": b"\x00\xff" + bytes(10) + net.frame(b"x" * 50),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_were_not_negotiated(device, name):
    session = device.open()
    data = HEADERS[name] or b"x"
    session.submit([Buf(session.memory.put(data), len(data))], net.TRANSMITQ)
    session.settle()
    assert session.needs_reset()
    assert device.peer.drain() == []
    session.restart()
    net.probe(session, device.peer)
    device.assert_bounded()


def test_fields_without_meaning_are_not_looked_at(device):
    """Without a flag or a type hdr_len, gso_size and csum_* say nothing (5.1.6.2.1)."""
    session = device.open()
    data = net.frame(b"y" * 40)
    net.send(session, data, header=struct.pack("<BBHHHHH", 0, 0, 65535, 65535, 65535, 65535, 65535))
    assert device.peer.recv() == data
    settled(device, session)


def test_parts_that_cannot_be(device):
    """Something to write in a frame to be sent, something to read in a buffer."""
    session = device.open()
    memory = session.memory
    good = net.HEADER + net.frame(b"x" * 50)
    session.submit([Buf(memory.put(good), len(good)), Buf(memory.alloc(64), 64, True)], net.TRANSMITQ)
    session.settle()
    assert session.needs_reset()
    session.restart()
    session.submit([Buf(memory.put(b"read me"), 7), Buf(memory.alloc(ROOM), ROOM, True)], net.RECEIVEQ)
    device.peer.send(net.frame(b"z" * 50))
    while not session.needs_reset():
        session.settle()
    session.restart()
    net.probe(session, device.peer)
    device.assert_bounded()


def test_a_frame_outside_ram(device):
    session = device.open()
    header = session.memory.put(net.HEADER)
    session.submit([Buf(header, 12), Buf(64 << 20, 100)], net.TRANSMITQ)
    session.settle()
    assert session.needs_reset()
    assert device.peer.drain() == []
    session.restart()
    net.probe(session, device.peer)


def test_the_other_end_takes_nothing(device):
    """The guest waits, without bound on its time and with one on the device's memory; no frame is lost."""
    session = device.open(num=256)
    memory = session.memory
    frames = [net.frame(struct.pack("<I", i) + os.urandom(1400)) for i in range(2000)]
    given, q = 0, session.queue(net.TRANSMITQ)
    at = [memory.alloc(1430) for _ in range(250)]
    in_ring = 0

    def fill():
        nonlocal given, in_ring
        while given < len(frames) and in_ring < 250:
            whole = net.HEADER + frames[given]
            memory.write(at[given % 250], whole)
            q.add([Buf(at[given % 250], len(whole))])
            given, in_ring = given + 1, in_ring + 1
        q.kick()

    while not in_ring:
        fill()
        settled(device, session)
        in_ring -= len(q.take_used())
    assert given < len(frames), "nothing made the guest wait"
    device.process.assert_idle()
    got = []
    while len(got) < len(frames):
        got.append(device.peer.recv())
        used = q.take_used()
        if used:
            in_ring -= len(used)
            fill()
    assert got == frames
    settled(device, session)


# ---- from the other end ----

def test_received_frames_arrive_as_they_are(device):
    session = device.open()
    for length in (14, 60, 1514, 1518):
        data = net.frame(os.urandom(length - 14), net.MAC)
        at = net.offer(session, ROOM)
        device.peer.send(data)
        assert net.received(session, at, ROOM) == data
    settled(device, session)


def test_received_into_any_pieces(device):
    session = device.open()
    data = net.frame(os.urandom(300), net.MAC)
    for sizes in ([12, 2036], [1] * 20 + [2028], [11, 2, 2035], [326, 1722]):
        at = net.offer(session, ROOM, sizes)
        device.peer.send(data)
        assert net.received(session, at, ROOM) == data
    settled(device, session)


def test_a_buffer_too_small_comes_back_empty(device):
    session = device.open()
    for size in (1, 11, 12, 13, 111):
        at = net.offer(session, size)
        device.peer.send(net.frame(b"z" * 86, net.MAC))
        assert net.received(session, at, size) is None
    at = net.offer(session, 112)
    device.peer.send(net.frame(b"z" * 86, net.MAC))
    assert net.received(session, at, 112) == net.frame(b"z" * 86, net.MAC)
    settled(device, session)


def test_a_frame_in_every_cut(device):
    """A stream has no borders: a frame comes in one-byte pieces, or with others."""
    session = device.open()
    data = net.frame(os.urandom(40), net.MAC)
    at = net.offer(session, ROOM)
    for byte in net.pack(data):
        device.peer.sock.sendall(bytes([byte]))
        session.settle()
    assert net.received(session, at, ROOM) == data
    places = [net.offer(session, ROOM) for _ in range(3)]
    device.peer.sock.sendall(net.pack(data) * 3)
    session.wait(3, net.RECEIVEQ)
    for at in places:
        assert session.memory.read(at, 12 + len(data)) == net.EXPECTED + data
    settled(device, session)


def test_lengths_that_no_driver_would_take_are_dropped(device):
    session = device.open()
    at = net.offer(session, ROOM)
    for length in (0, 1, 13, 1519, 9000, net.FRAME_MAX):
        device.peer.sock.sendall(net.pack(bytes(length)))
    good = net.frame(b"good", net.MAC)
    device.peer.send(good)
    assert net.received(session, at, ROOM) == good
    settled(device, session)


@pytest.mark.parametrize("length", [net.FRAME_MAX + 1, 1 << 20, 1 << 31, (1 << 32) - 1])
def test_a_length_that_cannot_be_ends_the_link(device, length):
    """The device stays, and its guest sends into the void, as with a cable that is pulled."""
    session = device.open()
    net.offer(session, ROOM)
    device.peer.sock.sendall(struct.pack(">I", length) + bytes(1000))
    while not device.process.said(process.CTL_LOG):
        session.settle()
    [line] = device.process.said(process.CTL_LOG)
    assert line.text == "dev-net: its network's other end has sent what is no frame: the link is down"
    for _ in range(5):
        net.send(session, net.frame(b"x" * 60))
    settled(device, session)
    device.process.assert_idle()


def test_the_other_end_goes(device):
    session = device.open()
    at = net.offer(session, ROOM)
    last = net.frame(b"last words", net.MAC)
    device.peer.send(last)
    device.peer.close()
    assert net.received(session, at, ROOM) == last
    for _ in range(5):
        net.send(session, net.frame(b"x" * 60))
    while not device.process.said(process.CTL_LOG):
        session.settle()
    settled(device, session)
    device.process.assert_idle()


def test_the_other_end_goes_while_the_guest_waits_for_it(device):
    """What found no room is dropped, and the queue goes on."""
    session = device.open(num=256)
    whole = net.HEADER + net.frame(bytes(1500))
    at = session.memory.put(whole)
    q = session.queue(net.TRANSMITQ)
    n = 0
    while n < 2000:  # more than the rings hold
        for _ in range(200):
            q.add([Buf(at, len(whole))])
        n += 200
        q.kick()
        session.settle()
        left = 200 - len(q.take_used())
        if left:
            break
    assert left, "nothing made the guest wait"
    device.peer.close()
    session.wait(left, net.TRANSMITQ)
    settled(device, session)


def test_descriptors_on_the_link_are_not_kept(device):
    session = device.open()
    before = device.process.n_fds()
    data = net.frame(b"with descriptors", net.MAC)
    at = net.offer(session, ROOM)
    socket.send_fds(device.peer.sock, [net.pack(data)], [0, 1, 2])
    assert net.received(session, at, ROOM) == data
    assert device.process.n_fds() == before
    settled(device, session)


def test_a_guest_without_buffers_holds_the_other_end(device):
    """What is not taken is bounded, and then all of it arrives in order."""
    session = device.open()
    data = [net.frame(struct.pack("<I", i) + bytes(1000), net.MAC) for i in range(2000)]
    stream = b"".join(map(net.pack, data))
    sent, stuck = 0, 0
    while stuck < 3:
        n = device.peer.try_send(stream[sent:sent + 65536])
        sent, stuck = sent + n, 0 if n else stuck + 1
        session.settle()
    assert 256 << 10 <= sent < len(stream), sent
    device.process.assert_idle()
    settled(device, session)
    whole = sent // (4 + len(data[0]))
    at = [session.memory.alloc(ROOM) for _ in range(32)]
    for i in range(0, 192, 32):
        for a in at:
            session.queue(net.RECEIVEQ).add([Buf(a, ROOM, True)])
        session.queue(net.RECEIVEQ).kick()
        session.wait(32, net.RECEIVEQ)
        for k, a in enumerate(at):
            assert session.memory.read(a, 1030)[12:] == data[i + k]
    assert whole > 192


def test_without_a_driver_the_oldest_make_way(device):
    """The other end does not wait for a guest that has not started."""
    count = 1000
    for i in range(count):
        device.peer.send(net.frame(struct.pack("<I", i) + bytes(1000), net.MAC))
    session = device.open()
    at = net.offer(session, ROOM)
    first = struct.unpack_from("<I", net.received(session, at, ROOM), 14)[0]
    assert 0 < first < count
    settled(device, session)


# ---- configuration ----

@pytest.mark.parametrize("mtu", [68, 1500, 65535])
def test_configuration(start, mtu):
    device = start(Net, mac="02:00:5e:10:00:01", mtu=mtu)
    session = device.open()
    config = session.front.get_config(0, 17)
    assert config == bytes.fromhex("02005e100001") + struct.pack("<HHHIB", 1, 0, mtu, 10000, 1)
    settled(device, session)


@pytest.mark.parametrize("word", [
    "--mac=01:00:5e:00:00:01", "--mac=00:00:00:00:00:00", "--mac=52:54:00:12:34", "--mac=52:54:00:12:34:5",
    "--mac=52:54:00:12:34:56:78", "--mac=52-54-00-12-34-56", "--mac=5g:54:00:12:34:56", "--mac=", "--mtu=67",
    "--mtu=65536", "--mtu=", "--speed=-1", "--speed=2147483648", "--speeds=1"])
def test_words(build, word):
    page = net.state_page()
    ours, theirs = socket.socketpair()
    ring, their_ring = socket.socketpair()
    p = process.Process(build, "dev-net", [word],
                        {4: their_ring.fileno(), net.STATE_FD: page, net.LINK_FD: theirs.fileno()})
    p.assert_clean_end(1)
    assert word in p.said(process.CTL_FAILED)[0].text
    p.close()
    os.close(page)
    for s in (ours, theirs, ring, their_ring):
        s.close()


# ---- a process that dies ----

class Succession:
    """One link and one page, and process after process on them."""

    def __init__(self, start, **options):
        self.start_one, self.options = start, options
        ours, self.link = socket.socketpair()
        self.peer, self.page = net.Peer(ours), net.state_page()

    def next(self):
        return self.start_one(Net, page=self.page, link=self.link, **self.options)

    def close(self):
        self.peer.close()
        self.link.close()
        os.close(self.page)


@pytest.fixture
def succession(start):
    s = Succession(start)
    yield s
    s.close()


def kill(device):
    os.kill(device.process.pid, signal.SIGKILL)
    device.process.wait_end()


def test_the_next_process_goes_on(succession):
    """The stream keeps its borders, both ways, however a process ends: half a frame that was received, and
    half of one that was sent, are gone on with."""
    data = net.frame(os.urandom(1000), net.MAC)
    stream, out = net.pack(data) * 40, []
    got, at_stream, n_sent = [], 0, 0
    r = random.Random(7)
    for life in range(8):
        device = succession.next()
        session = device.open(num=256)
        places = [net.offer(session, ROOM) for _ in range(20)]
        end = min(len(stream), at_stream + r.randrange(1, 6000))
        succession.peer.sock.sendall(stream[at_stream:end])
        at_stream = end
        for _ in range(r.randrange(1, 40)):
            out.append(net.frame(struct.pack("<I", n_sent) + os.urandom(1400)))
            net.send(session, out[-1])
            n_sent += 1
        session.settle()
        n = len(session.queue(net.RECEIVEQ).take_used())
        got += [session.memory.read(a, ROOM) for a in places[:n]]
        kill(device)
        session.close()
        device.session = None
    assert all(g[12:12 + len(data)] == data for g in got)
    assert len(got) == at_stream // len(net.pack(data))
    last = succession.next()
    last.session = session = last.open(num=256)
    end = net.frame(b"end of it")
    net.send(session, end)
    came = []
    while (one := succession.peer.recv()) != end:
        came.append(one)
    assert came == out


def test_a_broken_link_stays_broken(succession):
    device = succession.next()
    session = device.open()
    succession.peer.sock.sendall(b"\xff" * 64)
    while not device.process.said(process.CTL_LOG):
        session.settle()
    kill(device)
    succession.peer.sock.sendall(net.pack(net.frame(b"as if nothing had been", net.MAC)))
    device = succession.next()
    session = device.open()
    net.offer(session, ROOM)
    session.settle()
    assert not session.queue(net.RECEIVEQ).take_used()
    net.send(session, net.frame(b"into the void"))
    settled(device, session)


PAGES = {
    "head behind tail": struct.pack("<4Q", 10, 9, 0, 0),
    "more than a ring": struct.pack("<4Q", 0, (256 << 10) + 1, 0, 0),
    "received more than a ring": struct.pack("<4Q", 0, 0, 0, (256 << 10) + 1),
    "about to wrap": struct.pack("<4Q", 0, 0, (1 << 62) + 1, (1 << 62) + 2),
    "all ones": b"\xff" * 4096,
    "moved past the tail": struct.pack("<6Q", 0, 5, 0, 0, 0, 0) + bytes(56) + struct.pack("<I", 6),
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_cannot_be(build, name):
    """A predecessor was taken over: the process ends with a line, and nothing else comes of it."""
    page = net.state_page(PAGES[name])
    ours, theirs = socket.socketpair()
    ring, their_ring = socket.socketpair()
    p = process.Process(build, "dev-net", [],
                        {4: their_ring.fileno(), net.STATE_FD: page, net.LINK_FD: theirs.fileno()})
    p.assert_clean_end(1)
    assert p.said(process.CTL_FAILED)[0].text.startswith("dev-net: link: ")
    p.close()
    os.close(page)
    for s in (ours, theirs, ring, their_ring):
        s.close()


def test_a_page_of_lies(start):
    """Positions that can be, over bytes that are no frames: what comes of it a guest could have sent."""
    page = net.state_page(struct.pack("<4Q", 5, 300, 7, 4000) + bytes(4096) + os.urandom(500000))
    ours, theirs = socket.socketpair()
    device = start(Net, page=page, link=theirs)
    session = device.open()
    for _ in range(20):
        net.offer(session, ROOM)
    net.send(session, net.frame(b"x" * 60))
    settled(device, session)
    ours.close()
    theirs.close()
    os.close(page)
