# SPDX-License-Identifier: Apache-2.0
"""net-relay between a dev-net that an intruder has and a network that may be another's: what passes, how much of it,
and what is left of both streams when it is killed."""

import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from bh import frames, guest, net, process, wait

STATE_SIZE = (1024 << 10) + (64 << 10)
PAGE_SIZE = 8 * 5 + 2 * 72 + 2 * (256 << 10)  # of one stream: five positions, two calls, two rings
NONE_MORE = frames.udp(port=9, data=b"the last one")


def state_page(content=b""):
    fd = guest.sealed_memfd(STATE_SIZE, name="net-relay")
    os.pwrite(fd, content, 0)
    return fd


class Relay:
    """inner: what a dev-net would have; outer: the other end of the link. Both outlive the process."""

    def __init__(self, build):
        self.build = build
        pairs = [socket.socketpair() for _ in range(2)]
        self.inner, self.outer = (net.Peer(ours) for ours, _ in pairs)
        self.theirs = [theirs for _, theirs in pairs]
        self.page = state_page()
        self.process = None

    def begin(self, *words):
        fds = {4: self.theirs[0].fileno(), 5: self.page, 6: self.theirs[1].fileno()}
        self.process = process.Process(self.build, "net-relay", [f"--mac={net.MAC.hex(':')}", *words], fds)
        self.process.wait_ready()
        return self

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait_end()
        self.process.close()
        self.process = None

    def settle_addresses(self):
        """The guest has a lease and a router."""
        asked, answer = frames.lease()
        self.inner.send(asked)
        assert self.outer.recv() == asked
        for frame in (answer, frames.router()):
            self.outer.send(frame)
            assert self.inner.recv() == frame

    def passed(self, *sent):
        """What comes out of these and of one that passes for certain."""
        for frame in (*sent, NONE_MORE):
            self.inner.send(frame)
        came = []
        while (frame := self.outer.recv()) != NONE_MORE:
            came.append(frame)
        return came

    def lines(self):
        self.process.drain()
        return [m.text for m in self.process.said(process.CTL_LOG)]

    def close(self):
        if self.process:
            self.process.kill()
        for s in (*self.theirs, self.inner, self.outer):
            s.close()
        os.close(self.page)


@pytest.fixture
def relay(build):
    r = Relay(build)
    yield r
    r.close()


# ---- what passes ----

def test_right_frames_pass_as_they_are(relay):
    relay.begin("--guard=on").settle_addresses()
    right = [frames.tcp(), frames.tcp(frames.FAR6), frames.udp(data=os.urandom(1400)),
             frames.arp(1, frames.OWN, frames.SERVER),
             frames.neighbour(135, frames.ROUTER6, b"\1\1" + net.MAC), frames.ipv4(1, b"\x08" + bytes(63)),
             frames.ipv4(47, bytes(100)), frames.udp("239.1.1.1")]
    assert relay.passed(*right) == right
    for frame in (frames.to_guest(frames.tcp(frames.OWN, from_address=frames.FAR)),
                  frames.to_guest(frames.arp(1, frames.SERVER, frames.OWN))):
        relay.outer.send(frame)
        assert relay.inner.recv() == frame
    assert relay.lines() == []


def test_nothing_that_is_spoofed_passes(relay):
    relay.begin("--guard=on").settle_addresses()
    for what, frame in frames.SPOOFED.items():
        assert relay.passed(frame) == [], what
    assert relay.passed(*list(frames.SPOOFED.values()) * 50) == []
    said = relay.lines()
    assert 0 < len(said) <= 7, said  # each sort once
    assert "frames from the guest are dropped: an IP address that is not the VM's" in said


def test_before_there_is_an_address(relay):
    relay.begin("--guard=on")
    relay.inner.send(frames.tcp())
    relay.inner.send(frames.arp(1, frames.OWN, frames.SERVER))
    asked = frames.dhcp(1)
    relay.inner.send(asked)
    assert relay.outer.recv() == asked


def test_an_address_that_is_said(relay):
    relay.begin(f"--ip={frames.OWN}", f"--ip={frames.OWN6}")
    assert relay.passed(frames.tcp(), frames.tcp(from_address="10.0.2.16"), frames.tcp(frames.FAR6)) == [
        frames.tcp(), frames.tcp(frames.FAR6)]


def test_frames_of_others_do_not_reach_the_guest(relay):
    relay.begin("--guard=on").settle_addresses()
    mine = frames.to_guest(frames.tcp(frames.OWN, from_address=frames.FAR))
    for frame in (frames.ROUTER_MAC + mine[6:], mine[:6] + net.MAC + mine[12:], mine[:12] + b"\x81\0\0\1" + mine[12:],
                  mine[:20], b"", mine):
        relay.outer.send(frame)
    assert relay.inner.recv() == mine


