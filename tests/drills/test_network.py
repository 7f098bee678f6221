# SPDX-License-Identifier: Apache-2.0
"""A VM with a network card: what whoever takes dev-net over has not."""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import time

import pytest

from taken import maps_of
from test_behind import links
from test_first_step import Intruder

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import bridge, frames, net  # noqa: E402
from bh.tap import apart  # noqa: E402

NET = {"net": True, "more": ("dev-net",)}
SHARED = ("guest-ram", "/memfd:inflight", "/memfd:net-link")


def test_the_first_step_of_dev_net(ground, neighbour, count):
    intruder = Intruder(lambda: ground.start(**NET).take("dev-net")).try_all(ground, neighbour)
    count("dev-net", intruder.tried, intruder.gains)


def test_what_dev_net_holds(ground, neighbour, count):
    """No file, no network; of memory that others share guest RAM, its page and the note of requests."""
    machine = ground.start(**NET)
    pid = machine.pids["dev-net"]
    gains = [("held", name, "") for name in links(pid)
             if not name.startswith(("socket", "anon_inode", "/memfd:inflight", "/memfd:net-link", "/memfd:guest-ram",
                                     "/guest-ram"))]
    gains += [("mapped", m[3], "") for m in maps_of(pid)
              if m[3].startswith(("/memfd", "/guest")) and not any(s in m[3] for s in SHARED)]
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
             if not name.startswith(("socket", "anon_inode", "/memfd:inflight", "/memfd:net-link", "/memfd:guest-ram",
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
    gains += [("mapped", m[3], "") for m in maps_of(pid) if m[3].startswith(("/memfd", "/guest"))]
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
