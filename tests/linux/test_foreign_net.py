# SPDX-License-Identifier: Apache-2.0
"""Network cards that DPDK's testpmd serves to two VMs, and passes frames between: Debian pings and fetches what is
compared; its end is the VMs'. testpmd is in the package dpdk-dev."""

import os
import shutil
import subprocess
import time

import pytest
import vm
from test_debian_net import Pair

pytestmark = pytest.mark.skipif(not shutil.which("dpdk-testpmd") or os.geteuid() != 0, reason="no dpdk-testpmd: dpdk-dev")


@pytest.fixture
def served(tmp_path):
    """(the sockets, the process)"""
    socks = [tmp_path / f"card-{i}.sock" for i in range(2)]
    words = ["dpdk-testpmd", "--no-huge", "--no-shconf", "-m", "256", "--no-pci", "-l", "0,1",
             *[f"--vdev=net_vhost{i},iface={sock}" for i, sock in enumerate(socks)],
             "--", "--forward-mode=io", "--auto-start", "--total-num-mbufs=4096", "--no-mlockall"]
    with open(tmp_path / "testpmd.log", "wb") as log, \
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=log, stderr=log) as p:
        for _ in range(600):
            if all(sock.exists() for sock in socks):
                break
            assert p.poll() is None, (tmp_path / "testpmd.log").read_text()
            time.sleep(0.1)
        yield socks, p
        p.kill()


class Served(Pair):
    """Two guests, each with a card of testpmd's."""

    def __init__(self, socks):  # pylint: disable=super-init-not-called
        self.guests = [vm.Guest("net", words=f"bh.net={n} bh.bytes={1 << 20} bh.times=1", flags=[f"--net=vhost-user={sock}"])
                       for n, sock in enumerate(socks, 1)]


def test_two_guests(served):
    with Served(served[0]) as pair:
        pair.end()
        pair.guests[1].said(r"net ping 5")
        assert all("nothing here confines that program" in g.err for g in pair.guests)
    assert vm.processes() == []


def test_its_end_is_the_vms(served):
    (sock, _), process = served
    with vm.Guest("idle", words="bh.seconds=300", flags=[f"--net=vhost-user={sock}"]) as g:
        g.wait_for(b"idle for")
        process.kill()
        assert g.end() == 5
        assert f"--net vhost-user={sock}: what served it is gone" in g.err


def test_nobody_listens(tmp_path):
    with vm.Guest("poweroff", flags=[f"--net=vhost-user={tmp_path}/none"]) as g:
        assert g.end() == 1
        assert "--net: " in g.err and "a vhost-user back end that listens there is right" in g.err
