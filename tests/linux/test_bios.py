# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified SeaBIOS starts GRUB from a disk's boot sector, and that the Debian kernel: real mode, BARs that firmware
places from above, and a screen that is the serial port."""

import subprocess

import pytest

import bios
from vm import ACCEL, BULKHEAD, HANGS

pytestmark = pytest.mark.skipif(bios.missing() is not None, reason=f"{bios.missing()} is not there: tools/deps check")


def words(disk, *flags, memory="256M", cpus=1):
    return [BULKHEAD, "run", "--accel", ACCEL, "--firmware", "bios", "--disk", f"{disk},format=raw", "--memory", memory,
            "--cpus", str(cpus), "--console", "raw", "--net", "none", *flags]


def run(*args, **kwargs):
    r = subprocess.run(words(*args, **kwargs), stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS, check=False)
    return r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")


@pytest.mark.parametrize("cpus, memory, table", [(1, "256M", "dos"), (2, "5G", "gpt")])
def test_grub(tmp_path, cpus, memory, table):
    status, out, err = run(bios.bootable(tmp_path, "smp", table), cpus=cpus, memory=memory)
    assert status == 0, out + err
    assert "SeaBIOS" in out and "Welcome to GRUB" in out, out
    assert f"cpus {cpus}" in out and "test smp status 0" in out, out
    assert "powered off" in err


def test_nothing_to_boot(tmp_path):
    """It is said on the serial port."""
    empty = tmp_path / "empty.raw"
    empty.write_bytes(bytes(1 << 20))
    with subprocess.Popen(words(empty), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as p:
        said = b""
        while b"No bootable device" not in said:
            byte = p.stdout.read(1)
            assert byte, said
            said += byte
        p.kill()
    assert b"Boot failed" in said
