# SPDX-License-Identifier: Apache-2.0
"""A hostile vmm on the registers' side of dev-console: after every wrong byte, order or descriptor
it serves on or ends cleanly; and a guest that does to the registers what no driver would."""

import os
import random
import signal
import socket
import struct

import pytest

import vfio_user as vfu
from bh import hostile
from bh.devices import Console
from bh.hostile import case

SET_EVENTFD = vfu.IRQ_DATA_EVENTFD | vfu.IRQ_ACTION_TRIGGER
TOP = 1 << 64


def commands(fd):
    """Every command that the device knows, well-formed: (number, payload, descriptors)."""
    return {
        "VERSION": (vfu.VERSION, struct.pack("<HH", 0, 1) + b'{"capabilities":{}}\0', []),
        "DMA_MAP": (vfu.DMA_MAP, struct.pack("<IIQQQ", 32, 3, 0, 0, 1 << 20), [fd]),
        "DMA_UNMAP": (vfu.DMA_UNMAP, struct.pack("<IIQQ", 24, 0, 0, 1 << 20), []),
        "GET_INFO": (vfu.DEVICE_GET_INFO, struct.pack("<IIII", 16, 0, 0, 0), []),
        "GET_REGION_INFO": (vfu.DEVICE_GET_REGION_INFO,
                            struct.pack("<IIIIQQ", 256, 0, 0, 0, 0, 0), []),
        "GET_REGION_IO_FDS": (vfu.DEVICE_GET_REGION_IO_FDS, struct.pack("<IIII", 16, 0, 0, 0), []),
        "GET_IRQ_INFO": (vfu.DEVICE_GET_IRQ_INFO, struct.pack("<IIII", 16, 0, 0, 0), []),
        "SET_IRQS": (vfu.DEVICE_SET_IRQS, struct.pack("<IIIII", 20, SET_EVENTFD, 0, 0, 1), [fd]),
        "REGION_READ": (vfu.REGION_READ, struct.pack("<QII", 5, 0, 1), []),
        "REGION_WRITE": (vfu.REGION_WRITE, struct.pack("<QII", 7, 0, 1) + b"\x5a", []),
        "RESET": (vfu.DEVICE_RESET, b"", []),
    }


NAMES = list(commands(-1))


@pytest.fixture
def event():
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    yield fd
    os.close(fd)


def verdict(device, client):
    """"serves" if the registers still work, "ended" if the device closed and ended cleanly."""
    try:
        # Replies that were asked for and not read come first: a new connection of ids is not to be
        # had, so look for the answer to this one.
        client.send(vfu.REGION_READ, struct.pack("<QII", 5, 0, 1))
        for _ in range(8):
            fds = []
            id_, _, size, _, _ = struct.unpack("<HHIII", client._read(16, fds))
            client._read(size - 16, fds)
            for fd in fds:
                os.close(fd)
            if id_ == client.id:
                break
        else:
            raise AssertionError("more replies than requests")
    except vfu.Closed:
        device.process.assert_clean_end()
        return "ended"
    assert device.process.alive
    device.assert_bounded()
    return "serves"


def each(start, rows, version=True):
    verdicts = {}
    for name, send in rows:
        with case(name):
            device = start(Console)
            client = vfu.Client(device.registers)
            if version:
                client.version()
            try:
                send(client)
            except vfu.Closed:
                pass
            verdicts[name] = verdict(device, client)
            device.close()
    return verdicts


@pytest.mark.parametrize("name", NAMES)
def test_message_cut_at_every_byte(start, event, name):
    number, payload, fds = commands(event)[name]
    wire = struct.pack("<HHIII", 1, number, 16 + len(payload), 0, 0) + payload
    for cut in range(1, len(wire)):
        with case(f"cut at {cut}"):
            device = start(Console)
            client = vfu.Client(device.registers)
            if name != "VERSION":
                client.version()
            client.send_bytes(wire[:cut], fds)
            device.registers.shutdown(socket.SHUT_WR)
            device.process.assert_clean_end(1)
            device.close()


@pytest.mark.parametrize("name", NAMES)
def test_sizes_that_are_not_the_commands(start, event, name):
    number, payload, fds = commands(event)[name]

    def sender(n):
        return lambda c: c.send(number, (payload + bytes(n))[:n], fds=fds)

    sizes = sorted({0, 1, 4, 8, 15, 16, len(payload) - 1, len(payload) + 1, len(payload) + 8, 512,
                    513} - {len(payload), -1})
    verdicts = each(start, [(f"{n} bytes", sender(n)) for n in sizes], version=name != "VERSION")
    if name != "VERSION":  # whose text is as long as it is
        assert set(verdicts.values()) == {"ended"}, verdicts


