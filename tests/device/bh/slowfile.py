# SPDX-License-Identifier: Apache-2.0
"""A volume that is as slow as the test wants: one file, served over FUSE by a thread of the test.

While `hold` is set, writes, syncs and holes of the file wait, and while `hold_reads` is, reads; release() lets
them go. Needs root and /dev/fuse.
"""

import ctypes
import errno
import os
import stat
import struct
import threading

import pytest

from . import wait

GETATTR, OPEN, READ, WRITE, RELEASE, FSYNC, FALLOCATE = 3, 14, 15, 16, 18, 20, 43
FLUSH, INIT, FORGET, INTERRUPT, BATCH_FORGET = 25, 26, 2, 36, 42
WITHOUT_REPLY = (FORGET, INTERRUPT, BATCH_FORGET)
FOPEN_DIRECT_IO = 1
PUNCH_HOLE = 3  # and KEEP_SIZE
IN_HEADER, OUT_HEADER = struct.Struct("<IIQQIIIHH"), struct.Struct("<IiQ")
MAX_WRITE = 1 << 20
MNT_DETACH = 2

libc = ctypes.CDLL(None, use_errno=True)


class SlowFile:
    def __init__(self, place, size):
        """place: a path for the mount, which is gone once somebody has opened the file."""
        self.content = bytearray(size)
        self.lock = threading.Condition()
        self.hold = False
        self.hold_reads = False
        self.held = []  # requests that wait
        self.place = str(place)
        open(self.place, "xb").close()
        try:
            self.fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        except OSError as e:
            pytest.skip(f"no FUSE: {e}")
        options = f"fd={self.fuse},rootmode={stat.S_IFREG | 0o666:o},user_id=0,group_id=0,allow_other"
        if libc.mount(b"slow", self.place.encode(), b"fuse", 0, options.encode()) < 0:
            os.close(self.fuse)
            pytest.skip(f"no FUSE: {os.strerror(ctypes.get_errno())}")
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    # ---- the test's side ----

    def wait_held(self, n):
        wait.until(lambda: len(self.held) >= n, f"{n} requests reach the volume")

    def release(self):
        with self.lock:
            self.hold = self.hold_reads = False
            held, self.held = self.held, []
        for request in held:
            self._carry_out(*request)

    def unmount(self):
        """Who has the file open keeps it."""
        libc.umount2(self.place.encode(), MNT_DETACH)

    def close(self):
        self.release()
        self.unmount()
        self.thread.join(wait.HANG_S)
        os.close(self.fuse)

    # ---- the kernel's side ----

    def _serve(self):
        while True:
            try:
                packet = os.read(self.fuse, MAX_WRITE + 4096)
            except OSError as e:
                if e.errno in (errno.EINTR, errno.ENOENT):
                    continue
                return  # unmounted, and nobody has it open: ENODEV
            _, op, unique, *_ = IN_HEADER.unpack_from(packet)
            body = packet[IN_HEADER.size:]
            if op in WITHOUT_REPLY:
                continue
            with self.lock:
                if (self.hold and op in (WRITE, FSYNC, FALLOCATE)) or (self.hold_reads and op == READ):
                    self.held.append((op, unique, body))
                    continue
            self._carry_out(op, unique, body)

    def _answer(self, unique, data=b"", error=0):
        try:
            os.write(self.fuse, OUT_HEADER.pack(OUT_HEADER.size + len(data), -error, unique) + data)
        except OSError:
            pass  # its asker is gone

    def _carry_out(self, op, unique, body):
        if op == INIT:
            data = struct.pack("<IIIIHHIIHHIIIIIIII", 7, 31, 0, 0, 64, 48, MAX_WRITE, 1, 0, 0,
                               *[0] * 8)
        elif op == GETATTR:
            size = len(self.content)
            attr = struct.pack("<QQQQQQIIIIIIIIII", 1, size, size // 512, 0, 0, 0, 0, 0, 0,
                               stat.S_IFREG | 0o666, 1, 0, 0, 0, 4096, 0)
            data = struct.pack("<QII", 3600, 0, 0) + attr
        elif op == OPEN:
            data = struct.pack("<QII", 1, FOPEN_DIRECT_IO, 0)
        elif op == READ:
            _, offset, size = struct.unpack_from("<QQI", body)
            data = bytes(self.content[offset:offset + size])
        elif op == WRITE:
            _, offset, size = struct.unpack_from("<QQI", body)
            self.content[offset:offset + size] = body[40:40 + size]
            data = struct.pack("<II", size, 0)
        elif op == FALLOCATE:
            _, offset, size, mode = struct.unpack_from("<QQQI", body)
            assert mode == PUNCH_HOLE
            end = min(offset + size, len(self.content))
            if offset < end:
                self.content[offset:end] = bytes(end - offset)
            data = b""
        elif op in (FSYNC, FLUSH, RELEASE):
            data = b""
        else:
            self._answer(unique, error=errno.ENOSYS)
            return
        self._answer(unique, data)
