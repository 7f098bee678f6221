# SPDX-License-Identifier: Apache-2.0
"""dev-blk's io_uring in the hands of its taker: entries of its own choice, written into the mapped ring."""

import ctypes
import struct

from taken import libc

SETUP, ENTER, REGISTER = 425, 426, 427
OFF_SQES = 0x10000000
FIXED_FILE = 1
GETEVENTS = 1
SQE_LEN, CQE_LEN = 64, 16
EACCES, EBADF = 13, 9

NOP, READV, WRITEV, FSYNC, TIMEOUT = 0, 1, 2, 3, 11
FALLOCATE, OPENAT, CLOSE, STATX, READ, WRITE = 17, 18, 19, 21, 22, 23
N_OPS = 80  # more than the kernels of today have
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 0x10


def offsets(entries):
    """(of the submission queue, of the completion queue) in the ring's memory, as the kernel says them."""
    params = ctypes.create_string_buffer(120)
    fd = libc.syscall(SETUP, entries, params)
    assert fd >= 0
    libc.close(fd)
    sq = dict(zip(("head", "tail", "mask", "entries", "flags", "dropped", "array"),
                  struct.unpack_from("<7I", params, 40)))
    cq = dict(zip(("head", "tail", "mask", "entries", "overflow", "cqes"),
                  struct.unpack_from("<6I", params, 80)))
    return sq, cq


def sqe(op, fd=0, flags=FIXED_FILE, offset=0, address=0, length=0, op_flags=0, tag=0):
    return struct.pack("<BBHiQQIIQ24x", op, flags, 0, fd, offset, address, length, op_flags, tag)


class Ring:
    """The ring of a taken thread's process."""

    def __init__(self, thread):
        self.thread = thread
        at = {}
        with open(f"/proc/{thread.pid}/maps", encoding="utf-8") as f:
            for line in f:
                if "[io_uring]" in line:
                    words = line.split()
                    at[int(words[2], 16)] = int(words[0].split("-")[0], 16)
        self.rings, self.sqes = at[0], at[OFF_SQES]
        self.fd = thread.find("anon_inode:[io_uring]")
        self.sq, self.cq = offsets(256)
        assert self._get(self.sq["entries"]) == 256

    def _get(self, at):
        return struct.unpack("<I", self.thread.read(self.rings + at, 4))[0]

    def _set(self, at, value):
        self.thread.write(self.rings + at, struct.pack("<I", value))

    def _completions(self):
        head, tail, mask = (self._get(self.cq[k]) for k in ("head", "tail", "mask"))
        found = []
        while head != tail:
            at = self.rings + self.cq["cqes"] + (head & mask) * CQE_LEN
            found.append(struct.unpack("<Qi", self.thread.read(at, 12)))
            head = (head + 1) & 0xffffffff
        self._set(self.cq["head"], head)
        return found

    def submit(self, entry):
        """(what io_uring_enter says, the result of the entry or None)."""
        tail, mask = self._get(self.sq["tail"]), self._get(self.sq["mask"])
        self.thread.write(self.sqes + (tail & mask) * SQE_LEN, entry)
        self._set(self.sq["array"] + 4 * (tail & mask), tail & mask)
        self._set(self.sq["tail"], (tail + 1) & 0xffffffff)
        entered = self.thread.call(ENTER, self.fd, 1, 1, GETEVENTS, 0, 0)
        results = self._completions()
        return entered, results[-1][1] if results else None
