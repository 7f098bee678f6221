# SPDX-License-Identifier: Apache-2.0
"""A server that is killed loses what it had acknowledged and not flushed; whoever wrote that to storage-nbd or storage-iscsi
finds it there: before the next flush, and after it."""

import os
import random
import struct

import pytest

from bh import process, tgt, wait
from bh.lossy import FLUSH, FUA, READ, TRIM, WRITE, ZEROES, Lossy
from test_storage import REQUEST, REQUEST_MAGIC, answer, shake
from test_storage_iscsi import begin as begin_iscsi, file_of, target  # noqa: F401
from test_storage_nbd import answer_of, begin  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

SIZE = 8 << 20
EIO, ENOSPC = 5, 28
JOURNAL = 16 << 20  # lib/storagekit/journal.h
MEMORY = 64 << 20  # of all that it has


@pytest.fixture
def lossy():
    server = Lossy(SIZE)
    yield server
    server.kill()


class Disk:
    """The guest's side of it: what it wrote, and what it was told."""

    def __init__(self, p, sock):
        self.p, self.sock, self.model = p, sock, bytearray(SIZE)
        p.wait_ready()
        assert shake(sock) == SIZE

    def ask(self, command, offset=0, length=0, data=b"", flags=0):
        self.sock.sendall(struct.pack(REQUEST, REQUEST_MAGIC, flags, command, 7, offset, length) + data)

    def does(self, command, offset=0, length=0, data=b"", flags=0):
        self.ask(command, offset, length, data, flags)
        assert answer(self.sock) == (7, 0, b"")
        if command in (WRITE, ZEROES):
            self.model[offset:offset + length] = data or bytes(length)

    def write(self, offset, length, flags=0):
        self.does(WRITE, offset, length, os.urandom(length), flags)

    def read(self, offset=0, length=1 << 20):
        self.ask(READ, offset, length)
        return answer(self.sock, length)

    def assert_is_there(self):
        for offset in range(0, SIZE, 1 << 20):
            assert self.read(offset) == (7, 0, bytes(self.model[offset:offset + (1 << 20)]))


CHANGES = 107  # of the next function


def changes(disk):
    """All kinds of them, one over the other."""
    disk.write(0, 64 << 10)
    disk.write(4096, 8192)
    disk.does(ZEROES, 8192, 1024)
    disk.write(8192, 512, FUA)
    disk.write(512, 1024)
    disk.write(SIZE - 4096, 4096)
    for n in range(100):
        disk.write((1 << 20) + n * 1536, 2048)
    disk.does(TRIM, 3 << 20, 4096)


def test_what_was_lost_is_there(lossy, begin):
    """Read back at once; on stable storage after a flush; and then nothing of it is written again."""
    disk = Disk(*begin(lossy, lossy.address()))
    for _ in range(2):
        changes(disk)
        lossy.kill()
        assert bytes(lossy.stable) != bytes(disk.model)
        lossy.start()
        disk.assert_is_there()
        first = lossy.done[:lossy.done.index(READ)]
        assert first[:3] == [WRITE, WRITE, ZEROES] and len(first) == CHANGES
        disk.does(FLUSH)
        assert lossy.stable == disk.model
    lossy.kill()
    lossy.start()
    disk.assert_is_there()
    assert set(lossy.done) == {READ}


def test_a_flush_is_the_first_that_hears_of_it(lossy, begin):
    disk = Disk(*begin(lossy, lossy.address()))
    changes(disk)
    lossy.kill()
    lossy.start()
    disk.does(FLUSH)
    assert lossy.stable == disk.model


def test_it_dies_while_it_is_given_back(lossy, begin):
    disk = Disk(*begin(lossy, lossy.address()))
    changes(disk)
    for n in (0, 1, 20, 50):
        lossy.kill()
        lossy.changes_left = n
        lossy.start()
        wait.until(lambda: lossy.changes_left < 0, "it dies")
    lossy.kill()
    lossy.changes_left = None
    lossy.start()
    disk.does(FLUSH)
    assert lossy.stable == disk.model


