# SPDX-License-Identifier: Apache-2.0
"""dev-net on a tap: what is left to be done to a frame goes through, or is done."""

import os
import struct

import pytest

from bh import net, process
from bh.devices import NetOnTap
from bh.guest import Buf
from bh.tap import Tap, has_uso
from test_net import settled

ROOM = 70000
NEEDS_CSUM, TSO4, TSO6, USO, ECN = 1, 1, 4, 5, 0x80

pytestmark = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                                reason="a tap is made by root, by /dev/net/tun")


@pytest.fixture
def tap():
    t = Tap()
    yield t
    t.close()


@pytest.fixture
def device(start, tap):
    return lambda features=net.FEATURES, **how: start(NetOnTap, tap=tap, features=features, **how)


def total(data):
    if len(data) % 2:
        data += b"\0"
    s = sum(struct.unpack(f">{len(data) // 2}H", data))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return s


def tcp(payload, v6=False, flags=0x18, tag=b""):
    """A frame whose checksum is left to be done: over the pseudo header alone."""
    head = struct.pack(">HHIIBBHHH", 1000, 2000, 7, 9, 5 << 4, flags, 512, 0, 0)
    length = len(head) + len(payload)
    if v6:
        ends = bytes(range(32))
        ip = struct.pack(">IHBB", 6 << 28, length, 6, 64) + ends
    else:
        ends = bytes([10, 0, 0, 1, 10, 0, 0, 2])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 77, 0x4000, 64, 6, 0) + ends
        ip = ip[:10] + struct.pack(">H", 0xffff & ~total(ip)) + ip[12:]
    pseudo = total(ends + struct.pack(">II", length, 6))
    head = head[:16] + struct.pack(">H", pseudo) + head[18:]
    kind = b"\x86\xdd" if v6 else b"\x08\0"
    return net.MAC + net.OTHER + tag + kind + ip + head + payload


def header(v6=False, gso=0, kind=None, hdr_len=None, start=None, flags=NEEDS_CSUM, offset=16):
    start = (54 if v6 else 34) if start is None else start
    kind = (TSO6 if v6 else TSO4) if kind is None else kind
    hdr_len = min(start + 20, 65535) if hdr_len is None else hdr_len
    return struct.pack("<BBHHHH", flags, kind if gso else 0, hdr_len, gso, start, offset)


def check_tcp(data, v6):
    """Its checksums are right, and its lengths. (number, flags, payload)"""
    ip = data[14:]
    if v6:
        assert struct.unpack_from(">H", ip, 4)[0] == len(ip) - 40
        ends, segment = ip[8:40], ip[40:]
    else:
        assert total(ip[:20]) == 0xffff
        assert struct.unpack_from(">H", ip, 2)[0] == len(ip)
        ends, segment = ip[12:20], ip[20:]
    assert total(ends + struct.pack(">II", len(segment), 6) + segment) == 0xffff
    return struct.unpack_from(">I", segment, 4)[0], segment[13], segment[20:]


def send(session, data, head):
    net.send(session, data, header=head + bytes(2))


def take(session, at):
    [(_, written)] = session.wait(1, net.RECEIVEQ)
    whole = session.memory.read(at, written)
    return whole[:10], whole[12:]


# ---- hostile headers ----

NOT_NEGOTIATED = {
    "checksum": (net.FEATURES, header()),
    "TSO4": (net.FEATURES | net.F_CSUM, header(gso=1000)),
    "TSO6": (net.FEATURES | net.F_CSUM | net.F_HOST_TSO4, header(v6=True, gso=1000)),
    "ECN": (net.FEATURES | net.F_CSUM | net.F_HOST_TSO4, header(gso=1000, kind=TSO4 | ECN)),
    "ECN alone": (net.SENDS_LARGE, header(gso=1, kind=ECN)),
    "UFO": (net.SENDS_LARGE, header(gso=1000, kind=3)),
    "USO": (net.SENDS_LARGE, header(gso=1000, kind=5)),
    "every type": (net.SENDS_LARGE, header(gso=1000, kind=0xff)),
    "a flag of the device": (net.SENDS_LARGE, header(flags=3)),
    "every flag": (net.SENDS_LARGE, header(flags=0xff)),
}


