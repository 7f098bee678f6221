# SPDX-License-Identifier: Apache-2.0
"""dev-vsock: clients of the host and a driver that may say anything; hostile cases first."""

import errno
import hashlib
import os
import random
import socket

import pytest

from bh import vsock
from bh.devices import Vsock
from bh.guest import Buf
from bh.vsock import (BUFFER, CONNECTIONS, CREDIT_REQUEST, CREDIT_UPDATE, NO_RECEIVE, NO_SEND, REQUEST, RESPONSE,
                      RST, RW, SHUTDOWN, Client, Conn, Driver)


@pytest.fixture
def device(start):
    device = start(Vsock)
    device.open()
    device.driver = Driver(device.session)
    yield device
    if device.process.alive:
        device.assert_bounded()


# ---- a hostile guest ----

@pytest.mark.parametrize("said", [
    {"type": 2}, {"type": 0}, {"type": 0xffff}, {"len": 1}, {"len": 0xffffffff}, {"dst_cid": 0}, {"dst_cid": 3},
    {"dst_cid": 1 << 63}], ids=str)
@pytest.mark.parametrize("op", [0, REQUEST, RESPONSE, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST, 8, 0xffff])
def test_the_unknown_is_reset(device, op, said):
    device.driver.send(op, 1000, 22, **said)
    p = device.driver.hear()
    assert (p.op, p.src_port, p.dst_port, p.len) == (RST, 22, 1000, 0)
    assert p.src_cid == said.get("dst_cid", 2) and p.type == said.get("type", 1)


def test_a_reset_has_no_answer(device):
    for op in (RST, REQUEST):
        device.driver.send(op, 1000, 22)
    assert device.driver.hear().op == RST  # of the second
    for op in (RST, RST, RW):
        device.driver.send(op, 1000, 22)
    device.driver.hear()
    vsock.probe(device.session, device.path)


def test_another_guest_is_nobody(device):
    device.driver.send(REQUEST, 1000, 22, src_cid=4)
    vsock.probe(device.session, device.path)


@pytest.mark.parametrize("op,said", [
    (REQUEST, {}), (RESPONSE, {}), (0, {}), (8, {}), (RW, {"type": 2}), (RW, {"len": 5}), (CREDIT_UPDATE, {"len": 1}),
    (SHUTDOWN, {"flags": 4}), (SHUTDOWN, {"flags": 0xffffffff})], ids=str)
def test_what_an_open_one_does_not_allow(device, op, said):
    conn = Conn(device.driver, device.path)
    conn.send(op, b"" if op != RW else b"four", **said)
    assert conn.hear().op == RST
    assert conn.client.sock.recv(1) == b""
    vsock.probe(device.session, device.path)


@pytest.mark.parametrize("op", [REQUEST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST])
def test_before_it_is_open(device, op):
    client = Client(device.path, 22)
    asked = device.driver.hear()
    device.driver.send(op, 22, asked.src_port)
    assert device.driver.hear().op == RST and client.line() == b""


def test_a_header_that_is_cut_off(device):
    device.session.submit([Buf(device.session.memory.put(bytes(43)), 43)], vsock.TX)
    device.session.settle()
    assert device.session.needs_reset()


def test_a_receive_buffer_without_room(device):
    client = Client(device.path, 22)
    device.driver.lend(1, 43)
    while not device.session.needs_reset():
        device.session.settle()
    device.driver.session.restart()
    client.close()
    vsock.probe(device.session, device.path)


def test_more_than_its_credit(device):
    """The client takes nothing; the device holds as much as it said, and not a byte more."""
    conn = Conn(device.driver, device.path)
    conn.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sent = 0
    before = device.process.private_bytes()
    for _ in range(1000):
        conn.send(RW, bytes(4096))
        sent += 4096
        conn.send(CREDIT_REQUEST)
        p = conn.hear()
        if p.op == RST:
            break
        assert p.op == CREDIT_UPDATE and sent - p.fwd_cnt <= BUFFER
    assert p.op == RST
    assert device.process.private_bytes() - before < 1 << 20


@pytest.mark.parametrize("alloc,fwd", [(0, 0), (100, 0xffffffff), (100, 1), (100, 1 << 31), (0xffffffff, 0xfffffff0)])
def test_a_peer_that_lies_of_its_buffer(device, alloc, fwd):
    """It is given no more than it may be said to have asked for, and nothing is kept for it here."""
    conn = Conn(device.driver, device.path, buf_alloc=alloc, fwd_cnt=fwd)
    before = device.process.private_bytes()
    conn.client.sock.setblocking(False)
    try:
        for _ in range(1000):
            conn.client.sock.send(bytes(65536))
    except BlockingIOError:
        pass
    under_way = -fwd % (1 << 32)
    if alloc > under_way:
        got = 0
        while got < min(8192, alloc - under_way):
            got += conn.hear().len
    else:
        conn.send(CREDIT_REQUEST, buf_alloc=alloc, fwd_cnt=fwd)
        assert conn.hear().op == CREDIT_UPDATE  # and no data before it
    device.process.assert_idle()
    assert device.process.private_bytes() - before < 1 << 20


