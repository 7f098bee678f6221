# SPDX-License-Identifier: Apache-2.0
"""Guest RAM and the driver's side of a split virtqueue (Virtual I/O Device 1.2, section 2.7)."""

import fcntl
import mmap
import os
import struct
import threading

from . import wait

DESC_NEXT = 1
DESC_WRITE = 2
DESC_INDIRECT = 4

AVAIL_NO_INTERRUPT = 1
USED_NO_NOTIFY = 1

F_INDIRECT_DESC = 1 << 28
F_EVENT_IDX = 1 << 29
F_VERSION_1 = 1 << 32

PAGE = 4096
CANARY = 0xa5

_fence = threading.Lock()


def full_barrier():
    """Store, then load: taking a lock is a locked instruction, and x86 reorders nothing else."""
    _fence.acquire()
    _fence.release()


def sealed_memfd(size, seals=fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL,
                 name="ram"):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Region:
    def __init__(self, gpa, size, uaddr, fd, offset):
        self.gpa, self.size, self.uaddr, self.fd, self.offset = gpa, size, uaddr, fd, offset
        self.map = mmap.mmap(fd, size, offset=offset)
        self.words = memoryview(self.map).cast("H")

    def wire(self):
        return self.gpa, self.size, self.uaddr, self.offset


class Memory:
    """Guest RAM: one memfd, by default as two regions with a hole between, as a vmm splits it."""

    def __init__(self, sizes=((0, 8 << 20), (1 << 32, 2 << 20)), fill=None):
        self.fd = sealed_memfd(sum(size for _, size in sizes))
        self.regions = []
        offset = 0
        for gpa, size in sizes:
            uaddr = 0x7f0000000000 + 0x100000000 * len(self.regions)
            self.regions.append(Region(gpa, size, uaddr, self.fd, offset))
            offset += size
        if fill is not None:
            for r in self.regions:
                r.map[:] = bytes([fill]) * r.size
        self.next = self.high = self.regions[0].gpa + PAGE

    def close(self):
        for r in self.regions:
            r.words.release()
            r.map.close()
        os.close(self.fd)

    def _find(self, gpa, length):
        for r in self.regions:
            if r.gpa <= gpa and gpa + length <= r.gpa + r.size:
                return r, gpa - r.gpa
        raise IndexError(f"{gpa:#x}+{length:#x} is not RAM")

    def read(self, gpa, length):
        r, at = self._find(gpa, length)
        return r.map[at:at + length]

    def write(self, gpa, data):
        r, at = self._find(gpa, len(data))
        r.map[at:at + len(data)] = data

    # One 16-bit access, never two of 8: the device looks at the same time.
    def load16(self, gpa):
        r, at = self._find(gpa, 2)
        return r.words[at // 2]

    def store16(self, gpa, value):
        r, at = self._find(gpa, 2)
        r.words[at // 2] = value & 0xffff

    def uaddr(self, gpa):
        r, at = self._find(gpa, 1)
        return r.uaddr + at

    def alloc(self, size, align=16):
        """Space of the first region; setting next back frees it, high tells what was ever used."""
        gpa = -(-self.next // align) * align
        self._find(gpa, size)
        self.next = gpa + size
        self.high = max(self.high, self.next)
        return gpa

    def put(self, data, align=16):
        gpa = self.alloc(len(data), align)
        self.write(gpa, data)
        return gpa


class Buf:
    """A piece of a chain: guest memory that the device reads or, if write, writes."""

    def __init__(self, gpa, length, write=False):
        self.gpa, self.length, self.write = gpa, length, write


class Queue:
    """One split virtqueue; chains in order or raw descriptors, whichever the test needs."""

    def __init__(self, memory, num=64, event_idx=False):
        self.memory, self.num, self.event_idx = memory, num, event_idx
        self.desc = memory.alloc(16 * num, 16)
        self.avail = memory.alloc(6 + 2 * num, 2)
        self.used = memory.alloc(6 + 8 * num, 4)
        self.kick_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.call_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.err_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.clear()

    def clear(self):
        """As after a reset: empty rings, all descriptors free."""
        self.memory.write(self.desc, bytes(16 * self.num))
        self.memory.write(self.avail, bytes(6 + 2 * self.num))
        self.memory.write(self.used, bytes(6 + 8 * self.num))
        self.free = list(range(self.num))
        self.chains = {}     # head -> its descriptors in the table
        self.avail_idx = 0   # what the driver has published
        self.kicked_idx = 0  # up to where the device was told
        self.used_idx = 0    # up to where completions were taken

    def close(self):
        """Harmless when closed already."""
        for fd in (self.kick_fd, self.call_fd, self.err_fd):
            if fd >= 0:
                os.close(fd)
        self.kick_fd = self.call_fd = self.err_fd = -1

    def uaddrs(self):
        """In the order of SET_VRING_ADDR: descriptors, used, available."""
        return [self.memory.uaddr(a) for a in (self.desc, self.used, self.avail)]

    # ---- raw ----

    @staticmethod
    def pack(gpa, length, flags=0, next_=0):
        return struct.pack("<QIHH", gpa & (1 << 64) - 1, length & 0xffffffff, flags, next_)

    def write_desc(self, index, gpa, length, flags=0, next_=0, table=None):
        table = self.desc if table is None else table
        self.memory.write(table + 16 * index, self.pack(gpa, length, flags, next_))

    def write_chain(self, bufs, indices, table=None):
        """Lays bufs over the descriptors indices, linked."""
        for k, buf in enumerate(bufs):
            last = k == len(bufs) - 1
            flags = (DESC_WRITE if buf.write else 0) | (0 if last else DESC_NEXT)
            self.write_desc(indices[k], buf.gpa, buf.length, flags,
                            0 if last else indices[k + 1], table)

    def put_avail(self, head):
        """Writes the next entry of the available ring without publishing it."""
        self.memory.store16(self.avail + 4 + 2 * (self.avail_idx % self.num), head)
        self.avail_idx = self.avail_idx + 1 & 0xffff

    def publish(self, idx=None):
        if idx is not None:
            self.avail_idx = idx & 0xffff
        full_barrier()
        self.memory.store16(self.avail + 2, self.avail_idx)
        full_barrier()

    def kick(self):
        os.eventfd_write(self.kick_fd, 1)
        self.kicked_idx = self.avail_idx

    # ---- as a good driver ----

    def add(self, bufs, indirect=False):
        """Publishes a chain without a kick; returns its head. Blocks nobody: IndexError if full."""
        if indirect:
            indices = [self.free.pop(0)]
            table = self.memory.alloc(16 * len(bufs), 16)
            self.write_chain(bufs, range(len(bufs)), table)
            self.write_desc(indices[0], table, 16 * len(bufs), DESC_INDIRECT)
        else:
            if len(bufs) > len(self.free):
                raise IndexError("the queue is full")
            indices = [self.free.pop(0) for _ in bufs]
            self.write_chain(bufs, indices)
        self.chains[indices[0]] = indices
        self.put_avail(indices[0])
        self.publish()
        return indices[0]

    def device_wants_kick(self):
        if self.event_idx:
            event = self.memory.load16(self.used + 4 + 8 * self.num)
            return (self.avail_idx - event - 1 & 0xffff) < (self.avail_idx - self.kicked_idx
                                                            & 0xffff)
        return not self.memory.load16(self.used) & USED_NO_NOTIFY

    def notify(self):
        """Kicks if the device asked for it (2.7.10)."""
        full_barrier()
        if self.device_wants_kick():
            self.kick()
        else:
            self.kicked_idx = self.avail_idx

    def take_used(self):
        """The completions that are there, as (head, written length)."""
        done = []
        while self.used_idx != self.memory.load16(self.used + 2):
            at = self.used + 4 + 8 * (self.used_idx % self.num)
            head, length = struct.unpack("<II", self.memory.read(at, 8))
            assert head in self.chains, f"completed head {head}, which was not in flight"
            self.free += self.chains.pop(head)
            self.used_idx = self.used_idx + 1 & 0xffff
            done.append((head, length))
        return done

    def set_used_event(self, idx):
        self.memory.store16(self.avail + 4 + 2 * self.num, idx)
        full_barrier()

    def wait_used(self, n=1, also=()):
        """Waits for n completions at least. also: descriptors whose end ends the wait
        (the connection, the process), for a failure that says what happened."""
        done = []
        while True:
            if self.event_idx:
                self.set_used_event(self.used_idx)
            new = self.take_used()
            done += new
            if len(done) >= n:
                return done
            if new:
                continue  # the event index has to follow before there is an interrupt to wait for
            ready = wait.for_fds([self.call_fd, *also], f"{len(done)} of {n} completions")
            if self.call_fd in ready:
                os.eventfd_read(self.call_fd)
            elif not self.pending():
                raise wait.Hang("the device is gone before it completed what it was given")

    def pending(self):
        return self.used_idx != self.memory.load16(self.used + 2)
