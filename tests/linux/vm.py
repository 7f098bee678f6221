# SPDX-License-Identifier: Apache-2.0
"""Boots the Debian guest with one of its tests (tests/linux/guest.d) and reads what it says."""

import fcntl
import os
import pathlib
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TOP / "build"))
GUEST = pathlib.Path(os.environ.get("BULKHEAD_GUEST", TOP / "build" / "guest"))
NEWER = TOP / "build" / "guest-6.12"  # the same with Debian's newer kernel
BULKHEAD = BUILD / "cmd/bulkhead/bulkhead"
ACCEL = os.environ.get("BULKHEAD_ACCEL", "kvm")
SESSIONS = set()
LONG = pytest.mark.skipif("BULKHEAD_LONG" not in os.environ, reason="takes long: make long")
HANGS = 240  # seconds after which a guest that says nothing more counts as hung


class Guest:
    """One run of the guest."""

    def __init__(self, test, cpus=1, memory="256M", kernel="vmlinuz", words="", flags=(),
                 stdin=subprocess.DEVNULL, guest=GUEST, initrd=True, size=None, pass_fds=()):
        """size: columns and rows of a terminal that it is on."""
        cmdline = f"console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test={test} {words}"
        stdout, self.other_end = subprocess.PIPE, None
        if size:
            self.terminal, stdin = pty.openpty()
            stdout = stdin
            self.resize(*size)
        self.process = subprocess.Popen(
            [BULKHEAD, "run", "--accel", ACCEL, "--kernel", guest / kernel,
             *(["--initrd", guest / "initrd.cpio.gz"] if initrd else []),
             "--cmdline", cmdline.strip(), "--cpus", str(cpus), "--memory", memory,
             "--console", "raw", *flags, *(() if any(str(f).startswith("--net") for f in flags) else ("--net", "none"))],
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True,
            pass_fds=pass_fds,
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if size else None)
        if size:
            self.other_end = open(stdin, "rb")  # stays: what was said can be read to the end
            self.process.stdout = open(self.terminal, "rb", buffering=0)
        SESSIONS.add(self.process.pid)
        self.out = b""

    def resize(self, columns, rows):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def wait_for(self, text, hangs=HANGS):
        """Reads on until the guest has said text."""
        deadline = time.monotonic() + hangs
        os.set_blocking(self.process.stdout.fileno(), False)
        while text not in self.out:
            chunk = self.process.stdout.read()
            if chunk == b"":
                raise AssertionError(f"ended before «{text.decode()}»:\n{self.text()}")
            if chunk is None:
                assert time.monotonic() < deadline, f"hangs:\n{self.text()}\n{what_they_wait_for()}"
                time.sleep(0.02)
                continue
            self.out += chunk

    def end(self):
        """Waits for the end; status, and what the guest and bulkhead said."""
        os.set_blocking(self.process.stdout.fileno(), True)
        try:
            out, err = self.process.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            waits = what_they_wait_for()
            os.killpg(self.process.pid, signal.SIGKILL)
            out, err = self.process.communicate()
            raise AssertionError(f"hangs:\n{(self.out + out).decode(errors='replace')}\n"
                                 f"{err.decode(errors='replace')}\n{waits}") from None
        self.out += out
        self.err = err.decode(errors="replace")
        return self.process.returncode

    def text(self):
        return self.out.decode(errors="replace")

    def said(self, pattern):
        """What the first match of a line's pattern says."""
        found = re.search(pattern, self.text(), re.M)
        assert found, f"no line like «{pattern}» in:\n{self.text()}\n{getattr(self, 'err', '')}"
        return found

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()
        if self.other_end:
            self.other_end.close()
        self.process.stderr.close()


def run(test, **kwargs):
    """A whole run of a test that powers off by itself; it must have succeeded."""
    with Guest(test, **kwargs) as g:
        status = g.end()
        g.said(rf"bulkhead-guest: test {test} status 0")
        assert status == 0, g.err
        return g


def processes():
    """Processes that are left of this module's guests: each guest is a session of its own."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except OSError:
            continue
        name, rest = stat.split("(", 1)[1].rsplit(")", 1)
        state, session = rest.split()[0], int(rest.split()[3])
        if session in SESSIONS and state != "Z":
            found.append((int(pid), name))
    return found


def what_they_wait_for():
    """A line for each thread of those processes."""
    lines = []
    for pid, name in processes():
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                facts = [(task / file).read_text(encoding="ascii").strip()
                         for file in ("wchan", "syscall", "stat")]
            except OSError:
                continue
            facts[2] = facts[2].rsplit(")", 1)[1].split()
            lines.append(f"{name} {task.name}: {facts[2][0]}, user {facts[2][11]}, system {facts[2][12]}, "
                         f"{facts[0]}, {facts[1]}")
    return "\n".join(lines)