def test_destinations(relay):
    relay.begin("--allow=198.51.100.0/24:443", "--allow=[2001:db8::/32]:53", f"--ip={frames.OWN}", f"--ip={frames.OWN6}",
                "--allow=198.51.100.7:9")
    right = [frames.tcp(port=443), frames.udp(frames.FAR6, 53)]
    wrong = [frames.tcp(port=80), frames.tcp("192.0.2.1", 443), frames.udp(frames.FAR6, 54), frames.ipv4(1, bytes(40)),
             frames.ipv4(6, frames.tcp(port=443)[34:54] + bytes(4), fragment=0x2000),
             frames.ipv4(6, bytes(64), fragment=100)]
    assert relay.passed(*wrong, *right, *wrong) == right


def test_answers_alone(relay):
    relay.begin("--restrict=on", "--allow=198.51.100.7:9", f"--ip={frames.OWN}")
    answer = frames.tcp("203.0.113.5", 5000, 22)
    assert relay.passed(answer) == []
    asked = frames.to_guest(frames.tcp(frames.OWN, 22, 5000, from_address="203.0.113.5"))
    relay.outer.send(asked)
    assert relay.inner.recv() == asked
    assert relay.passed(answer, frames.tcp("203.0.113.5", 5001, 22)) == [answer]


# ---- the other side is somebody else's ----

NETWORK = """ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.0.2.15/24 dev v0 &&
ip addr add 10.0.2.2/24 dev v1 && ip link set v0 up && ip link set v1 up && ip route add default via 10.0.2.2 dev v0 &&
echo up && exec sleep 1000"""
SERVER = """import socket
s = socket.create_server(("10.0.2.2", 8080))
print("up", flush=True)
print("accepted", s.accept()[1][0], flush=True)"""


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack(">H", ~total & 0xffff)


def summed(frame):
    """A TCP frame as somebody takes it who looks at checksums."""
    head, ip, tcp = frame[:14], bytearray(frame[14:34]), bytearray(frame[34:])
    ip[10:12] = checksum(bytes(ip))
    tcp[16:18] = checksum(bytes(ip[12:20]) + struct.pack(">BBH", 0, 6, len(tcp)) + bytes(tcp))
    return head + bytes(ip) + bytes(tcp)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of its own takes root")
@pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")
def test_with_passt(relay):
    """A lease of Debian's passt is the guest's address; from it, and from no other, a server in passt's network is
    reached; and passt ends with its stream."""
    running = []

    def start(*words, **more):
        running.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more))
        return running[-1]

    try:
        network = start("unshare", "-n", "sh", "-c", NETWORK)
        assert network.stdout.readline() == "up\n"
        inside = ("nsenter", "-t", str(network.pid), "-n")
        server = start(*inside, sys.executable, "-c", SERVER)
        assert server.stdout.readline() == "up\n"
        link = relay.outer.sock
        passt = start(*inside, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "passt", "--fd",
                      str(link.fileno()), "-f", "-q", "-4", "-i", "v0", "--no-map-gw", pass_fds=[link.fileno()])
        link.close()
        relay.begin("--guard=on")
        for kind in (1, 3):
            relay.inner.send(frames.dhcp(kind))
            while (frame := relay.inner.recv())[23] != 17:
                pass
            assert frame[58:62] == frames.packed(frames.OWN)
        relay.inner.send(summed(frames.tcp("10.0.2.2", 8080, from_address="10.0.2.99")))
        relay.inner.send(summed(frames.tcp("10.0.2.2", 8080)))
        while (frame := relay.inner.recv())[23] != 6:
            pass
        assert frame[47] == 0x12, "SYN and ACK"
        assert server.stdout.readline() == "accepted 10.0.2.2\n"
        assert relay.lines() == ["frames from the guest are dropped: an IP address that is not the VM's"]
        relay.kill()
        relay.theirs[1].close()
        assert passt.wait(60) == 0
    finally:
        for p in running:
            p.kill()
            p.wait()
            p.stdout.close()


# ---- how much ----

def rate_holds(relay, inner, outer, frame, n, rate, unit):
    """n frames at once: by any time no more than a burst and that time's share has come; and all come in the end."""
    # the timer's last tick may have begun before we did
    began = time.monotonic() - 0.01
    sent = got = 0
    data = net.pack(frame) * n
    while got < n:
        sent += inner.try_send(data[sent:])
        got += len(outer.drain())
        assert got * unit <= rate * (1 + time.monotonic() - began) + unit, (got, time.monotonic() - began)
        time.sleep(0.005)


@pytest.mark.parametrize("way", ["out", "in"])
def test_packets_a_second(relay, way):
    relay.begin(f"--packets-{way}=300", f"--ip={frames.OWN}")
    back = frames.to_guest(frames.tcp(frames.OWN, from_address=frames.FAR))
    ends = (relay.inner, relay.outer) if way == "out" else (relay.outer, relay.inner)
    rate_holds(relay, *ends, frames.tcp() if way == "out" else back, 600, 300, 1)
    assert relay.passed(frames.tcp()) == [frames.tcp()]