@pytest.mark.parametrize("name", NOT_NEGOTIATED)
def test_headers_that_were_not_negotiated(device, tap, name):
    features, head = NOT_NEGOTIATED[name]
    d = device(features)
    session = d.open()
    whole = head + bytes(2) + tcp(b"x" * 3000)
    session.submit([Buf(session.memory.put(whole), len(whole))], net.TRANSMITQ)
    session.settle()
    assert session.needs_reset()
    session.restart()
    net.send(session, net.frame(b"fine"))
    assert tap.recv()[1] == net.frame(b"fine")
    d.assert_bounded()


CANNOT_BE = {
    "no segment size": header(gso=1)[:4] + bytes(2) + header(gso=1)[6:],
    "segments without a checksum": header(gso=1000, flags=0),
    "checksum beyond": header(start=3054),
    "checksum over the end": header(start=3053, offset=0),
    "checksum far beyond": header(start=65535),
    "offset beyond": header(offset=65535),
    "both": header(start=65535, offset=65535),
    "segmented, checksum beyond": header(gso=1000, start=65535),
    "headers that are a byte longer": header(gso=1000, hdr_len=3055),
    "headers that are longer": header(gso=1000, hdr_len=65535),
}


@pytest.mark.parametrize("name", CANNOT_BE)
def test_headers_that_cannot_be(device, tap, name):
    """A program in the guest can have made them: the frame is dropped, and its card goes on."""
    d = device(net.SENDS_LARGE, mtu=9000)
    session = d.open()
    send(session, tcp(b"x" * 3000), CANNOT_BE[name])
    net.send(session, net.frame(b"fine"))
    assert tap.recv()[1] == net.frame(b"fine")
    settled(d, session)


def test_what_is_no_frame_never_reaches_the_host(device, tap):
    """The tap of CVE-2024-41090 took what had no whole Ethernet header."""
    d = device(net.SENDS_LARGE)
    session = d.open()
    for data in (b"", b"x", bytes(13)):
        for head in (header(), header(gso=1000), bytes(10)):
            send(session, data, head)
    net.send(session, net.frame(b"fine"))
    assert tap.recv()[1] == net.frame(b"fine")
    settled(d, session)


@pytest.mark.parametrize("head", [header(gso=1), header(gso=1000, hdr_len=0), header(gso=1000, hdr_len=3000),
                                  header(gso=65535), header(gso=1000, start=0), header(gso=1000, v6=True),
                                  header(gso=1000, offset=0)])
def test_headers_that_lie(device, tap, head):
    """What the frame really is the kernel finds out; the card goes on."""
    d = device(net.SENDS_LARGE)
    session = d.open()
    send(session, tcp(b"x" * 3000), head)
    net.send(session, net.frame(b"fine"))
    while tap.recv()[1] != net.frame(b"fine"):
        pass
    settled(d, session)


def test_large_without_the_feature_is_too_large(device, tap):
    d = device(net.SENDS_LARGE)
    session = d.open()
    send(session, tcp(b"x" * 3000), header())
    send(session, tcp(b"x" * 60000) + bytes(6000), header(gso=1000))
    net.send(session, net.frame(b"fine"))
    assert tap.recv()[1] == net.frame(b"fine")
    settled(d, session)


# ---- to the tap ----

def test_frames_come_out_as_they_are(device, tap):
    d = device()
    session = d.open()
    for length in (14, 60, 1514):
        data = net.frame(os.urandom(length - 14))
        net.send(session, data)
        assert tap.recv() == (bytes(10), data)
    settled(d, session)


