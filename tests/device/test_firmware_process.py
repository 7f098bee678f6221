# SPDX-License-Identifier: Apache-2.0
"""dev-firmware in its jail: fw_cfg, PM timer and CMOS over vfio-user; a hostile vmm, hostile items, and a successor
that goes on wherever its predecessor was killed."""

import fcntl
import os
import random
import socket
import struct
import time

import pytest

import vfio_user as vfu
from bh import process, wait

TIMER, CMOS, SELECTOR, DATA, SIZE = 0, 0x10, 0xfe, 0xff, 0x1ff
IMAGE_SIZE, ROWS_AT, DATA_AT, MAGIC = 64 << 10, 136, 136 + 32 * 12, 0x43465742
STATE_SIZE = 4096
ITEM = bytes(i % 251 + 1 for i in range(3000))


def memfd(name, content, size, seals):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, content, 0)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | seals)
    return fd


def image(items):
    """As the vmm writes it: {number: bytes}."""
    rows, data = b"", b""
    for number, content in items.items():
        rows += struct.pack("<HHII", number, 0, DATA_AT + len(data), len(content))
        data += content
    cmos = bytes(0x34) + b"\x56\x12" + bytes(128 - 0x36)
    return struct.pack("<II", MAGIC, len(items)) + cmos + rows.ljust(DATA_AT - ROWS_AT, b"\0") + data


class Device:
    """One process after the other, over the same state."""

    def __init__(self, build, content=image({0: b"QEMU", 3: ITEM})):
        self.build = build
        self.state = memfd("firmware-state", b"", STATE_SIZE, fcntl.F_SEAL_SEAL)
        self.items = memfd("firmware-items", content, IMAGE_SIZE, fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL)
        self.process, self.id = None, 0
        self.start()

    def start(self):
        self.sock, theirs = socket.socketpair()
        self.process = process.Process(self.build, "dev-firmware", (),
                                       {4: theirs.fileno(), 5: self.state, 6: self.items})
        theirs.close()
        self.process.wait_ready()
        self.client = vfu.Client(self.sock)
        self.client.version()
        self.client.id = self.id

    def kill(self):
        self.id = self.client.id
        self.process.kill()
        self.sock.close()

    def select(self, number):
        self.client.write(0, SELECTOR, struct.pack("<H", number))

    def read(self, n):
        return self.client.read(0, DATA, n)

    def cmos(self, index):
        self.client.write(0, CMOS, bytes([index]))
        return self.client.read(0, CMOS + 1, 1)[0]

    def close(self):
        self.sock.close()
        self.process.close()
        os.close(self.state)
        os.close(self.items)


@pytest.fixture
def device(build):
    d = Device(build)
    yield d
    d.close()


# ---- hostile first ----

def test_every_offset_and_width(device):
    """Each register answers in its own width; all else floats, and what is outside is an error."""
    for offset in range(SIZE):
        for width in (1, 2, 4, 8):
            known = offset == DATA or (offset, width) in ((TIMER, 4), (CMOS + 1, 1))
            if offset + width > SIZE:
                with pytest.raises(vfu.Error):
                    device.client.read(0, offset, width)
            elif not known:
                assert device.client.read(0, offset, width) == b"\xff" * width, (offset, width)
            if offset + width <= SIZE:
                device.client.write(0, offset, b"\xa5" * width)
    device.select(0)
    assert device.read(4) == b"QEMU"


@pytest.mark.parametrize("n", [0, 257, 512, 0xffffffff])
def test_lengths_that_no_message_has(device, n):
    """A read of so many bytes is refused, or ends the process cleanly."""
    device.client.send(vfu.REGION_READ, struct.pack("<QII", DATA, 0, n))
    try:
        device.client.receive()
    except vfu.Error:
        device.select(0)
        assert device.read(4) == b"QEMU"
    except vfu.Closed:
        device.process.assert_clean_end()
    else:
        assert n == 0


def test_what_it_does_not_have(device):
    """No third region, no interrupt, no DMA that it would do anything with."""
    assert device.client.info()[1:] == (2, 0)
    event = os.eventfd(0)
    try:
        with pytest.raises(vfu.Error):
            device.client.set_irq(event)
        with pytest.raises(vfu.Error):
            device.client.region(2)
        device.client.ask(vfu.DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 1 << 20), [event])
        assert device.client.region(0).page is None
    finally:
        os.close(event)
    device.select(0)
    assert device.read(4) == b"QEMU"


def test_orders_that_are_none(build):
    """Random messages: it serves on, or ends cleanly."""
    rng = random.Random(1)
    for _ in range(12):
        d = Device(build)
        try:
            for _ in range(200):
                d.client.send(rng.randrange(16), rng.randbytes(rng.choice((0, 16, 17, 20, 24, 32, 40))))
        except vfu.Closed:
            pass
        d.sock.close()
        d.process.assert_clean_end()
        d.close()


