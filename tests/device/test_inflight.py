# SPDX-License-Identifier: Apache-2.0
"""Requests in flight outlive the process that served them (INFLIGHT_SHMFD): the next one on the same rings
finishes each of them once, whatever the memory says that they are noted in."""

import mmap
import os
import random
import signal
import socket
import struct

import pytest

from bh import blk, guest, vhost_user as vu
from bh.devices import Blk, Rng
from bh.process import CTL_DENIED
from bh.session import Session

NUM = 64
PROTOCOL = vu.PROTOCOL_KNOWN | vu.PROTOCOL_F_INFLIGHT_SHMFD
DATA = bytes(range(256)) * 16
RING = (16 + 16 * NUM + 63) // 64 * 64  # bytes of one ring's part


def said(size=RING, n_queues=1, queue_size=NUM, offset=0):
    return vu.inflight(size, n_queues, queue_size, offset)


class Kept(Session):
    """A driver that goes on with its rings when the process behind them is another."""

    def __init__(self, device, shm=None, before=None):
        super().__init__(device.sock, device.features, device.n_queues, watch=[device.process.pidfd], num=NUM,
                         memory=before and before.memory, protocol=PROTOCOL, main=device.queue)
        self.own_memory = before is None
        self.shm, self.before = shm, before
        self.device = device
        device.session = self

    def start_queues(self):
        if self.shm is None:
            self.shm, size = self.front.get_inflight(self.n_queues, NUM)
            assert size == RING * self.n_queues
        self.front.tell(vu.SET_INFLIGHT_FD, said(RING * self.n_queues, self.n_queues), [self.shm])
        if not self.before:
            super().start_queues()
            return
        self.queues, self.before.rings = self.before.rings, []
        for i, q in enumerate(self.queues):
            self.front.start_queue(q, i)
        self.front.set_status(15)

    def die(self, release=lambda: None):
        """The process is killed; release lets the kernel finish what it waits for on its behalf."""
        os.kill(self.device.process.pid, signal.SIGKILL)
        release()
        self.device.process.wait_end()
        assert not self.device.process.said(CTL_DENIED)
        self.rings, self.queues = self.queues, []
        self.device.close()


@pytest.fixture
def kept(start):
    """kept(Kind, options) -> a driver at its first process; its memory stays until the test ends."""
    made = []

    def one(kind, **options):
        made.append(Kept(start(kind, **options)))
        made[-1].own_memory = False
        return made[-1].start()

    yield one
    for k in made:
        k.memory.close()
        os.close(k.shm)


def requests_of(k, n, sector=0):
    made = [blk.Request(k.memory, blk.T_OUT, sector + 8 * i, DATA) for i in range(n)]
    return {k.submit(r.bufs): r for r in made}


def assert_each_once(k, requests):
    heads = [head for head, _ in k.wait(len(requests))]
    assert sorted(heads) == sorted(requests)
    assert all(r.status == blk.S_OK for r in requests.values())
    blk.Disk(k).flush()  # nothing comes behind them
    assert not k.queue().pending()


@pytest.mark.parametrize("n", [1, 4])
def test_killed_while_the_host_writes(slow, kept, start, n):
    """What the host had begun, what waited behind it, and what comes later."""
    k = kept(Blk, image=slow.place)
    slow.hold = True
    requests = requests_of(k, n)
    slow.wait_held(1)
    k.die(slow.release)
    assert not k.rings[0].pending()
    later = blk.Request(k.memory, blk.T_IN, 0, in_len=len(DATA))
    last = k.rings[0].add(later.bufs)
    device = start(Blk, image=slow.place)
    k = Kept(device, k.shm, k).start()
    heads = [head for head, _ in k.wait(n + 1)]
    assert sorted(heads) == sorted([*requests, last])
    assert later.status == blk.S_OK and later.result() == DATA
    assert all(r.status == blk.S_OK for r in requests.values())
    assert not k.queue().pending()
    for i in range(n):
        assert slow.content[4096 * i:4096 * i + len(DATA)] == DATA
    slow.unmount()


def test_killed_at_any_time(kept, start, tmp_path):
    """Some requests done, some not; the queue goes round more than once."""
    image = tmp_path / "image"
    image.write_bytes(bytes(1 << 20))
    k = kept(Blk, image=image)
    mark = k.memory.next
    for i in range(12):
        k.memory.next = mark
        requests = requests_of(k, 16, 8 * i)
        for _ in range(i % 4 * 3):  # it comes to more or less of them
            k.front.get_status()
        k.die()
        k = Kept(start(Blk, image=image), k.shm, k).start()
        assert_each_once(k, requests)
    k.queue().free.sort()
    assert k.queue().free == list(range(NUM))
    assert image.read_bytes()[:len(DATA) * 27] == DATA * 27


def test_a_kind_without_slots(kept, start):
    k = kept(Rng)
    for _ in range(6):
        bufs = [guest.Buf(k.memory.put(bytes(64)), 64, True) for _ in range(8)]
        heads = {k.submit([b]): b for b in bufs}
        k.die()
        k = Kept(start(Rng), k.shm, k).start()
        assert sorted(h for h, _ in k.wait(8)) == sorted(heads)
        assert len({k.memory.read(b.gpa, 64) for b in bufs}) == 8
        assert not k.queue().pending()


# ---- memory that no honest process left ----


def header(version=1, n_desc=NUM, last=0, used=0, features=0):
    return struct.pack("<QHHHH", features, version, n_desc, last, used)


def desc(flag=0, next_=0, counter=0):
    return struct.pack("<B5xHQ", flag, next_, counter)


