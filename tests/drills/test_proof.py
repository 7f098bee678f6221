# SPDX-License-Identifier: Apache-2.0
"""That the drills can fail: the same tries with a wall taken away, or with a peer that breaks."""

import os
import socket
import tempfile
import types

import pytest

import attempts
import machines
import second
import test_exhaustion as exhaustion
from conftest import BUILD, ram_digest
from test_first_step import Intruder
from test_second_step import conclude, run_step


def kinds_gained(make, ground, neighbour, groups=attempts.GROUPS):
    started = []

    def weak():
        started.append(make())
        return started[-1].take()

    try:
        gains = Intruder(weak).try_all(ground, neighbour, groups).gains
    finally:
        for process in started:
            process.close()
    return {g[0] for g in gains}, {g[1] for g in gains}


def test_an_ordinary_process_gains(ground, neighbour):
    """No jail, no filter."""
    kinds, _ = kinds_gained(machines.Weak, ground, neighbour)
    assert kinds >= {"files", "sockets", "code", "flags", "programs", "namespaces", "limits"}


def test_a_process_of_root_gains(ground):
    """What takes root; only a process of the drill's own is there to be attacked."""
    sleeper = ground.targets.sleeper
    alone = types.SimpleNamespace(
        targets=types.SimpleNamespace(init=sleeper.pid, sleeper=sleeper, touched=list))
    nobody = types.SimpleNamespace(pids={}, ram=0)
    fds = [os.open("/dev/kvm", os.O_RDWR)] if os.access("/dev/kvm", os.R_OK | os.W_OK) else []
    try:
        kinds, names = kinds_gained(lambda: machines.Weak(root=True, fds=fds), alone, nobody,
                                    (attempts.processes, attempts.ids, attempts.kernel))
    finally:
        for fd in fds:
            os.close(fd)
    assert kinds >= {"processes", "ids", "kernel"}
    assert all(f"CREATE_VM of {fd}" in names for fd in fds), names


@pytest.fixture
def weak():
    """A process that holds a socket that is not connected, and a file."""
    with tempfile.NamedTemporaryFile() as f, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        f.write(bytes(4096))
        f.flush()
        process = machines.Weak(root=True, fds=(f.fileno(), s.fileno()))
        yield process
        process.close()


def gained(tries):
    return [name for name, gain in tries if gain]


@pytest.mark.parametrize("step", [second.map_everything, second.send_elsewhere])
def test_what_a_held_descriptor_gives_away_is_seen(ground, weak, step):
    assert gained(step(weak.take(), ground.targets))


@pytest.mark.parametrize("tries", [exhaustion.memory, exhaustion.files, exhaustion.tasks])
def test_what_is_had_without_end_is_seen(weak, tries):
    assert gained(tries(weak.take()))


@pytest.fixture
def played():
    g = machines.Ground(BUILD, False, real=False)
    yield g
    g.close()


def test_a_peer_that_crashes_is_seen(played):
    """A vmm that falls over the first byte of a device."""
    machine = played.start("--cmdline", "enter,ready,event:1,fragile", says="the console\n")
    t = machine.take("dev-rng")
    run_step(t, second.garbage(t, 4, played.targets))
    with pytest.raises(AssertionError, match="vmm was killed by signal ILL"):
        conclude(machine, "dev-rng")


def test_a_peer_that_spins_is_seen(played, monkeypatch):
    machine = played.start("--cmdline", "enter,ready,event:1,burn", says="the console\n")
    monkeypatch.setattr(machines, "HANGS_S", 1)
    with pytest.raises(AssertionError, match="never at rest"):
        conclude(machine, "dev-rng")


def test_a_byte_of_a_neighbours_memory_is_noticed(ground):
    machine = ground.start()
    machine.await_sleep()
    vmm = machine.pids["vmm"]
    before = ram_digest(vmm)
    assert ram_digest(vmm) == before
    t = machine.take("vmm")
    at = next(m[0] for m in machines.maps_of(vmm) if "guest-ram" in m[3]) + (32 << 20)
    t.write(at, b"x")
    t.release()
    assert ram_digest(vmm) != before
