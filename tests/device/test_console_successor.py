# SPDX-License-Identifier: Apache-2.0
"""dev-console is killed again and again, and its successor goes on: same state page, same stream.

The guest here does what a vmm does: it keeps the accesses that were not answered, asks the successor
how far its predecessor came, and sends the rest again. Not a byte may be lost or come twice."""

import contextlib
import fcntl
import os
import random
import select
import signal
import socket
import struct

import pytest

import vfio_user as vfu
from bh import console, guest, process, vhost_user as vu, wait
from bh.guest import Buf
from bh.session import Session

RBR = THR = 0
DLL, DLM, IER, IIR, FCR, LCR, MCR, LSR, SCR = 0, 1, 1, 2, 2, 3, 4, 5, 7
DR, THRE = 1, 0x20
DONE_ANY = 1 << 24
KILLS = 25


class Line:
    """Consoles one after the other, and what stays: page, stream, and the accesses on their way."""

    def __init__(self, build, *args):
        self.build, self.args = build, ("--hold=86400", *args)
        self.page = process.state_page()
        self.terminal, self.stream = socket.socketpair()
        self.terminal.settimeout(wait.HANG_S)
        self.process = self.uart = None
        self.id = 0
        self.sent = []  # (id, register, value or None), not known to be done
        self.start()

    def start(self):
        self.regs, regs = socket.socketpair()
        self.ring, ring = socket.socketpair()
        self.process = process.Process(
            self.build, "dev-console", self.args,
            {4: regs.fileno(), 5: ring.fileno(), 6: self.page})
        regs.close()
        ring.close()
        self.process.wait_ready()
        socket.send_fds(self.process.control, [struct.pack("<HHI", console.CTL_CONSOLE, 0, 0)],
                        [self.stream.fileno()])
        self.uart = vfu.Client(self.regs)
        self.uart.id = self.id
        self.uart.version()
        self.irq = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.uart.set_irq(self.irq)

    def kill(self):
        with contextlib.suppress(TypeError, ProcessLookupError):  # it is dead already
            os.kill(self.process.pid, signal.SIGKILL)

    def stop(self):
        self.kill()
        self.process.wait_end()
        assert not self.process.said(process.CTL_DENIED), self.process.describe()
        self.id = self.uart.id
        self.process.close()
        self.regs.close()
        self.ring.close()
        os.close(self.irq)

    def close(self):
        self.process.kill()
        for s in (self.regs, self.ring, self.terminal, self.stream):
            s.close()
        os.close(self.irq)
        os.close(self.page)

    # ---- the vmm's part ----

    def post(self, value):
        try:
            self.uart.post(0, THR, bytes([value]))
        except vfu.Closed:
            self.uart.id -= 1
            self.replace()
            self.uart.post(0, THR, bytes([value]))
        self.sent.append((self.uart.id, THR, value))

    def ask(self, reg, value=None):
        self.sent.append(((self.uart.id + 1) & 0xffff, reg, value))
        try:
            got = self.uart.write(0, reg, bytes([value])) if value is not None else \
                self.uart.read(0, reg, 1)[0]
        except vfu.Closed:
            got = self.replace()
        self.sent = []
        return got

    def replace(self):
        """A successor; returns what the last access on its way read."""
        self.stop()
        self.start()
        (done,) = struct.unpack("<I", self.uart.read(1, 0, 4))
        got = done >> 16 & 0xff
        ids = [id_ for id_, _, _ in self.sent]
        if done & DONE_ANY and done & 0xffff in ids:
            self.sent = self.sent[ids.index(done & 0xffff) + 1:]
        for i, (_, reg, value) in enumerate(self.sent):
            if value is not None:
                self.uart.write(0, reg, bytes([value]))
            else:
                got = self.uart.read(0, reg, 1)[0]
                assert i == len(self.sent) - 1
        self.sent = []
        return got


@pytest.fixture
def open_line(build):
    running = []

    def open_one(*args):
        running.append(Line(build, *args))
        return running[-1]

    yield open_one
    for line in running:
        line.close()


def take_all(sock, n):
    data = b""
    while len(data) < n:
        data += sock.recv(n - len(data))
    return data


def nothing_more(sock):
    return not select.select([sock], [], [], 0.02)[0]


def test_half_of_a_text(open_line):
    line = open_line()
    for byte in b"the first half, ":
        line.post(byte)
    assert take_all(line.terminal, 5) == b"the f"
    line.replace()
    for byte in b"and the second":
        line.post(byte)
    assert take_all(line.terminal, 25) == b"irst half, and the second"
    assert nothing_more(line.terminal)


def test_registers_stay(open_line):
    line = open_line()
    line.ask(LCR, 0x83)
    line.ask(DLL, 0x34)
    line.ask(DLM, 0x12)
    line.ask(LCR, 0x1b)
    line.ask(FCR, 0x81)
    line.ask(MCR, 0x0b)
    line.ask(SCR, 0xa5)
    line.ask(IER, 5)
    line.terminal.sendall(b"typed ahead")
    wait.until(lambda: line.ask(LSR) & DR, "input")
    line.replace()
    assert (line.ask(LCR), line.ask(MCR), line.ask(SCR), line.ask(IER)) == (0x1b, 0x0b, 0xa5, 5)
    assert os.eventfd_read(line.irq) == 1  # of the input, which may not have been told
    assert line.ask(IIR) == 0xc4
    assert bytes(line.ask(RBR) for _ in range(11)) == b"typed ahead"
    line.ask(LCR, 0x83)
    assert (line.ask(DLL), line.ask(DLM)) == (0x34, 0x12)


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_anywhere(open_line, seed):
    """Output, input and reads that change something, under kills that know no moment."""
    rng = random.Random(seed)
    line = open_line()
    line.ask(FCR, 1)
    out = rng.randbytes(KILLS * 400)
    typed = rng.randbytes(KILLS * 100)
    seen, read, at, put = b"", b"", 0, 0
    while at < len(out) or len(read) < len(typed):
        for byte in out[at:at + rng.randrange(200)]:
            line.post(byte)
            at += 1
        if put < len(typed):
            put += line.terminal.send(typed[put:put + rng.randrange(60)])
        if rng.random() < 0.15:
            line.kill()  # the next access finds out
        for _ in range(rng.randrange(40)):
            if len(read) < put and line.ask(LSR) & DR:
                read += bytes([line.ask(RBR)])
        if select.select([line.terminal], [], [], 0)[0]:
            seen += line.terminal.recv(rng.randrange(1, 5000))
    line.ask(SCR)
    seen += take_all(line.terminal, len(out) - len(seen))
    assert seen == out and read == typed
    assert nothing_more(line.terminal)