def damaged():
    """Names and contents."""
    rows = {
        "all ones": b"\xff" * RING,
        "another version": header(version=2),
        "features": header(features=1),
        "another count": header(n_desc=0xffff),
        "a batch out of the ring": header(last=NUM, used=0xffff),
        "a batch far out of it": header(last=0xffff, used=0xffff),
        "a batch that goes out of it": header(used=0x8000) + desc(1, 0xffff) * NUM,
        "a batch in a circle": header(used=0x8000) + desc(1, 0) * NUM,
        "all in flight": header() + desc(1) * NUM,
        "all in flight, the last first": header() + b"".join(desc(255, i, NUM - i) for i in range(NUM)),
        "the same counter": header() + desc(1, 0, 2**64 - 1) * NUM,
        "one that was never made available": header() + desc() * 40 + desc(1),
        "four that were never made available": header() + desc() * 40 + desc(1) * 4,
        "the others": header() + desc() * 12 + desc(1) * 4,
    }
    r = random.Random(7)
    for i in range(8):
        rows[f"random {i}"] = header() + r.randbytes(16 * NUM)
    for i in range(4):
        used, last = r.randrange(8), r.randrange(NUM)
        body = b"".join(desc(r.random() < 0.05, r.randrange(NUM), r.getrandbits(64)) for _ in range(NUM))
        rows[f"likely {i}"] = header(used=used, last=last) + body
    return rows


def sealed(content, size=RING):
    fd = guest.sealed_memfd(size)
    os.pwrite(fd, content, 0)
    return fd


def serves(k, start_it):
    """Whether it serves; or it says in one line why it does not."""
    try:
        start_it()
        k.front.get_status()
        k.front.get_status()
    except vu.Closed:
        k.device.process.assert_clean_end(1)
        return False
    k.device.assert_bounded()
    return True


@pytest.mark.parametrize("what", damaged())
def test_damaged_memory(start, what):
    """Four requests are there, of which a predecessor may have said anything."""
    k = Kept(start(Blk))
    q = guest.Queue(k.memory, NUM, True)
    before = Session.__new__(Session)
    before.memory, before.rings = k.memory, [q]
    k.before, k.shm = before, sealed(damaged()[what])
    for i in range(4):
        q.add(blk.Request(k.memory, blk.T_OUT, 8 * i, DATA).bufs)
    try:
        if serves(k, k.start):
            q.take_used()  # holds that what it completes was offered to it, and nothing twice
    finally:
        os.close(k.shm)


def sizes():
    """Names, and what is said of 4 KiB of memory."""
    return {
        "no queue": said(n_queues=0), "two queues": said(2 * RING, n_queues=2),
        "65535 queues": said(4096, n_queues=0xffff), "no ring": said(queue_size=0),
        "a larger ring": said(2**32, queue_size=0xffff), "no bytes": said(0),
        "a byte too few": said(RING - 1), "more than there is": said(4097),
        "all there could be": said(2**64 - 1), "behind its end": said(offset=4096),
        "over its end": said(offset=4096 - 64), "a wrapping offset": said(offset=2**64 - 4096),
        "an odd offset": said(offset=1), "a ring too small for the queue": said(queue_size=NUM // 2),
    }


@pytest.mark.parametrize("what", sizes())
def test_another_size(start, what):
    k = Kept(start(Blk))
    k.front.negotiate(k.want, PROTOCOL)
    fd = sealed(b"", 4096)

    def start_it():
        k.front.send(vu.SET_INFLIGHT_FD, sizes()[what], [fd])
        k.front.set_mem_table(k.memory)
        super(Kept, k).start_queues()

    assert not serves(k, start_it)
    os.close(fd)


def test_memory_behind_other_memory(start):
    k = Kept(start(Blk))
    k.front.negotiate(k.want, PROTOCOL)
    fd = sealed(b"", 8192)
    k.front.tell(vu.SET_INFLIGHT_FD, said(offset=4096), [fd])
    k.front.set_mem_table(k.memory)
    super(Kept, k).start_queues()
    blk.Disk(k).write(0, DATA)
    assert os.pread(fd, 4096, 0) == bytes(4096) and struct.unpack("<H", os.pread(fd, 2, 4104)) == (1,)
    os.close(fd)


@pytest.mark.parametrize("what", ["unsealed", "an eventfd", "a socket", "none", "two"])
def test_what_is_no_sealed_memory(start, what):
    k = Kept(start(Blk))
    k.front.negotiate(k.want, PROTOCOL)
    pair = socket.socketpair()
    unsealed = os.memfd_create("unsealed", os.MFD_CLOEXEC)
    os.truncate(unsealed, 4096)
    event, good = os.eventfd(0, os.EFD_CLOEXEC), sealed(b"")
    fds = {"unsealed": [unsealed], "an eventfd": [event], "a socket": [pair[0].fileno()], "none": [],
           "two": [good, good]}[what]
    assert not serves(k, lambda: k.front.send(vu.SET_INFLIGHT_FD, said(), fds))
    for fd in (unsealed, event, good):
        os.close(fd)
    for s in pair:
        s.close()


def test_memory_that_changes_while_it_serves(kept, start):
    """A front end that writes there changes nothing but what a successor makes of it."""
    k = kept(Blk)
    r = random.Random(11)
    disk = blk.Disk(k)
    with mmap.mmap(k.shm, RING) as shm:
        for i in range(300):
            at = r.randrange(RING - 16)
            shm[at:at + 16] = r.randbytes(16)
            disk.write(8 * (i % 16), DATA)
        assert disk.read(0, 8) == DATA
    k.device.assert_bounded()
    k.die()
    after = Kept(start(Blk), k.shm, k)
    serves(after, after.start)
