# SPDX-License-Identifier: Apache-2.0
"""virtio-vsock, the driver (Virtual I/O Device 1.2, section 5.10), and clients on the host."""

import collections
import os
import socket
import struct

from . import guest
from .guest import Buf

RX, TX, EVENT = range(3)
CID, HOST = 3, 2
STREAM = 1
REQUEST, RESPONSE, RST, SHUTDOWN, RW, CREDIT_UPDATE, CREDIT_REQUEST = range(1, 8)
NO_RECEIVE, NO_SEND = 1, 2
BUFFER = 32 << 10  # what the device holds of one connection
CONNECTIONS = 64
ROOM = 4096  # of a receive buffer

Header = struct.Struct("<QQIIIHHIII")
Packet = collections.namedtuple("Packet", "src_cid dst_cid src_port dst_port len type op flags buf_alloc fwd_cnt data")


class Driver:
    """Receive buffers are given one at a time, so that a test knows what it has asked for."""

    def __init__(self, session, cid=CID):
        self.session, self.cid = session, cid
        self.memory = session.memory
        self.lent, self.free = {}, []

    def lend(self, n=1, room=ROOM):
        for _ in range(n):
            at = self.free.pop() if self.free and room == ROOM else self.memory.alloc(room)
            self.memory.write(at, bytes([guest.CANARY]) * room)
            self.lent[self.session.submit([Buf(at, room, True)], RX)] = (at, room)

    def take(self):
        """A packet in a buffer that was lent before."""
        [(head, written)] = self.session.wait(1, RX)
        at, room = self.lent.pop(head)
        assert Header.size <= written <= room
        data = self.memory.read(at, room)
        if room == ROOM:
            self.free.append(at)
        assert data[written:] == bytes([guest.CANARY]) * (room - written)
        p = Packet(*Header.unpack(data[:Header.size]), data[Header.size:written])
        assert p.len == len(p.data) and p.dst_cid == self.cid
        return p

    def hear(self, room=ROOM):
        self.lend(1, room)
        return self.take()

    def send(self, op, own, port, data=b"", **said):
        said = {"src_cid": self.cid, "dst_cid": HOST, "len": len(data), "type": STREAM, "flags": 0,
                "buf_alloc": 64 << 10, "fwd_cnt": 0, **said}
        packet = Header.pack(said["src_cid"], said["dst_cid"], own, port, said["len"], said["type"], op,
                             said["flags"], said["buf_alloc"], said["fwd_cnt"]) + data
        mark = self.memory.next
        head = self.session.submit([Buf(self.memory.put(packet), len(packet))], TX)
        assert self.session.wait(1, TX) == [(head, 0)]
        self.memory.next = mark


class Client:
    """Of the host."""

    def __init__(self, path, port):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(path)
        self.sock.sendall(f"CONNECT {port}\n".encode())

    def line(self):
        got = b""
        while not got.endswith(b"\n"):
            more = self.sock.recv(1)
            if not more:
                return got
            got += more
        return got

    def exactly(self, n):
        got = b""
        while len(got) < n:
            more = self.sock.recv(n - len(got))
            assert more, f"it ended after {len(got)} bytes"
            got += more
        return got

    def close(self):
        self.sock.close()


class Conn:
    """One between a client and the driver."""

    def __init__(self, driver, path, port=22, **said):
        self.driver, self.port = driver, port
        self.client = Client(path, port)
        asked = driver.hear()
        assert (asked.op, asked.dst_port, asked.src_cid, asked.type) == (REQUEST, port, HOST, STREAM)
        assert asked.buf_alloc == BUFFER and asked.fwd_cnt == 0
        self.peer = asked.src_port
        self.send(RESPONSE, **said)
        assert self.client.line() == f"OK {self.peer}\n".encode()

    def send(self, op, data=b"", **said):
        self.driver.send(op, self.port, self.peer, data, **said)

    def hear(self, room=ROOM):
        p = self.driver.hear(room)
        assert (p.src_port, p.dst_port) == (self.peer, self.port)
        return p


def probe(session, path):
    driver = Driver(session)
    if len(session.queues) <= EVENT or session.queues[RX] is session.queues[TX]:
        driver.send(RST, 1, 1)  # the one queue there is; answered by nothing
        return
    conn = Conn(driver, path)
    data = os.urandom(1000)
    conn.send(RW, data)
    assert conn.client.exactly(1000) == data
    conn.client.sock.sendall(data)
    got = conn.hear()
    assert (got.op, got.data) == (RW, data)
    conn.send(RST)
    assert conn.client.sock.recv(1) == b""
    conn.client.close()
