# SPDX-License-Identifier: Apache-2.0
"""dev-console in its jail: the 16550 over vfio-user, the virtio-console beside it, one stream."""

import errno
import os
import random
import select
import socket
import struct

import pytest

import vfio_user as vfu
from bh import console, process, wait
from bh.guest import Buf
from bh.session import Session

RBR = THR = 0
IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR = 1, 2, 2, 3, 4, 5, 6, 7
DR, THRE_TEMT = 1, 0x60
SCROLLBACK = 64 << 10


class Console:
    def __init__(self, build, *args):
        self.regs, regs = socket.socketpair()
        self.ring, ring = socket.socketpair()
        try:
            self.process = process.Process(build, "dev-console", args,
                                               {4: regs.fileno(), 5: ring.fileno()})
            self.process.wait_ready()
        finally:
            regs.close()
            ring.close()
        self.uart = vfu.Client(self.regs)
        self.terminals = []
        self.session = None

    def attach(self):
        self.terminals.append(console.attach(self.process.control))
        return self.terminals[-1]

    def open_uart(self):
        self.uart.version()
        self.page = self.uart.region(0).page
        self.irq = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.uart.set_irq(self.irq)
        return self

    def open_virtio(self):
        self.session = Session(self.ring, n_queues=2, main=console.TRANSMITQ,
                               watch=[self.process.pidfd]).start()
        return self.session

    def get(self, reg):
        return self.uart.read(0, reg, 1)[0]

    def set(self, reg, value):
        self.uart.write(0, reg, bytes([value]))

    def say(self, data):
        """As a guest that polls THRE before each byte: it never runs into a full line."""
        for byte in data:
            wait.until(lambda: self.page[LSR] & THRE_TEMT, "the line is ready")
            self.uart.post(0, THR, bytes([byte]))

    def edges(self):
        """Interrupts so far, behind a round trip that lets the device finish."""
        self.get(SCR)
        self.get(SCR)
        try:
            return os.eventfd_read(self.irq)
        except BlockingIOError:
            return 0

    def close(self):
        if self.session:
            self.session.close()
        self.regs.close()
        self.ring.close()
        for t in self.terminals:
            t.close()
        self.process.kill()


@pytest.fixture
def open_console(build):
    running = []

    def open_one(*args):
        running.append(Console(build, *args))
        return running[-1]

    yield open_one
    for c in running:
        c.close()


@pytest.fixture
def dev(open_console):
    """One that waits for its terminal as long as it takes, whatever this machine is busy with."""
    return open_console("--hold=86400").open_uart()


def take(terminal, n):
    data = b""
    while len(data) < n:
        piece = terminal.recv(n - len(data))
        assert piece
        data += piece
    return data


def quiet(terminal):
    return not select.select([terminal], [], [], 0.02)[0]


# ---- the 16550 ----

def test_what_it_is(open_console):
    c = open_console()
    (version, data) = c.uart.version(0, 9)
    assert version == (0, 1) and b"max_msg_fds" in data and data[-1] == 0
    assert c.uart.info() == (1, 2, 1)
    region = c.uart.region(0)
    assert region.size == 4096
    assert region.sparse == [(LSR, 1)]
    assert region.page[LSR] == THRE_TEMT
    assert c.uart.region(0, argsz=32).sparse == []


def test_output(dev):
    t = dev.attach()
    dev.say(b"Hello, terminal\r\n")
    assert take(t, 17) == b"Hello, terminal\r\n"


def test_input_and_its_interrupt(dev):
    t = dev.attach()
    dev.set(FCR, 0xc1)
    dev.set(IER, 1)
    assert dev.edges() == 0
    t.send(b"ls\r")
    wait.for_fds([dev.irq], "an interrupt")
    assert dev.page[LSR] & DR
    assert dev.get(IIR) == 0xcc  # below the trigger: the character timeout
    assert bytes(dev.get(RBR) for _ in range(3)) == b"ls\r"
    assert dev.get(IIR) == 0xc1
    assert not dev.page[LSR] & DR
    assert dev.edges() == 1


def test_transmitter_interrupts_once_a_burst(dev):
    t = dev.attach()
    dev.set(FCR, 1)
    dev.set(IER, 2)
    assert dev.edges() == 1
    assert dev.get(IIR) == 0xc2
    assert dev.get(IIR) == 0xc1
    for byte in b"0123456789abcdef":
        dev.uart.post(0, THR, bytes([byte]))
    assert take(t, 16) == b"0123456789abcdef"
    assert 1 <= dev.edges() <= 16
    assert dev.get(IIR) == 0xc2


