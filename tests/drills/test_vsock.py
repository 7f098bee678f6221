# SPDX-License-Identifier: Apache-2.0
"""A VM with virtio-vsock: what whoever takes dev-vsock over has not: a connection that it begins itself; of the host's
sockets it reaches those that the VM's configuration names, through the dialer, at a rate. Nor has whoever takes that."""

import os
import socket
import struct
import time

import pytest

from taken import Died, maps_of, shared_beside
from test_behind import links
from test_first_step import SIGSYS_ENDED, Intruder

SOCKET, CONNECT, SENDTO, SENDMSG, BIND, LISTEN, SOCKETPAIR, DUP2 = 41, 42, 44, 46, 49, 50, 53, 33
ACCEPT4, SHUTDOWN = 288, 48
LISTENER = 5
NOSIGNAL = 0x4000
WORDS = ("--vsock", "on", "--vsock-listen", "22", "--allow", "virtio-vsock")
OPTIONS = {"more": ("dev-vsock",)}
NAME, PORTS, NOT_NAMED, CUT = "drill-vsock", (80, 81), 82, 8
REACHING = ("--vsock", "on", "--vsock-connect", "80,81", "--allow", "virtio-vsock", "--name", NAME)
DIALER, PAUSE_S, ASKS = 6, 0.002, 300
CONNECT_TABLE, PATH_AT = 0x10000000000, 16  # lib/declared/declared.h
RECVMSG, MMAP, MPROTECT, MUNMAP, MREMAP = 47, 9, 10, 11, 25
STREAM = 1 | 0o2000000 | 0o4000


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
             if not name.startswith(("socket", "anon_inode", "/memfd:inflight", "/memfd:dirty-log", "/memfd:guest-ram", "/guest-ram"))]
    gains += shared_beside(pid, ("guest-ram", "inflight", "dirty-log"))
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


# ---- with ports of the host ----

@pytest.fixture
def named(ground):
    """Programs of the host that listen by the VM's name, on ports that it may reach and on two that it may not, one of which is
    the beginning of one that it may."""
    folder = ground.place.runtime / "bulkhead"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = []
    for port in (*PORTS, NOT_NAMED, CUT):
        found.append(socket.socket(socket.AF_UNIX))
        found[-1].bind(str(folder / f"{NAME}+vsock_{port}"))
        found[-1].listen(64)
        found[-1].settimeout(60)
    yield found
    for sock in found:
        os.unlink(sock.getsockname())
        sock.close()


def start_reaching(ground):
    return ground.start(*REACHING, more=("dev-vsock", "dialer"))


def message(t, data, fd=None):
    control = t.put(struct.pack("<QiiI4x", 20, 1, 1, fd)) if fd is not None else 0
    return t.put(struct.pack("<7Q", 0, 0, t.put(struct.pack("<2Q", t.put(data or b" "), len(data))), 1, control,
                             24 if control else 0, 0))


def ask(t, data, fd=None):
    return t.call(SENDMSG, DIALER, message(t, data, fd), NOSIGNAL).value


def silent(listener):
    listener.settimeout(0)
    try:
        return not reached(listener)
    finally:
        listener.settimeout(60)


def await_answer(t):
    """What comes over the channel: a length, 0 once the dialer has closed it."""
    room = t.put(struct.pack("<7Q", 0, 0, t.put(struct.pack("<2Q", t.put(bytes(16)), 16)), 1, t.put(bytes(64)), 64, 0))
    end = time.monotonic() + 60
    while (got := t.call(RECVMSG, DIALER, room, 0x40000040).value) == -11:
        assert time.monotonic() < end
        time.sleep(0.01)
    return got


def test_a_taken_dev_vsock_reaches_what_is_named_at_a_rate(ground, neighbour, count, named):
    machine = start_reaching(ground)
    t = machine.take("dev-vsock")
    gains = []
    for place, listener in enumerate(named[:2]):
        assert ask(t, bytes([place])) == 1
        listener.accept()[0].close()
        assert await_answer(t) == 2
    began = time.monotonic()
    for _ in range(ASKS):
        t.forget()
        assert ask(t, b"\0") == 1
        named[0].accept()[0].close()
        assert await_answer(t) == 2
    took = time.monotonic() - began
    gains += [("dev-vsock", "faster than the rate", f"{took:.3f} s")] * (took < (ASKS - 1) * PAUSE_S)
    gains += [("dev-vsock", "a port that nobody named", "reached")] * (not silent(named[2]) or not silent(named[1]))
    count("dev-vsock", 2 + ASKS, gains)
    machine.discard()


