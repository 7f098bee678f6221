# SPDX-License-Identifier: Apache-2.0
"""vhost-user, the front end's side ("Vhost-user Protocol", QEMU docs/interop/vhost-user.rst).

FrontEnd sends what it is told, right or wrong; the methods named after requests send them right.
"""

import array
import os
import socket
import struct

from . import wait

GET_FEATURES = 1
SET_FEATURES = 2
SET_OWNER = 3
RESET_OWNER = 4
SET_MEM_TABLE = 5
SET_LOG_BASE = 6
SET_LOG_FD = 7
SET_VRING_NUM = 8
SET_VRING_ADDR = 9
SET_VRING_BASE = 10
GET_VRING_BASE = 11
SET_VRING_KICK = 12
SET_VRING_CALL = 13
SET_VRING_ERR = 14
GET_PROTOCOL_FEATURES = 15
SET_PROTOCOL_FEATURES = 16
GET_QUEUE_NUM = 17
SET_VRING_ENABLE = 18
SEND_RARP = 19
GET_CONFIG = 24
SET_CONFIG = 25
GET_INFLIGHT_FD = 31
SET_INFLIGHT_FD = 32
RESET_DEVICE = 34
GET_MAX_MEM_SLOTS = 36
ADD_MEM_REG = 37
REM_MEM_REG = 38
SET_STATUS = 39
GET_STATUS = 40
SET_DEVICE_STATE_FD = 42
CHECK_DEVICE_STATE = 43

NAMES = {v: k for k, v in list(globals().items()) if k.isupper() and isinstance(v, int)}

VERSION = 1
FLAG_REPLY = 4
FLAG_NEED_REPLY = 8

F_LOG_ALL = 1 << 26
F_PROTOCOL_FEATURES = 1 << 30

PROTOCOL_F_MQ = 1 << 0
PROTOCOL_F_LOG_SHMFD = 1 << 1
PROTOCOL_F_REPLY_ACK = 1 << 3
PROTOCOL_F_CONFIG = 1 << 9
PROTOCOL_F_INFLIGHT_SHMFD = 1 << 12
PROTOCOL_F_RESET_DEVICE = 1 << 13
PROTOCOL_F_CONFIGURE_MEM_SLOTS = 1 << 15
PROTOCOL_F_STATUS = 1 << 16
PROTOCOL_F_DEVICE_STATE = 1 << 19
PROTOCOL_KNOWN = (PROTOCOL_F_MQ | PROTOCOL_F_REPLY_ACK | PROTOCOL_F_CONFIG |
                  PROTOCOL_F_RESET_DEVICE | PROTOCOL_F_CONFIGURE_MEM_SLOTS | PROTOCOL_F_STATUS)

VRING_NOFD = 1 << 8

STATUS_ACKNOWLEDGE = 1
STATUS_DRIVER = 2
STATUS_DRIVER_OK = 4
STATUS_FEATURES_OK = 8
STATUS_NEEDS_RESET = 64
STATUS_FAILED = 128


class Closed(Exception):
    """The back end closed the connection."""


class ProtocolError(AssertionError):
    """The back end broke the protocol."""


def u64(value):
    return struct.pack("<Q", value & (1 << 64) - 1)


def vring_state(index, num):
    return struct.pack("<II", index & 0xffffffff, num & 0xffffffff)


def vring_addr(index, flags, desc, used, avail, log=0):
    return struct.pack("<IIQQQQ", index & 0xffffffff, flags, desc, used, avail, log)


def region(gpa, size, uaddr, offset):
    mask = (1 << 64) - 1
    return struct.pack("<QQQQ", gpa & mask, size & mask, uaddr & mask, offset & mask)


def mem_table(regions, n=None):
    """regions: (gpa, size, uaddr, offset) each; n overrides the count that is said."""
    count = len(regions) if n is None else n
    return struct.pack("<II", count, 0) + b"".join(region(*r) for r in regions)


def mem_reg(gpa, size, uaddr, offset):
    return u64(0) + region(gpa, size, uaddr, offset)


def inflight(size, n_queues, queue_size, offset=0):
    return struct.pack("<QQHHI", size, offset, n_queues, queue_size, 0)


def config(offset, size, flags=0, data=None):
    return struct.pack("<III", offset, size, flags) + (bytes(size) if data is None else data)


def message(request, payload=b"", flags=VERSION, size=None):
    """The bytes of a message; size overrides the length that the header says."""
    length = len(payload) if size is None else size
    return struct.pack("<III", request, flags, length) + payload