def test_loopback_as_linux_looks_for_it(dev):
    dev.set(MCR, 0x1a)
    assert dev.get(MSR) & 0xf0 == 0x90
    dev.set(MCR, 0)
    dev.set(FCR, 1)
    assert dev.get(IIR) == 0xc1
    dev.set(SCR, 0xae)
    assert dev.get(SCR) == 0xae


@pytest.mark.parametrize("width", [0, 2, 4, 8, 255, 256])
def test_other_widths_float(dev, width):
    assert dev.uart.read(0, 0, width) == b"\xff" * width
    dev.uart.write(0, SCR, bytes(width))
    assert dev.uart.read(0, 8, 1) == b"\xff"
    assert dev.uart.read(0, 4095, 1) == b"\xff"
    assert dev.get(SCR) == 0


def test_nothing_is_lost_to_a_slow_reader(dev):
    """Twice what every buffer on the way holds together; the guest waits for THRE, as it should."""
    t = dev.attach()
    total, sent, got = 800_000, 0, bytearray()
    data = bytes(i * 7 & 0xff for i in range(total))
    stalled = False
    while len(got) < total:
        n = 0
        while sent < total and n < 500 and dev.page[LSR] & THRE_TEMT:
            dev.uart.post(0, THR, data[sent:sent + 1])
            sent += 1
            n += 1
        stalled |= n < 500 and sent < total  # the loop ended for want of THRE
        if n < 500:
            got += t.recv(4096)
    assert got == data
    assert stalled, "the line never pushed back"


def test_a_guest_that_ignores_the_line_loses_only_its_own(dev):
    """CVE-2020-27174's kind: nothing grows without bound."""
    dev.attach()
    for _ in range(300_000):
        dev.uart.post(0, THR, b"x")
    assert dev.get(SCR) == 0
    assert dev.page[LSR] == 0
    assert dev.process.private_bytes() < 4 << 20
    assert len(dev.process.said(process.CTL_LOG)) <= 4


def test_input_pushes_back(dev):
    t = dev.attach()
    dev.set(FCR, 1)
    data = bytes(i * 5 & 0xff for i in range(1 << 20))
    t.setblocking(False)
    sent = 0
    try:
        while True:
            sent += t.send(data[sent:])
    except BlockingIOError:
        pass
    assert sent < len(data)
    dev.process.assert_idle()
    got = bytes(dev.get(RBR) if wait.until(lambda: dev.page[LSR] & DR, "input") else 0
                for _ in range(20_000))
    assert got == data[:20_000]


def handle_interrupt(dev):
    """What came in while a driver's handler ran, which ends when it sees no cause."""
    got = bytearray()
    while not dev.get(IIR) & 1:
        while dev.page[LSR] & DR:
            assert len(got) < 4096, "input keeps the guest in its handler"
            got.append(dev.get(RBR))
            dev.get(SCR)  # what the device does after a read is done now
        dev.get(SCR)
    return got


def test_much_input_comes_by_interrupts(dev):
    """The interrupt is an edge: a driver that gives up while there is input is never called again."""
    t = dev.attach()
    data = random.Random(4).randbytes(20_000)
    dev.set(FCR, 1)
    dev.set(IER, 1)
    t.sendall(data)
    got = bytearray()
    while len(got) < len(data):
        wait.until(lambda: dev.edges(), "an interrupt")
        got += handle_interrupt(dev)
    assert got == data


def test_input_comes_without_a_look_at_iir(dev):
    """A guest that has the interrupt on and polls LSR all the same."""
    t = dev.attach()
    data = random.Random(5).randbytes(200)
    dev.set(FCR, 1)
    dev.set(IER, 1)
    t.sendall(data)
    got = bytes(dev.get(RBR) if wait.until(lambda: dev.page[LSR] & DR, "input") else 0 for _ in data)
    assert got == data
    dev.process.assert_idle()


def lines(dev, text):
    """What it has said for its user with text in it."""
    return [m.text for m in dev.process.said(process.CTL_LOG) if text in m.text]


def fill(dev):
    """Posts until the line is busy; how many bytes that took."""
    n = 0
    while dev.page[LSR] & THRE_TEMT:
        for _ in range(100):
            dev.uart.post(0, THR, b"a")
        n += 100
    return n


