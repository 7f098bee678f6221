# SPDX-License-Identifier: Apache-2.0
"""vfio-user, the client's side ("vfio-user Protocol Specification", 0.9).

Client sends what it is told, right or wrong; the methods named after commands send them right.
"""

import array
import mmap
import os
import socket
import struct

from bh.wait import HANG_S

VERSION = 1
DMA_MAP = 2
DMA_UNMAP = 3
DEVICE_GET_INFO = 4
DEVICE_GET_REGION_INFO = 5
DEVICE_GET_REGION_IO_FDS = 6
DEVICE_GET_IRQ_INFO = 7
DEVICE_SET_IRQS = 8
REGION_READ = 9
REGION_WRITE = 10
DEVICE_RESET = 13

FLAG_REPLY = 1
FLAG_NO_REPLY = 1 << 4
FLAG_ERROR = 1 << 5

REGION_READABLE = 1
REGION_WRITABLE = 2
REGION_MMAP = 4
REGION_CAPS = 8
CAP_SPARSE_MMAP = 1

IRQ_DATA_NONE = 1
IRQ_DATA_EVENTFD = 4
IRQ_ACTION_TRIGGER = 32


class Closed(Exception):
    """The server closed the connection."""


class Error(Exception):
    """The server answered with an error."""

    def __init__(self, number):
        super().__init__(os.strerror(number))
        self.number = number


class Region:
    def __init__(self, payload, fds):
        (self.argsz, self.flags, self.index, cap, self.size,
         self.offset) = struct.unpack_from("<IIIIQQ", payload)
        self.sparse = []
        self.page = None
        if cap:
            id_, version, next_, n = struct.unpack_from("<HHII", payload, cap)
            assert (id_, version, next_) == (CAP_SPARSE_MMAP, 1, 0)
            self.sparse = [struct.unpack_from("<QQ", payload, cap + 16 + 16 * i)
                           for i in range(n)]
        if fds:
            self.page = mmap.mmap(fds[0], self.size, prot=mmap.PROT_READ)


class Client:
    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(HANG_S)
        self.id = 0

    def send(self, command, payload=b"", flags=0, fds=(), size=None):
        self.id = (self.id + 1) & 0xffff
        size = 16 + len(payload) if size is None else size
        self.send_bytes(struct.pack("<HHIII", self.id, command, size, flags, 0) + payload, fds)

    def send_bytes(self, data, fds=()):
        try:
            if fds:
                socket.send_fds(self.sock, [data], list(fds))
            else:
                self.sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e

    def _read(self, n, fds):
        data = b""
        while len(data) < n:
            try:
                piece, got, _, _ = self.sock.recvmsg(n - len(data), socket.CMSG_SPACE(32),
                                                     socket.MSG_CMSG_CLOEXEC)
            except ConnectionResetError as e:
                raise Closed from e
            if not piece:
                raise Closed
            for _, _, ancillary in got:
                fds.extend(array.array("i", ancillary[:len(ancillary) // 4 * 4]))
            data += piece
        return data

    def receive(self):
        """(command, payload, fds) of a reply; Error if it is one."""
        fds = []
        id_, command, size, flags, error = struct.unpack("<HHIII", self._read(16, fds))
        assert flags & 15 == FLAG_REPLY and id_ == self.id
        payload = self._read(size - 16, fds)
        if flags & FLAG_ERROR:
            assert not payload and not fds
            raise Error(error)
        return command, payload, fds

    def ask(self, command, payload=b"", fds=()):
        self.send(command, payload, fds=fds)
        replied, payload, got = self.receive()
        assert replied == command
        return payload, got

    # ---- commands ----

    def version(self, major=0, minor=1, data=b'{"capabilities":{}}\0'):
        payload, _ = self.ask(VERSION, struct.pack("<HH", major, minor) + data)
        return struct.unpack_from("<HH", payload), payload[4:]

    def info(self):
        payload, _ = self.ask(DEVICE_GET_INFO, struct.pack("<IIII", 16, 0, 0, 0))
        return struct.unpack("<IIII", payload)[1:]

    def region(self, index, argsz=256):
        payload, fds = self.ask(DEVICE_GET_REGION_INFO,
                                struct.pack("<IIIIQQ", argsz, 0, index, 0, 0, 0))
        region = Region(payload, fds)
        for fd in fds:
            os.close(fd)
        return region

    def set_irq(self, fd, index=0):
        self.ask(DEVICE_SET_IRQS, struct.pack("<IIIII", 20, IRQ_DATA_EVENTFD | IRQ_ACTION_TRIGGER,
                                              index, 0, 1), [fd])

    def read(self, region, offset, width):
        payload, _ = self.ask(REGION_READ, struct.pack("<QII", offset, region, width))
        assert struct.unpack_from("<QII", payload) == (offset, region, width)
        return payload[16:]

    def write(self, region, offset, data):
        payload, _ = self.ask(REGION_WRITE, struct.pack("<QII", offset, region, len(data)) + data)
        assert struct.unpack("<QII", payload) == (offset, region, len(data))

    def post(self, region, offset, data):
        self.send(REGION_WRITE, struct.pack("<QII", offset, region, len(data)) + data,
                  FLAG_NO_REPLY)

    def reset(self):
        self.ask(DEVICE_RESET)
