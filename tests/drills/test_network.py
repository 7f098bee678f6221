# SPDX-License-Identifier: Apache-2.0
"""A VM with a network card: what whoever takes dev-net over has not."""

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
