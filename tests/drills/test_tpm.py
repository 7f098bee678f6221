# SPDX-License-Identifier: Apache-2.0
"""A TPM's two processes, taken over while its guest waits: dev-tpm, the first step and the second on its channels; and swtpm, which
has the keys and is to have no more."""

import contextlib
import os
import shutil

import pytest

import second
from taken import Died, Thread, maps_of
from test_first_step import Intruder
from test_second_step import run_step

pytestmark = pytest.mark.skipif(not shutil.which("swtpm"), reason="swtpm is not there: tools/deps check")

ROLE = "dev-tpm"
ENDED_BY_ITSELF, ENDED_FROM_OUTSIDE = 5, 6
SIGSYS_ENDED = -31
AT_FDCWD, O_WRONLY, O_CREAT, AT_EMPTY_PATH = -100 & (1 << 64) - 1, 1, 64, 0x1000


@pytest.fixture
def start(ground):
    """Each machine with a TPM of its own."""
    return lambda: ground.start("--allow", "tpm", "--tpm", f"state={state_of(ground, len(ground.machines))}", more=(ROLE,))


def state_of(ground, number):
    return ground.place.dir / f"tpm-{number}"


def conclude(machine, but=ROLE):
    """Whoever is left ends it when its user says so, and nothing has crashed."""
    if not machine.ended_by_itself(but=but):
        assert machine.answers()
        code, _, err = machine.ground.place.call("stop", "--now", f"vm{machine.run.pid}")
        assert code == 0, err
    status, lines, _ = machine.end()
    assert status in (ENDED_BY_ITSELF, ENDED_FROM_OUTSIDE), (status, lines)
    assert lines[-1].startswith("bulkhead: ") and not [line for line in lines if "killed by signal" in line], lines
    machine.gone()


def drill(start, ground, count, make_step):
    machine = start()
    thread, before = machine.take(ROLE), machine.holdings(ROLE)
    tried, gains = run_step(thread, make_step(thread))
    now = {} if machine.ended_by_itself(but=ROLE) else machine.holdings(ROLE)
    gains += [("second step", "descriptors kept by others", r) for r, n in now.items() if n > before[r]]
    conclude(machine)
    count(ROLE, tried, gains)
    assert not ground.targets.touched()


# ---- dev-tpm ----

def test_first_step(start, ground, neighbour, count):
    intruder = Intruder(lambda: start().take(ROLE)).try_all(ground, neighbour)
    count(ROLE, intruder.tried, intruder.gains)


def test_what_it_holds(start):
    """No guest RAM, and one channel to swtpm: that for commands."""
    pid = start().pids[ROLE]
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not [to for to in [*links, *(m[3] for m in maps_of(pid))] if "guest-ram" in to], links
    assert len([to for to in links if to.startswith("socket:")]) == 3, links


@pytest.mark.parametrize("step", second.CHANNEL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("channel", [3, 4, 6])
def test_each_channel(start, ground, neighbour, count, channel, step):
    drill(start, ground, count, lambda t: step(t, channel, ground.targets))


@pytest.mark.parametrize("channel,messages", [(3, second.control_messages), (4, second.vfio_replies)], ids=["control", "vfio-user"])
def test_messages(start, ground, neighbour, count, channel, messages):
    """All of them to one VM: the first that is not understood ends it."""
    def step(t):
        for name, data, rights in messages(t):
            t.forget()
            second.send(t, channel, data, rights)
            yield name, bool(ground.targets.touched())

    drill(start, ground, count, step)


# ---- swtpm ----

def swtpm_of(ground):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/{pid}/cwd", state_of(ground, len(ground.machines) - 1)):
                return int(pid)
    raise AssertionError("there is no swtpm")


def test_swtpm_reaches_no_file(start, ground, neighbour, count):
    """By a name: only its own directory, and the host's programs to read."""
    machine = start()
    pid = swtpm_of(ground)
    t = Thread(pid)
    gains = []
    names = [str(machine.disk), "/etc/passwd", "/etc/shadow", "/proc/self/mem", "/dev/kvm", "../etc/passwd", "/state/../etc/passwd",
             "/sys/fs/cgroup/cgroup.procs", "/run/bulkhead", "/"]
    for name in names:
        for flags in (0, 2):
            t.forget()
            result = t.call(257, AT_FDCWD, t.put(name.encode() + b"\0"), flags, 0)
            if result.succeeded and not (name == "/" and flags == 0):
                gains.append(("first step", f"openat {name}", ""))
    for name in ("/usr/bin/swtpm", "/usr/bin/new", "/new", "/usr/lib/new"):
        t.forget()
        if t.call(257, AT_FDCWD, t.put(name.encode() + b"\0"), O_WRONLY | O_CREAT, 0o600).succeeded:
            gains.append(("first step", f"openat {name} to write", ""))
    assert t.call(322, 40, t.put(b"\0"), 0, 0, AT_EMPTY_PATH).succeeded is False
    t.release()
    count("swtpm", 2 * len(names) + 5, gains)
    conclude(machine, but="swtpm")


@pytest.mark.parametrize("call", [41, 53, 56, 57, 59, 62, 101, 165, 272, 321, 434], ids=[
    "socket", "socketpair", "clone", "fork", "execve", "kill", "ptrace", "mount", "unshare", "bpf", "pidfd_open"])
def test_swtpm_is_ended_by_its_filter(start, ground, count, call):
    """And its guest goes on without a TPM: no other one comes."""
    machine = start()
    t = Thread(swtpm_of(ground))
    with pytest.raises(Died) as death:
        t.call(call, 1, 1, 0, 0)
    assert death.value.status == SIGSYS_ENDED
    count("swtpm", 1, [])
    with pytest.raises(AssertionError, match="there is no swtpm"):
        swtpm_of(ground)
    code, _, err = machine.ground.place.call("stop", "--now", f"vm{machine.run.pid}")
    assert code == 0, err
    status, lines, _ = machine.end()
    assert status == ENDED_FROM_OUTSIDE and any("the TPM has failed" in line for line in lines), (status, lines)
    machine.gone()