@pytest.mark.parametrize("way", ["out", "in"])
def test_a_large_frame_is_many_packets(relay, way):
    relay.begin(f"--packets-{way}=3000", f"--ip={frames.OWN}")
    frame = frames.udp(data=bytes(60000)) if way == "out" else \
        frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR, data=bytes(60000)))
    ends = (relay.inner, relay.outer) if way == "out" else (relay.outer, relay.inner)
    rate_holds(relay, *ends, frame, 150, 3000, -(-len(frame) // 1518))


def test_bytes_a_second(relay):
    relay.begin("--bytes-out=300K", f"--ip={frames.OWN}")
    frame = frames.udp(data=bytes(1400))
    rate_holds(relay, relay.inner, relay.outer, frame, 500, 300 << 10, len(frame))


def test_memory_is_bounded(relay):
    """An outside that takes nothing holds the guest up; what waits is in rings of one size."""
    relay.begin(f"--ip={frames.OWN}")
    data, sent = net.pack(frames.udp(data=bytes(1400))), 0
    while (n := relay.inner.try_send(data * 8)) or (time.sleep(0.2) or relay.inner.try_send(data * 8)):
        sent += n
        assert sent < 8 << 20
    with open(f"/proc/{relay.process.pid}/status", encoding="ascii") as f:
        size = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    assert size < 8 << 10
    came = len(relay.outer.drain())
    assert came > 100


# ---- streams ----

@pytest.mark.parametrize("side", ["inner", "outer"])
def test_a_length_that_cannot_be_ends_the_network(relay, side):
    relay.begin("--guard=on").settle_addresses()
    getattr(relay, side).sock.sendall(b"\xff" * 64)
    wait.until(relay.lines, "it says so")
    assert "broke the stream of frames: the guest has no network any more" in relay.lines()[0]
    other = relay.outer if side == "inner" else relay.inner
    other.send(frames.tcp())
    assert relay.process.alive


def test_the_outside_goes(relay):
    """The guest sends into the void, and nothing fills up."""
    relay.begin(f"--ip={frames.OWN}")
    relay.theirs[1].close()
    relay.outer.close()
    wait.until(relay.lines, "it says so")
    for _ in range(2000):
        relay.inner.send(frames.udp(data=bytes(1400)))
    assert len(relay.lines()) == 1


def test_killed_again_and_again(relay):
    """Neither stream loses its borders, and the guest keeps its addresses: what comes are frames that were sent, in
    their order; one on each kill may come twice."""
    relay.begin("--guard=on").settle_addresses()
    r = random.Random(3)
    out = [frames.udp(data=struct.pack("<I", n) + r.randbytes(r.randrange(1400))) for n in range(300)]
    back = [frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR, data=struct.pack("<I", n) + bytes(1000)))
            for n in range(300)]
    streams = [b"".join(map(net.pack, f)) for f in (out, back)]
    came, at, kills = ([], []), [0, 0], 0
    ends = ((relay.inner, relay.outer), (relay.outer, relay.inner))
    while any(at[i] < len(streams[i]) for i in range(2)):
        for i, (from_, to) in enumerate(ends):
            at[i] += from_.try_send(streams[i][at[i]:at[i] + r.randrange(1, 20000)])
            came[i].extend(to.drain())
        if not r.randrange(5):
            relay.kill()
            relay.begin("--guard=on")
            kills += 1
    for i, (_, to) in enumerate(ends):
        sent = (out, back)[i]
        while came[i][-1:] != sent[-1:]:
            came[i].append(to.recv())
        twice = [f for k, f in enumerate(came[i]) if k and f == came[i][k - 1]]
        assert len(twice) <= kills
        assert [f for k, f in enumerate(came[i]) if not k or f != came[i][k - 1]] == sent
    assert kills > 3


@pytest.mark.parametrize("at", [0, PAGE_SIZE])
def test_a_page_that_cannot_be(relay, at):
    os.pwrite(relay.page, struct.pack("<4Q", 10, 9, 0, 0), at)
    fds = {4: relay.theirs[0].fileno(), 5: relay.page, 6: relay.theirs[1].fileno()}
    p = process.Process(relay.build, "net-relay", [f"--mac={net.MAC.hex(':')}"], fds)
    p.assert_clean_end(1)
    assert p.said(process.CTL_FAILED)[0].text.startswith("net-relay: ")
    p.close()


def test_a_page_of_lies(relay):
    """What a predecessor that was taken over has left of addresses and flows is no index and no pointer."""
    os.pwrite(relay.page, random.Random(5).randbytes(STATE_SIZE - 2 * PAGE_SIZE), 2 * PAGE_SIZE)
    relay.begin(f"--ip={frames.OWN}", "--restrict=on", "--allow=198.51.100.7:9")
    relay.outer.send(frames.router())
    assert relay.inner.recv() == frames.router()
    for port in range(1, 500):
        relay.outer.send(frames.to_guest(frames.tcp(frames.OWN, port, from_address=frames.FAR)))
    assert relay.passed(*frames.SPOOFED.values()) == []


@pytest.mark.parametrize("word", ["--mac=zz", "--allow=10.0.0.1/8", "--ip=x", "--packets-out=0", "--fd=4", "--mtu=1500"])
def test_words(relay, word):
    fds = {4: relay.theirs[0].fileno(), 5: relay.page, 6: relay.theirs[1].fileno()}
    p = process.Process(relay.build, "net-relay", [word], fds)
    p.assert_clean_end(1)
    assert word in p.said(process.CTL_FAILED)[0].text
    p.close()
