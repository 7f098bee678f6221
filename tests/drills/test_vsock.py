# SPDX-License-Identifier: Apache-2.0
"""A VM with virtio-vsock: what whoever takes dev-vsock over has not: a connection that it begins itself."""

import socket

import pytest

from taken import Died, maps_of
from test_behind import links
from test_first_step import SIGSYS_ENDED, Intruder

SOCKET, CONNECT, SENDTO, SENDMSG, BIND, LISTEN, SOCKETPAIR, DUP2 = 41, 42, 44, 46, 49, 50, 53, 33
ACCEPT4, SHUTDOWN = 288, 48
LISTENER = 5
NOSIGNAL = 0x4000
WORDS = ("--vsock", "on", "--vsock-listen", "22", "--allow", "virtio-vsock")
OPTIONS = {"more": ("dev-vsock",)}


def start(ground):
    return ground.start(*WORDS, **OPTIONS)


def test_the_first_step_of_dev_vsock(ground, neighbour, count):
    intruder = Intruder(lambda: start(ground).take("dev-vsock")).try_all(ground, neighbour)
    count("dev-vsock", intruder.tried, intruder.gains)


def test_what_dev_vsock_holds(ground, neighbour, count):
    """No file, no network; of memory that others share guest RAM and the note of requests."""
    machine = start(ground)
    pid = machine.pids["dev-vsock"]
    gains = [("held", name, "") for name in links(pid)
             if not name.startswith(("socket", "anon_inode", "/memfd:inflight", "/memfd:guest-ram", "/guest-ram"))]
    gains += [("mapped", m[3], "") for m in maps_of(pid)
              if m[3].startswith(("/memfd", "/guest")) and "guest-ram" not in m[3] and "inflight" not in m[3]]
    count("dev-vsock", 2, gains)
    machine.finish()


@pytest.fixture
def decoy():
    """Somebody else of the host who listens."""
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("")  # a name that the kernel chooses
        s.listen()
        s.settimeout(0)
        yield s


def reached(decoy):
    try:
        decoy.accept()[0].close()
        return True
    except BlockingIOError:
        return False


def ways_out(t, name):
    """How a taken dev-vsock might begin a connection, or be found elsewhere: (what, number, arguments)."""
    address = t.put(b"\x01\0" + name)
    size = 2 + len(name)
    yield "a socket", SOCKET, (socket.AF_UNIX, 1, 0)
    yield "a vsock of the host", SOCKET, (40, 1, 0)
    yield "its listener connects", CONNECT, (LISTENER, address, size)
    yield "its listener elsewhere", BIND, (LISTENER, address, size)
    yield "a longer queue", LISTEN, (LISTENER, 4096)
    yield "a pair", SOCKETPAIR, (socket.AF_UNIX, 1, 0, t.put(bytes(8)))
    yield "a datagram to an address", SENDTO, (LISTENER, t.put(b"x"), 1, NOSIGNAL, address, size)
    yield "clients that block, and go to children", ACCEPT4, (LISTENER, 0, 0, 0)
    yield "who they are", ACCEPT4, (LISTENER, t.put(bytes(128)), t.put(b"\x80\0\0\0"), 0o2004000)
    yield "its listener closed for all", SHUTDOWN, (LISTENER, 2)
    yield "another in its place", DUP2, (3, LISTENER)


def test_a_taken_dev_vsock_begins_nothing(ground, neighbour, count, decoy):
    gains, tried, name = [], 0, decoy.getsockname()
    while True:
        machine = start(ground)
        t = machine.take("dev-vsock")
        try:
            ways = list(ways_out(t, name))
            what, nr, args = ways[tried]
            result = t.call(nr, *args)
            gains += [("dev-vsock", what, str(result))] * (not result.refused)
        except Died as death:
            gains += [("dev-vsock", what, str(death))] * (death.status != SIGSYS_ENDED)
        gains += [("dev-vsock", what, "reached")] * reached(decoy)
        machine.discard()
        tried += 1
        if tried == len(ways):
            break
    count("dev-vsock", tried, gains)
