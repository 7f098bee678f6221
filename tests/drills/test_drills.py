# SPDX-License-Identifier: Apache-2.0
"""Takes over a thread of each compartment of running VMs and tries what an intruder would."""

import os
import socket
import stat
import struct
import subprocess

import pytest

import attempts
import machines
from taken import Died, Thread

SIGSYS_ENDED = -31


class Intruder:
    """A thread of the role; another VM's when a try has ended its process."""

    def __init__(self, take):
        self.take, self.thread, self.gains, self.tried = take, take(), [], 0
        self.deadly = set()  # calls that ended a process: each is tried once, for the time of a VM

    def attempt(self, ground, neighbour, group, at):
        """The at'th of the group; False when there are no more."""
        self.thread.forget()
        for i, (kind, name, nr, args) in enumerate(group(self.thread, ground.targets, neighbour)):
            if i == at:
                break
        else:
            return False
        if nr in self.deadly:
            return True
        self.tried += 1
        try:
            result = self.thread.call(nr, *args)
            gained = result.succeeded or result.blocked
            if result.executed:  # another program now
                self.thread = self.take()
        except Died as death:
            gained, result = death.status != SIGSYS_ENDED, death
            self.deadly.add(nr)
            self.thread = self.take()
        if gained or ground.targets.touched():
            self.gains.append((kind, name, str(result)))
        return True

    def try_all(self, ground, neighbour):
        for group in attempts.GROUPS:
            at = 0
            while self.attempt(ground, neighbour, group, at):
                at += 1
        return self


@pytest.mark.parametrize("role", machines.ROLES)
def test_gains_nothing(ground, neighbour, count, role):
    intruder = Intruder(lambda: ground.start().take(role)).try_all(ground, neighbour)
    count(role, intruder.tried, intruder.gains)


def test_a_weak_process_gains(ground, neighbour):
    """The same tries of a process without a jail: the drill sees what it gains."""
    started = []

    def weak():
        started.append(subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534",
                                         "--clear-groups", "sleep", "1000"]))
        while os.path.basename(os.readlink(f"/proc/{started[-1].pid}/exe")) != "sleep":
            pass
        return Thread(started[-1].pid)

    try:
        gains = Intruder(weak).try_all(ground, neighbour).gains
    finally:
        for process in started:
            process.kill()
            process.wait()
    kinds = {g[0] for g in gains}
    assert kinds >= {"files", "sockets", "code", "programs", "namespaces", "limits"}, gains


def sockets_of(pid):
    found = []
    for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
        if stat.S_ISSOCK(os.stat(f"/proc/{pid}/fd/{fd}").st_mode):
            found.append(fd)
    return sorted(found)


def send(t, fd, data, rights=(), address=b""):
    iov = t.put(struct.pack("<2Q", t.put(data), len(data)))
    control = b""
    if rights:
        control = struct.pack("<QII", 16 + 4 * len(rights), socket.SOL_SOCKET, 1)
        control += struct.pack(f"<{len(rights)}i", *rights)
    control += bytes(-len(control) % 8)
    header = struct.pack("<QI4xQQQQQ", t.put(address) if address else 0, len(address), iov, 1,
                         t.put(control) if control else 0, len(control), 0)
    return t.call(46, fd, t.put(header), 0x4040)  # MSG_NOSIGNAL | MSG_DONTWAIT


def held(t):
    return sorted(map(int, os.listdir(f"/proc/{t.pid}/fd")))


def map_everything(t, _targets):
    for fd in held(t):
        for flags in (1, 2):
            yield f"mmap {fd} executable", t.call(9, 0, 4096, 5, flags, fd, 0).succeeded


def send_elsewhere(t, targets):
    for fd in sockets_of(t.pid):
        for name, address in attempts.addresses(targets).items():
            t.forget()
            send(t, fd, b"\0" * 12, address=address)
            yield f"sendmsg {fd} to {name}", bool(targets.touched())


def send_descriptors(t, targets):
    for fd in sockets_of(t.pid):
        for right in held(t):
            t.forget()
            send(t, fd, b"\xff" * 12, rights=(right,))
            yield f"descriptor {right} over {fd}", bool(targets.touched())


def send_garbage(t, targets):
    for fd in sockets_of(t.pid):
        for size in (1, 8, 12, 64, 4096):
            t.forget()
            send(t, fd, bytes((i * 37 + size) & 255 for i in range(size)))
            yield f"{size} bytes over {fd}", bool(targets.touched())


def close_everything(t, targets):
    for fd in held(t):
        t.call(3, fd)
        yield f"close {fd}", bool(targets.touched())


SECOND = (map_everything, send_elsewhere, send_descriptors, send_garbage, close_everything)


@pytest.mark.parametrize("step", SECOND, ids=lambda s: s.__name__)
@pytest.mark.parametrize("role", machines.ROLES)
def test_second_step_ends_cleanly(ground, neighbour, count, role, step):
    """Allowed calls with hostile arguments: all that is left stays up, or ends with a reason."""
    machine = ground.start()
    thread, tried, gains = machine.take(role), 0, []
    try:
        for name, gained in step(thread, ground.targets):
            tried += 1
            gains += [("second step", name, "")] if gained else []
        thread.release()
    except Died as death:
        tried += 1
        assert death.status in (SIGSYS_ENDED, -9, 1)  # by its filter, or by the supervisor
    machine.press()
    status, lines, _ = machine.end()
    text = "\n".join(lines)
    assert status >= 0 or role == "relay", (status, text)
    assert not any(s in text for s in ("SIGSEGV", "SIGABRT", "SIGBUS", "signal 11", "signal 6")), text
    assert role in ("relay", "supervisor") or any(ln.startswith("bulkhead: ") for ln in lines), text
    count(role, tried, gains)
