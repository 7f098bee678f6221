# SPDX-License-Identifier: Apache-2.0
"""The terminal relay of `bulkhead run` and `console` on a real pseudo-terminal, pipes and files."""

import os
import pty
import random
import select
import signal
import socket
import subprocess
import termios
import time

import pytest

from bh import wait
from bh.wait import HANG_S

STATUS_QUIT, STATUS_SIGNAL = 3, 4
PREFIX = b"\x1d"
UTF8 = {**os.environ, "LC_ALL": "C.UTF-8"}


class Relay:
    """termrelay with its stream, on a terminal unless stdin or stdout say otherwise."""

    def __init__(self, build, *words, stdin=None, stdout=None, env=None):
        self.stream, theirs = socket.socketpair()
        self.stream.settimeout(HANG_S)
        self.master, self.slave = pty.openpty()
        self.before = self.modes()
        self.process = subprocess.Popen(
            [build / "tests/device/termrelay", str(theirs.fileno()), *words],
            stdin=self.slave if stdin is None else stdin,
            stdout=self.slave if stdout is None else stdout,
            pass_fds=[theirs.fileno()], env=env or UTF8,
            process_group=0)  # the kernel does not stop an orphaned group
        theirs.close()
        if stdin is None:
            wait.until(self.is_raw, "raw mode")

    def modes(self):
        return termios.tcgetattr(self.slave)

    def is_raw(self):
        lflag = self.modes()[3]
        return not lflag & (termios.ICANON | termios.ECHO | termios.ISIG)

    def restored(self):
        return self.modes() == self.before

    def type(self, data):
        os.write(self.master, data)

    def shown(self, n):
        data = b""
        while len(data) < n:
            assert select.select([self.master], [], [], HANG_S)[0], f"only {data!r}"
            data += os.read(self.master, n - len(data))
        return data

    def sent(self, n):
        data = b""
        while len(data) < n:
            data += self.stream.recv(n - len(data))
        return data

    def quiet(self):
        return not select.select([self.master, self.stream], [], [], 0.05)[0]

    def state(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    def cpu_ticks(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            return sum(int(x) for x in f.read().rsplit(")", 1)[1].split()[11:13])

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.stream.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def relay(build):
    running = []

    def start(*words, **how):
        running.append(Relay(build, *words, **how))
        return running[-1]

    yield start
    for r in running:
        r.close()


def test_bytes_pass_both_ways(relay):
    r = relay("raw")
    keys = bytes(i for i in range(256) if i != PREFIX[0])
    r.type(keys)
    assert r.sent(len(keys)) == keys
    r.stream.send(b"\x1b[2Jhello")
    assert r.shown(9) == b"\x1b[2Jhello"


def test_output_keeps_the_users_newlines(relay):
    r = relay("raw")
    r.stream.send(b"a\nb")
    assert r.shown(4) == b"a\r\nb"


def test_quit_restores_the_terminal(relay):
    r = relay("safe")
    assert not r.restored()
    r.type(PREFIX + b"q")
    assert r.process.wait(HANG_S) == STATUS_QUIT
    assert r.restored()
    assert r.shown(4) == b"\x1b[0m"


def test_a_second_quit(relay):
    r = relay("safe", "twice")
    r.type(PREFIX + b"qx" + PREFIX)
    assert r.sent(1) == b"x"
    assert r.process.poll() is None
    r.type(b"q")
    assert r.process.wait(HANG_S) == STATUS_QUIT


def test_help_and_literal(relay):
    r = relay("safe")
    r.type(PREFIX + b"?")
    assert r.shown(8) == b"[help]\r\n"
    r.type(b"a" + PREFIX + PREFIX + b"b" + PREFIX + b"zc")
    assert r.sent(4) == b"a" + PREFIX + b"bc"


def test_control_keys_are_the_guests(relay):
    r = relay("safe")
    r.type(b"\x03\x1a\x1c\x04\x11\x13\x16")
    assert r.sent(7) == b"\x03\x1a\x1c\x04\x11\x13\x16"
    assert r.process.poll() is None


@pytest.mark.parametrize("filter_", ["safe", "default"])
def test_the_filter_keeps_the_terminal_ours(relay, filter_):
    r = relay(filter_)
    r.stream.send(b"<\x1b]0;owned\x07\x1b[6n\x1b[c\x1bc\x05\x1b[31mred\x1b[0m\xe2\x80\xae\xe2\x82\xac>")
    want = b"<\x1b[31mred\x1b[0m?\xe2\x82\xac>"
    assert r.shown(len(want)) == want
    assert r.quiet(), "the terminal was made to answer"


def test_the_filter_without_utf8(relay):
    r = relay("safe", env={"LC_ALL": "C"})
    r.stream.send(b"<\xe2\x9b\x80>")
    assert r.shown(5) == b"<???>"


@pytest.mark.parametrize("how, shown", [("default", b"<>"), ("raw", b"<\x1b[2J\x00>")])
def test_default_is_safe_into_a_pipe(relay, how, shown):
    """What reads it may show it on a terminal."""
    rfd, wfd = os.pipe()
    r = relay(how, stdout=wfd)
    os.close(wfd)
    r.stream.send(b"<\x1b[2J\x00>")
    data = b""
    while len(data) < len(shown):
        wait.for_fds([rfd], "output")
        data += os.read(rfd, 100)
    assert data == shown
    os.close(rfd)


def test_default_is_safe_into_a_socket(relay):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        r = relay("default", stdout=theirs)
        r.stream.send(b"<\x1b[2J\x00>")
        wait.for_fds([ours], "output")
        assert ours.recv(100) == b"<>"


def test_end_of_the_stream_shows_all_first(relay):
    r = relay("raw")
    data = b"".join(b"%07d " % i for i in range(20_000))
    got = bytearray()
    r.stream.setblocking(False)
    sent = 0
    while sent < len(data) or len(got) < len(data):
        if sent < len(data):
            try:
                sent += r.stream.send(data[sent:sent + 8192])
            except BlockingIOError:
                pass
            if sent == len(data):
                r.stream.shutdown(socket.SHUT_RDWR)
        if select.select([r.master], [], [], 0.01)[0]:
            got += os.read(r.master, 8192)
    assert got[:len(data)] == data
    assert got[len(data):] in (b"\x1b[0m\x1b[?25h"[:i] for i in range(11))
    assert r.process.wait(HANG_S) == 0
    assert r.restored()


@pytest.mark.parametrize("how", [(), ("signalfd",)], ids=["default", "signalfd"])
def test_sigterm_restores(relay, how):
    r = relay("safe", *how)
    r.process.send_signal(signal.SIGTERM)
    assert r.process.wait(HANG_S) == (STATUS_SIGNAL if how else -signal.SIGTERM)
    assert r.restored()


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGSEGV", "SIGUSR1",
                                  "SIGBUS", "SIGALRM", "SIGSYS"])
