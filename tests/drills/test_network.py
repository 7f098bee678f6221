# SPDX-License-Identifier: Apache-2.0
"""A VM with a network card: what whoever takes dev-net over has not."""

import itertools
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

import pytest

from taken import shared_beside
from test_behind import links
from test_first_step import Intruder

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import bridge, frames, net, wait  # noqa: E402
from bh.tap import apart  # noqa: E402

NET = {"net": True, "more": ("dev-net",)}
SHARED = ("guest-ram", "/memfd:inflight", "/memfd:dirty-log", "/memfd:net-link")


def test_the_first_step_of_dev_net(ground, neighbour, count):
    intruder = Intruder(lambda: ground.start(**NET).take("dev-net")).try_all(ground, neighbour)
    count("dev-net", intruder.tried, intruder.gains)


def test_what_dev_net_holds(ground, neighbour, count):
    """No file, no network; of memory that others share guest RAM, its page and the note of requests."""
    machine = ground.start(**NET)
    pid = machine.pids["dev-net"]
    gains = [("held", name, "") for name in links(pid)
             if not name.startswith(("socket", "anon_inode", "/memfd:inflight", "/memfd:dirty-log", "/memfd:net-link", "/memfd:guest-ram",
                                     "/guest-ram"))]
    gains += shared_beside(pid, SHARED)
    count("dev-net", 2, gains)
    machine.finish()


@pytest.fixture(params=[1, 4], ids=["one queue", "four queues"])
def tap(request):
    """What starts a VM on a tap of the host's, which goes afterwards."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("this host has no /dev/net/tun")
    name = f"bh-drill{os.getpid() % 100000}"
    more = ["multi_queue"] if request.param > 1 else []
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", *more], check=True)
    yield lambda ground: ground.start("--net", f"tap={name},queues={request.param}", "--allow", "virtio-net", more=("dev-net",))
    subprocess.run(["ip", "link", "delete", name], check=True)


def test_the_first_step_of_dev_net_on_a_tap(ground, neighbour, count, tap):
    intruder = Intruder(lambda: tap(ground).take("dev-net")).try_all(ground, neighbour)
    count("dev-net, tap", intruder.tried, intruder.gains)


def test_what_dev_net_holds_on_a_tap(ground, neighbour, count, tap):
    """The tap alone of what the host has."""
    machine = tap(ground)
    names = links(machine.pids["dev-net"])
    assert "/dev/net/tun" in names
    gains = [("held", name, "") for name in names
             if not name.startswith(("socket", "anon_inode", "/memfd:inflight", "/memfd:dirty-log", "/memfd:net-link", "/memfd:guest-ram",
                                     "/guest-ram", "/dev/net/tun"))]
    count("dev-net, tap", 1, gains)
    machine.finish()


TAP = 7  # of dev-net
WRITE = 1
LAST = frames.udp(port=9, data=b"the last one")
RATE, FRAMES = 50, 400
needs_bridge = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or not shutil.which("nft"),
                                  reason="no /dev/net/tun, or nftables: tools/deps check")


def send(t, frame, header=bytes(12)):
    """As dev-net may: what the kernel does not take has not passed."""
    data = header + frame
    t.call(WRITE, TAP, t.put(data), len(data))
    t.forget()


def through(t, other, *sent):
    """What comes out on the bridge of these."""
    for frame in (*sent, LAST):
        send(t, frame)
    came = []
    while (frame := other.recv()) != LAST:
        came.append(frame)
    return came


def on_a_bridge(ground, options, body):
    """With an intruder in the dev-net of a VM that is on a bridge, in a network of their own, and everybody else there; and
    nothing is left of it afterwards."""
    def inside():
        bridge.sh(bridge.QUIET, "ip link add br0 type bridge mcast_snooping 0", "ip link set br0 up")
        other = bridge.tap("other0")
        bridge.sh("ip link set other0 master br0", "ip link set other0 up")
        before = bridge.names()
        machine = ground.start("--net", f"bridge=br0,mac={net.MAC.hex(':')}{options}", "--allow", "virtio-net", more=("dev-net",))
        t = machine.take("dev-net")
        result = body(t, other)
        t.release()
        machine.finish()
        assert bridge.names() == before and bridge.tables() == []
        other.close()
        return result
    return apart(inside)


@needs_bridge
def test_no_foreign_frame_of_a_taken_dev_net_on_a_bridge(ground, neighbour, count):
    """Foreign addresses of every sort, a router's and servers' messages, tags: the host's kernel passes none of them. A
    right one comes through behind each."""
    def body(t, other):
        asked, answer = frames.lease()
        send(t, asked)
        assert other.recv() == asked
        other.send(answer)
        other.send(frames.router())
        # the kernel has them at once, as a tap's frames are passed on by who writes them
        return [(what, frame) for what, frame in wrong.items() if through(t, other, frame)]
    # what a rule cannot say: tests/device/test_net_rules.py
    wrong = {what: f for what, f in frames.SPOOFED.items() if what != "a frame longer than its packet"}
    came = on_a_bridge(ground, "", body)
    count("dev-net, bridge", len(wrong), [("spoofed", what, "passed") for what, _ in came])


# a header that asks for its checksum, and for segments of 8 bytes: 175 packets
LARGE = (frames.tcp_data(bytes(1400)), struct.pack("<BBHHHHH", 1, 1, 54, 8, 34, 16, 0))


@needs_bridge
def test_no_flood_of_a_taken_dev_net_on_a_bridge(ground, neighbour, count):
    """Right frames, as many as the tap takes, and large ones that would become many: no more packets pass than a burst and
    the time's share."""
    def body(t, other):
        began, came = time.monotonic(), 0
        for n in range(FRAMES):
            send(t, *(LARGE if n % 2 else (frames.udp(), b"")))
            came += len(other.drain())
        return came, RATE * (1 + time.monotonic() - began + 0.1)
    came, most = on_a_bridge(ground, f",ip={frames.OWN},packets-out={RATE}", body)
    count("dev-net, bridge", FRAMES, [] if RATE <= came <= most else [("rate", f"{came} frames", f"of {most:.0f}")])


