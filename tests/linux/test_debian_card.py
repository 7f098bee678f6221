# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian guest takes a card on the user's network that comes, and lets go of it when it goes: each time it
has an address by DHCP, what it fetches is right, and what is not allowed it does not reach. So a network that has died
comes back: the passt of one card is killed, and the next card has another."""

import os
import shutil
import signal
import time

import pytest
import test_debian
import user_network
import vm
from test_debian_attach import Host
from test_debian_user import passts, tap

TIMES = 2

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("passt"),
                                reason="the network of the test is made by root; and passt")


def end_of_passts():
    end = time.monotonic() + 60
    while passts() and time.monotonic() < end:
        time.sleep(0.05)
    assert not passts()


def come_and_go():
    user_network.make()
    with user_network.Servers(), vm.Guest("card", words=f"bh.server=10.77.0.1 bh.foreign=10.78.0.1 bh.times={TIMES}",
                  flags=["--net=none", "--allow", "virtio-net,net-relay"]) as g:
        host = Host(g)
        for i in range(TIMES):
            g.wait_for(b"card: waits until it comes\r")
            assert host.attach("net", "user,allow=10.77.0.0/16:80") == "net-1"
            for name in ("dev-net", "net-relay"):
                [pid] = [p for p, n in test_debian.devices_of(g.process.pid, also=("dev-net", "net-relay")).items() if n == name]
                os.kill(pid, signal.SIGKILL)
            g.wait_for(b"card: waits until it goes\r")
            assert g.text().count("user fetched") == g.text().count("user refused") == i + 1
            g.out = g.out.replace(b"card: waits", b"card: waited")
            [passt] = passts()
            os.kill(int(passt), signal.SIGKILL)
            end_of_passts()
            host.detach("net-1")
        assert g.end() == 0, g.err
        g.said("card: all gone")
        assert g.text().count("user leased 10.9.0.1/24") == TIMES
        assert g.err.count("what the network card is joined to has gone") == TIMES, g.err


def test_a_card_comes_and_goes():
    tap.apart(come_and_go)
    assert vm.processes() == []
