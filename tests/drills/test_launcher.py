# SPDX-License-Identifier: Apache-2.0
"""A supervisor that an intruder has taken over, and its launcher: it can have started what the VM was
configured to have, one of each, and only so often."""

import os
import socket
import struct
import time

import pytest

import machines
from taken import Died

WRITE, SENDMSG, PPOLL = 1, 46, 271
PIPE = 5  # the supervisor's end
BURST = 10  # starts of one part at once
UNKNOWN = [0, 1 + len(machines.PARTS), 14, 200, 255]


@pytest.fixture
def machine(ground):
    m = ground.start(launcher=True)
    yield m
    m.discard()


def pids_of(machine):
    supervisor = machine.pids["supervisor"]
    return {pid for pid in machines.children(supervisor)}


def rest(machine):
    """Until the launcher has taken all that it was asked."""
    launcher = machine.pids["launcher"]
    machines.await_rest(lambda: [(launcher, launcher)])


def test_of_what_lives_and_what_is_not_there(machine, count):
    """Each part while its process lives, and numbers that are no part's."""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    numbers = [*range(1, 1 + len(machines.PARTS)), *UNKNOWN]
    for number in numbers:
        supervisor.forget()
        assert supervisor.call(WRITE, PIPE, supervisor.put(bytes([number])), 1).value == 1
    rest(machine)
    gains = [("launcher", "a process", str(pids_of(machine) - before))] * (pids_of(machine) != before)
    count("supervisor", len(numbers), gains)


def test_bytes_too_many(machine, count):
    """A thousand requests in one write, again and again: each is its own, and none is one for a process."""
    before = pids_of(machine)
    supervisor = machine.take("supervisor")
    for _ in range(3):
        supervisor.forget()
        supervisor.call(WRITE, PIPE, supervisor.put(bytes(range(256)) * 4), 1024)
        rest(machine)
    gains = [("launcher", "a process", "")] * (pids_of(machine) != before)
    count("supervisor", 3 * 1024, gains)


def test_descriptors_have_no_way_in(machine, count):
    supervisor = machine.take("supervisor")
    byte = supervisor.put(b"\2")
    iov = supervisor.put(struct.pack("<QQ", byte, 1))
    control = supervisor.put(struct.pack("<QiiiI", 20, socket.SOL_SOCKET, socket.SCM_RIGHTS, 2, 0))
    message = supervisor.put(struct.pack("<QIIQQQQI4x", 0, 0, 0, iov, 1, control, 24, 0))
    result = supervisor.call(SENDMSG, PIPE, message, 0x4000)
    count("supervisor", 1, [("launcher", "a descriptor", str(result))] * result.succeeded)


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
        machines.await_rest(lambda pid=former: [(pid, pid)])
        supervisor.forget()
        supervisor.call(WRITE, PIPE, supervisor.put(bytes([part]) * 2), 2)
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