def test_a_reader_that_is_slow(open_line):
    """Killed with a full ring and a full socket."""
    line = open_line()
    data = random.Random(3).randbytes(90 << 10)
    line.terminal.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for i, byte in enumerate(data):
        line.post(byte)
        if i % 4096 == 0:
            line.ask(SCR)
    line.ask(SCR)
    for n in (1, 5000, 20000):
        line.replace()
        assert take_all(line.terminal, n) == data[:n]
        data = data[n:]
    line.replace()
    assert take_all(line.terminal, len(data)) == data
    assert nothing_more(line.terminal)


# ---- virtio-console ----

def join(line, old=None):
    """A driver, or a driver's rings as a vmm hands them to a successor: from the used index on."""
    s = Session(line.ring, n_queues=2, main=console.TRANSMITQ, watch=[line.process.pidfd],
                memory=old.memory if old else None)
    if not old:
        return s.start()
    s.own_memory, old.own_memory = True, False
    s.front.negotiate(s.want, s.protocol, need=guest.F_VERSION_1)
    s.front.set_status(11)
    s.front.set_mem_table(s.memory)
    s.queues, old.queues = old.queues, []
    for i, q in enumerate(s.queues):
        (used,) = struct.unpack("<H", s.memory.read(q.used + 2, 2))
        s.front.start_queue(q, i, used)
    s.front.set_status(15)
    return s


def test_virtio_killed_anywhere(open_line):
    rng = random.Random(5)
    line = open_line("--input=virtio")
    s = join(line)
    room = s.memory.alloc(64 << 10)
    back = s.memory.alloc(4096)
    line.stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(KILLS):
        data = rng.randbytes(rng.randrange(1, 64 << 10))
        typed = rng.randbytes(rng.randrange(1, 3000))
        s.memory.write(room, data)
        s.submit([Buf(room, len(data))])
        s.submit([Buf(back, len(typed), write=True)], console.RECEIVEQ)
        line.terminal.sendall(typed)
        seen = take_all(line.terminal, rng.randrange(len(data)))
        line.stop()
        line.start()
        old, s = s, join(line, s)
        old.front.close()
        seen += take_all(line.terminal, len(data) - len(seen))
        assert seen == data
        s.wait(1)
        given = 0
        [(_, given)] = s.wait(1, console.RECEIVEQ)
        got = s.memory.read(back, given)
        while len(got) < len(typed):
            s.submit([Buf(back, len(typed), write=True)], console.RECEIVEQ)
            [(_, given)] = s.wait(1, console.RECEIVEQ)
            got += s.memory.read(back, given)
        assert got == typed
    assert nothing_more(line.terminal)
    s.close()


# ---- pages that cannot be ----

def content(fd):
    return os.pread(fd, process.CONSOLE_STATE_SIZE, 0)


def test_damaged_pages(open_line):
    """Whatever a predecessor left: the successor serves, and says what it did not take."""
    line = open_line()
    for byte in b"kept":
        line.post(byte)
    line.ask(SCR, 0x5a)
    take_all(line.terminal, 4)
    line.stop()
    kept = content(line.page)
    rng = random.Random(7)
    for i in range(12):
        bad = bytearray(kept)
        for _ in range(1 + i):
            bad[rng.randrange(1024)] = rng.randrange(256)
        os.pwrite(line.page, bad, 0)
        line.start()
        line.uart.write(0, THR, b"x")
        line.uart.read(0, LSR, 1)
        line.stop()
        while select.select([line.terminal], [], [], 0)[0]:
            line.terminal.recv(1 << 17)
    bad = bytearray(kept)
    bad[8 + 256:8 + 257] = b"!"  # the headers of both slots
    bad[8:9] = b"!"
    os.pwrite(line.page, bad, 0)
    line.start()
    assert any("starts anew" in m.text for m in line.process.said(process.CTL_LOG))
    assert line.uart.read(0, SCR, 1) == b"\0"
    line.uart.write(0, THR, b"y")
    assert take_all(line.terminal, 1) == b"y"


@pytest.mark.parametrize("what", ["small", "unsealed"])
def test_files_that_are_no_page(build, what):
    fd = os.memfd_create("console-state", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096 if what == "small" else process.CONSOLE_STATE_SIZE)
    if what == "small":
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    ours, theirs = socket.socketpair()
    p = process.Process(build, "dev-console", (),
                            {4: theirs.fileno(), 5: theirs.fileno(), 6: fd})
    p.wait_end()
    assert p.status == 1
    [said] = p.said(process.CTL_FAILED)
    assert said.text.startswith("dev-console: state page: ")
    for s in (ours, theirs):
        s.close()
    os.close(fd)
    p.close()