def test_deadly_signals_restore(relay, name):
    r = relay("safe")
    r.process.send_signal(getattr(signal, name))
    assert r.process.wait(HANG_S) == -getattr(signal, name)
    assert r.restored()


def test_stop_and_continue(relay):
    r = relay("safe")
    for _ in range(3):
        r.process.send_signal(signal.SIGTSTP)
        wait.until(lambda: r.state() == "T", "it stops")
        assert r.restored()
        r.process.send_signal(signal.SIGCONT)
        wait.until(r.is_raw, "raw mode again")
        r.type(b"x")
        assert r.sent(1) == b"x"
    r.type(PREFIX + b"q")
    assert r.process.wait(HANG_S) == STATUS_QUIT
    assert r.restored()


def test_sigstop_and_continue(relay):
    r = relay("safe")
    r.process.send_signal(signal.SIGSTOP)
    wait.until(lambda: r.state() == "T", "it stops")
    termios.tcsetattr(r.slave, termios.TCSANOW, r.before)  # as a shell would
    r.process.send_signal(signal.SIGCONT)
    wait.until(r.is_raw, "raw mode again")


def test_a_terminal_that_takes_nothing_holds_the_guest_not_the_keys(relay):
    r = relay("raw")
    r.stream.setblocking(False)
    held = 0
    end = time.monotonic() + HANG_S
    while held < 50 and time.monotonic() < end:
        try:
            r.stream.send(b"y" * 4096)
            held = 0
        except BlockingIOError:
            held += 1
            time.sleep(0.002)
    assert held == 50, "it swallowed without bound"
    before = r.cpu_ticks()
    time.sleep(0.1)
    assert r.cpu_ticks() - before <= 3, "it spins"
    r.type(b"a")
    r.stream.settimeout(HANG_S)
    assert r.stream.recv(1) == b"a"
    r.type(PREFIX + b"q")
    assert r.process.wait(HANG_S) == STATUS_QUIT
    assert r.restored()


def test_keys_work_although_the_guest_reads_nothing(relay):
    r = relay("safe")
    filled = 0
    while filled < 600_000 and select.select([], [r.master], [], 1)[1]:
        filled += os.write(r.master, b"k" * 1000)
    r.type(PREFIX + b"q")
    assert r.process.wait(HANG_S) == STATUS_QUIT


def test_a_pipe_as_input_has_no_keys(relay):
    rfd, wfd = os.pipe()
    r = relay("raw", stdin=rfd)
    os.close(rfd)
    data = PREFIX + b"q" + bytes(range(256)) * 1000
    got, sent = bytearray(), 0
    while len(got) < len(data):
        if sent < len(data) and select.select([], [wfd], [], 0)[1]:
            sent += os.write(wfd, data[sent:sent + 4096])
        if select.select([r.stream], [], [], 0.01)[0]:
            got += r.stream.recv(8192)
    assert got == data
    os.close(wfd)
    # the end of input is not the end of output
    r.stream.send(b"still here")
    assert r.shown(10) == b"still here"
    before = r.cpu_ticks()
    time.sleep(0.1)
    assert r.cpu_ticks() - before <= 3, "it spins"
    r.stream.close()
    assert r.process.wait(HANG_S) == 0


def test_files_as_input_and_output(relay, tmp_path):
    (tmp_path / "in").write_bytes(random.Random(2).randbytes(300_000))
    with open(tmp_path / "in", "rb") as i, open(tmp_path / "out", "wb") as o:
        r = relay("default", stdin=i, stdout=o)
    assert r.sent(300_000) == (tmp_path / "in").read_bytes()
    data = random.Random(3).randbytes(1 << 20)
    r.stream.sendall(data)
    r.stream.close()
    assert r.process.wait(HANG_S) == 0
    assert (tmp_path / "out").read_bytes() == data


def test_a_pipe_that_closes_ends_it(relay):
    rfd, wfd = os.pipe()
    r = relay("raw", stdout=wfd)
    os.close(wfd)
    assert r.quiet()
    os.close(rfd)  # no write is needed to find it
    assert r.process.wait(HANG_S) == 5
    assert r.restored()


def test_standard_output_stays_blocking_for_others(relay):
    rfd, wfd = os.pipe()
    relay("raw", stdout=wfd)
    assert os.get_blocking(wfd)
    os.close(rfd)
    os.close(wfd)


def test_dev_null(relay):
    with open("/dev/null", "r+b", buffering=0) as null:
        r = relay("raw", stdin=null, stdout=null)
    r.stream.sendall(b"x" * 100_000)
    r.stream.close()
    assert r.process.wait(HANG_S) == 0