def test_size_field_outside_of_every_bound(start):
    def sender(size):
        return lambda c: c.send(vfu.DEVICE_RESET, size=size)

    sizes = [0, 1, 15, 529, 4096, 0x7fffffff, 0x80000000, 0xffffffff]
    verdicts = each(start, [(f"size {s:#x}", sender(s)) for s in sizes])
    assert set(verdicts.values()) == {"ended"}, verdicts


@pytest.mark.parametrize("flags", [1, 2, 3, 15, 16, 17, 32, 33, 64, 0x80000000, 0xffffffff])
def test_flags(start, event, flags):
    def sender(name):
        number, payload, fds = commands(event)[name]
        return lambda c: c.send(number, payload, flags, fds)

    each(start, [(name, sender(name)) for name in NAMES])


@pytest.mark.parametrize("version", [False, True], ids=["before version", "after version"])
def test_order(start, event, version):
    """Everything before VERSION, and everything twice after it."""
    def sender(name):
        number, payload, fds = commands(event)[name]

        def send(c):
            for _ in range(2):
                c.send(number, payload, fds=fds)
        return send

    verdicts = each(start, [(name, sender(name)) for name in NAMES], version)
    if not version:
        assert set(verdicts.values()) == {"ended"}, verdicts


@pytest.mark.parametrize("n", [0, 1, 2, 8, 9, 200])
def test_wrong_number_of_descriptors(start, event, n):
    def sender(name):
        number, payload, _ = commands(event)[name]
        return lambda c: c.send(number, payload, fds=[event] * n)

    each(start, [(name, sender(name)) for name in NAMES])


def test_descriptors_do_not_pile_up(start, event):
    device = start(Console)
    client = vfu.Client(device.registers)
    client.version()
    client.set_irq(event)
    client.reset()
    before = device.process.n_fds()
    for _ in range(300):
        client.set_irq(event)
        client.ask(vfu.DMA_MAP, commands(event)["DMA_MAP"][1], [event])
        client.region(0)
    client.reset()
    assert device.process.n_fds() == before
    device.assert_bounded()


def test_interrupts_into_the_wrong_kind(start, tmp_path):
    """The descriptor of an interrupt is written: refused, or without a signal and a wait."""
    wrong = hostile.WrongFds(tmp_path)

    def sender(fd):
        def send(c):
            c.ask(vfu.DEVICE_SET_IRQS, commands(-1)["SET_IRQS"][1], [fd])
            for _ in range(100):
                for value in (0, 2):
                    c.write(0, 1, bytes([value]))  # IER: the transmitter's interrupt, off and on
        return send

    def refusable(send):
        def send_it(c):
            try:
                send(c)
            except vfu.Error:
                pass
        return send_it

    each(start, [(name, refusable(sender(fd))) for name, fd in wrong.fds.items()])
    wrong.close()


def test_interrupt_numbers(start, event):
    device = start(Console)
    client = vfu.Client(device.registers)
    client.version()
    for flags in (0, SET_EVENTFD, SET_EVENTFD | 1, 0xffffffff, 0x24 | 8, 0x21, 0x11):
        for index, first, count in ((1, 0, 1), (0, 1, 1), (0, 0, 2), (0xffffffff, 0, 1), (0, 0, 0),
                                    (0, 0xffffffff, 1), (0, 0, 0xffffffff), (0, 0xffffffff, 2)):
            with case(f"flags {flags:#x} index {index} start {first} count {count}"):
                try:
                    client.ask(vfu.DEVICE_SET_IRQS,
                               struct.pack("<IIIII", 20, flags, index, first, count), [event])
                except vfu.Error:
                    continue
                except vfu.Closed:
                    device.process.assert_clean_end()
                    device.close()
                    device = start(Console)
                    client = vfu.Client(device.registers)
                    client.version()
                    continue
                raise AssertionError("taken")