@pytest.mark.parametrize("data,fd", [(b"\2", None), (b"\x08", None), (b"\xff", None), (b"\0\0", None), (b"", None),
                                     (b"\0", 5)], ids=str)
def test_a_taken_dev_vsock_asks_for_more(ground, neighbour, count, named, data, fd):
    """A place that there is not, or no place at all, ends its channel: it reaches nobody, and never again."""
    machine = start_reaching(ground)
    t = machine.take("dev-vsock")
    assert ask(t, data, fd) == len(data)
    gains = [("dev-vsock", f"answered {data}", "")] * (await_answer(t) != 0)
    gains += [("dev-vsock", "asked again", "")] * (ask(t, b"\0") != -32)
    gains += [("dev-vsock", f"reached by {data}", str(i)) for i, one in enumerate(named) if not silent(one)]
    count("dev-vsock", 2, gains)
    machine.discard()


def ways_of_a_dialer(t, path):
    """How a taken dialer might reach a socket of the host that nobody named: (name, number, arguments)."""
    sock = t.call(SOCKET, socket.AF_UNIX, STREAM, 0).value
    assert sock >= 0
    address = t.put(b"\x01\0" + path + b"\0")
    size = 2 + len(path) + 1
    yield "an address of its own", CONNECT, (sock, address, size)
    yield "a path of the table, cut", CONNECT, (sock, CONNECT_TABLE, size - len(b"0\0"))
    yield "the same in its place", CONNECT, (sock, CONNECT_TABLE + PATH_AT, size - len(b"0\0"))
    yield "as long as another's", CONNECT, (sock, CONNECT_TABLE + PATH_AT, 28)
    yield "an address of nothing", CONNECT, (sock, CONNECT_TABLE + 8, size)
    yield "behind the table", CONNECT, (sock, CONNECT_TABLE + 65536, size)
    yield "the table made writable", MPROTECT, (CONNECT_TABLE, 65536, 3)
    yield "another table there", MMAP, (CONNECT_TABLE, 65536, 3, 0x32, -1 & (1 << 64) - 1, 0)
    yield "none there", MUNMAP, (CONNECT_TABLE, 65536)
    yield "another page moved there", MREMAP, (address & ~4095, 4096, 4096, 3, CONNECT_TABLE)
    yield "a datagram", SOCKET, (socket.AF_UNIX, 2, 0)
    yield "a vsock of the host", SOCKET, (40, STREAM, 0)
    yield "to listen in the other's place", BIND, (sock, address, size)


def test_a_taken_dialer_reaches_no_other_socket(ground, neighbour, count, named):
    gains, tried, path = [], 0, named[2].getsockname().encode()
    while True:
        machine = start_reaching(ground)
        t = machine.take("dialer")
        try:
            ways = list(ways_of_a_dialer(t, path))
            what, nr, args = ways[tried]
            result = t.call(nr, *args)
            gains += [("dialer", what, str(result))] * (not result.refused)
        except Died as death:
            gains += [("dialer", what, str(death))] * (death.status != SIGSYS_ENDED)
        gains += [("dialer", what, "reached")] * (not (silent(named[2]) and silent(named[3])))
        machine.discard()
        tried += 1
        if tried == len(ways):
            break
    count("dialer", tried, gains)


def test_a_dialer_holds_no_guest(ground, neighbour, count):
    machine = start_reaching(ground)
    pid = machine.pids["dialer"]
    gains = [("held", "dialer", m[3]) for m in maps_of(pid) if "guest-ram" in m[3]]
    gains += [("held", "dialer", path) for path in links(pid) if path.startswith("/") and path != "/dev/null"]
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        (rights,) = [line.split()[1] for line in f if line.startswith(f"{CONNECT_TABLE:x}-")]
    gains += [("table", "is", rights)] * (rights != "r--p")
    count("dialer", 2, gains)
    machine.finish()