@pytest.mark.parametrize("v6", [False, True])
def test_large_frames_go_through_whole(device, tap, v6):
    d = device(net.SENDS_LARGE)
    session = d.open()
    data = tcp(os.urandom(60000), v6)
    send(session, data, header(v6, 1400))
    head, got = tap.recv()
    assert got == data
    flags, kind, _, gso, start, offset = struct.unpack("<BBHHHH", head)
    assert (flags, kind, gso, start, offset) == (NEEDS_CSUM, TSO6 if v6 else TSO4, 1400, 54 if v6 else 34, 16)
    settled(d, session)


# ---- from the tap ----

def test_frames_arrive_as_they_are(device, tap):
    d = device()
    session = d.open()
    for length in (14, 60, 1514):
        data = net.frame(os.urandom(length - 14), net.MAC)
        at = net.offer(session, ROOM)
        tap.send(data)
        assert take(session, at) == (bytes(10), data)
    settled(d, session)


@pytest.mark.parametrize("v6", [False, True])
def test_a_large_frame_arrives_whole(device, tap, v6):
    d = device(net.TAKES_LARGE)
    session = d.open()
    at = net.offer(session, ROOM)
    data = tcp(os.urandom(40000), v6)
    tap.send(data, header(v6, 1400))
    head, got = take(session, at)
    assert got == data
    assert head[:2] == bytes([NEEDS_CSUM, TSO6 if v6 else TSO4])
    assert struct.unpack_from("<H", head, 4) == (1400,)
    settled(d, session)


@pytest.mark.parametrize("length", [2000, 3000, 3800])
def test_a_small_large_frame_arrives(device, tap, length):
    """The host has it in one piece, and says that its headers are as long as all of it."""
    d = device(net.TAKES_LARGE)
    session = d.open()
    at = net.offer(session, ROOM)
    data = tcp(os.urandom(length))
    tap.send(data, header(gso=1000))
    head, got = take(session, at)
    assert got == data
    assert struct.unpack_from("<H", head, 4) == (1000,)
    settled(d, session)


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("features", [net.FEATURES, net.FEATURES | net.F_GUEST_CSUM])
def test_a_large_frame_is_cut_for_a_driver_that_takes_none(device, tap, features, v6):
    d = device(features)
    session = d.open(num=256)
    payload = os.urandom(20001)
    places = [net.offer(session, 2048) for _ in range(15)]
    tap.send(tcp(payload, v6, flags=0x99), header(v6, 1400))  # CWR, ACK, PSH, FIN
    used = session.wait(15, net.RECEIVEQ)
    got = b""
    for i, (at, (_, written)) in enumerate(zip(places, used)):
        whole = session.memory.read(at, written)
        assert whole[:10] == bytes(10)
        number, flags, part = check_tcp(whole[12:], v6)
        assert number == 7 + len(got) and len(part) == (1400 if i < 14 else 401)
        assert flags == {0: 0x90, 14: 0x19}.get(i, 0x10)
        if not v6:
            assert struct.unpack_from(">H", whole, 12 + 18) == (77 + i,)
        got += part
    assert got == payload
    settled(d, session)


def test_cut_while_buffers_are_missing(device, tap):
    """The rest waits for buffers, and what comes behind it waits, too."""
    d = device()
    session = d.open()
    tap.send(tcp(b"q" * 5000), header(gso=1400))
    tap.send(net.frame(b"behind", net.MAC))
    got = b""
    for _ in range(4):
        got += check_tcp(take(session, net.offer(session, 2048))[1], False)[2]
    assert got == b"q" * 5000
    assert take(session, net.offer(session, 2048))[1] == net.frame(b"behind", net.MAC)
    settled(d, session)


@pytest.mark.parametrize("v6", [False, True])
def test_a_checksum_is_finished_for_a_driver_that_does_not(device, tap, v6):
    d = device()
    session = d.open()
    tap.send(tcp(b"odd" * 111, v6), header(v6))
    d.session.settle()
    head, got = take(session, net.offer(session, 2048))
    assert head == bytes(10)
    assert check_tcp(got, v6)[2] == b"odd" * 111
    settled(d, session)