def test_credit_is_kept_to_the_byte(device):
    conn = Conn(device.driver, device.path, buf_alloc=1000)
    conn.client.sock.sendall(bytes(5000))
    assert conn.hear().len == 1000
    conn.send(CREDIT_UPDATE, buf_alloc=1000, fwd_cnt=300)
    assert conn.hear().len == 300
    conn.send(CREDIT_UPDATE, buf_alloc=100, fwd_cnt=300)  # takes back what it said
    device.session.settle()
    conn.send(CREDIT_UPDATE, buf_alloc=1001, fwd_cnt=300)
    assert conn.hear().len == 1


def test_a_guest_that_lends_no_buffer(device):
    """Its packets wait once there are as many answers as are kept; all of them are answered then."""
    memory, session = device.session.memory, device.session
    packet = vsock.Header.pack(3, 2, 1000, 22, 0, 1, REQUEST, 0, 0, 0)
    at = memory.put(packet)
    n = 0
    for _ in range(3):
        for _ in range(32):
            session.submit([Buf(at, len(packet))], vsock.TX)
            n += 1
        session.settle()
        if n <= 64:
            session.wait(32, vsock.TX)
    device.process.assert_idle()
    for _ in range(n):
        assert device.driver.hear().op == RST
    session.wait(n - 64, vsock.TX)
    vsock.probe(session, device.path)


def test_a_guest_that_resets_whom_it_is_asked_for(device):
    """Thousands, one after another: each is refused, none is left, and nothing grows."""
    before = device.process.private_bytes()
    for _ in range(2000):
        client = Client(device.path, 22)
        asked = device.driver.hear()
        device.driver.send(RST, 22, asked.src_port)
        assert client.line() == b""
        client.close()
    assert device.process.private_bytes() - before < 1 << 20
    vsock.probe(device.session, device.path)


