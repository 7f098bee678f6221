# SPDX-License-Identifier: Apache-2.0
"""The vmm's front end and virtio-pci transport against our devices and QEMU's storage daemon."""

import os
import subprocess

import pytest

from bh import qemu, wait
from bh.devices import Blk, Rng

SECTORS = 4096


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(os.urandom(SECTORS * 512))
    return path


def drive(build, sock, kind):
    done = subprocess.run([build / "tests/device/front-harness", str(sock.fileno()), kind],
                          pass_fds=[sock.fileno()], capture_output=True, text=True,
                          timeout=wait.HANG_S)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def check_disk(build, sock, image, queues):
    before = image.read_bytes()
    said = drive(build, sock, "blk")
    life = [f"capacity {SECTORS}", f"read {before[:16].hex()}"]
    assert said == [f"queues {queues}"] + life * 2
    after = image.read_bytes()
    assert after[512:1024] == bytes(~b & 0xff for b in before[:512])
    assert after[:512] + after[1024:] == before[:512] + before[1024:]


@pytest.mark.skipif(not qemu.STORAGE_DAEMON, reason="qemu-storage-daemon is not installed")
@pytest.mark.parametrize("queues", [1, 3])
def test_qemu_storage_daemon(build, image, tmp_path, queues):
    daemon = qemu.StorageDaemon(image, tmp_path, queues=queues)
    try:
        with daemon.connect() as sock:
            check_disk(build, sock, image, queues)
    finally:
        daemon.stop()


@pytest.mark.parametrize("queues", [1, 4])
def test_dev_blk(build, start, image, queues):
    device = start(Blk, image=image, queues=queues)
    check_disk(build, device.sock, image, queues)


def test_dev_rng(build, start):
    device = start(Rng)
    said = drive(build, device.sock, "rng")
    assert said[0] == "queues 1"
    assert said[1] == said[3] == "used 64"
    assert said[2] != said[4], "the same bytes twice"
