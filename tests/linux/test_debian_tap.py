# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian guest on a tap: it pings its host, and what it fetches from there over TCP, in frames that are
larger than its MTU, is right; also after its card's process was killed, and with a pair of queues for each of its CPUs."""

import hashlib
import http.server
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading

import pytest
import test_debian
import vm

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import tap  # noqa: E402

SIZE = 4 << 20

pytestmark = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                                reason="a tap is made by root, by /dev/net/tun")


class Files(http.server.BaseHTTPRequestHandler):
    """/data, and its sum as sha256sum prints it."""

    def do_GET(self):
        body = self.server.data if self.path == "/data" else \
            f"{hashlib.sha256(self.server.data).hexdigest()}  -\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def host(name, more):
    """The host's side of it: an address, the files, and who hears that the guest is done."""
    subprocess.run(f"ip link set lo up && ip tuntap add {name} mode tap {more} && ip addr add 10.9.0.1/24 dev {name} && "
                   f"ip link set {name} up", shell=True, check=True)
    server = http.server.ThreadingHTTPServer(("10.9.0.1", 80), Files)
    server.data = os.urandom(SIZE)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    done = socket.create_server(("10.9.0.1", 4001))
    threading.Thread(target=lambda: done.accept()[0].close(), daemon=True).start()
    return server, done


def statistics(name, which):
    with open("/proc/thread-self/net/dev", encoding="ascii") as f:
        line = next(l for l in f if l.strip().startswith(name + ":"))
    return int(line.split(":")[1].split()[which])


def fetch_from_host(queues, vhost="off"):
    server, done = host("tap0", "multi_queue" if queues > 1 else "")
    flags = [f"--net=tap=tap0,queues={queues},vhost={vhost}", "--allow", "virtio-net"]
    serves = "dev-vhost-net" if vhost == "on" else "dev-net"
    with vm.Guest("net", cpus=queues, words="bh.net=2 bh.times=2", flags=flags) as g:
        g.wait_for(b"net queues %d" % queues)
        g.wait_for(b"net fetched")
        [pid] = [p for p, name in test_debian.devices_of(g.process.pid).items() if name == serves]
        os.kill(pid, signal.SIGKILL)
        status = g.end()
        g.said(r"bulkhead-guest: test net status 0")
        assert status == 0, g.err
        assert g.err.count(f"{serves} was killed by signal KILL (9)") == 1
    frames, sent = statistics("tap0", 9), statistics("tap0", 8)
    server.shutdown()
    server.server_close()
    done.close()
    # most of the data went in frames that are larger than the MTU
    assert sent > 2 * SIZE and sent / frames > (2000 if vhost == "on" else 3000), (sent, frames)


@pytest.mark.parametrize("queues", [1, 2])
def test_a_guest_on_a_tap(queues):
    tap.apart(lambda: fetch_from_host(queues))
    assert vm.processes() == []


@pytest.mark.skipif(not os.path.exists("/dev/vhost-net"), reason="this host has no /dev/vhost-net")
@pytest.mark.parametrize("queues", [1, 2])
def test_a_guest_whose_frames_the_kernel_moves(queues):
    """The process that serves the card is killed between two files: the next one opens /dev/vhost-net anew."""
    tap.apart(lambda: fetch_from_host(queues, "on"))
    assert vm.processes() == []