class FrontEnd:
    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(wait.HANG_S)
        self.features = 0
        self.protocol_features = 0
        self.early = []  # replies that came before the one waited for

    def close(self):
        self.sock.close()

    # ---- raw ----

    def send_bytes(self, data, fds=()):
        try:
            while True:
                ancillary = []
                if fds:
                    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
                n = self.sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)
                data, fds = data[n:], ()
                if not data:
                    return
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e

    def send(self, request, payload=b"", fds=(), flags=VERSION, size=None):
        self.send_bytes(message(request, payload, flags, size), fds)

    def _recv_exactly(self, n, keep=None):
        """keep: a list that takes the descriptors."""
        data = b""
        while len(data) < n:
            try:
                piece, fds, _, _ = socket.recv_fds(self.sock, n - len(data), 4)
            except ConnectionResetError as e:
                raise Closed from e
            except TimeoutError as e:
                raise wait.Hang(f"no answer in {wait.HANG_S} s") from e
            for fd in fds:
                if keep is None:
                    os.close(fd)
                else:
                    keep.append(fd)
            if not piece:
                raise Closed
            data += piece
        return data

    def recv(self):
        """One reply: (request, payload)."""
        request, flags, size = struct.unpack("<III", self._recv_exactly(12))
        if flags & 3 != VERSION or not flags & FLAG_REPLY or size > 4096:
            raise ProtocolError(f"reply header request={request} flags={flags:#x} size={size}")
        return request, self._recv_exactly(size)

    def ask(self, request, payload=b"", fds=(), flags=VERSION):
        self.send(request, payload, fds, flags)
        got, data = self.recv()
        if got != request:
            raise ProtocolError(f"asked {NAMES.get(request)}, answered {NAMES.get(got, got)}")
        return data

    def ask_u64(self, request, payload=b"", fds=(), flags=VERSION):
        data = self.ask(request, payload, fds, flags)
        if len(data) != 8:
            raise ProtocolError(f"{NAMES.get(request)}: a reply of {len(data)} bytes")
        return struct.unpack("<Q", data)[0]

    def tell(self, request, payload=b"", fds=()):
        """A request without a reply of its own; acknowledged if that was negotiated."""
        if not self.protocol_features & PROTOCOL_F_REPLY_ACK:
            self.send(request, payload, fds)
            return
        r = self.ask_u64(request, payload, fds, VERSION | FLAG_NEED_REPLY)
        assert r == 0, f"{NAMES.get(request, request)} was refused"

    def try_tell(self, request, payload=b"", fds=()):
        """Like tell, but says whether it was accepted; False also when the connection was closed.
        REPLY_ACK must have been negotiated."""
        try:
            return self.ask_u64(request, payload, fds, VERSION | FLAG_NEED_REPLY) == 0
        except Closed:
            return False

    def set_log(self, fd, size, offset=0):
        """SET_LOG_BASE; False when the connection was closed."""
        try:
            self.ask(SET_LOG_BASE, struct.pack("<QQ", size, offset), [fd])
        except Closed:
            return False
        return True

    # ---- the handshake ----

    def negotiate(self, want, protocol=PROTOCOL_KNOWN, need=0):
        """Owner, features and protocol features: want and protocol are what the front end knows."""
        offered = self.ask_u64(GET_FEATURES)
        assert not need & ~offered, f"the back end offers {offered:#x}, {need:#x} is needed"
        self.offered = offered
        if offered & F_PROTOCOL_FEATURES:
            self.protocol_offered = self.ask_u64(GET_PROTOCOL_FEATURES)
            protocol &= self.protocol_offered
            self.send(SET_PROTOCOL_FEATURES, u64(protocol))
            self.protocol_features = protocol
        self.tell(SET_OWNER)
        self.features = offered & (want | F_PROTOCOL_FEATURES)
        self.tell(SET_FEATURES, u64(self.features))

    def set_status(self, status):
        if self.protocol_features & PROTOCOL_F_STATUS:
            self.tell(SET_STATUS, u64(status))

    def get_status(self):
        """None when the back end has no STATUS."""
        if not self.protocol_features & PROTOCOL_F_STATUS:
            return None
        return self.ask_u64(GET_STATUS)

    def set_mem_table(self, memory):
        self.tell(SET_MEM_TABLE, mem_table([r.wire() for r in memory.regions]),
                  [r.fd for r in memory.regions])

    def start_queue(self, queue, index, base=0, enable=True):
        """Hands over a guest.Queue's rings and events and starts it."""
        self.tell(SET_VRING_NUM, vring_state(index, queue.num))
        self.tell(SET_VRING_BASE, vring_state(index, base))
        self.tell(SET_VRING_ADDR, vring_addr(index, 0, *queue.uaddrs()))
        self.tell(SET_VRING_CALL, u64(index), [queue.call_fd])
        self.tell(SET_VRING_ERR, u64(index), [queue.err_fd])
        self.tell(SET_VRING_KICK, u64(index), [queue.kick_fd])
        if enable and self.features & F_PROTOCOL_FEATURES:
            self.tell(SET_VRING_ENABLE, vring_state(index, 1))

    def stop_queue(self, index):
        """Stops a ring; returns where it was: the next available index."""
        data = self.ask(GET_VRING_BASE, vring_state(index, 0))
        got, base = struct.unpack("<II", data)
        assert got == index, f"GET_VRING_BASE of {index} answered for {got}"
        return base

    def get_inflight(self, n_queues, queue_size):
        """The memory for requests in flight: its descriptor, and the size of what is used of it."""
        self.send(GET_INFLIGHT_FD, inflight(0, n_queues, queue_size))
        fds = []
        request, _, length = struct.unpack("<III", self._recv_exactly(12, fds))
        data = self._recv_exactly(length, fds)
        assert request == GET_INFLIGHT_FD and len(fds) == 1, f"{request} with {len(fds)} descriptors"
        size, offset, *counts = struct.unpack_from("<QQHH", data)
        assert offset == 0 and counts == [n_queues, queue_size]
        return fds[0], size

    def get_config(self, offset, size):
        data = self.ask(GET_CONFIG, config(offset, size))
        got_offset, got_size, _ = struct.unpack_from("<III", data)
        assert (got_offset, got_size, len(data)) == (offset, size, 12 + size), "GET_CONFIG's reply"
        return data[12:]