def test_without_a_driver_frames_are_dropped(device, tap):
    d = device()
    for i in range(600):
        tap.send(net.frame(struct.pack("<I", i) + bytes(1000), net.MAC))
    session = d.open()
    session.settle()
    at = net.offer(session, 2048)
    tap.send(net.frame(b"now", net.MAC))
    while take(session, at)[1] != net.frame(b"now", net.MAC):
        at = net.offer(session, 2048)
    settled(d, session)


# ---- a bare tap ----

def test_a_bare_tap_has_frames_alone(start):
    """One after the other both ways, without a header, and nothing is offered that would need one."""
    t = Tap(bare=True)
    d = start(NetOnTap, tap=t, bare="on", features=net.FEATURES)
    session = d.open()
    assert session.front.offered & (net.TAKES_LARGE | net.SENDS_LARGE) & ~net.FEATURES == 0
    for size in (60, 1500, 1514):
        frame = net.frame(bytes(os.urandom(size - 14)))
        net.send(session, frame)
        assert t.recv() == (bytes(10), frame)
        at = net.offer(session, 2048)
        t.send(frame[6:12] + frame[:6] + frame[12:])
        assert take(session, at) == (bytes(10), frame[6:12] + frame[:6] + frame[12:])
    settled(d, session)
    t.close()


@pytest.mark.parametrize("name", ["a checksum", "a large frame"])
def test_no_header_asks_anything_of_a_bare_tap(start, name):
    t = Tap(bare=True)
    d = start(NetOnTap, tap=t, bare="on", features=net.FEATURES)
    session = d.open()
    whole = header(gso=8 if name == "a large frame" else 0) + bytes(2) + tcp(b"x" * 1000)
    session.submit([Buf(session.memory.put(whole), len(whole))], net.TRANSMITQ)
    session.settle()
    assert session.needs_reset()
    session.restart()
    net.send(session, net.frame(b"fine"))
    assert t.recv()[1] == net.frame(b"fine")
    d.assert_bounded()
    t.close()


# ---- trains of datagrams ----

def udp(payload, v6=False):
    """A train, whose checksum is left to be done: over the pseudo header alone, with the length of all of it."""
    length = 8 + len(payload)
    if v6:
        ends = bytes(range(32))
        ip = struct.pack(">IHBB", 6 << 28, length, 17, 64) + ends
    else:
        ends = bytes([10, 0, 0, 1, 10, 0, 0, 2])
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 77, 0x4000, 64, 17, 0) + ends
        ip = ip[:10] + struct.pack(">H", 0xffff & ~total(ip)) + ip[12:]
    pseudo = total(ends + struct.pack(">II", length, 17))
    return net.MAC + net.OTHER + (b"\x86\xdd" if v6 else b"\x08\0") + ip + struct.pack(">HHHH", 1000, 2000, length, pseudo) + payload


def train(v6=False, gso=1400, kind=USO, **more):
    return header(v6, gso, kind, offset=6, hdr_len=(62 if v6 else 42), **more)


def check_udp(data, v6):
    """Its checksums and lengths are right. The payload."""
    ip = data[14:]
    ends, datagram = (ip[8:40], ip[40:]) if v6 else (ip[12:20], ip[20:])
    assert v6 or (total(ip[:20]) == 0xffff and struct.unpack_from(">H", ip, 2)[0] == len(ip))
    assert not v6 or struct.unpack_from(">H", ip, 4)[0] == len(ip) - 40
    assert struct.unpack_from(">H", datagram, 4) == (len(datagram),)
    assert total(ends + struct.pack(">II", len(datagram), 17) + datagram) == 0xffff
    return datagram[8:]


@pytest.fixture
def long_tap():
    if not has_uso():
        pytest.skip("this kernel's taps cut no UDP")
    t = Tap(uso=True)
    yield t
    t.close()


@pytest.fixture
def trains(start, long_tap):
    return lambda features, **how: start(NetOnTap, tap=long_tap, features=features, uso="on", **how)


@pytest.mark.parametrize("head", [train(kind=USO | ECN), train(kind=USO | 8), header(gso=1000)],
                         ids=["ECN of UDP", "no type", "TSO4"])
