# SPDX-License-Identifier: Apache-2.0
"""A host that takes its time: nobody waits in a device, and who waits for it is told.

The volume is a file that the test itself serves, so that "slow" lasts exactly as long as it says.
"""

import os
import select

import pytest

from bh import blk, vhost_user as vu, wait
from bh.devices import Blk
from bh.process import CTL_BUSY

SECTOR, SECTORS, N = blk.SECTOR, 2048, 4
DATA = bytes(range(256)) * 16


@pytest.fixture
def disk(slow, start):
    device = start(Blk, image=slow.place)
    slow.unmount()
    d = blk.Disk(device.open())
    d.device, d.process, d.front = device, device.process, d.session.front
    return d


def write_held(disk, slow, n=N):
    """n writes that the host does not finish."""
    slow.hold = True
    for i in range(n):
        r = blk.Request(disk.session.memory, blk.T_OUT, 8 * i, DATA)
        disk.session.submit(r.bufs)
    slow.wait_held(1)  # the ring does one write of a file at a time


def is_silent(fd):
    return not select.select([fd], [], [], 0)[0]


def busy(process):
    return [m.number for m in process.said(CTL_BUSY)]


@pytest.mark.parametrize("what", ["GET_VRING_BASE", "SET_STATUS 0", "RESET_DEVICE", "SET_MEM_TABLE"])
def test_a_request_that_waits_for_the_host(disk, slow, what):
    """It is answered when the host has done what is in flight; meanwhile the device says how much
    that is, again and again."""
    front = disk.front
    flags = vu.VERSION | vu.FLAG_NEED_REPLY
    write_held(disk, slow)
    if what == "GET_VRING_BASE":
        front.send(vu.GET_VRING_BASE, vu.vring_state(0, 0))
    elif what == "SET_MEM_TABLE":
        regions = disk.session.memory.regions
        front.send(vu.SET_MEM_TABLE, vu.mem_table([r.wire() for r in regions]),
                   [r.fd for r in regions], flags)
    elif what == "RESET_DEVICE":
        front.send(vu.RESET_DEVICE, b"", (), flags)
    else:
        front.send(vu.SET_STATUS, vu.u64(0), (), flags)
    for i in range(100):
        assert front.get_status() == 15
        assert busy(disk.process) == [N] * (i + 1)
    assert is_silent(front.sock.fileno())
    disk.process.assert_idle()
    slow.release()
    request, _ = front.recv()
    assert vu.NAMES[request] == what.split()[0]
    assert slow.content[:len(DATA)] == DATA and slow.content[3 * 4096:3 * 4096 + len(DATA)] == DATA
    if what == "SET_MEM_TABLE":  # and it serves on
        assert len(disk.session.wait(N)) == N
        disk.write(64, DATA)
        assert disk.read(64, 8) == DATA


@pytest.mark.parametrize("kind,more", [(blk.T_DISCARD, {}), (blk.T_WRITE_ZEROES, {"flags": 1})])
def test_a_hole(disk, slow, kind, more):
    """Reads go on, also behind several of them; who wants the ring to stand still is told."""
    slow.content[:2 * len(DATA)] = DATA * 2
    slow.hold = True
    for i in range(2):
        r = blk.Request(disk.session.memory, kind, 0, blk.range_(8 * i, 8, **more))
        disk.session.submit(r.bufs)
    slow.wait_held(1)
    flags = vu.VERSION | vu.FLAG_NEED_REPLY
    other = blk.Request(disk.session.memory, blk.T_IN, 16, in_len=SECTOR)
    disk.session.submit(other.bufs)
    assert len(disk.session.wait(1)) == 1 and other.status == blk.S_OK
    disk.front.send(vu.SET_STATUS, vu.u64(0), (), flags)
    for _ in range(10):
        assert disk.front.get_status() == 15
    assert busy(disk.process) == [2] * 10
    assert slow.content[:2 * len(DATA)] == DATA * 2
    disk.process.assert_idle()
    slow.release()
    assert vu.NAMES[disk.front.recv()[0]] == "SET_STATUS"
    assert not any(slow.content[:2 * len(DATA)])


def test_other_queues_go_on(slow, start):
    device = start(Blk, image=slow.place, queues=2)
    d = blk.Disk(device.open(n_queues=2))
    write_held(d, slow)
    d.session.front.send(vu.GET_VRING_BASE, vu.vring_state(0, 0))
    assert d.read(1024, 8, queue=1) == bytes(8 * SECTOR)
    assert is_silent(d.session.front.sock.fileno())
    slow.release()
    assert d.session.front.recv()[0] == vu.GET_VRING_BASE


@pytest.mark.parametrize("how", ["front end", "supervisor", "both"])
def test_the_end_waits_for_what_is_in_flight(disk, slow, how):
    write_held(disk, slow)
    if how != "supervisor":
        disk.front.sock.close()
    if how != "front end":
        disk.process.control.shutdown(1)
    wait.until(lambda: busy(disk.process), "it says that it finishes requests")
    assert busy(disk.process) == [N] * len(busy(disk.process))
    assert disk.process.alive
    slow.release()
    disk.process.assert_clean_end(0)
    said = busy(disk.process)
    assert said == sorted(said, reverse=True) and min(said) >= 1
    assert slow.content[3 * 4096:3 * 4096 + len(DATA)] == DATA


def test_death_is_not_held_up(disk, slow):
    """A device that is killed is gone, whatever the host still does for it."""
    write_held(disk, slow)
    os.kill(disk.process.pid, 9)
    slow.release()
    assert disk.process.wait_end() != 0