NETWORK = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
           "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254")


LIMITS_OF_PASST = {"Max open files": 4096, "Max address space": 256 << 20, "Max file size": 0, "Max core file size": 0}


def fields(pid, *names):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: rest.split() for name, _, rest in (line.partition(":") for line in lines) if name in names}


def of_passt(ground):
    """What the passt of a VM has that it should not."""
    subprocess.run(NETWORK, shell=True, check=True)
    machine = ground.start("--net", "user", "--allow", "virtio-net,net-relay", more=("dev-net", "net-relay"))
    net = os.readlink("/proc/thread-self/ns/net")
    [pid] = [int(p) for p in os.listdir("/proc") if p.isdigit() and link_of(p, "ns/net") == net and
             link_of(p, "exe").startswith("/usr/bin/passt")]
    gains = [("held", name, "") for name in links(pid) if name not in ("socket", "anon_inode:[eventpoll]") and
             not name.startswith("anon_inode:[timerfd")]
    gains += shared_beside(pid, ())
    gains += [("in its root", name, "") for name in os.listdir(f"/proc/{pid}/root/")]
    status = fields(pid, "Uid", "Gid", "Groups", "CapPrm", "CapEff", "NoNewPrivs", "Seccomp")
    right = {"Uid": ["65534"] * 4, "Gid": ["65534"] * 4, "Groups": [], "CapPrm": ["0" * 16], "CapEff": ["0" * 16],
             "NoNewPrivs": ["1"], "Seccomp": ["2"]}
    gains += [("status", name, str(status[name])) for name in right if status[name] != right[name]]
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    gains += [("limit", name, hard) for name, most in LIMITS_OF_PASST.items()
              if (hard := re.search(rf"^{name} +\S+ +(\S+)", limits, re.M).group(1)) == "unlimited" or int(hard) > most]
    machine.finish()
    return len(right) + len(LIMITS_OF_PASST) + 3, gains


def link_of(pid, what):
    try:
        return os.readlink(f"/proc/{pid}/{what}")
    except OSError:
        return ""


@pytest.mark.skipif(not shutil.which("passt"), reason="passt is not installed")
def test_what_passt_holds(ground, count):
    """No file, no memory of a VM, no root, no capability: what its user's network is."""
    tried, gains = apart(lambda: of_passt(ground))
    count("passt", tried, gains)


