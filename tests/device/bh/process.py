# SPDX-License-Identifier: Apache-2.0
"""A process in its jail, played to by us instead of the supervisor.

The launcher jailrun starts it as the supervisor would. Descriptor 3 is the control channel, whose
messages are docs/control-protocol.md's.
"""

import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from . import wait

CONTROL_FD = 3
CONSOLE_STATE_FD = 6
CONSOLE_STATE_SIZE = 128 << 10

CTL_READY = 1
CTL_LOG = 2
CTL_EVENT = 3
CTL_DENIED = 4
CTL_FAILED = 5
CTL_BUSY = 6
CTL_PLUGGED = 7
CTL_NOT_PLUGGED = 8
CTL_UNPLUGGED = 9
CTL_CONFIG_CHANGED = 10
CTL_LOST = 11
CTL_FOUND = 12
CTL_AWAY = 13
CTL_BACK = 14
CTL_ANNOUNCED = 15
CTL_POWER_BUTTON = 16
CTL_CONSOLE = 17
CTL_CHANNEL = 19
CTL_PLUG = 20
CTL_UNPLUG = 21
CTL_LINK = 25
CTL_TPM = 26

WIRE_MAX = 512
# What a look at a process that ends meanwhile may raise.
GONE = (FileNotFoundError, ProcessLookupError)


class Ended(AssertionError):
    """The process ended although it should serve."""


class Message:
    def __init__(self, packet):
        self.type, reserved, length = struct.unpack_from("<HHI", packet)
        body = packet[8:]
        assert reserved == 0 and length == len(body), f"malformed control message {packet!r}"
        self.number = None
        if self.type in (CTL_LOG, CTL_EVENT, CTL_DENIED, CTL_BUSY, CTL_PLUGGED, CTL_UNPLUGGED,
                         CTL_LOST, CTL_FOUND, CTL_TPM):
            (self.number,) = struct.unpack_from("<I", body)
            body = body[4:]
        self.text = body.decode("ascii")

    def __repr__(self):
        name = {CTL_READY: "READY", CTL_LOG: "LOG", CTL_EVENT: "EVENT", CTL_DENIED: "DENIED",
                CTL_FAILED: "FAILED", CTL_BUSY: "BUSY", CTL_PLUGGED: "PLUGGED",
                CTL_NOT_PLUGGED: "NOT_PLUGGED", CTL_UNPLUGGED: "UNPLUGGED"}.get(self.type, self.type)
        return f"{name} {'' if self.number is None else self.number} {self.text}".strip()


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except FileNotFoundError:
        return []


def state_page(content=b""):
    """The memfd in which dev-console keeps its state, as a supervisor makes it."""
    fd = os.memfd_create("console-state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, CONSOLE_STATE_SIZE)
    os.pwrite(fd, content, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


class Process:
    def __init__(self, build, name, args=(), fds=None, within=()):
        """fds: number in the process -> our descriptor, which stays ours.
        within: words before the launcher's, which end by executing it."""
        self.name = name
        self.messages = []
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        table = {CONTROL_FD: theirs.fileno(), **(fds or {})}
        page = state_page() if name == "dev-console" and CONSOLE_STATE_FD not in table else -1
        if page >= 0:
            table[CONSOLE_STATE_FD] = page
        self.jailrun = subprocess.Popen(
            [*within, build / "tests/device/jailrun", ",".join(f"{ours}:{to}" for to, ours in table.items()),
             "--", build / "cmd" / name / name, *args],
            pass_fds=list(table.values()), stdin=subprocess.DEVNULL)
        theirs.close()
        if page >= 0:
            os.close(page)
        self.pidfd = os.pidfd_open(self.jailrun.pid)
        self.status = None
        self.usage = None

    # ---- while it lives ----

    def drain(self):
        """Takes what it said so far; returns False once its end of the channel is closed."""
        while self.control.fileno() >= 0:
            try:
                packet = self.control.recv(WIRE_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except ConnectionResetError:
                return False
            if not packet:
                return False
            self.messages.append(Message(packet))
        return False

    def said(self, type_):
        self.drain()
        return [m for m in self.messages if m.type == type_]

    def wait_ready(self):
        while not self.said(CTL_READY):
            wait.for_fds([self.control.fileno(), self.pidfd], f"{self.name} is ready")
            if not self.drain() and not self.said(CTL_READY):
                self.wait_end()
                raise Ended(f"{self.name} ended before it was ready: {self.describe()}")
        return self

    @property
    def pid(self):
        """As we count: the jailed process below the launcher."""
        found = children(self.jailrun.pid)
        while found and children(found[0]):
            found = children(found[0])
        return found[0] if found else None

    @property
    def alive(self):
        if self.status is None and wait.readable(self.pidfd):
            self.wait_end()
        return self.status is None

    def cpu_s(self):
        """CPU time used so far, in seconds of the CPU, not of the clock."""
        if not self.alive:
            return self.usage.ru_utime + self.usage.ru_stime
        try:
            pid, total = self.pid, 0
            for task in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(*GONE), \
                        open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
            return total / 1e9
        except GONE:  # its launcher is about to follow
            self.wait_end()
            return self.cpu_s()

    def n_fds(self):
        try:
            return len(os.listdir(f"/proc/{self.pid}/fd"))
        except PermissionError:
            pytest.skip("a non-dumpable process shows its descriptors to root only")

    def assert_idle(self, pause_s=0.03):
        """It waits, and does not spin. A process that is idle passes however slow the clock is."""
        before = self.cpu_s()
        time.sleep(pause_s)
        used = self.cpu_s() - before
        assert used < pause_s * 0.4, f"{self.name} used {used * 1000:.1f} ms of CPU with nothing to do"

    def private_bytes(self):
        """Memory of its own: guest RAM, which is shared, does not count."""
        with contextlib.suppress(*GONE), \
                open(f"/proc/{self.pid}/status", encoding="ascii") as f:
            for line in f:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0  # it has ended

    def tell(self, type_, number):
        """A message of the supervisor's that has a number."""
        self.control.send(struct.pack("<HHII", type_, 0, 4, number))

    # ---- its end ----

    def wait_end(self):
        if self.status is None:
            wait.for_fds([self.pidfd], f"{self.name} ends")
            _, status, self.usage = os.wait4(self.jailrun.pid, 0)
            self.status = os.waitstatus_to_exitcode(status)
            self.jailrun.returncode = self.status
            self.drain()
        return self.status

    def describe(self):
        self.drain()
        return f"status {self.status}, said {self.messages}"

    def assert_clean_end(self, *statuses):
        """It ended by itself, not by a signal; if it failed, it said why in one line."""
        status = self.wait_end()
        assert status in (statuses or (0, 1)), f"{self.name}: {self.describe()}"
        assert not self.said(CTL_DENIED), f"{self.name}: {self.describe()}"
        failed = self.said(CTL_FAILED)
        assert len(failed) == (1 if status else 0), f"{self.name}: {self.describe()}"
        assert all(m.text for m in failed), f"{self.name} failed without a word"

    def kill(self):
        """Ends it by closing its control channel, as a supervisor's death would."""
        if self.status is None:
            self.control.shutdown(socket.SHUT_RDWR)
            try:
                self.wait_end()
            except wait.Hang:
                if self.pid:
                    os.kill(self.pid, signal.SIGKILL)
                self.jailrun.kill()
                self.jailrun.wait()
                raise
        self.close()

    def close(self):
        self.control.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1