def test_a_terminal_that_nobody_reads_does_not_hold_the_guest(open_console):
    dev = open_console("--hold=1").open_uart()
    t = dev.attach()
    n = fill(dev)
    wait.until(lambda: dev.page[LSR] & THRE_TEMT, "the guest goes on")
    assert wait.until(lambda: lines(dev, "nobody reads the console"), "a line that says so")
    for _ in range(2 * SCROLLBACK):
        dev.uart.post(0, THR, b"b")
    n += 2 * SCROLLBACK
    assert dev.get(LSR) == THRE_TEMT
    dev.process.assert_idle()
    # read again: the newest is there, and what is not is counted
    dev.uart.post(0, THR, b"!")
    got = console.read_until(t, b"!")
    assert got.endswith(b"b" * (SCROLLBACK - 1) + b"!")
    dropped = wait.until(lambda: lines(dev, "dropped, as nobody read them"), "the count")
    assert [int(m.split()[0]) for m in dropped] == [n + 1 - len(got)]
    fill(dev)
    assert dev.page[LSR] == 0, "it may push back again"


def test_scrollback_is_replayed(dev):
    dev.say(b"early words ")
    assert dev.get(SCR) == 0
    t = dev.attach()
    assert take(t, 12) == b"early words "
    t.close()
    wait.until(lambda: not dev.process.alive or dev.get(SCR) == 0, "it lives")
    data = bytes(i % 251 for i in range(SCROLLBACK + 1000))
    dev.say(data)
    assert dev.get(SCR) == 0
    assert take(dev.attach(), SCROLLBACK)[-1000:] == data[-1000:]


def test_a_new_stream_replaces_the_old(dev):
    a = dev.attach()
    dev.say(b"one")
    assert take(a, 3) == b"one"
    b = dev.attach()
    assert a.recv(10) == b""
    dev.say(b"two")
    assert take(b, 3) == b"two"


def test_reset(dev):
    for reg in (IER, LCR, MCR, SCR):
        dev.set(reg, 0xff)
    dev.uart.reset()
    assert [dev.get(r) for r in (IER, LCR, MCR, LSR, MSR)] == [0, 0, 0, 0x60, 0xb0]


# ---- the virtio-console beside it ----

def transmit(c, data):
    memory = c.session.memory
    c.session.submit([Buf(memory.put(data), len(data))], console.TRANSMITQ)


def test_both_talk_to_one_terminal(dev):
    t = dev.attach()
    dev.open_virtio()
    dev.say(b"serial ")
    assert take(t, 7) == b"serial "
    transmit(dev, b"virtio")
    dev.session.wait(1, console.TRANSMITQ)
    assert take(t, 6) == b"virtio"


def test_large_chains_push_back_and_lose_nothing(open_console):
    c = open_console()
    t = c.attach()
    c.open_virtio()
    data = random.Random(6).randbytes(1 << 20)
    gpa = c.session.memory.put(data)
    c.session.submit([Buf(gpa, len(data))], console.TRANSMITQ)
    c.session.front.ask_u64(1)
    assert not c.session.queue(console.TRANSMITQ).take_used(), "it is not in the ring yet"
    c.process.assert_idle()
    assert take(t, len(data)) == data
    assert c.session.wait(1, console.TRANSMITQ)[0][1] == 0


def test_size_is_in_the_configuration_once_it_is_said(dev):
    dev.open_virtio()
    front = dev.session.front
    assert front.ask_u64(1) & console.F_SIZE

    def size():
        return struct.unpack("<HH", front.get_config(0, 4))

    assert size() == (0, 0)
    sizes = [(80, 24), (65535, 65535), (1, 1)] + [(80 + i, 24) for i in range(500)]
    for i, (columns, rows) in enumerate(sizes, 1):
        console.resize(dev.process.control, columns, rows)
        wait.until(lambda n=i: len(dev.process.said(console.CTL_CONFIG_CHANGED)) == n, "an answer")
        if i < 10:
            assert size() == (columns, rows)
    assert size() == sizes[-1]
    assert front.get_config(4, 8) == bytes(8)


@pytest.mark.parametrize("columns, rows", [(0, 24), (80, 0)])
def test_a_size_that_is_none_ends_it(dev, columns, rows):
    console.resize(dev.process.control, columns, rows)
    dev.process.assert_clean_end(1)


@pytest.mark.parametrize("to", ["serial", "virtio"])
def test_input_goes_where_it_is_told(open_console, to):
    c = open_console(f"--input={to}").open_uart()
    t = c.attach()
    c.open_virtio()
    gpa = c.session.memory.alloc(64)
    c.session.submit([Buf(gpa, 64, True)], console.RECEIVEQ)
    t.send(b"typed")
    if to == "virtio":
        assert c.session.wait(1, console.RECEIVEQ)[0][1] == 5
        assert c.session.memory.read(gpa, 5) == b"typed"
        assert not c.page[LSR] & DR
    else:
        wait.until(lambda: c.page[LSR] & DR, "input")
        assert chr(c.get(RBR)) == "t"
        assert not c.session.queue(console.RECEIVEQ).take_used()