HERE, GATEWAY, FIRST, PORT = "10.9.0.1", "10.9.0.254", "198.51.100.1", 80
OUTER = 6  # of net-relay, as of dev-net its link
SENDMMSG, DONTWAIT, NOSIGNAL = 307, 0x40, 0x4000


class Neighbours:
    """All that passt could reach: who listens on this host, and the far end of its line, which sees what leaves."""

    def __init__(self):
        subprocess.run(f"{NETWORK} && ip neigh add {GATEWAY} lladdr 02:00:00:00:00:01 dev v0 nud permanent", shell=True, check=True)
        self.line = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.line.bind(("v1", 0))
        self.host = {}
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for address in ("127.0.0.1", HERE, "::1"):
                s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
                s.bind((address, PORT))
                self.host[address, kind] = s
                if kind == socket.SOCK_STREAM:
                    s.listen()

    def reached(self):
        """Of the host; and what has left it since it was asked last, as addresses of IPv4."""
        found = set()
        while wait.readable(self.line.fileno()):
            frame, where = self.line.recvfrom(2048)
            if where[1] == 0x800 and where[2] != socket.PACKET_OUTGOING:
                found.add(socket.inet_ntoa(frame[30:34]))
        return {address for (address, _), s in self.host.items() if wait.readable(s.fileno())}, found

    def close(self):
        for s in (self.line, *self.host.values()):
            s.close()


def pour(t, data):
    """As net-relay and dev-net may, over what they hold under the same number."""
    while data:
        piece = data[:8192]
        message = t.put(struct.pack("<8Q", 0, 0, t.put(struct.pack("<2Q", t.put(piece), len(piece))), 1, 0, 0, 0, 0))
        if t.call(SENDMMSG, OUTER, message, 1, DONTWAIT | NOSIGNAL).value == 1:
            data = data[struct.unpack("<Q", t.read(message + 56, 8))[0] & 0xffffffff:]
        else:
            time.sleep(0.01)
        t.forget()


def by_default(ground, role):
    """A VM whose user said nothing of its network, and an intruder who sends to whatever is not public, and then to what is:
    what was reached by then."""
    there = Neighbours()
    machine = ground.start("--net", f"default,mac={net.MAC.hex(':')}", "--allow", "virtio-net,net-relay", more=("dev-net", "net-relay"))
    t = machine.take(role)
    pour(t, net.pack(frames.dhcp(3)))  # what net-relay goes by; passt has no answer but one
    local, left, ports = set(), set(), itertools.count(41000)
    wrong = frames.to_private(HERE) + [f(a, PORT, from_address=HERE) for a in ("127.0.0.1", HERE, GATEWAY) for f in (frames.udp, frames.tcp)]

    def reaches(public):
        """A connection, each time a new one; passt, which has one thread, has begun all before it by then."""
        pour(t, net.pack(frames.tcp(public, from_port=next(ports), from_address=HERE)))
        here, far = there.reached()
        local.update(here)
        left.update(far)
        return public in left

    wait.until(lambda: reaches(FIRST), "it has its address")
    pour(t, b"".join(net.pack(f) for f in wrong))
    wait.until(lambda: reaches(frames.FAR), "what is public is reached")
    t.release()
    there.close()
    machine.discard()
    return len(wrong), sorted(local), sorted(left - {FIRST, frames.FAR})


@pytest.mark.skipif(not shutil.which("passt"), reason="passt is not installed")
def test_what_a_taken_dev_net_reaches_by_default(ground, count):
    """The Internet, and of all else nothing."""
    tried, local, left = apart(lambda: by_default(ground, "dev-net"))
    count("dev-net", tried, [("reached", a, "") for a in (*local, *left)])


@pytest.mark.skipif(not shutil.which("passt"), reason="passt is not installed")
def test_what_a_taken_net_relay_reaches_by_default(ground, count):
    """It is the wall, and passt is none: who has net-relay reaches, as its user could, hosts of that one's networks and what
    listens on this host, by IPv4 even on its loopback. Nothing by what IPv6 makes of that."""
    tried, local, left = apart(lambda: by_default(ground, "net-relay"))
    assert GATEWAY in left
    count("net-relay", tried, [("reached", a, "") for a in local if ":" in a])
