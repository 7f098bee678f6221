# SPDX-License-Identifier: Apache-2.0
"""The first step: a thread of each compartment of running VMs tries what its filter should refuse."""

import os
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
