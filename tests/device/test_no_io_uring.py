# SPDX-License-Identifier: Apache-2.0
"""On a host that refuses io_uring a disk is served by a few threads, which is said."""

import errno
import os
import random

import pytest

from bh import blk, process, profile
from bh.devices import Blk

IO_URING_SETUP = 425
SECTORS = Blk.sectors


@pytest.fixture(params=[errno.ENOSYS, errno.EPERM], ids=["ENOSYS", "EPERM"])
def device(start, request, tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(os.urandom(SECTORS * blk.SECTOR))
    found = start(Blk, image=path, queues=2,
                  within=profile.refusing(IO_URING_SETUP, request.param))
    found.path = path
    found.error = errno.errorcode[request.param]
    return found


def test_it_is_said(device):
    (line,) = device.process.said(process.CTL_LOG)
    assert line.text == (f"no io_uring on this host ({device.error}): a disk is served by 4 threads, "
                         "more slowly")


def test_it_is_a_disk(device):
    disk = blk.Disk(device.open(n_queues=2))
    model = bytearray(device.path.read_bytes())
    rand = random.Random(7)
    for step in range(200):
        n = rand.randint(1, 24)
        sector = rand.randint(0, SECTORS - n)
        span = slice(sector * blk.SECTOR, (sector + n) * blk.SECTOR)
        how = {"queue": rand.randrange(2), "sizes": [rand.choice((1, 511, 4096)) for _ in range(4)]}
        kind = rand.random()
        if kind < 0.4:
            data = rand.randbytes(n * blk.SECTOR)
            disk.write(sector, data, **how)
            model[span] = data
        elif kind < 0.8:
            assert disk.read(sector, n, **how) == model[span], f"step {step}"
        elif kind < 0.9:
            flags = rand.choice((0, blk.WRITE_ZEROES_UNMAP))
            assert disk.do(blk.T_WRITE_ZEROES, 0, blk.range_(sector, n, flags))[0] == blk.S_OK
            model[span] = bytes(n * blk.SECTOR)
        else:
            disk.flush()
    assert device.path.read_bytes() == model
    device.process.assert_idle()


def test_many_in_flight(device):
    """Every one is answered once, with its own bytes."""
    disk = blk.Disk(device.open(num=128))
    model = device.path.read_bytes()
    for _ in range(20):
        flying = {}
        for i in range(40):
            request = blk.Request(disk.memory, blk.T_IN, i * 40, in_len=8 * blk.SECTOR)
            flying[disk.session.queues[0].add(request.bufs)] = request, i * 40
        disk.session.queues[0].notify()
        for head, _ in disk.session.wait(40):
            request, sector = flying.pop(head)
            assert request.status == blk.S_OK
            assert request.result() == model[sector * 512:(sector + 8) * 512]
        disk.rewind()


def test_its_threads(device):
    """Each in a filter, and no more of them than were declared."""
    tasks = f"/proc/{device.process.pid}/task"
    assert len(os.listdir(tasks)) == 1 + 4
    for task in os.listdir(tasks):
        with open(f"{tasks}/{task}/status", encoding="ascii") as f:
            assert "Seccomp:\t2\n" in f.read()
