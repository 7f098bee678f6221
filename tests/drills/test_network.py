# SPDX-License-Identifier: Apache-2.0
"""A VM with a network card: what whoever takes dev-net over has not."""

import os
import subprocess

import pytest

from taken import maps_of
from test_behind import links
from test_first_step import Intruder

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


@pytest.fixture
def tap():
    """What starts a VM on a tap of the host's, which goes afterwards."""
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("this host has no /dev/net/tun")
    name = f"bh-drill{os.getpid() % 100000}"
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap"], check=True)
    yield lambda ground: ground.start("--net", f"tap={name}", "--allow", "virtio-net", more=("dev-net",))
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
