# SPDX-License-Identifier: Apache-2.0
"""Our devices as back ends of somebody else's monitor: Debian's QEMU (TCG) boots the Debian kernel
with dev-blk and dev-rng behind it, works on the disk, and the host compares the checksums."""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

from bh.devices import Blk, Rng

TOP = pathlib.Path(__file__).resolve().parents[2]
QEMU = shutil.which("qemu-system-x86_64")
LONG = pytest.mark.skipif("BULKHEAD_LONG" not in os.environ, reason="of make long")
BOOT_S = 300  # a hang is a failure; nothing else is timed

BOTH = """
(. /tests/disk.sh) || exit 1
(. /tests/rng.sh)
"""


@pytest.fixture
def guest_dir():
    path = TOP / "build/guest"
    if not (path / "initrd.cpio.gz").exists():
        pytest.skip("no guest: tools/guest/build")
    return path


@pytest.fixture
def initrd(guest_dir, tmp_path):
    """The guest's, and behind it a script that runs two of its tests in one boot."""
    (tmp_path / "extra/tests").mkdir(parents=True)
    (tmp_path / "extra/tests/both.sh").write_text(BOTH)
    subprocess.run([TOP / "tools/initrd", tmp_path / "extra", tmp_path / "extra.gz"], check=True)
    first = (guest_dir / "initrd.cpio.gz").read_bytes()
    path = tmp_path / "initrd"
    path.write_bytes(first + bytes(-len(first) % 4) + (tmp_path / "extra.gz").read_bytes())
    return path


def qemu(guest_dir, initrd, devices):
    """Boots with each (our end of the device's socket, -device and its options)."""
    command = [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-M", "q35,memory-backend=ram", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "256M",
        "-object", "memory-backend-memfd,id=ram,size=256M,share=on",
        "-kernel", guest_dir / "vmlinuz", "-initrd", initrd,
        "-append", "console=ttyS0 quiet panic=-1 bh.test=both bh.disk=vda bh.mib=8",
        "-serial", "stdio"]
    for i, (sock, device) in enumerate(devices):
        command += ["-chardev", f"socket,id=c{i},fd={sock.fileno()}",
                    "-device", f"{device},chardev=c{i}"]
    done = subprocess.run(command, pass_fds=[sock.fileno() for sock, _ in devices], check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=BOOT_S)
    return done.stdout.decode("ascii", "replace")


def qcow2(raw):
    """An image on that raw one."""
    top = raw.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", top], check=True)
    return {"image": top, "format": "qcow2", "backing": [(raw, "raw")]}


@pytest.mark.skipif(QEMU is None, reason="no qemu-system-x86_64")
@pytest.mark.parametrize("form", ["raw", pytest.param("qcow2", marks=LONG)])
def test_guest_of_qemu(start, guest_dir, initrd, tmp_path, form):
    image = tmp_path / "disk.raw"
    image.write_bytes(os.urandom(16 << 20))
    how = {"image": image} if form == "raw" else qcow2(image)
    blk = start(Blk, **how, queues=2, serial="interop")
    rng = start(Rng)
    said = qemu(guest_dir, initrd, [(blk.sock, "vhost-user-blk-pci,num-queues=2"),
                                    (rng.sock, "vhost-user-rng-pci")])
    assert "test both status 0" in said, said + blk.process.describe() + rng.process.describe()
    line = next(row for row in said.splitlines() if "disk vda bytes" in row)
    assert f"bytes {16 << 20} read-only 0 serial interop block 512" in line
    assert "queues 2" in line
    assert "rng current virtio_rng" in said
    guests = re.search(r"disk sha256 ([0-9a-f]{64})", said).group(1)
    for device in (blk, rng):
        device.sock.close()
        device.process.assert_clean_end(0)
    if form == "qcow2":
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", how["image"]], check=True)
        image = tmp_path / "content"
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", how["image"], image], check=True)
    assert guests == hashlib.sha256(image.read_bytes()).hexdigest()