def test_trains_that_were_not_negotiated(trains, long_tap, head):
    d = trains(net.SENDS_TRAINS | net.F_HOST_ECN)
    session = d.open()
    whole = head + bytes(2) + udp(b"x" * 3000)
    session.submit([Buf(session.memory.put(whole), len(whole))], net.TRANSMITQ)
    session.settle()
    assert session.needs_reset()
    session.restart()
    net.send(session, net.frame(b"fine"))
    assert long_tap.recv()[1] == net.frame(b"fine")
    d.assert_bounded()


@pytest.mark.parametrize("head", [train(flags=0), train(start=3042), train(gso=1, start=65535),
                                  header(gso=1, kind=USO, hdr_len=65535, offset=6)])
def test_trains_that_cannot_be(trains, long_tap, head):
    d = trains(net.SENDS_TRAINS)
    session = d.open()
    send(session, udp(b"x" * 3000), head)
    net.send(session, net.frame(b"fine"))
    assert long_tap.recv()[1] == net.frame(b"fine")
    settled(d, session)


def test_trains_are_offered_only_where_the_tap_has_them(device):
    d = device(net.SENDS_TRAINS | net.TAKES_TRAINS)
    session = d.open()
    assert not session.front.offered & (net.F_HOST_USO | net.F_GUEST_USO4 | net.F_GUEST_USO6)
    settled(d, session)


@pytest.mark.parametrize("v6", [False, True])
def test_trains_go_through_whole(trains, long_tap, v6):
    d = trains(net.SENDS_TRAINS | net.TAKES_TRAINS)
    session = d.open()
    data = udp(os.urandom(42000), v6)
    send(session, data, train(v6))
    head, got = long_tap.recv()
    assert got == data
    flags, kind, _, gso, start, offset = struct.unpack("<BBHHHH", head)
    assert (flags, kind, gso, start, offset) == (NEEDS_CSUM, USO, 1400, 54 if v6 else 34, 6)
    at = net.offer(session, ROOM)
    long_tap.send(data, train(v6))
    head, got = take(session, at)
    assert got == data and head[:2] == bytes([NEEDS_CSUM, USO])
    assert struct.unpack_from("<H", head, 4) == (1400,)
    settled(d, session)


@pytest.mark.parametrize("v6", [False, True])
@pytest.mark.parametrize("features", [net.FEATURES, net.TAKES_LARGE, net.TAKES_TRAINS & ~net.F_GUEST_USO6],
                         ids=["nothing", "TCP alone", "half"])
@pytest.mark.parametrize("gso,n", [(1400, 15), (1, 2)])
def test_a_train_is_cut_for_a_driver_that_takes_none(trains, long_tap, features, v6, gso, n):
    d = trains(features)
    session = d.open(num=256)
    payload = os.urandom((n - 1) * gso + (401 if gso > 1 else 1))
    places = [net.offer(session, 2048) for _ in range(n)]
    long_tap.send(udp(payload, v6), train(v6, gso))
    got = b""
    for i, (at, (_, written)) in enumerate(zip(places, session.wait(n, net.RECEIVEQ))):
        whole = session.memory.read(at, written)
        assert whole[:10] == bytes(10)
        got += check_udp(whole[12:], v6)
        if not v6:
            assert struct.unpack_from(">H", whole, 12 + 18) == (77 + i,)
    assert got == payload
    settled(d, session)


# ---- the tap's end ----

def test_the_tap_is_removed(start):
    """The guest sends into the void."""
    t = Tap()
    d = start(NetOnTap, tap=t)
    session = d.open()
    net.offer(session, 2048)
    t.remove()
    while not d.process.said(process.CTL_LOG):
        session.settle()
    assert d.process.said(process.CTL_LOG)[0].text == "dev-net: its tap has been removed: the link is down"
    for _ in range(5):
        net.send(session, net.frame(b"x" * 60))
    settled(d, session)
    d.process.assert_idle()
    t.close()
