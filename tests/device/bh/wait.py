# SPDX-License-Identifier: Apache-2.0
"""Waiting for an event. The bound only turns a hang into a failure: no result depends on it."""

import select
import time

HANG_S = 60


class Hang(AssertionError):
    """What was waited for never came."""


def for_fds(fds, what):
    """Returns those of fds that are readable or at their end, once there is one."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN | select.POLLHUP | select.POLLERR)
    ready = poll.poll(HANG_S * 1000)
    if not ready:
        raise Hang(f"nothing happened in {HANG_S} s: {what}")
    return [fd for fd, _ in ready]


def readable(fd, milliseconds=0):
    """Whether there is something to read, or an end; None: waits for it. Of any number, which select is not."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(milliseconds))


def until(condition, what):
    """Returns condition()'s first true value."""
    end = time.monotonic() + HANG_S
    pause = 0.0001
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Hang(f"not in {HANG_S} s: {what}")
        time.sleep(pause)
        pause = min(pause * 2, 0.01)