def test_virtio_input_is_not_lost_for_want_of_buffers(open_console):
    c = open_console("--input=virtio")
    t = c.attach()
    c.open_virtio()
    data = random.Random(7).randbytes(50_000)
    t.send(data)
    t.close()
    got, memory = b"", c.session.memory
    gpa = memory.alloc(100)
    while len(got) < len(data):
        c.session.submit([Buf(gpa, 100, True)], console.RECEIVEQ)
        [(_, n)] = c.session.wait(1, console.RECEIVEQ)
        assert 0 < n <= 100
        got += memory.read(gpa, n)
    assert got == data


# ---- the end ----

def test_what_was_posted_last_is_shown(dev):
    """The guest's last words, then the vmm's death and the supervisor's order to end."""
    t = dev.attach()
    words = b"reboot: Power down\r\n" * 200
    for i in range(len(words)):
        dev.uart.post(0, THR, words[i:i + 1])
    dev.regs.close()
    dev.ring.close()
    assert take(t, len(words)) == words
    assert t.recv(1) == b""
    dev.process.assert_clean_end(0)


def test_a_terminal_that_takes_nothing_does_not_keep_it(dev):
    dev.attach()
    for _ in range(20_000):
        dev.uart.post(0, THR, b"x")
    dev.regs.close()
    dev.ring.close()
    dev.process.assert_clean_end(0)


HOSTILE = {
    "before version": lambda c: c.send(vfu.DEVICE_RESET),
    "another major": lambda c: c.send(vfu.VERSION, struct.pack("<HH", 7, 0)),
    "version twice": lambda c: (c.version(), c.send(vfu.VERSION, struct.pack("<HH", 0, 0))),
    "short size": lambda c: (c.version(), c.send(vfu.DEVICE_RESET, size=15)),
    "huge size": lambda c: (c.version(), c.send(vfu.DEVICE_RESET, size=0xffffffff)),
    "trailing": lambda c: (c.version(), c.send(vfu.DEVICE_RESET, b"x")),
    "bad flags": lambda c: (c.version(), c.send(vfu.DEVICE_RESET, flags=0x80)),
    "a reply": lambda c: (c.version(), c.send(vfu.DEVICE_RESET, flags=vfu.FLAG_REPLY)),
    "descriptor": lambda c: (c.version(), c.send(vfu.DEVICE_RESET, fds=[0])),
    "count": lambda c: (c.version(),
                        c.send(vfu.REGION_READ, struct.pack("<QII", 0, 0, 0xffffffff))),
    "half": lambda c: (c.version(), c.send_bytes(b"\0" * 7), c.sock.shutdown(socket.SHUT_WR)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_client_is_let_go(open_console, name):
    c = open_console()
    HOSTILE[name](c.uart)
    c.process.assert_clean_end(1)


@pytest.mark.parametrize("region, offset", [(0, 4096), (0, 1 << 63), (0, (1 << 64) - 1), (1, 4), (2, 0)])
def test_outside_is_an_error_not_an_end(dev, region, offset):
    with pytest.raises(vfu.Error) as e:
        dev.uart.read(region, offset, 1)
    assert e.value.number == errno.EINVAL
    assert dev.get(LSR) == THRE_TEMT


def test_unknown_commands_are_refused(dev):
    for command in (0, 11, 12, 14, 99, 65535):
        with pytest.raises(vfu.Error) as e:
            dev.uart.ask(command)
        assert e.value.number == errno.EOPNOTSUPP
    assert dev.get(LSR) == THRE_TEMT


def test_wrong_eventfds_do_no_harm(dev):
    """A descriptor that is no eventfd is refused, and all goes on."""
    r, w = os.pipe()
    with pytest.raises(vfu.Error):
        dev.uart.set_irq(w)
    os.close(r)
    os.close(w)
    dev.set(IER, 2)
    assert dev.get(IIR) == 2


def test_idle_means_idle(dev):
    t = dev.attach()
    dev.process.assert_idle()
    t.shutdown(socket.SHUT_WR)
    dev.process.assert_idle()
    t.close()
    dev.process.assert_idle()


def test_supervisor_gone(dev):
    dev.process.control.shutdown(socket.SHUT_RDWR)
    dev.process.assert_clean_end(0)
