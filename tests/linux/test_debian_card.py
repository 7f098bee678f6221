# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian guest takes a card on the user's network that comes, and lets go of it when it goes: each time it
has an address by DHCP, what it fetches is right, and what is not allowed it does not reach."""

import http.server
import os
import shutil
import signal
import subprocess
import threading
import time

import pytest
import test_debian
import vm
from test_debian_attach import Host
from test_debian_tap import Files
from test_debian_user import NETWORK, SIZE, passts, tap

TIMES = 2

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("passt"),
                                reason="the network of the test is made by root; and passt")


def end_of_passts(before):
    end = time.monotonic() + 60
    while len(passts()) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert len(passts()) == before


def come_and_go():
    subprocess.run(NETWORK, shell=True, check=True)
    server = http.server.ThreadingHTTPServer(("", 80), Files)
    server.data = os.urandom(SIZE)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    before = len(passts())
    with vm.Guest("card", words=f"bh.net=user bh.server=10.77.0.1 bh.foreign=10.78.0.1 bh.times={TIMES}",
                  flags=["--net=none", "--allow", "virtio-net,net-relay"]) as g:
        host = Host(g)
        for i in range(TIMES):
            g.wait_for(b"card: waits until it comes\r")
            assert host.attach("net", "user,allow=10.77.0.0/16:80") == "net-1"
            for name in ("dev-net", "net-relay"):
                [pid] = [p for p, n in test_debian.devices_of(g.process.pid, also=("dev-net", "net-relay")).items() if n == name]
                os.kill(pid, signal.SIGKILL)
            g.wait_for(b"card: waits until it goes\r")
            assert g.text().count("net fetched") == g.text().count("net refused") == i + 1
            g.out = g.out.replace(b"card: waits", b"card: waited")
            host.detach("net-1")
            end_of_passts(before)
        assert g.end() == 0, g.err
        g.said("card: all gone")
        assert g.text().count("net leased 10.9.0.1/24") == TIMES
    server.shutdown()
    server.server_close()


def test_a_card_comes_and_goes():
    tap.apart(come_and_go)
    assert vm.processes() == []
