# SPDX-License-Identifier: Apache-2.0
"""virtio-blk, the driver (Virtual I/O Device 1.2, section 5.2)."""

import struct

from . import guest
from .guest import Buf
from .session import Session

SECTOR = 512

F_SIZE_MAX = 1 << 1
F_SEG_MAX = 1 << 2
F_RO = 1 << 5
F_BLK_SIZE = 1 << 6
F_FLUSH = 1 << 9
F_TOPOLOGY = 1 << 10
F_CONFIG_WCE = 1 << 11
F_MQ = 1 << 12
F_DISCARD = 1 << 13
F_WRITE_ZEROES = 1 << 14

FEATURES = (F_SIZE_MAX | F_SEG_MAX | F_RO | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE |
            F_MQ | F_DISCARD | F_WRITE_ZEROES)

T_IN = 0
T_OUT = 1
T_FLUSH = 4
T_GET_ID = 8
T_DISCARD = 11
T_WRITE_ZEROES = 13

S_OK = 0
S_IOERR = 1
S_UNSUPP = 2
S_UNTOUCHED = 0xee  # what the driver puts there

WRITE_ZEROES_UNMAP = 1


def header(kind, sector=0):
    return struct.pack("<IIQ", kind, 0, sector & (1 << 64) - 1)


def range_(sector, n, flags=0):
    """A segment of discard and write-zeroes."""
    return struct.pack("<QII", sector & (1 << 64) - 1, n & 0xffffffff, flags)


class Config:
    def __init__(self, data):
        (self.capacity, self.size_max, self.seg_max) = struct.unpack_from("<QII", data, 0)
        (self.blk_size,) = struct.unpack_from("<I", data, 20)
        (self.num_queues,) = struct.unpack_from("<H", data, 34)
        (self.max_discard_sectors, self.max_discard_seg, self.discard_sector_alignment,
         self.max_write_zeroes_sectors, self.max_write_zeroes_seg,
         self.write_zeroes_may_unmap) = struct.unpack_from("<IIIIIB", data, 36)

    SIZE = 60


def spread(gpa, length, sizes, write):
    """[gpa, gpa + length) as Bufs of the given sizes, the last as long as it takes."""
    bufs = []
    for size in sizes:
        size = min(size, length)
        if size:
            bufs.append(Buf(gpa, size, write))
        gpa, length = gpa + size, length - size
    if length:
        bufs.append(Buf(gpa, length, write))
    return bufs


class Request:
    """A request laid out in guest memory, to be submitted, and afterwards its result."""

    def __init__(self, memory, kind, sector=0, data=b"", in_len=0, sizes=(), head=None):
        self.memory, self.in_len = memory, in_len
        self.header = memory.put(header(kind, sector) if head is None else head)
        self.bufs = [Buf(self.header, 16 if head is None else len(head))]
        if data:
            self.bufs += spread(memory.put(data), len(data), sizes, False)
        if in_len:
            self.data = memory.put(bytes([guest.CANARY]) * in_len)
            self.bufs += spread(self.data, in_len, sizes, True)
        self.status_at = memory.put(bytes([S_UNTOUCHED]), align=1)
        self.bufs.append(Buf(self.status_at, 1, True))

    @property
    def status(self):
        return self.memory.read(self.status_at, 1)[0]

    def result(self):
        return self.memory.read(self.data, self.in_len)


class Disk:
    """Requests one at a time, and rings that begin anew when guest memory is used up."""

    def __init__(self, session):
        self.session = session
        self.memory = session.memory
        self.mark = self.memory.next

    def rewind(self):
        """Forgets all buffers; nothing may be in flight."""
        self.memory.next = self.mark

    def do(self, kind, sector=0, data=b"", in_len=0, sizes=(), queue=0, indirect=False):
        """(status, written length, data read)"""
        request = Request(self.memory, kind, sector, data, in_len, sizes)
        head = self.session.submit(request.bufs, queue, indirect)
        [(done, written)] = self.session.wait(1, queue)
        assert done == head
        result = request.status, written, request.result() if in_len else b""
        self.rewind()
        return result

    def read(self, sector, n, **how):
        status, written, data = self.do(T_IN, sector, in_len=n * SECTOR, **how)
        assert status == S_OK, f"read of {n} at {sector}: status {status}"
        assert written == n * SECTOR + 1
        return data

    def write(self, sector, data, **how):
        status, written, _ = self.do(T_OUT, sector, data, **how)
        assert status == S_OK, f"write at {sector}: status {status}"
        assert written == 1

    def flush(self):
        assert self.do(T_FLUSH)[0] == S_OK


def open_disk(sock, watch=(), features=FEATURES, **how):
    """A started session and its Disk."""
    session = Session(sock, features, watch=watch, **how).start()
    return Disk(session)
