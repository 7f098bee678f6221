# SPDX-License-Identifier: Apache-2.0
"""A VM whose network card has a net-relay behind it: what whoever takes dev-net or net-relay over has not."""

import itertools
import struct
import time

import pytest

import second
import test_second_step
from bh import frames, net
from taken import maps_of
from test_behind import links
from test_first_step import Intruder

GUARDED = {"net": f",mac={net.MAC.hex(':')},guard=on", "more": ("dev-net", "net-relay")}
LINK = 6  # of dev-net
SENDMMSG, DONTWAIT, NOSIGNAL = 307, 0x40, 0x4000
RATE, FRAMES = 50, 200
LAST = frames.udp(port=9, data=b"the last one")


def test_the_first_step_of_net_relay(ground, neighbour, count):
    intruder = Intruder(lambda: ground.start(**GUARDED).take("net-relay")).try_all(ground, neighbour)
    count("net-relay", intruder.tried, intruder.gains)


def frames_that_lie(t, fd, targets):
    """Lengths of no frame, of the longest and beyond, cut anywhere, and many frames at once."""
    right = net.pack(LAST)
    for what, data in (("no length", bytes(4)), ("the longest", b"\xff" * 4 + bytes(4000)), ("half a length", right[:2]),
                       ("half a frame", right[:-1]), ("a negative one", struct.pack(">I", 1 << 31)), ("many", right * 60),
                       ("a large one", struct.pack(">I", 65536) + bytes(8000))):
        second.send(t, fd, data)
        yield f"{what} over {fd}", bool(targets.touched())


@pytest.mark.parametrize("step", second.WHOLE, ids=lambda s: s.__name__)
@pytest.mark.parametrize("role", ["dev-net", "net-relay"])
def test_the_second_step_on_everything(ground, neighbour, count, role, step):
    test_second_step.drill(ground, count, role, lambda t: step(t, ground.targets), **GUARDED)


@pytest.mark.parametrize("step", [*second.CHANNEL, frames_that_lie], ids=lambda s: s.__name__)
@pytest.mark.parametrize("role", ["dev-net", "net-relay"])
def test_the_second_step_on_each_channel(ground, neighbour, count, role, step):
    test_second_step.each_channel(ground, count, role, step, **GUARDED)


def test_who_holds_what(ground, neighbour, count):
    """net-relay: two sockets and its page, nothing of the guest's; dev-net: nothing of that page."""
    machine = ground.start(**GUARDED)
    relay, dev_net = machine.pids["net-relay"], machine.pids["dev-net"]
    gains = [("held", "guest RAM", m[3]) for m in maps_of(relay) if "guest-ram" in m[3]]
    gains += [("held", name, "") for name in links(relay)
              if not name.startswith(("socket", "anon_inode", "/memfd:net-relay"))]
    gains += [("held", "the relay's page", m[3]) for m in maps_of(dev_net) if "net-relay" in m[3]]
    count("net-relay", 3, gains)
    machine.finish()


def send(t, data):
    """As dev-net may: without waiting, again until all of it has gone."""
    while data:
        piece = data[:8192]
        message = t.put(struct.pack("<8Q", 0, 0, t.put(struct.pack("<2Q", t.put(piece), len(piece))), 1, 0, 0, 0, 0))
        if t.call(SENDMMSG, LINK, message, 1, DONTWAIT | NOSIGNAL).value == 1:
            (sent,) = struct.unpack("<Q", t.read(message + 56, 8))
            data = data[sent & 0xffffffff:]
        else:
            time.sleep(0.01)
        t.forget()


def taken(ground, more=""):
    """The machine, the intruder in its dev-net, and the other end of the link; the guest has its addresses."""
    machine = ground.start(net=GUARDED["net"] + more, more=GUARDED["more"])
    t, peer = machine.take("dev-net"), net.Peer(machine.link)
    asked, answer = frames.lease()
    send(t, net.pack(asked))
    assert peer.recv() == asked
    peer.send(frames.router())
    peer.send(answer)
    for n in itertools.count():  # until it has them
        ready = frames.udp(port=9, data=struct.pack("<I", n))
        send(t, net.pack(ready))
        if ready in peer.drain():
            return t, peer


def test_no_foreign_frame_of_a_taken_dev_net(ground, neighbour, count):
    """Foreign addresses of every sort, routers' and servers' messages, the host itself, tags and bytes that are no
    packet; a right frame behind them comes through."""
    t, peer = taken(ground)
    send(t, b"".join(net.pack(f) for f in (*frames.SPOOFED.values(), LAST)))
    came = []
    while (frame := peer.recv()) != LAST:
        came.append(frame)
    t.release()
    names = {frame: what for what, frame in frames.SPOOFED.items()}
    count("dev-net", len(frames.SPOOFED), [("spoofed", names.get(f, f.hex()), "passed") for f in came])


def test_no_other_destination_of_a_taken_dev_net(ground, neighbour, count):
    t, peer = taken(ground, ",allow=198.51.100.0/24:443,allow=198.51.100.7:9")
    wrong = [frames.tcp(port=80), frames.tcp("192.0.2.1", 443), frames.tcp(frames.FAR6, 443), frames.ipv4(1, bytes(40)),
             frames.ipv4(47, bytes(40)), frames.udp("255.255.255.255", 443), frames.tcp("10.0.2.2", 443),
             frames.ipv4(6, bytes(64), fragment=0x2000), frames.ipv4(17, bytes(64), fragment=100),
             frames.neighbour(135, frames.OWN6, to=frames.FAR6)]
    send(t, b"".join(net.pack(f) for f in (*wrong, LAST)))
    came = []
    while (frame := peer.recv()) != LAST:
        came.append(frame)
    t.release()
    count("dev-net", len(wrong), [("destination", f.hex(), "passed") for f in came])


def test_no_private_destination_of_a_taken_dev_net(ground, neighbour, count):
    """With public=on, as a VM has it when nothing is said of its network; a public one behind them is reached. (A name that somebody
    points at a private address is that address by then.)"""
    t, peer = taken(ground, ",public=on")
    wrong = frames.to_private()
    send(t, b"".join(net.pack(f) for f in (*wrong, LAST)))
    came = []
    while (frame := peer.recv()) != LAST:
        came.append(frame)
    t.release()
    count("dev-net", len(wrong), [("private", f.hex(), "passed") for f in came])


def test_no_flood_of_a_taken_dev_net(ground, neighbour, count):
    """Right frames, as many as the socket takes: no more pass than a burst and the time's share."""
    t, peer = taken(ground, f",packets-out={RATE}")
    began = time.monotonic()
    send(t, net.pack(frames.udp()) * FRAMES)
    came = 0
    while came < FRAMES:
        came += peer.recv() == frames.udp()
    # the lease took some; the timer's last tick may have begun before we did
    least = (FRAMES - RATE) / RATE - 0.1
    took = time.monotonic() - began
    t.release()
    count("dev-net", FRAMES, [] if took >= least else [("rate", f"{FRAMES} frames", f"{took:.2f} s")])
