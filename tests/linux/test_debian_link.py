# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian guest sees the cable of its card pulled and put back, also by a card that died meanwhile. After the
death of one whose cable is there it tells the network where it is."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
import test_debian
import vm

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import net, wait  # noqa: E402

NAME = f"link-{os.getpid()}"
MAC, ADDRESS = bytes.fromhex("02000000beef"), bytes([10, 9, 0, 2])


def link(how):
    subprocess.run([vm.BULKHEAD, "link", NAME, "net-1", how], check=True, timeout=wait.HANG_S)


def is_announcement(frame):
    """A gratuitous ARP of it."""
    return frame[6:14] == MAC + b"\x08\x06" and frame[28:32] == ADDRESS == frame[38:42]


def kill(guest):
    """Its card's process, which may just have been started again."""
    wait.until(lambda: cards_of(guest), "its card")
    os.kill(cards_of(guest)[0], signal.SIGKILL)


def cards_of(guest):
    return [p for p, name in test_debian.devices_of(guest.process.pid).items() if name == "dev-net"]


@pytest.mark.skipif(os.geteuid() != 0, reason="to kill another user's process takes root")
def test_the_cable():
    ours, theirs = socket.socketpair()
    peer = net.Peer(ours)
    flags = [f"--net=fd={theirs.fileno()}", "--allow", "virtio-net", "--name", NAME]
    with vm.Guest("link", flags=flags, pass_fds=(theirs.fileno(),)) as g:
        theirs.close()
        g.wait_for(b"link ready")
        link("down")
        g.wait_for(b"link NO-CARRIER")
        link("up")
        g.wait_for(b"link again")
        kill(g)
        while not is_announcement(peer.recv()):
            pass
        link("down")
        g.wait_for(b"link gone")
        kill(g)
        link("up")
        g.wait_for(b"link back")
        status = g.end()
        g.said(r"bulkhead-guest: test link status 0")
        assert status == 0, g.err
    peer.close()
    assert vm.processes() == []