@pytest.mark.parametrize("width", [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 255, 256])
def test_every_offset_and_width(start, width):
    """CVE-2020-13754, CVE-2018-16847: an error or floating bytes, whatever straddles what."""
    device = start(Console)
    client = vfu.Client(device.registers)
    client.version()
    offsets = [*range(0, 18), 4088, 4094, 4095, 4096, 4097, 1 << 16, (1 << 31) - 1, 1 << 31,
               (1 << 32) - 1, 1 << 32, 1 << 63, TOP - 8, TOP - 1]
    for region in (0, 1, 8, 0x7fffffff, 0xffffffff):
        for offset in offsets:
            with case(f"region {region} offset {offset:#x}"):
                for value in (0, 0xff, 0x80):
                    try:
                        client.write(region, offset, bytes([value]) * width)
                    except vfu.Error:
                        pass
                try:
                    assert len(client.read(region, offset, width)) == width
                except vfu.Error:
                    pass
    device.assert_bounded()
    assert client.read(0, 5, 1)


@pytest.mark.parametrize("seed", range(4))
def test_random_register_accesses(start, seed):
    """All orders of registers: it answers each, and is a UART again after a reset."""
    device = start(Console, input="serial")
    client = vfu.Client(device.registers)
    client.version()
    rand = random.Random(seed)
    device.terminal.setblocking(False)
    for step in range(1500):
        if step % 50 == 0:
            try:
                device.terminal.send(rand.randbytes(64))
                device.terminal.recv(65536)
            except BlockingIOError:
                pass
        offset = rand.randrange(8)
        if rand.random() < 0.5:
            client.write(0, offset, bytes([rand.choice((0, 1, 0x80, 0xff, rand.randrange(256)))]))
        else:
            client.read(0, offset, 1)
        if rand.random() < 0.01:
            client.reset()
    client.reset()
    client.write(0, 7, b"\x5a")
    assert client.read(0, 7, 1) == b"\x5a"
    assert client.read(0, 5, 1)[0] & 0x60 == 0x60 or device.process.alive
    device.assert_bounded()


def test_client_that_never_reads_its_answers(start):
    device = start(Console)
    client = vfu.Client(device.registers)
    client.version()
    device.registers.setblocking(False)
    wire = struct.pack("<HHIIIQII", 1, vfu.REGION_READ, 32, 0, 0, 5, 0, 1) * 1000
    try:
        for _ in range(100):
            device.registers.send(wire)
    except OSError:
        pass
    if device.process.pid:  # it may have lost its patience with this client and ended
        device.assert_bounded()
    device.registers.close()
    device.sock.close()
    device.terminal.close()
    device.process.assert_clean_end()


def test_posted_writes_without_end(start):
    """CVE-2020-27174: nobody reads the terminal; what does not fit is bounded and said once."""
    device = start(Console)
    client = vfu.Client(device.registers)
    client.version()
    before = device.process.private_bytes()
    wire = struct.pack("<HHIIIQII", 1, vfu.REGION_WRITE, 33, vfu.FLAG_NO_REPLY, 0, 0, 0, 1) + b"x"
    for _ in range(200):
        client.send_bytes(wire * 2000)
    assert client.read(0, 5, 1)
    assert device.process.private_bytes() - before < 1 << 20
    assert len(device.process.said(2)) <= 4
    device.assert_bounded()


def test_end_while_the_guest_writes_on(start):
    """The supervisor's order to end does not wait for a guest that never stops."""
    device = start(Console)
    client = vfu.Client(device.registers)
    client.version()
    device.terminal.close()
    wire = struct.pack("<HHIIIQII", 1, vfu.REGION_WRITE, 33, vfu.FLAG_NO_REPLY, 0, 0, 0, 1) + b"x"
    writer = os.fork()
    if writer == 0:
        try:
            while True:
                device.registers.sendall(wire * 2000)
        finally:
            os._exit(0)
    try:
        device.process.control.shutdown(socket.SHUT_RDWR)
        device.process.assert_clean_end(0)
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)


def test_random_bytes(start):
    def sender(data):
        def send(c):
            c.send_bytes(data)
            c.sock.shutdown(socket.SHUT_WR)
        return send

    rows = [("zeroes", sender(bytes(4096))), ("ones", sender(b"\xff" * 4096)),
            ("text", sender(b"GET / HTTP/1.1\r\n\r\n" * 40))]
    rows += [(f"random {i}", sender(random.Random(i).randbytes(2048))) for i in range(8)]
    for version in (False, True):
        verdicts = each(start, rows, version)
        assert set(verdicts.values()) == {"ended"}, verdicts
