# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified SeaBIOS starts GRUB from a disk's boot sector, and that the Debian kernel: real mode, BARs that firmware
places from above, and a screen that is the serial port."""

import subprocess

import pytest

import bios
from vm import ACCEL, BULKHEAD, HANGS

pytestmark = pytest.mark.skipif(bios.missing() is not None, reason=f"{bios.missing()} is not there: tools/deps check")


def run(disk, *flags, memory="256M", cpus=1):
    r = subprocess.run([BULKHEAD, "run", "--accel", ACCEL, "--firmware", "bios", "--disk", f"{disk},format=raw",
                        "--memory", memory, "--cpus", str(cpus), "--console", "raw", "--allow", "firmware", "--net",
                        "none", *flags], stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS, check=False)
    return r.returncode, r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")


@pytest.mark.parametrize("cpus, memory, table", [(1, "256M", "dos"), (2, "5G", "gpt")])
def test_grub(tmp_path, cpus, memory, table):
    status, out, err = run(bios.bootable(tmp_path, "smp", table), cpus=cpus, memory=memory)
    assert status == 0, out + err
    assert "SeaBIOS" in out and "Welcome to GRUB" in out, out
    assert f"cpus {cpus}" in out and "test smp status 0" in out, out
    assert "powered off" in err


def test_nothing_to_boot(tmp_path):
    """It is said on the serial port; there SeaBIOS waits, and the VM is ended as one that does not power off."""
    empty = tmp_path / "empty.raw"
    empty.write_bytes(bytes(1 << 20))
    with subprocess.Popen([BULKHEAD, "run", "--accel", ACCEL, "--firmware", bios.SEABIOS, "--disk", f"{empty},format=raw",
                           "--memory", "256M", "--console", "raw", "--allow", "firmware", "--net", "none"],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
        said = b""
        while b"No bootable device" not in said:
            byte = p.stdout.read(1)
            assert byte, said
            said += byte
        p.kill()
    assert b"Boot failed" in said
