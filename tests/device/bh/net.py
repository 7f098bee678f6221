# SPDX-License-Identifier: Apache-2.0
"""virtio-net, the driver (Virtual I/O Device 1.2, section 5.1), and the other end of its link."""

import os
import struct

from . import guest, wait
from .guest import Buf

RECEIVEQ = 0
TRANSMITQ = 1
CONTROLQ = 2
NUM_MAX = 256
HEADER_LEN = 12
FRAME_MAX = 65553  # of the link

F_MTU = 1 << 3
F_MAC = 1 << 5
F_MRG_RXBUF = 1 << 15
F_SPEED_DUPLEX = 1 << 63
FEATURES = F_MTU | F_MAC | F_SPEED_DUPLEX  # with one buffer for each frame
F_CSUM, F_GUEST_CSUM = 1 << 0, 1 << 1
F_GUEST_TSO4, F_GUEST_TSO6, F_GUEST_ECN = 1 << 7, 1 << 8, 1 << 9
F_HOST_TSO4, F_HOST_TSO6, F_HOST_ECN = 1 << 11, 1 << 12, 1 << 13
SENDS_LARGE = FEATURES | F_CSUM | F_HOST_TSO4 | F_HOST_TSO6 | F_HOST_ECN
F_GUEST_USO4, F_GUEST_USO6, F_HOST_USO = 1 << 54, 1 << 55, 1 << 56
SENDS_TRAINS = FEATURES | F_CSUM | F_HOST_USO
TAKES_TRAINS = FEATURES | F_GUEST_CSUM | F_GUEST_USO4 | F_GUEST_USO6
TAKES_LARGE = FEATURES | F_GUEST_CSUM | F_GUEST_TSO4 | F_GUEST_TSO6 | F_GUEST_ECN
MERGING = FEATURES | F_MRG_RXBUF
F_CTRL_VQ, F_CTRL_RX, F_CTRL_VLAN, F_CTRL_RX_EXTRA, F_CTRL_MAC_ADDR = (1 << n for n in (17, 18, 19, 20, 23))
F_CTRL_GUEST_OFFLOADS = 1 << 2
F_STATUS, F_GUEST_ANNOUNCE = 1 << 16, 1 << 21
F_MQ = 1 << 22
LINK_UP, ANNOUNCE = 1, 2  # of the status, and of the control message
CONTROLLED = FEATURES | F_CTRL_VQ | F_CTRL_RX | F_CTRL_VLAN | F_CTRL_RX_EXTRA | F_CTRL_MAC_ADDR

STATE_FD, LINK_FD, TAP_FD = 5, 6, 7
STATE_SIZE = (512 << 10) + 4096
MAC = bytes.fromhex("525400123456")
OTHER = bytes.fromhex("525400abcdef")

HEADER = bytes(HEADER_LEN)
EXPECTED = bytes(10) + struct.pack("<H", 1)  # before each frame that is received: num_buffers


def state_page(content=b""):
    """The memfd in which dev-net keeps its link, as a supervisor makes it."""
    fd = guest.sealed_memfd(STATE_SIZE, name="net-link")
    os.pwrite(fd, content, 0)
    return fd


def frame(payload, to=OTHER, from_=MAC, kind=0x88b5):
    """Of the type for experiments; never shorter than an Ethernet header."""
    return to + from_ + struct.pack(">H", kind) + payload


def pack(data):
    return struct.pack(">I", len(data)) + data


