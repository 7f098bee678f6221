# SPDX-License-Identifier: Apache-2.0
"""dev-flash in its jail: a NOR flash over vfio-user, in a file. A hostile vmm, hostile files and kept state, and a successor
that goes on wherever its predecessor was killed."""

import fcntl
import mmap
import os
import random
import struct

import pytest

import vfio_user as vfu
from bh import process, wait
from test_firmware_process import memfd

SIZE = 32 << 10
LOG = SIZE + SIZE // 4096 * 8 + 512
SEALS = fcntl.F_SEAL_SEAL


class Device:
    """One process after the other, over the same view, state and file."""

    def __init__(self, build, path, content=bytes(range(256)) * (SIZE // 256)):
        self.build, self.path = build, path
        path.write_bytes(content)
        self.begin()

    def begin(self):
        self.state = memfd("flash-state", b"", 4096, SEALS)
        self.view_fd = memfd("firmware-vars", b"", SIZE, SEALS)
        self.view = mmap.mmap(self.view_fd, SIZE, prot=mmap.PROT_READ)
        self.start()
        self.id = 0

    def start(self):
        self.sock, theirs = vfu.socket.socketpair()
        with open(self.path, "r+b") as file:
            self.process = process.Process(self.build, "dev-flash", (), {4: theirs.fileno(), 5: self.state, 6: self.view_fd,
                                                                         7: file.fileno()})
        theirs.close()
        self.process.wait_ready()
        self.client = vfu.Client(self.sock)
        self.client.version()

    def kill(self):
        self.id = self.client.id
        self.process.kill()
        self.sock.close()

    def again(self):
        self.start()
        self.client.id = self.id

    def write(self, at, value):
        self.client.write(0, at, bytes([value]))

    def program(self, at, data):
        for i, byte in enumerate(data):
            self.write(at + i, 0x10)
            self.write(at + i, byte)
        self.write(at, 0xff)

    def close(self):
        self.sock.close()
        self.process.close()
        self.view.close()
        os.close(self.state)
        os.close(self.view_fd)


@pytest.fixture
def device(build, tmp_path):
    d = Device(build, tmp_path / "vars")
    yield d
    d.close()


# ---- hostile first ----

def test_every_width_and_edge(device):
    """A byte is taken; nothing else does anything, and what is outside is an error."""
    before = device.view[:]
    for at in (0, 1, 4095, 4096, SIZE - 8, SIZE - 1, SIZE, SIZE + 1, (1 << 32) - 1, (1 << 64) - 1):
        for width in (2, 4, 8):
            if at + width > SIZE:
                with pytest.raises(vfu.Error):
                    device.client.write(0, at, b"\x10" * width)
            else:
                device.client.write(0, at, b"\x10" * width)
        if at >= SIZE:
            with pytest.raises(vfu.Error):
                device.write(at, 0x10)
    assert device.view[:] == before
    with pytest.raises(vfu.Error):
        device.client.region(2)


def test_orders_that_are_none(build, tmp_path):
    """Random messages: it serves on, or ends cleanly; the file is of its size."""
    rng = random.Random(1)
    for _ in range(8):
        d = Device(build, tmp_path / "vars")
        try:
            for _ in range(200):
                d.client.send(rng.randrange(16), rng.randbytes(rng.choice((0, 16, 17, 20, 24, 32, 40))))
        except vfu.Closed:
            pass
        d.sock.close()
        d.process.assert_clean_end()
        assert d.path.stat().st_size == SIZE
        d.close()


@pytest.mark.parametrize("size", [0, 1, 4095, SIZE + 1, SIZE + LOG - 1, (1 << 20) + 4096])
def test_files_that_are_none(build, tmp_path, size):
    with pytest.raises(AssertionError):
        Device(build, tmp_path / "vars", bytes(size))


def test_a_log_that_lies(build, tmp_path):
    """Whatever is behind the store: it is there as it was, and the log goes."""
    rng = random.Random(2)
    for log in (b"\xff" * LOG, rng.randbytes(LOG), struct.pack("<III", 0x56464842, 0xffffffff, 0) + bytes(LOG - 12)):
        d = Device(build, tmp_path / "vars", bytes(range(256)) * (SIZE // 256) + log)
        assert d.view[:256] == bytes(range(256))
        d.program(0, b"new")
        d.sock.close()
        d.process.assert_clean_end()
        assert d.path.read_bytes() == b"new" + (bytes(range(256)) * (SIZE // 256))[3:]
        d.close()


def test_state_that_lies(device):
    """What a predecessor left cannot be: it begins with what the file has, and says so."""
    device.program(0, b"abc")
    device.write(5, 0x10)
    device.kill()
    sequence, = struct.unpack("<Q", os.pread(device.state, 8, 0))
    os.pwrite(device.state, b"\xff" * 256, 8 + 256 * (sequence & 1))
    os.pwrite(device.view_fd, b"\x77" * SIZE, 0)
    device.again()
    assert any("as in its file" in m.text for m in device.process.said(process.CTL_LOG))
    assert device.view[:6] == b"abc\x03\x04\x05"


def test_a_guest_that_only_writes(device):
    """The file has a bound whatever it does, and the process goes on."""
    for n in range(60):
        device.write(n % 8 * 4096, 0x20)
        device.write(n % 8 * 4096, 0xd0)
        device.program(n % 8 * 4096, bytes([n]))
    assert device.path.stat().st_size in (SIZE, SIZE + LOG)
    assert device.view[4096 * 3] == 59
    device.sock.close()
    device.process.assert_clean_end()
    assert device.path.read_bytes()[4096 * 3] == 59 and device.path.stat().st_size == SIZE


# ---- friendly ----

def test_a_flash(device):
    """As OVMF looks for one, then programs and erases."""
    device.write(9, 0x50)
    device.write(9, 0x70)
    assert device.view[9] == 0
    device.write(9, 0xff)
    assert device.view[9] == 9
    device.program(4000, bytes(200))
    assert device.view[3999:4201] == b"\x9f" + bytes(200) + bytes([4200 % 256])
    device.write(8192, 0x20)
    device.write(8192, 0xd0)
    device.write(8192, 0xff)
    assert device.view[8191:12289] == b"\xff" * 4097 + b"\0"
    device.client.ask(vfu.DEVICE_RESET)
    assert device.client.read(0, 4000, 1) == b"\0"


def test_who_writes_nothing(device):
    """The file is not touched."""
    before = device.path.stat().st_mtime_ns
    device.write(9, 0x70)
    device.write(9, 0xff)
    device.sock.close()
    device.process.assert_clean_end()
    assert device.path.stat().st_mtime_ns == before


# ---- a successor ----

@pytest.mark.parametrize("all_of_it", [False, True], ids=["the process", "every process"])
def test_killed_at_every_access(device, all_of_it):
    """A write whose answer was lost comes again with its id, and is carried out once. Where every process is gone, what was
    programmed before the array was shown again is there."""
    rng, want = random.Random(3), bytearray(device.view[:])
    for n in range(12):
        at, data = rng.randrange(SIZE - 16), rng.randbytes(rng.randint(1, 8))
        lost = rng.randrange(len(data) * 2)
        for i, (where, byte) in enumerate([(at + i // 2, data[i // 2] if i % 2 else 0x10) for i in range(2 * len(data))]):
            device.write(where, byte)
            if i == lost and not all_of_it:
                device.kill()
                device.id -= 1  # its client has not heard the answer
                device.again()
                done, = struct.unpack("<I", device.client.read(1, 0, 4))
                assert done & 0xffff == (device.id + 1) & 0xffff and done >> 16, n
                device.client.id = device.id + 1
        device.write(at, 0xff)
        want[at:at + len(data)] = data
        if all_of_it:
            device.kill()
            device.close()
            device.begin()
        assert device.view[:] == bytes(want)


def test_what_it_may(device):
    """Two shared mappings, and a file that it cannot make longer."""
    pid = device.process.pid
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        shared = sorted(line.split()[5] for line in f if line.split()[1][3] == "s")
    assert shared == ["/memfd:firmware-vars", "/memfd:flash-state"]
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        [limit] = [line.split()[3] for line in f if line.startswith("Max file size")]
    assert int(limit) == SIZE + LOG
    wait.until(lambda: device.process.alive, "it serves")
