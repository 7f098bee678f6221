# SPDX-License-Identifier: Apache-2.0
"""A segment of VMs: what whoever takes its net-switch over has not, and what passes of a dev-net that was taken over."""

import itertools
import os

import pytest

import second
from bh import frames, net, segment
from taken import Died, Thread, maps_of
from test_behind import links
from test_first_step import Intruder
from test_frames import LAST, send

NUMBERS = itertools.count()
ALLOW = ("--allow", "virtio-net,net-switch")


class Segment:
    """A VM on one of its own, and the processes of that."""

    def __init__(self, ground, mac=net.MAC, more=""):
        self.ground, self.name = ground, f"drill-{next(NUMBERS)}"
        before = {pid for pid, _ in ground.place.processes()}
        self.machine = ground.start("--net", f"switch={self.name},mac={mac.hex(':')}{more}", *ALLOW, more=("dev-net",))
        own = {*self.machine.pids.values(), *before}
        self.pids = {os.path.basename(exe): pid for pid, exe in ground.place.processes() if pid not in own}
        assert set(self.pids) == {"net-switch", "bulkhead"}, self.pids

    def take(self, role="net-switch"):
        thread = Thread(self.pids[role])
        self.machine.pids[f"{role} of a segment"] = thread.pid  # what is left of it ends with the machine
        self.machine.taken.append(thread.tid)
        return thread

    def join(self, mac, *more):
        card = segment.Card(mac)
        assert segment.ask(self.ground.place, self.name, card, *more) == (segment.DONE, "")
        return card


@pytest.mark.parametrize("role", ["net-switch", "bulkhead"])
def test_the_first_step(ground, neighbour, count, role):
    """bulkhead: the switch keeper."""
    intruder = Intruder(lambda: Segment(ground).take(role)).try_all(ground, neighbour)
    count("switch-keeper" if role == "bulkhead" else role, intruder.tried, intruder.gains)


def test_what_it_holds(ground, neighbour, count):
    """Streams, an event loop and a clock; of no VM anything else."""
    s = Segment(ground)
    pid = s.pids["net-switch"]
    gains = [("held", name, "") for name in links(pid) if not name.startswith(("socket", "anon_inode", "/dev/null"))]
    gains += [("held", m[3], "mapped") for m in maps_of(pid) if "guest-ram" in m[3] or "memfd" in m[3]]
    count("net-switch", 2, gains)
    s.machine.finish()


def say(t, messages):
    """Over everything that it holds, until its keeper ends it, who does that with a switch that breaks the protocol."""
    try:
        for _, data, _ in messages:
            for fd in second.held(t):
                second.send(t, fd, data)
        t.release()
    except Died:
        pass


def test_what_it_says(ground, neighbour, count):
    """To its keeper and to each card: whatever it is, its VM serves on, and others' segments as well."""
    other = Segment(ground)
    card = other.join(frames.ROUTER_MAC)
    gains = []
    for messages in (second.control_messages(None), [("bytes", b"\xff" * 400, None), ("nothing", b"", None)]):
        s = Segment(ground)
        say(s.take(), messages)
        s.machine.finish()
        gains += [("files", "touched", "")] if ground.targets.touched() else []
    frame = frames.arp(1, "0.0.0.0", frames.SERVER, mac=card.mac, from_mac=card.mac, to_mac=frames.EVERYBODY)
    listener = other.join(segment.mac_of(9))
    card.send(frame)
    assert listener.recv() == frame
    count("net-switch", 2, gains)
    for c in card, listener:
        c.close()
    other.machine.finish()


def test_no_foreign_frame_of_a_taken_dev_net(ground, neighbour, count):
    """None of those that net-relay holds up passes the switch either; a right one behind them does."""
    s = Segment(ground, more=f",ip={frames.OWN},ip={frames.OWN6}")
    card = s.join(frames.ROUTER_MAC, f"ip={frames.SERVER}")
    t = s.machine.take("dev-net")
    send(t, b"".join(net.pack(f) for f in (*frames.SPOOFED.values(), LAST)))
    came = []
    while (frame := card.recv()) != LAST:
        came.append(frame)
    t.release()
    names = {frame: what for what, frame in frames.SPOOFED.items()}
    count("dev-net", len(frames.SPOOFED), [("spoofed", names.get(f, f.hex()), "passed") for f in came])
    card.close()
