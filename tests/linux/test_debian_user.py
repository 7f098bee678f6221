# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian guest on the user's network: it gets its address by DHCP, and what it fetches from a server
that the host reaches is right; what is not allowed it does not reach, nor the host's loopback."""

import http.server
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
import vm
from test_debian_tap import Files

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import tap  # noqa: E402

SIZE = 1 << 20
NETWORK = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
           "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254 && "
           "ip addr add 10.77.0.1/32 dev lo && ip addr add 10.78.0.1/32 dev lo")

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("passt"),
                                reason="the network of the test is made by root; and passt")


def passts():
    """Those that run."""
    return [p for p in os.listdir("/proc") if p.isdigit() and is_passt(p)]


def is_passt(pid):
    try:
        name, _, rest = pathlib.Path(f"/proc/{pid}/stat").read_text().partition(") ")
    except OSError:
        return False
    return "(passt" in name and not rest.startswith("Z")


def greet(port):
    """Says hi to the guest, and hears it; as often as it takes until the guest listens."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                s.sendall(b"hi\n")
                if s.recv(100) == b"hello\n":
                    return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("the guest does not answer")


def fetch(options, foreign, words=""):
    subprocess.run(NETWORK, shell=True, check=True)
    server = http.server.ThreadingHTTPServer(("", 80), Files)
    server.data = os.urandom(SIZE)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    flags = [f"--net=user{options}", "--allow", "virtio-net,net-relay"]
    before = len(passts())
    with vm.Guest("net", words=f"bh.net=user bh.server=10.77.0.1 bh.foreign={foreign}{words}", flags=flags) as g:
        g.wait_for(b"net leased")
        assert len(passts()) == before + 1
        if words:
            greet(8007)
            g.wait_for(b"net heard")
        status = g.end()
        g.said(r"net leased 10\.9\.0\.1/24")
        g.said(r"net refused")
        assert status == 0, g.err
    end = time.monotonic() + 60
    while len(passts()) > before and time.monotonic() < end:
        time.sleep(0.05)
    assert len(passts()) == before
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("options, foreign", [("", "127.0.0.1"), ("", "169.254.169.254"),
                                              (",allow=10.77.0.0/16:80", "10.78.0.1")],
                         ids=["loopback", "metadata", "allow"])
def test_a_guest_on_the_users_network(options, foreign):
    tap.apart(lambda: fetch(options, foreign))


def test_a_port_of_the_host_leads_to_the_guest():
    """Also where nothing else is allowed."""
    tap.apart(lambda: fetch(",publish=8007:7,allow=10.77.0.1:80", "10.77.0.1:81", " bh.listen=1"))
