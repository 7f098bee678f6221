# SPDX-License-Identifier: Apache-2.0
"""virtio-scsi, the driver (Virtual I/O Device 1.2, section 5.6), and the commands that it sends."""

import struct

from . import guest
from .blk import spread
from .guest import Buf

CONTROLQ, EVENTQ, REQUESTQ = 0, 1, 2
CDB_SIZE, SENSE_SIZE = 32, 96
RESPONSE = 12

OK, OVERRUN, ABORTED, BAD_TARGET, RESET, BUSY, FAILURE = 0, 1, 2, 3, 4, 5, 9
SUCCEEDED, REJECTED, INCORRECT_LUN = 10, 11, 12
UNTOUCHED = 0xa5

GOOD, CHECK_CONDITION = 0, 2

# sense key, additional code and qualifier
NO_MEDIUM, READ_ERROR = (2, 0x3a, 2), (3, 0x11, 0)
INVALID_OPCODE, OUT_OF_RANGE, INVALID_FIELD = (5, 0x20, 0), (5, 0x21, 0), (5, 0x24, 0)
NO_SUCH_LUN, PREVENTED = (5, 0x25, 0), (5, 0x53, 2)
INVALID_PARAMETER, NOT_SAVED = (5, 0x26, 0), (5, 0x39, 0)
PARAMETER_LENGTH = (5, 0x1a, 0)
MEDIUM_CHANGED, WAS_RESET, CAPACITY_CHANGED = (6, 0x28, 0), (6, 0x29, 3), (6, 0x2a, 9)
WRITE_PROTECTED = (7, 0x27, 0)

ABORT_TASK, ABORT_TASK_SET, CLEAR_ACA, CLEAR_TASK_SET, NEXUS_RESET, LUN_RESET, QUERY_TASK, QUERY_TASK_SET = range(8)


def lun(number=0, target=0):
    return struct.pack(">BBH4x", 1, target, 0x4000 | number)


def head(cdb, where=None, tag=0, cdb_size=CDB_SIZE):
    return struct.pack("<8sQBBB", lun() if where is None else where, tag, 0, 0, 0) + cdb.ljust(cdb_size, b"\0")


def read_10(block, n):
    return struct.pack(">BBIBHB", 0x28, 0, block & 0xffffffff, 0, n, 0)


def read_12(block, n):
    return struct.pack(">BBIIBB", 0xa8, 0, block & 0xffffffff, n, 0, 0)


def read_16(block, n):
    return struct.pack(">BBQIBB", 0x88, 0, block, n, 0, 0)


def read_6(block, n):
    return struct.pack(">BBHBB", 0x08, block >> 16 & 0x1f, block & 0xffff, n, 0)


def write_10(block, n, fua=False):
    return struct.pack(">BBIBHB", 0x2a, 8 * fua, block & 0xffffffff, 0, n, 0)


def write_12(block, n):
    return struct.pack(">BBIIBB", 0xaa, 0, block & 0xffffffff, n, 0, 0)


def write_16(block, n):
    return struct.pack(">BBQIBB", 0x8a, 0, block, n, 0, 0)


def write_6(block, n):
    return struct.pack(">BBHBB", 0x0a, block >> 16 & 0x1f, block & 0xffff, n, 0)


def verify_10(block, n):
    return struct.pack(">BBIBHB", 0x2f, 0, block & 0xffffffff, 0, n, 0)


def write_same_10(block, n, unmap=False):
    return struct.pack(">BBIBHB", 0x41, 8 * unmap, block & 0xffffffff, 0, n, 0)


def write_same_16(block, n, unmap=False, no_data=False):
    return struct.pack(">BBQIBB", 0x93, 8 * unmap | no_data, block, n, 0, 0)


def sync_10():
    return b"\x35" + bytes(9)


def sync_16():
    return b"\x91" + bytes(15)


def unmap(length=24):
    return struct.pack(">BxxxxxxHx", 0x42, length)