class Peer:
    """The other end of a link."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(wait.HANG_S)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(pack(data))

    def take(self):
        """A frame that came already, or None."""
        if len(self.buffer) < 4:
            return None
        (length,) = struct.unpack_from(">I", self.buffer)
        assert 14 <= length <= FRAME_MAX, f"{length} is the length of no frame"
        if len(self.buffer) < 4 + length:
            return None
        data, self.buffer = self.buffer[4:4 + length], self.buffer[4 + length:]
        return data

    def recv(self):
        while (data := self.take()) is None:
            piece = self.sock.recv(65536)
            assert piece, "the link has ended"
            self.buffer += piece
        return data

    def drain(self):
        """What is there without waiting."""
        found = []
        while True:
            while (data := self.take()) is not None:
                found.append(data)
            piece = self.try_recv()
            if not piece:
                return found
            self.buffer += piece

    def try_recv(self):
        self.sock.setblocking(False)
        try:
            return self.sock.recv(65536)
        except BlockingIOError:
            return b""
        finally:
            self.sock.settimeout(wait.HANG_S)

    def try_send(self, data):
        """How many bytes of it were taken."""
        self.sock.setblocking(False)
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return 0
        finally:
            self.sock.settimeout(wait.HANG_S)

    def close(self):
        self.sock.close()


def send(session, data, sizes=None, header=HEADER, indirect=False, pair=0):
    """The guest sends a frame; sizes: of the pieces that header and frame are cut into."""
    memory = session.memory
    mark = memory.next
    whole = header + data
    at, bufs, done = memory.put(whole), [], 0
    for size in sizes or [len(whole)]:
        bufs.append(Buf(at + done, size))
        done += size
    queue = 2 * pair + TRANSMITQ
    session.submit(bufs, queue, indirect)
    [(_, written)] = session.wait(1, queue)
    assert written == 0
    memory.next = mark


def offer(session, size, sizes=None, pair=0):
    """The guest offers a buffer. Where it is."""
    at = session.memory.put(bytes([guest.CANARY]) * size)
    bufs, done = [], 0
    for piece in sizes or [size]:
        bufs.append(Buf(at + done, piece, True))
        done += piece
    session.submit(bufs, 2 * pair + RECEIVEQ)
    return at


def received(session, at, size):
    """The frame that came into a buffer of that size; nothing behind it was written. None: it came back
    empty."""
    [(_, written)] = session.wait(1, RECEIVEQ)
    data = session.memory.read(at, size)
    assert data[written:] == bytes([guest.CANARY]) * (size - written)
    if not written:
        return None
    assert data[:HEADER_LEN] == EXPECTED
    return data[HEADER_LEN:written]


RX_PROMISC, RX_ALLMULTI, RX_ALLUNI, RX_NOMULTI, RX_NOUNI, RX_NOBCAST = ((0, n) for n in range(6))
MAC_TABLE_SET, MAC_ADDR_SET, VLAN_ADD, VLAN_DEL, OFFLOADS_SET = (1, 0), (1, 1), (2, 0), (2, 1), (5, 0)
PAIRS_SET = (4, 0)
ANNOUNCE_ACK = (3, 0)
OK, ERR = 0, 1


def macs(*lists):
    """The data of MAC_TABLE_SET."""
    return b"".join(struct.pack("<I", len(l)) + b"".join(l) for l in lists)


def control(session, command, data=b"", room=1, queue=CONTROLQ, sizes=None):
    """The answer to a command; sizes: of the pieces that it is cut into."""
    memory = session.memory
    mark = memory.next
    whole = bytes(command) + data
    at, bufs, done = memory.put(whole), [], 0
    for size in sizes or [len(whole)]:
        bufs.append(Buf(at + done, size))
        done += size
    answer = memory.put(bytes([guest.CANARY]) * room)
    bufs.append(Buf(answer, room, True))
    session.submit(bufs, queue)
    [(_, written)] = session.wait(1, queue)
    assert written == 1
    got = memory.read(answer, room)
    assert got[1:] == bytes([guest.CANARY]) * (room - 1)
    memory.next = mark
    return got[0]


def probe_transmit(session, peer):
    """A frame comes out as it is, whatever came before."""
    out = frame(os.urandom(100))
    send(session, out)
    while peer.recv() != out:
        pass


def probe(session, peer):
    """A frame goes each way."""
    back = frame(os.urandom(200), MAC, OTHER)
    mark = session.memory.next
    probe_transmit(session, peer)
    at = offer(session, 2048)
    peer.send(back)
    while received(session, at, 2048) != back:
        at = offer(session, 2048)
    session.memory.next = mark
