# SPDX-License-Identifier: Apache-2.0
"""The log of the pages that a device has written to, as a front end that migrates, or the software CPU, reads it: whatever a
device has changed of guest RAM has its bit."""

import mmap
import os
import random
import signal

import pytest

from bh import blk, guest, rng, vhost_user as vu
from bh.devices import Blk, Rng

LOW, HIGH = (0, 8 << 20), (1 << 32, 2 << 20)
PROTOCOL = vu.PROTOCOL_KNOWN | vu.PROTOCOL_F_LOG_SHMFD


class Shadowed(guest.Memory):
    """Guest RAM that knows what its driver has written: all else was the device."""

    def __init__(self, *sizes):
        super().__init__(sizes)
        self.shadow = {r.gpa: bytearray(r.size) for r in self.regions}

    def write(self, gpa, data):
        super().write(gpa, data)
        r, at = self._find(gpa, len(data))
        self.shadow[r.gpa][at:at + len(data)] = data

    def store16(self, gpa, value):
        self.write(gpa, (value & 0xffff).to_bytes(2, "little"))

    def changed(self):
        """The numbers of the pages that the device has written other bytes to."""
        return {(r.gpa + at) // guest.PAGE for r in self.regions for at in range(0, r.size, guest.PAGE)
                if r.map[at:at + guest.PAGE] != self.shadow[r.gpa][at:at + guest.PAGE]}

    def accept(self):
        """What it has written until now is known."""
        for r in self.regions:
            self.shadow[r.gpa][:] = r.map[:]

    def end(self):
        return max(r.gpa + r.size for r in self.regions)


class Log:
    def __init__(self, memory, more=0):
        self.len = -(-memory.end() // (guest.PAGE * 8)) + more
        self.fd = guest.sealed_memfd(-(-self.len // guest.PAGE) * guest.PAGE, name="dirty-log")
        self.map = mmap.mmap(self.fd, 0)

    def clear(self):
        self.map[:] = bytes(len(self.map))

    def pages(self):
        return {8 * at + bit for at, byte in enumerate(bytes(self.map)) if byte for bit in range(8) if byte >> bit & 1}

    def close(self):
        self.map.close()
        os.close(self.fd)


@pytest.fixture
def logged(start):
    """logged(Kind, sizes...) -> device, session, memory, log: the device logs from the start."""
    made = []

    def one(kind, *sizes, **options):
        memory = Shadowed(*sizes)
        made.append(memory)
        log = Log(memory)
        made.append(log)
        device = start(kind, **options)
        session = device.open(memory=memory, protocol=PROTOCOL)
        assert session.front.set_log(log.fd, log.len)
        session.front.tell(vu.SET_FEATURES, vu.u64(session.front.features | vu.F_LOG_ALL))
        return device, session, memory, log

    yield one
    for m in made:
        m.close()


@pytest.mark.parametrize("sizes", [(LOW, HIGH), (HIGH, LOW)], ids=["below 4 GiB", "from 4 GiB on"])
def test_what_each_device_writes(logged, kind, sizes):
    device, session, memory, log = logged(kind, *sizes)
    device.probe(session)
    assert memory.changed(), "it has written nothing: this shows nothing"
    assert not memory.changed() - log.pages(), "changed, but not in the log"
    first, last = memory.regions[0].gpa // guest.PAGE, memory.high // guest.PAGE
    assert all(first <= page <= last for page in log.pages()), "in the log, but never used"


def test_disk_of_every_size_at_every_place(logged):
    """What the kernel writes for a device, through pieces of a chain."""
    _, session, memory, log = logged(Blk, LOW, HIGH)
    r = random.Random(7)
    data = r.randbytes(64 << 10)
    disk = blk.Disk(session)
    disk.write(0, data)
    for n in (1, 2, 7, 8, 9, 63, 128):
        for _ in range(4):
            memory.accept()
            log.clear()
            memory.next += r.randrange(4096)
            sizes = [r.randrange(1, n * 512) for _ in range(r.randrange(4))] if n > 1 else []
            assert disk.read(0, n, sizes=sizes) == data[:n * 512]
            assert memory.changed() and not memory.changed() - log.pages()


def test_log_that_moves(logged):
    """Marks go where the log is now."""
    _, session, memory, log = logged(Rng, LOW)
    rng.get(session, 64)
    assert log.pages()
    other = Log(memory)
    log.clear()
    assert session.front.set_log(other.fd, other.len)
    rng.get(session, 64)
    assert not log.pages()
    assert not memory.changed() - other.pages()
    session.front.tell(vu.SET_FEATURES, vu.u64(session.front.features))
    other.clear()
    rng.get(session, 64)
    assert not other.pages(), "nobody asks any more"
    other.close()


def refused(device):
    device.process.wait_end()
    assert "dirty log" in device.process.describe()


def test_log_that_is_too_short(logged):
    device, session, _, log = logged(Rng, LOW, HIGH)
    session.front.set_log(log.fd, log.len - 1)
    refused(device)


def test_memory_that_the_log_does_not_cover(logged):
    """A region that comes while the device logs (CONFIGURE_MEM_SLOTS)."""
    device, session, memory, _ = logged(Rng, LOW)
    more = guest.sealed_memfd(1 << 20)
    assert not session.front.try_tell(vu.ADD_MEM_REG, vu.mem_reg(memory.end() + (1 << 30), 1 << 20, 1 << 45, 0), [more])
    os.close(more)
    refused(device)


def test_a_device_that_is_killed(logged, start):
    """Its successor logs in the same place, and what the first one marked stays."""
    device, session, memory, log = logged(Rng, LOW)
    rng.get(session, 4096)
    before = log.pages()
    os.kill(device.process.pid, signal.SIGKILL)
    device.process.wait_end()
    session.own_memory = False
    device.close()
    assert log.pages() == before
    memory.next += 1 << 20
    after = start(Rng)
    session = after.open(memory=memory, protocol=PROTOCOL)
    assert session.front.set_log(log.fd, log.len)
    session.front.tell(vu.SET_FEATURES, vu.u64(session.front.features | vu.F_LOG_ALL))
    rng.get(session, 4096)
    assert before < log.pages()
    assert not memory.changed() - log.pages()