def unmap_list(*ranges, data_len=None, blocks_len=None):
    blocks = b"".join(struct.pack(">QI4x", *r) for r in ranges)
    return struct.pack(">HH4x", len(blocks) + 6 if data_len is None else data_len,
                       len(blocks) if blocks_len is None else blocks_len) + blocks


CAPACITY_10, CAPACITY_16 = b"\x25" + bytes(9), b"\x9e\x10" + bytes(11) + b"\x20\0\0"


def inquiry(page=None, room=255):
    return struct.pack(">BBBHB", 0x12, page is not None, page or 0, room, 0)


class Request:
    """A command laid out in guest memory, and afterwards its result."""

    def __init__(self, memory, cdb, data=b"", room=0, sizes=(), response_sizes=(), sense_size=SENSE_SIZE, **where):
        self.memory, self.room, self.sense_size = memory, room, sense_size
        request = head(cdb, **where)
        self.bufs = [Buf(memory.put(request), len(request))]
        if data:
            self.bufs += spread(memory.put(data), len(data), sizes, False)
        self.response_at = memory.put(bytes([UNTOUCHED]) * (RESPONSE + sense_size))
        self.bufs += spread(self.response_at, RESPONSE + sense_size, response_sizes, True)
        if room:
            self.data_at = memory.put(bytes([guest.CANARY]) * room)
            self.bufs += spread(self.data_at, room, sizes, True)

    def finish(self, written):
        self.written = written
        raw = self.memory.read(self.response_at, RESPONSE + self.sense_size)
        n, self.residual, _, self.status, self.response = struct.unpack_from("<IIHBB", raw)
        sense = raw[RESPONSE:RESPONSE + n] if self.response == OK else b""
        self.sense = (sense[2] & 0xf, sense[12], sense[13]) if len(sense) >= 14 else None
        self.buffer = self.memory.read(self.data_at, self.room) if self.room else b""
        self.data = self.buffer[:max(0, written - RESPONSE - self.sense_size)]
        return self


class Adapter:
    """Commands one at a time; what is written counts from the response on without a gap."""

    def __init__(self, session):
        self.session, self.memory = session, session.memory
        self.mark = self.memory.next

    def do(self, cdb, data=b"", room=0, queue=REQUESTQ, indirect=False, **how):
        self.memory.next = self.mark
        r = Request(self.memory, cdb, data, room, **how)
        at = self.session.submit(r.bufs, queue, indirect)
        [(done, written)] = self.session.wait(1, queue)
        assert done == at
        return r.finish(written)

    def good(self, cdb, **how):
        r = self.do(cdb, **how)
        assert (r.response, r.status, r.sense) == (OK, GOOD, None), (r.response, r.status, r.sense)
        return r

    def sense_of(self, cdb, **how):
        """Of a command that is refused: nothing is moved."""
        r = self.do(cdb, **how)
        assert (r.response, r.status) == (OK, CHECK_CONDITION), (r.response, r.status)
        assert r.residual == r.room + len(how.get("data", b"")) and not r.data
        return r.sense

    def manage(self, function, where=None, tag=0):
        """What a function of task management is answered."""
        self.memory.next = self.mark
        bufs, at = management(self.memory, function, where, tag)
        self.session.submit(bufs, CONTROLQ)
        [(_, written)] = self.session.wait(1, CONTROLQ)
        assert written == 1
        return self.memory.read(at, 1)[0]


class Disk(Adapter):
    """A disk's blocks, of 512 bytes unless it says otherwise."""

    block = 512

    def read(self, block, n, command=read_16, **how):
        return self.good(command(block, n), room=n * self.block, **how).data

    def write(self, block, data, command=write_16, **how):
        r = self.good(command(block, len(data) // self.block), data=data, **how)
        assert r.residual == 0

    def flush(self):
        self.good(sync_10())


def management(memory, function, where=None, tag=0):
    request = struct.pack("<II8sQ", 0, function, lun() if where is None else where, tag)
    at = memory.put(bytes([UNTOUCHED]), align=1)
    return [Buf(memory.put(request), len(request)), Buf(at, 1, True)], at
