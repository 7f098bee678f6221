# SPDX-License-Identifier: Apache-2.0
"""Two unmodified Debian guests on one wire: they ping each other, and what one fetches from the other over TCP is
right, also when the processes of their network cards are killed meanwhile."""

import os
import signal
import socket
import time

import pytest
import test_debian
import vm

PROGRAMS = ("dev-net", "net-relay")


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert vm.processes() == []


class Pair:
    """Two guests, and a wire between them."""

    def __init__(self, size, times=1, options=""):
        ends = socket.socketpair()
        flags = [[f"--net=fd={e.fileno()}{options.format(n)}", "--allow", "virtio-net,net-relay"]
                 for n, e in enumerate(ends, 1)]
        for e in ends:
            e.set_inheritable(True)
        words = [f"bh.net=1 bh.bytes={size}", f"bh.net=2 bh.times={times}"]
        self.guests = [vm.Guest("net", words=w, flags=f, pass_fds=(e.fileno(),))
                       for w, f, e in zip(words, flags, ends)]
        for e in ends:
            e.close()

    def kill(self, which, program):
        pids, end = [], time.monotonic() + 60
        while not pids:  # it may just be started again
            assert time.monotonic() < end, f"no {program}"
            found = test_debian.devices_of(self.guests[which].process.pid, also=PROGRAMS)
            pids = [p for p, name in found.items() if name == program]
        os.kill(pids[0], signal.SIGKILL)

    def end(self):
        for g in self.guests:
            status = g.end()
            g.said(r"bulkhead-guest: test net status 0")
            assert status == 0, g.err

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for g in self.guests:
            g.__exit__()


def test_two_guests():
    with Pair(4 << 20) as pair:
        pair.end()
        addresses = [g.said(r"net mac (52(?::[0-9a-f]{2}){5}) mtu 1500").group(1) for g in pair.guests]
        assert addresses[0] != addresses[1]
        pair.guests[1].said(r"net ping 5")


def test_jumbo_frames():
    with Pair(4 << 20, options=",mtu=9000") as pair:
        pair.end()
        pair.guests[0].said(r"net mac \S+ mtu 9000")


@pytest.mark.skipif(os.geteuid() != 0, reason="to kill another user's process takes root")
def test_killed_under_load():
    """TCP goes on, whichever of the two processes of a card dies; their guests are held to their addresses."""
    with Pair(2 << 20, times=6, options=",ip=10.9.0.{}") as pair:
        pair.guests[1].wait_for(b"net fetches")
        for program in PROGRAMS:
            for which in range(2):
                pair.kill(which, program)
                time.sleep(0.2)
        pair.end()
        for g in pair.guests:
            for program in PROGRAMS:
                assert g.err.count(f"{program} was killed by signal KILL (9)") == 1, g.err