def test_random_changes_and_deaths(lossy, begin):
    disk, chance = Disk(*begin(lossy, lossy.address())), random.Random(1)
    for _ in range(400):
        what = chance.randrange(100)
        if what < 2:
            lossy.kill()
            lossy.start()
        elif what < 6:
            disk.does(FLUSH)
            assert lossy.stable == disk.model
        elif what < 10:
            offset = chance.randrange(SIZE // 512 - 8) * 512
            assert disk.read(offset, 4096) == (7, 0, bytes(disk.model[offset:offset + 4096]))
        else:
            offset = chance.randrange(64) * 512
            disk.write(offset, chance.randrange(1, 16) * 512, chance.choice((0, 0, FUA)))
    disk.assert_is_there()


def test_a_server_that_does_not_take_it_again(lossy, begin):
    """Errors, and nothing that is not so; as soon as it takes it all is there."""
    disk = Disk(*begin(lossy, lossy.address(), "--on-error=report", "--away=1"))
    changes(disk)
    lossy.kill()
    lossy.refuses = ENOSPC
    lossy.start()
    for command in (READ, FLUSH, READ):
        disk.ask(command, 0, 512 if command == READ else 0)
        assert answer(disk.sock) == (7, EIO, b"")
    said = [m.text for m in disk.p.said(process.CTL_LOG)]
    at = f"127.0.0.1:{lossy.port}"
    assert f"{at}: No space left on device: what it had acknowledged and lost is not taken again: the disk waits for it" in said
    assert len(said) < 5
    lossy.refuses = 0
    wait.until(lambda: disk.read(0, 512)[1] == 0, "it is there again")
    disk.assert_is_there()
    disk.does(FLUSH)
    assert lossy.stable == disk.model


def test_a_server_that_does_not_take_it_again_is_away(lossy, begin):
    """The VM is to be paused; not before all is there is the server back."""
    disk = Disk(*begin(lossy, lossy.address(), "--on-error=stop", "--away=1"))
    changes(disk)
    lossy.kill()
    lossy.refuses = ENOSPC
    lossy.start()
    wait.until(lambda: disk.p.said(process.CTL_AWAY), "it says that it is away")
    assert [m.text for m in disk.p.said(process.CTL_AWAY)] == [f"127.0.0.1:{lossy.port}: No space left on device"]
    assert not disk.p.said(process.CTL_BACK)
    lossy.refuses = 0
    wait.until(lambda: disk.p.said(process.CTL_BACK), "it says that it is back")
    disk.does(FLUSH)
    assert lossy.stable == disk.model


def test_a_guest_that_never_flushes(lossy, begin):
    """What is kept is bounded: it is flushed for the guest."""
    disk = Disk(*begin(lossy, lossy.address()))
    for n in range(3 * JOURNAL >> 20):
        disk.write(n % 7 << 20, 1 << 20)
    assert FLUSH in lossy.done
    with open(f"/proc/{disk.p.pid}/status", encoding="ascii") as f:
        (kib,) = (int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    assert kib << 10 < MEMORY
    lossy.kill()
    lossy.start()
    disk.assert_is_there()


@pytest.mark.skipif(tgt.MISSING, reason="no tgt: tools/deps check")
@pytest.mark.parametrize("lun, words", ((1, ()), (2, ("--logical_block_size=4096",))))
def test_a_target_that_lost_it(target, begin_iscsi, lun, words):
    """tgt's file is given what it had at the last flush: its host has lost power."""
    disk, file = Disk(*begin_iscsi(target, target.uri(lun=lun), *words)), file_of(target, lun)
    for _ in range(2):
        stable = file.read_bytes()
        disk.write(0, 64 << 10)
        disk.write(4096, 8192)
        disk.does(ZEROES, 8192, 4096)
        for n in range(100):
            disk.write((1 << 20) + (n << 12), 8192)
        target.kill()
        file.write_bytes(stable)
        target.start()
        disk.assert_is_there()
        disk.does(FLUSH)
        assert file.read_bytes() == disk.model