def test_resets_of_the_device_under_load(device):
    """With every connection there is: clients that read nothing, and those whose bytes wait for credit."""
    before = device.process.private_bytes()
    for _ in range(3):
        conns = [Conn(device.driver, device.path, buf_alloc=0) for _ in range(CONNECTIONS)]
        for i, conn in enumerate(conns):
            conn.send(RW, bytes(BUFFER // 2), buf_alloc=0)
            conn.client.sock.sendall(bytes(5000))
            if i % 2:
                conn.send(CREDIT_REQUEST, buf_alloc=1 << 20)  # due, and never given
        device.session.restart()
        device.driver.lent.clear()
        for conn in conns:
            got = b"more"
            try:
                while got:
                    got = conn.client.sock.recv(65536)
            except ConnectionResetError:
                pass  # it had said what nobody has read
            conn.client.close()
    device.process.assert_idle()
    assert device.process.private_bytes() - before < 4 << 20
    vsock.probe(device.session, device.path)


# ---- clients ----

@pytest.mark.parametrize("line", [b"CONNECT 24\n", b"CONNECT\n", b"\n", b"CONNECT 22 \n", b"CONNECT -1\n", b"GET 22\n",
                                  b"CONNECT 4294967318\n", b"CONNECT 22\0\n", b"CONNECT " + b"2" * 40])
def test_a_line_that_will_not_do(device, line):
    """Also the port that nobody named."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(60)
        sock.connect(device.path)
        try:
            sock.sendall(line)
            assert sock.recv(1) == b""
        except (BrokenPipeError, ConnectionResetError):
            pass
    vsock.probe(device.session, device.path)


def test_as_many_as_there_may_be(device):
    """The next one waits in the socket's queue until one ends."""
    conns = [Conn(device.driver, device.path) for _ in range(CONNECTIONS)]
    late = Client(device.path, 23)
    device.process.assert_idle()
    assert len({c.peer for c in conns}) == CONNECTIONS
    conns[5].send(RST)
    asked = device.driver.hear()
    assert (asked.op, asked.dst_port) == (REQUEST, 23)
    device.driver.send(RST, 23, asked.src_port)
    assert late.line() == b""
    for c in conns[6:]:
        c.client.close()
        assert c.hear().op == SHUTDOWN
        c.send(SHUTDOWN, flags=NO_RECEIVE | NO_SEND)
        assert c.hear().op == RST


def test_a_client_that_leaves_before_it_is_answered(device):
    for _ in range(CONNECTIONS + 1):
        client = Client(device.path, 22)
        asked = device.driver.hear()
        client.close()
        assert (device.driver.hear().op, asked.op) == (RST, REQUEST)


def test_ends_of_each_side(device):
    conn = Conn(device.driver, device.path)
    conn.send(RW, b"last")
    conn.send(SHUTDOWN, flags=NO_SEND)
    assert conn.client.exactly(4) == b"last" and conn.client.sock.recv(1) == b""
    conn.client.sock.sendall(b"answer")
    assert conn.hear().data == b"answer"
    conn.client.sock.shutdown(socket.SHUT_WR)
    p = conn.hear()
    assert (p.op, p.flags) == (SHUTDOWN, NO_SEND)
    conn.send(SHUTDOWN, flags=NO_RECEIVE | NO_SEND)
    assert conn.hear().op == RST
    device.process.assert_idle()


def test_a_reset_behind_data_loses_none(device):
    conn = Conn(device.driver, device.path)
    data = os.urandom(20000)
    conn.send(RW, data)
    conn.send(RST)
    assert conn.client.exactly(len(data)) == data and conn.client.sock.recv(1) == b""


def test_a_megabyte_each_way(device):
    conn = Conn(device.driver, device.path, buf_alloc=1 << 20)
    rand = random.Random(5)
    out = rand.randbytes(1 << 20)
    conn.client.sock.setblocking(False)
    got, sent, fwd, back = bytearray(), 0, 0, bytearray()
    while len(got) < len(out) or len(back) < len(out):
        if sent < len(out) and sent - fwd <= BUFFER - 4096:
            conn.send(RW, out[sent:sent + 4096], buf_alloc=1 << 20, fwd_cnt=len(back))
            sent += 4096
        try:
            got += conn.client.sock.recv(65536)
        except BlockingIOError:
            pass
        conn.send(CREDIT_REQUEST, buf_alloc=1 << 20, fwd_cnt=len(back))
        if len(back) < len(out):
            try:
                conn.client.sock.send(out[len(back):len(back) + 1000])
                expected = len(back) + min(1000, len(out) - len(back))
            except BlockingIOError:
                expected = len(back)
        updated = False
        while not updated or len(back) < expected:
            p = conn.hear()
            back += p.data
            updated |= p.op == CREDIT_UPDATE
            fwd = p.fwd_cnt
    assert hashlib.sha256(got).digest() == hashlib.sha256(back).digest() == hashlib.sha256(out).digest()


# ---- ports of the host ----

def dialed(device, place, error=0):
    """The dialer's part: the other end of what it gives."""
    assert device.dialer.recv(16) == bytes([place])
    if error:
        device.dialer.send(bytes([place + 1, error]))
        return None
    return connected(device, place)


def connected(device, place):
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    socket.send_fds(device.dialer, [bytes([place + 1, 0])], [theirs.fileno()])
    theirs.close()
    ours.settimeout(60)
    return ours


def silent(device):
    device.dialer.setblocking(False)
    with pytest.raises(BlockingIOError):
        device.dialer.recv(16)
    device.dialer.settimeout(60)


def test_the_guest_reaches_a_port_of_the_host(device):
    device.driver.send(REQUEST, 5000, 81)
    host = dialed(device, 1)
    p = device.driver.hear()
    assert (p.op, p.src_port, p.dst_port, p.buf_alloc) == (RESPONSE, 81, 5000, BUFFER)
    device.driver.send(RW, 5000, 81, b"from the guest")
    assert host.recv(100) == b"from the guest"
    host.sendall(b"from the host")
    assert device.driver.hear().data == b"from the host"
    host.close()
    assert device.driver.hear().op in (SHUTDOWN, RST)


@pytest.mark.parametrize("port,said", [(82, {}), (22, {}), (80, {"type": 2}), (80, {"len": 1}), (80, {"dst_cid": 1})], ids=str)
def test_nobody_is_asked_for_what_was_not_named(device, port, said):
    device.driver.send(REQUEST, 5000, port, **said)
    assert device.driver.hear().op == RST
    silent(device)


@pytest.mark.parametrize("error", [errno.ECONNREFUSED, errno.ENOENT, errno.EAGAIN, errno.ENOTCONN, errno.EBADMSG, 255])
def test_the_host_side_is_not_there(device, error):
    """Nobody listens, or takes no more; the next one may find somebody."""
    device.driver.send(REQUEST, 5000, 80)
    dialed(device, 0, error)
    assert device.driver.hear().op == RST
    device.driver.send(REQUEST, 5001, 80)
    host = dialed(device, 0)
    assert device.driver.hear().op == RESPONSE
    host.close()
    assert device.driver.hear().op in (SHUTDOWN, RST)
    vsock.probe(device.session, device.path)


def test_answers_to_a_process_before_it(device):
    """What was not asked for is closed, and so is another port's; that of its own port will do."""
    assert connected(device, 1).recv(1) == b""
    device.driver.send(REQUEST, 5000, 80)
    assert device.dialer.recv(16) == b"\0"
    device.dialer.send(bytes([2, errno.ECONNREFUSED]))
    assert connected(device, 1).recv(1) == b""
    host = connected(device, 0)
    assert device.driver.hear().op == RESPONSE
    assert connected(device, 0).recv(1) == b""
    device.driver.send(RW, 5000, 80, b"to the first")
    assert host.recv(100) == b"to the first"
    host.close()


def test_what_the_guest_says_before_the_answer(device):
    """It may say nothing yet but that it gives up."""
    for i, op in enumerate((RW, SHUTDOWN, RESPONSE, CREDIT_UPDATE, CREDIT_REQUEST, REQUEST)):
        device.driver.send(REQUEST, 5000 + i, 80)
        assert device.dialer.recv(16) == b"\0"
        device.driver.send(op, 5000 + i, 80, b"early" if op == RW else b"")
        p = device.driver.hear()
        assert (p.op, p.dst_port) == (RST, 5000 + i)
        assert connected(device, 0).recv(1) == b""
    vsock.probe(device.session, device.path)


def test_a_host_side_that_does_not_read(device):
    """What waits for it is the device's buffer and a socket's; another connection goes on."""
    device.driver.send(REQUEST, 5000, 80)
    slow = dialed(device, 0)
    assert device.driver.hear().op == RESPONSE
    device.driver.send(REQUEST, 5001, 81)
    quick = dialed(device, 1)
    assert device.driver.hear().op == RESPONSE
    sent, fwd = 0, 0
    while sent - fwd + 1024 <= BUFFER:  # as the credit says
        device.driver.send(RW, 5000, 80, bytes(1024))
        sent += 1024
        device.driver.send(RW, 5001, 81, b"q")
        assert quick.recv(16) == b"q"
        device.driver.send(CREDIT_REQUEST, 5000, 80)
        while (p := device.driver.hear()).src_port != 80 or p.op != CREDIT_UPDATE:
            pass
        fwd = p.fwd_cnt
        assert sent < 16 << 20
    device.driver.send(RW, 5000, 80, bytes(1025))  # more than it may
    while (p := device.driver.hear()).op != RST:
        assert p.op == CREDIT_UPDATE
    assert (p.src_port, p.dst_port) == (80, 5000)
    slow.close()
    quick.close()


def test_the_guest_gives_up_before_the_answer(device):
    device.driver.send(REQUEST, 5000, 80)
    device.driver.send(RST, 5000, 80)
    device.driver.send(REQUEST, 5001, 81)
    assert dialed(device, 0).recv(1) == b""
    host = dialed(device, 1)
    assert (device.driver.hear().dst_port) == 5001
    host.close()


def test_more_than_there_may_be_are_reset(device):
    for i in range(CONNECTIONS + 1):
        device.driver.send(REQUEST, 5000 + i, 80)
    p = device.driver.hear()
    assert (p.op, p.dst_port) == (RST, 5000 + CONNECTIONS)
    hosts = []
    for i in range(CONNECTIONS):
        hosts.append(dialed(device, 0))
        assert device.driver.hear().op == RESPONSE
    for host in hosts:
        host.close()


@pytest.mark.parametrize("answer", [b"", b"\x02", b"\0\0", b"\x02\0", b"\x02\0\0", b"\x09\x6f"])
def test_a_dialer_that_breaks_the_protocol(device, answer):
    device.driver.send(REQUEST, 5000, 80)
    assert device.dialer.recv(16) == b"\0"
    if answer:
        device.dialer.send(answer)
    else:
        device.dialer.close()
    assert device.driver.hear().op == RST
    device.driver.send(REQUEST, 5001, 80)
    assert device.driver.hear().op == RST
    vsock.probe(device.session, device.path)


# ---- the device's own life ----

def test_a_reset_ends_all(device):
    conn = Conn(device.driver, device.path)
    device.session.restart()
    assert conn.client.sock.recv(1) == b""
    conn.send(RW, b"to nobody")
    assert device.driver.hear().op == RST
    vsock.probe(device.session, device.path)


def test_the_guest_hears_that_its_connections_are_gone(device):
    """A process says it once, as it may be a successor; after a reset there is nothing to say."""
    session = device.session
    at = session.memory.put(b"\xa5" * 8)
    session.submit([Buf(at, 8, True)], vsock.EVENT)
    [(_, written)] = session.wait(1, vsock.EVENT)
    assert (written, session.memory.read(at, 8)) == (4, bytes(4) + b"\xa5" * 4)
    session.submit([Buf(at, 8, True)], vsock.EVENT)
    session.restart()
    session.submit([Buf(at, 8, True)], vsock.EVENT)
    session.settle()
    assert not session.queue(vsock.EVENT).pending()


def test_the_address(device):
    assert device.session.front.get_config(0, 8) == (3).to_bytes(8, "little")
