# SPDX-License-Identifier: Apache-2.0
"""A supervisor that an intruder has taken over, and its launcher: it can have started what the VM was
configured to have, one of each, and a few devices more that could be attached to it, and only so often."""

import os
import re
import socket
import struct
import time

import pytest

from bh import wait
import machines
from conftest import BUILD
from taken import Died

SENDMSG, RECVMSG = 46, 47
CHANNEL, OWN_CHANNEL = 5, 3  # the supervisor's end, and the launcher's
AGAIN, NEW, FORGET, FIND, LARGER, BEHIND = 1, 2, 3, 4, 5, 7
KINDS = re.findall(r"&(\w+)_kind,", (BUILD / "cmd/rows.c").read_text(encoding="ascii"))
CARD = KINDS.index("net")
SPARES = 8  # parts for devices that are attached
BURST = 10  # starts of one part at once
FIRST_SPARE = len(machines.PARTS)
UNKNOWN = [0, FIRST_SPARE + SPARES, 14, 200, 255]


@pytest.fixture
def machine(ground):
    m = ground.start(launcher=True)
    yield m
    m.discard()


def pids_of(machine):
    supervisor = machine.pids["supervisor"]
    return {pid for pid in machines.children(supervisor)}


def rest(machine):
    """Until the launcher waits for the next request, having taken all that it was asked, or has ended: it comes back to
    that only when what it started has become its program. Or it waits to have an answer read, which nobody does here."""
    launcher = machine.pids["launcher"]
    wait.until(lambda: waits_for_request(launcher), "the launcher has done what it was asked")


def waits_for_request(launcher):
    state = machines.state_of(launcher, launcher)
    if state is None or state[0] in "ZX":
        return True
    with open(f"/proc/{launcher}/syscall", encoding="ascii") as f:
        return f.read().split()[:2] in ([str(RECVMSG), hex(OWN_CHANNEL)], [str(SENDMSG), hex(OWN_CHANNEL)])


def send(supervisor, request, fd=None):
    supervisor.forget()
    at = supervisor.put(request)
    iov = supervisor.put(struct.pack("<QQ", at, len(request)))
    control, length = 0, 0
    if fd is not None:
        control = supervisor.put(struct.pack("<QiiiI", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, fd, 0))
        length = 24
    message = supervisor.put(struct.pack("<QIIQQQQI4x", 0, 0, 0, iov, 1, control, length, 0))
    return supervisor.call(SENDMSG, CHANNEL, message, 0x4000)


def ask(supervisor, what, part, kind=0, number=0, text=b"", fd=None):
    return send(supervisor, bytes([what, part, kind, number]) + text, fd)


def news(machine, before):
    """The processes that are new, by their names."""
    return [machines.name_of(pid) for pid in pids_of(machine) - before]


def test_of_what_lives_and_what_is_not_there(machine, count):
    """Each part while its process lives, numbers that are no part's, and spare parts with nothing in them."""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    numbers = [*range(1, 1 + len(machines.PARTS)), *UNKNOWN, *range(FIRST_SPARE, FIRST_SPARE + SPARES)]
    for number in numbers:
        assert ask(supervisor, AGAIN, number).value == 4
        assert ask(supervisor, FORGET, number).value == 4
        assert ask(supervisor, LARGER, number).value == 4
    for number in [*range(1, len(machines.PARTS)), *UNKNOWN]:
        for kind in range(4):
            assert ask(supervisor, NEW, number, kind).value == 4
    rest(machine)
    gains = [("launcher", "a process", name) for name in news(machine, before)]
    count("supervisor", 3 * len(numbers), gains)


@pytest.mark.parametrize("request_", [b"", b"\1", b"\1\2\0", b"\0\2\0\0", b"\4\2\0\0", b"\1\2\1\0",
                                      b"\1\2\0\1", b"\1\2\0\0x", b"\3\4\0\0x", b"\2\4\1\0" + b"x" * 361,
                                      b"\2\4\1\0\0", b"\2\4\1\0rate=1\n", bytes(range(256)) * 4])
def test_what_is_no_request(machine, count, request_):
    """Nothing comes of it; the launcher may end of it."""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    send(supervisor, request_)
    rest(machine)
    count("supervisor", 1, [("launcher", "a process", name) for name in news(machine, before)])


