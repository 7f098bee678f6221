# SPDX-License-Identifier: Apache-2.0
"""A VM with a credential: once its guest runs, the secret is in the vmm and in the guest's memory and nowhere else, and
who takes over one of its processes gets no other way to it, nor another to what else it could try."""

import base64
import os
import secrets

import pytest

from taken import Died, maps_of
from test_first_step import Intruder

IDENTITY = 11  # the vmm's descriptor, until it has read it
CWD = -100
OPEN, OPENAT, PREAD, DUP, MMAP, FCNTL, VM_READV, PIDFD_OPEN, MEMFD = 2, 257, 17, 32, 9, 72, 310, 434, 319
ROLES = ("vmm", "vcpu", "dev-blk", "supervisor", "launcher")


class Told:
    """A VM with a credential of its own."""

    def __init__(self, ground):
        self.secret = secrets.token_bytes(48)
        self.key = ground.place.file(f"key{len(ground.machines)}", self.secret)
        self.machine = ground.start("--credential", f"key={self.key}", launcher=True)

    def found(self, pid):
        """Names of the mappings with it, plain or as the guest has it. Of pages that nobody has touched there is nothing."""
        names = set()
        with open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for start, end, mode, name in maps_of(pid):
                try:
                    bytes_ = os.pread(mem.fileno(), end - start, start) if mode.startswith("r") else b""
                except OSError:
                    continue
                if self.secret in bytes_ or base64.b64encode(self.secret) in bytes_:
                    names.add("guest RAM" if "guest-ram" in name else name)
        return names


@pytest.fixture(scope="module")
def told(ground):
    return Told(ground)


def test_where_it_is(told, count):
    gains = []
    for role, pid in told.machine.pids.items():
        links = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
        gains += [(role, "descriptor", to) for to in links if "guest-identity" in to or to == str(told.key)]
        found = told.found(pid)
        if role == "vmm":
            assert found > {"guest RAM"}, found  # else it is not where this test would find it
        else:
            gains += [(role, "memory", name) for name in found - {"guest RAM"}]
    count("credential", len(told.machine.pids), gains)


def ways(t, told):
    """(name, call, arguments) of what would be another way to it."""
    pids = [told.machine.pids[role] for role in ("vmm", "supervisor")]
    for path in (told.key, f"/proc/self/fd/{IDENTITY}", f"/proc/{pids[0]}/mem", f"/proc/{pids[0]}/fd/{IDENTITY}"):
        yield f"open {path}", OPEN, (t.text(str(path)), os.O_RDONLY)
        yield f"openat {path}", OPENAT, (CWD, t.text(str(path)), os.O_RDONLY)
    yield "memfd", MEMFD, (t.text("guest-identity"), 0)
    for pid in pids:
        yield f"pidfd {pid}", PIDFD_OPEN, (pid, 0)
        yield f"memory {pid}", VM_READV, (pid, t.put(bytes(16)), 1, t.put(bytes(16)), 1, 0)


def of_the_descriptor(t):
    """Where the vmm had it there is nothing."""
    yield "pread", PREAD, (IDENTITY, t.put(bytes(64)), 64, 0)
    yield "dup", DUP, (IDENTITY,)
    yield "mmap", MMAP, (0, 4096, 1, 2, IDENTITY, 0)
    yield "get seals", FCNTL, (IDENTITY, 1034)


@pytest.mark.parametrize("role", ROLES)
def test_no_other_way_to_it(ground, neighbour, count, role):
    told, tried, gains, at = Told(ground), 0, [], 0
    t = told.machine.take(role)
    while True:
        t.forget()
        rest = [*ways(t, told), *(of_the_descriptor(t) if role in ("vmm", "vcpu") else ())][at:]
        if not rest:
            break
        (name, nr, args), at, tried = rest[0], at + 1, tried + 1
        try:
            result = t.call(nr, *args)
            gains += [("credential", name, str(result))] if result.succeeded or result.blocked else []
        except Died:
            told = Told(ground)
            t = told.machine.take(role)
    count(f"{role}, told", tried, gains)


@pytest.mark.parametrize("role", ("vmm", "vcpu"))
def test_first_step(ground, neighbour, count, role):
    """Of who has it."""
    intruder = Intruder(lambda: Told(ground).machine.take(role)).try_all(ground, neighbour)
    count(f"{role}, told", intruder.tried, intruder.gains)


def test_it_ends_as_any_other(told):
    """The last of those above: its guest still serves."""
    told.machine.finish()
    told.machine.gone()