@pytest.mark.parametrize("what", range(8))
def test_items_that_lie(build, what):
    """Whatever the image says: zeros, or bytes of the image behind its rows."""
    good = bytearray(image({0: b"QEMU", 3: ITEM}).ljust(IMAGE_SIZE, b"\x5a"))
    at, value = [(0, 0), (4, 0xffffffff), (ROWS_AT + 4, 0), (ROWS_AT + 4, 0xffffffff), (ROWS_AT + 8, 0xffffffff),
                 (ROWS_AT + 8, IMAGE_SIZE - DATA_AT + 1), (ROWS_AT + 4, IMAGE_SIZE), (ROWS_AT + 2, 0x10001)][what]
    struct.pack_into("<I", good, at, value)
    d = Device(build, bytes(good))
    try:
        for number in (0, 3, 7):
            d.select(number)
            for _ in range(20):
                assert d.read(256).strip(b"\0") in (b"", ITEM[:256]) or number == 3
        assert d.process.alive
    finally:
        d.close()


def test_state_that_lies(build):
    """What a predecessor left cannot be: it starts anew, and says so."""
    d = Device(build)
    try:
        d.select(3)
        d.read(10)
        d.kill()
        sequence, = struct.unpack("<Q", os.pread(d.state, 8, 0))
        os.pwrite(d.state, b"\xff" * 256, 8 + 256 * (sequence & 1))
        d.start()
        assert any("starts anew" in m.text or "start anew" in m.text for m in d.process.said(process.CTL_LOG))
        assert d.read(4) == b"QEMU"
    finally:
        d.close()


# ---- friendly ----

def test_items(device):
    """By any lengths; zeros behind the end; an unknown number is empty."""
    rng = random.Random(2)
    for number, content in ((0, b"QEMU"), (3, ITEM), (9, b""), (0xffff, b"")):
        device.select(number)
        got = b""
        while len(got) < len(content) + 700:
            got += device.read(rng.randint(1, 256))
        assert got == content.ljust(len(got), b"\0")


def test_the_clocks(device):
    """The RTC is the host's UTC; the timer counts as ACPI says."""
    def bcd(v):
        return v // 16 * 10 + v % 16

    before = time.time()
    fields = [bcd(device.cmos(n)) for n in (0x32, 9, 8, 7, 4, 2)]
    after = time.time()
    said = "{:02}{:02}-{:02}-{:02} {:02}:{:02}".format(*fields)
    assert said in {time.strftime("%Y-%m-%d %H:%M", time.gmtime(t)) for t in (before, after)}
    assert device.cmos(0x0d) == 0x80 and device.cmos(0x34) == 0x56
    first = struct.unpack("<I", device.client.read(0, TIMER, 4))[0]
    start = time.monotonic()
    while time.monotonic() - start < 0.01:
        pass
    ticks = (struct.unpack("<I", device.client.read(0, TIMER, 4))[0] - first) % (1 << 24)
    assert 0.01 * 3579545 <= ticks <= (time.monotonic() - start + 1) * 3579545 + 3579545


def test_a_reset(device):
    device.select(3)
    device.read(5)
    device.cmos(0x40)
    device.client.write(0, CMOS + 1, b"\x77")
    device.client.ask(vfu.DEVICE_RESET)
    assert device.read(4) == b"QEMU"
    assert device.cmos(0x40) == 0


# ---- a successor ----

def test_killed_at_every_access(build):
    """An access whose answer was lost comes again with its id, and is carried out once."""
    d = Device(build)
    try:
        got, rng = b"", random.Random(3)
        d.select(3)
        for _ in range(20):
            n = rng.randint(1, 150)
            if rng.random() < 0.5:
                d.client.send(vfu.REGION_READ, struct.pack("<QII", DATA, 0, n))
                wait.until(lambda: d.sock.recv(1, socket.MSG_PEEK), "it has answered")
                d.kill()
                d.id -= 1  # its client has not heard the answer
                d.start()
                assert d.client.read(1, 0, 4) == bytes(4)
                d.client.id = d.id
                got += d.read(n)
            else:
                got += d.read(n)
                d.kill()
                d.start()
        assert got == ITEM[:len(got)] and len(got) > 500
    finally:
        d.close()


def test_what_it_may(device):
    """Few calls, and none of its descriptors can be written but the page that keeps its state."""
    pid = device.process.pid
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        shared = [line for line in f if line.split()[1][3] == "s"]
    assert len(shared) == 1 and "firmware-state" in shared[0]
    with pytest.raises(PermissionError):
        os.pwrite(device.items, b"x", 0)