def test_devices_that_nobody_attached(machine, count):
    """Each kind in each spare part, with options good and bad: no more than could be attached, of kinds that
    need no file, or a disk whose file would be another process's, and which so has none. (Nobody reads the answers.)"""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    options = (b"", b"rate=1", b"rate=0", b"format=raw", b"--exec=/bin/sh", b"serial=x", b"/etc/passwd,format=raw",
               b"format=raw,parser=apart")
    for part in range(FIRST_SPARE, FIRST_SPARE + SPARES):
        for kind in (*range(CARD + 1), 31, 32, 255):
            for text in options:
                ask(supervisor, NEW, part, kind, 255, text)
            rest(machine)
    found = news(machine, before)
    gains = [("launcher", "a process", name) for name in found if name not in ("dev-rng", "dev-blk")]
    gains += [("launcher", "a process", "one too many")] * (len(found) > SPARES)
    assert found, "none could be attached"
    count("supervisor", SPARES * (CARD + 4) * len(options), gains)


CARDS = (b"fd=3", b"fd=3,guard=on", b"fd=3,guard=off,mac=52:54:00:aa:aa:aa", b"tap=tap0", b"bridge=br0", b"macvtap=v0",
         b"user", b"user,allow=0.0.0.0/0", b"vhost-user=/run/x", b"fd=3,ip=10.0.2.2,packets-out=1", b"fd=-1")
STREAMED = (b"fd=", b"user")  # what a card of those has is a socket


def test_cards_that_nobody_attached(ground, count):
    """Each way in which a card can be joined to something, without a descriptor and with each of its own, before a relay and
    as one: without the right sort there is none, a tap never, and no more than there is room for."""
    machine = ground.start("--allow", "virtio-net,net-relay", launcher=True)
    supervisor, before = machine.take("supervisor"), pids_of(machine)
    held = [int(fd) for fd in os.listdir(f"/proc/{machine.pids['supervisor']}/fd")]
    tried, gains, part = 0, [], FIRST_SPARE
    for text in CARDS:
        for fd in [None, *held]:
            for what in (NEW, BEHIND) if fd is not None else (NEW,):  # that one has a descriptor, or is no request
                seen = pids_of(machine)
                ask(supervisor, what, part, CARD, 1, text, fd)
                rest(machine)
                came = [became(pid) for pid in pids_of(machine) - seen]
                right = fd is not None and text.startswith(STREAMED) and is_socket(machine, fd)
                gains += [("launcher", f"a card by {text}", name) for name in came
                          if name not in ("dev-net", "net-relay") or not right]
                tried, part = tried + 1, min(part + len(came), FIRST_SPARE + SPARES - 1)
    gains += [("launcher", "a process", "one too many")] * (len(pids_of(machine) - before) > SPARES)
    assert pids_of(machine) - before, "none could be attached"
    machine.discard()
    count("supervisor", tried, gains)


def became(pid):
    """What program a new process is, or was: nobody waits for it, as its supervisor is taken."""
    machines.await_rest(lambda: [(pid, pid)])
    with open(f"/proc/{pid}/comm", encoding="ascii") as f:
        name = f.read().rstrip("\n")
    ended = machines.state_of(pid, pid)[0] == "Z"
    return "dev-net" if ended and name == "launcher" else name  # it has not come so far


def is_socket(machine, fd):
    return os.readlink(f"/proc/{machine.pids['supervisor']}/fd/{fd}").startswith("socket:")


def test_descriptors_of_its_own(machine, count):
    """All that it holds, as the image of a disk, to read and to write: none is one."""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    held = [int(fd) for fd in os.listdir(f"/proc/{machine.pids['supervisor']}/fd")]
    for fd in held:
        for kind in range(3):
            for readonly in (b"on", b"off"):
                ask(supervisor, NEW, FIRST_SPARE, kind, 0, b"format=raw,readonly=" + readonly, fd)
                ask(supervisor, BEHIND, FIRST_SPARE, kind, 0, b"format=raw,parser=apart,readonly=" + readonly, fd)
        rest(machine)
    gains = [("launcher", "a process", name) for name in news(machine, before)]
    count("supervisor", len(held) * 12, gains)


