# SPDX-License-Identifier: Apache-2.0
"""The second step: hostile arguments of allowed calls, hostile messages on every channel.

All that is left stays up, or ends with a reason, and in both cases comes to rest.
"""

import os
import signal

import pytest

import machines
import second
from taken import Died

SIGSYS_ENDED = -31
# by its filter; by the supervisor; by the vmm's main thread, whose channel a vCPU has broken
ENDS_WHILE_TAKEN = (SIGSYS_ENDED, -signal.SIGKILL, 1)
STARTERS = ("relay", "supervisor")  # nobody is left to give a reason


def run_step(thread, step):
    """(tried, gains): until the step is through or the process has ended."""
    tried, gains = 0, []
    try:
        for name, gained in step:
            tried += 1
            gains += [("second step", name, "")] if gained else []
        thread.release()
    except Died as death:
        tried += 1
        assert death.status in ENDS_WHILE_TAKEN, death
    return tried, gains


def judge(role, status, lines, out):
    """What is said of the end must be there, and no process may have crashed."""
    text = "\n".join(lines)
    crashes = [line for line in lines if "killed by signal" in line]
    if role == "supervisor":  # it was taken, and may have been killed for it
        crashes = [line for line in crashes if "the supervisor was killed" not in line]
    assert not crashes, text
    if role in STARTERS:
        assert status >= 0 or role == "relay", (status, text)
        return
    assert lines and lines[-1].startswith("bulkhead: "), (status, text)
    assert "the supervisor ended by itself" not in text
    if role in ("vmm", "vcpu"):  # may say of its guest what it likes
        assert status in (0, 1, 3, 4, 5, 6), (status, text)
    elif status == 0:
        assert "the guest powered off" in lines[-1], text
        assert "ok power button" in out or role == "dev-console", (text, out)
    elif status == 7:  # what it says for the guest may be lost, which is said
        assert role == "dev-console" and "output were lost" in lines[-1], text
    else:
        assert status in (1, 5, 6), (status, text)


def insist(machine, role):
    """Who was taken need not do what is asked; there is always a way that does not ask."""
    if role in STARTERS:
        os.kill(machine.pids[role], signal.SIGKILL)
    else:
        machine.press()


def conclude(machine, role):
    if not machine.ended_by_itself(but=role):
        if role not in STARTERS and not machine.answers():
            machine.run.wait(machines.HANGS_S)  # it does not answer since it is at its end
        machine.press()
        if not machine.ended_by_itself(but=role):
            insist(machine, role)
    judge(role, *machine.end())
    machine.gone()


def drill(ground, count, role, make_step, **how):
    """make_step: from the taken thread to the step; how: its VM is started."""
    machine = ground.start(**how)
    thread, before = machine.take(role), machine.holdings(role)
    tried, gains = run_step(thread, make_step(thread))
    if not machine.ended_by_itself(but=role):
        now = machine.holdings(role)
        more = {r: (before[r], n) for r, n in now.items() if n > before[r]}
        gains += [("second step", "descriptors kept by others", str(more))] if more else []
    conclude(machine, role)
    count(role, tried, gains)


@pytest.mark.parametrize("step", second.WHOLE, ids=lambda s: s.__name__)
@pytest.mark.parametrize("role", machines.ROLES)
def test_everything_held(ground, neighbour, count, role, step):
    drill(ground, count, role, lambda t: step(t, ground.targets))


def each_channel(ground, count, role, step, **how):
    at, n = 0, 1
    while at < n:
        def one(t):
            nonlocal n
            fds = second.sockets_of(t.pid)
            n = len(fds)
            return step(t, fds[at], ground.targets)

        drill(ground, count, role, one, **how)
        at += 1


@pytest.mark.parametrize("step", second.CHANNEL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("role", machines.ROLES)
def test_each_channel(ground, neighbour, count, role, step):
    each_channel(ground, count, role, step)


@pytest.mark.parametrize("role", machines.ROLES)
def test_an_ordinary_users_machine(user_ground, neighbour, count, role):
    each_channel(user_ground, count, role, second.garbage)


@pytest.mark.parametrize("role,channel,messages", second.MESSAGES,
                         ids=[f"{r}-{m.__name__}" for r, _, m in second.MESSAGES])
def test_messages(ground, neighbour, count, role, channel, messages):
    """Each well-formed message alone, to a VM of its own."""
    at, n = 0, 1
    while at < n:
        def one(t):
            nonlocal n
            every = list(messages(t))
            n = len(every)
            name, data, rights = every[at]
            t.forget()
            second.send(t, channel(t), data, rights)
            yield name, bool(ground.targets.touched())

        drill(ground, count, role, one)
        at += 1


@pytest.mark.parametrize("role", [r for r in machines.ROLES if r not in STARTERS])
def test_the_refused_call_is_named(ground, role):
    """What the first step keeps away from the process happens: it ends, and the reason is said."""
    machine = ground.start()
    machine.take(role).fall(41)
    status, lines, _ = machine.end()
    program = "vmm" if role == "vcpu" else role
    assert status == 5
    assert lines[-1].endswith(f"{program} was stopped by its filter: system call socket (41)"), lines
    machine.gone()
