# SPDX-License-Identifier: Apache-2.0
"""The first step: a thread of each process of running VMs tries what its filter should refuse."""

import pytest

import attempts
import machines
from taken import Died

SIGSYS_ENDED = -31


class Intruder:
    """A thread of the role; another VM's when a try has ended its process."""

    def __init__(self, take):
        self.take, self.thread, self.gains, self.tried = take, take(), [], 0
        # calls that ended a process: each is tried once in each class, for the time of a VM
        self.deadly = set()

    def attempt(self, targets, neighbour, group, at):
        """The at'th of the group; False when there are no more."""
        self.thread.forget()
        for i, (kind, name, nr, args) in enumerate(group(self.thread, targets, neighbour)):
            if i == at:
                break
        else:
            return False
        if (kind, nr) in self.deadly:
            return True
        self.tried += 1
        try:
            result = self.thread.call(nr, *args)
            gained = result.succeeded or result.blocked
            if kind == "kvm":  # that this host's KVM says no to an argument is no wall
                gained = not result.refused
            if result.executed:  # another program now
                self.thread = self.take()
        except Died as death:
            gained, result = death.status != SIGSYS_ENDED, death
            self.deadly.add((kind, nr))
            self.thread = self.take()
        if gained or targets.touched():
            self.gains.append((kind, name, str(result)))
        return True

    def try_all(self, ground, neighbour, groups=attempts.GROUPS):
        for group in groups:
            at = 0
            while self.attempt(ground.targets, neighbour, group, at):
                at += 1
        return self


@pytest.mark.parametrize("role", machines.ROLES)
def test_gains_nothing(ground, neighbour, count, role):
    intruder = Intruder(lambda: ground.start().take(role)).try_all(ground, neighbour)
    count(role, intruder.tried, intruder.gains)


@pytest.mark.parametrize("role", machines.ROLES)
def test_an_ordinary_users_machine_gains_nothing(user_ground, neighbour, count, role):
    intruder = Intruder(lambda: user_ground.start().take(role)).try_all(user_ground, neighbour)
    count(role, intruder.tried, intruder.gains)