def test_what_its_user_has_not_shown(machine, count):
    """No descriptor that it holds is the file of a disk, so that no note of a bound is made anew: a disk that
    has ended is not started as one that has become larger."""
    supervisor = machine.take("supervisor")
    part = [machines.name_of(pid) for pid in machines.children(machine.pids["supervisor"])].index("dev-blk")
    held = [int(fd) for fd in os.listdir(f"/proc/{machine.pids['supervisor']}/fd")]
    before = pids_of(machine)
    for fd in held:
        ask(supervisor, FIND, 0, fd=fd)
    rest(machine)
    os.kill(machine.pids["dev-blk"], 9)
    machines.await_end(machine.pids["dev-blk"])
    for fd in held:
        ask(supervisor, FIND, 0, fd=fd)
        ask(supervisor, LARGER, part)
        rest(machine)
    count("supervisor", 3 * len(held), [("launcher", "a process", name) for name in news(machine, before)])


def test_what_was_new_is_new_only_so_often(machine, count):
    """A device is attached, killed and forgotten as fast as can be."""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    n, begun = 0, time.monotonic()
    for _ in range(40):
        for kind in range(3):
            ask(supervisor, NEW, FIRST_SPARE, kind)
        rest(machine)
        alive = [pid for pid in pids_of(machine) - before if machines.state_of(pid, pid)[0] != "Z"]
        assert len(alive) <= 1
        if not alive:
            break
        n += 1
        os.kill(alive[0], 9)
        machines.await_end(alive[0])
        ask(supervisor, FORGET, FIRST_SPARE)
        rest(machine)
    assert n > 1, "nothing was started"
    most = BURST + 2 * (time.monotonic() - begun) + 1
    count("supervisor", 40 * 4, [("launcher", "starts", n)] * (n > most))


def test_what_has_ended_comes_back_only_so_often(machine, count):
    """A device is killed and asked for as fast as can be: never two of it, and no more than the launcher's
    bounds. (Nobody reads the answers, of which the socket holds a few hundred.)"""
    supervisor = machine.take("supervisor")
    name = "dev-rng"
    devices = [machines.name_of(pid) for pid in machines.children(machine.pids["supervisor"])]
    part = devices.index(name)
    former, n, begun = machine.pids[name], 0, time.monotonic()
    for _ in range(60):
        os.kill(former, 9)
        machines.await_end(former)
        ask(supervisor, AGAIN, part)
        ask(supervisor, AGAIN, part)
        rest(machine)
        alive = [pid for pid in pids_of(machine)
                 if machines.state_of(pid, pid)[0] != "Z" and machines.name_of(pid) == name]
        assert len(alive) <= 1
        if not alive:
            break
        former, n = alive[0], n + 1
    assert n > 1, "nothing was started again"
    most = BURST + 2 * (time.monotonic() - begun) + 1
    count("supervisor", 60 * 2, [("launcher", "starts", n)] * (n > most))


# What its list has no place for: a call, its arguments.
REFUSED = {
    "open": (2, 0, 0), "open a file for both": (257, -100, 0, 2), "a socket": (41, 1, 1, 0),
    "a connection": (42, 4, 0, 16), "another's memory": (310, 1, 0, 0, 0, 0, 0), "trace": (101, 16, 1, 0, 0),
    "kill": (62, 1, 9), "stop a process": (424, 7, 19, 0, 0), "execve": (59, 0, 0, 0),
    "execute by a path": (322, -100, 0, 0, 0, 0), "a namespace": (308, 7, 0), "user namespace": (272, 0x10000000),
    "mount a device": (165, 1, 1, 1, 0, 0), "a module": (175, 0, 0, 0), "bpf": (321, 0, 0, 0),
    "keys": (250, 0, 0, 0), "fork": (57,), "code": (9, 0, 4096, 5, 0x22, -1, 0), "code later": (10, 0, 4096, 5),
    "a name": (86, 0, 0), "a node": (259, -100, 0, 0, 0), "unlink": (263, -100, 0, 0),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_taken_launcher(ground, count, what):
    machine = ground.start(launcher=True)
    try:
        launcher, gains = machine.take("launcher"), []
        try:
            result = launcher.call(*REFUSED[what])
            gains = [("launcher", what, str(result))] * (not result.refused)
        except Died:
            pass
        count("launcher", 1, gains)
    finally:
        machine.discard()
