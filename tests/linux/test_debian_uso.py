# SPDX-License-Identifier: Apache-2.0
"""Debian's newer kernel on a tap with uso=on: trains of UDP datagrams (VIRTIO 1.3, USO) cross whole, both ways and by both
versions of IP, and arrive as the datagrams that they are of; the card's process is killed between the two versions."""

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
from test_debian_tap import statistics

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import tap  # noqa: E402

SIZE, SEGMENTS, TRAINS = 1200, 12, 40  # as guest.d/udp-trains.c has them
UDP_SEGMENT = 103

pytestmark = [pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                                 reason="a tap is made by root, by /dev/net/tun"),
              pytest.mark.skipif(not (vm.NEWER / "initrd.cpio.gz").exists(), reason="no newer guest: tools/guest/build")]


def datagram(train, segment):
    return bytes((train * 7 + segment * 13 + k) & 255 for k in range(SIZE))


def send_back(server, wrong):
    """Each train as it came, in one call; what is another is kept for who looks."""
    for train in range(TRAINS):
        got, peer = [], None
        for _ in range(SEGMENTS):
            data, peer = server.recvfrom(SIZE + 1)
            got.append(data)
        if got != [datagram(train, i) for i in range(SEGMENTS)]:
            wrong.append((train, got))
        server.sendto(b"".join(got), peer)


def serve(address):
    server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    server.settimeout(vm.HANGS)
    server.bind((address, 4002))
    server.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, SIZE)
    wrong = []
    thread = threading.Thread(target=send_back, args=(server, wrong), daemon=True)
    thread.start()
    return server, thread, wrong


def trains_cross():
    subprocess.run("ip link set lo up && ip tuntap add tap0 mode tap && ip addr add 10.9.0.1/24 dev tap0 && "
                   "ip addr add fd09::1/64 dev tap0 nodad && ip link set tap0 up", shell=True, check=True)
    servers = [serve(address) for address in ("10.9.0.1", "fd09::1")]
    with vm.Guest("uso", guest=vm.NEWER, words=f"bh.trains={TRAINS}",
                  flags=["--net=tap=tap0,uso=on", "--allow", "virtio-net"]) as g:
        g.wait_for(b"uso trains of 10.9.0.1")
        [pid] = [p for p, name in test_debian.devices_of(g.process.pid).items() if name == "dev-net"]
        os.kill(pid, signal.SIGKILL)
        go_on = socket.create_server(("10.9.0.1", 4001))  # what a card loses with its process nobody sends anew
        go_on.settimeout(vm.HANGS)
        go_on.accept()[0].close()
        status = g.end()
        g.said(r"uso features 111")
        g.said(r"bulkhead-guest: test uso status 0")
        assert status == 0, g.err
        assert g.err.count("dev-net was killed by signal KILL (9)") == 1
    go_on.close()
    for server, thread, wrong in servers:
        thread.join(vm.HANGS)
        server.close()
        assert not thread.is_alive() and not wrong, wrong[:1]
    for way in (0, 8):  # whole trains are most of the bytes
        sent, frames = statistics("tap0", way), statistics("tap0", way + 1)
        assert sent > 2 * TRAINS * SEGMENTS * SIZE and sent / frames > SEGMENTS * SIZE / 2, (way, sent, frames)


@pytest.mark.skipif(not tap.has_uso(), reason="this kernel's taps have no USO: Linux 6.2 has")
def test_trains_of_datagrams():
    tap.apart(trains_cross)
    assert vm.processes() == []
