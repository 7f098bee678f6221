# SPDX-License-Identifier: Apache-2.0
"""Debian's unmodified OVMF starts Debian's signed shim and GRUB, shim's fallback, and systemd-boot, and those the Debian
kernel; BULKHEAD_LONG=1: with much memory, many CPUs, qcow2, and a disk that cannot be written."""

import subprocess

import pytest

import loaders
import uefi
from vm import ACCEL, BULKHEAD, HANGS, LONG

pytestmark = pytest.mark.skipif(loaders.missing() is not None,
                                reason=f"{loaders.missing()} is not there: tools/deps check")
LOADERS = {"grub": loaders.grub, "fallback": loaders.fallback, "systemd-boot": loaders.systemd_boot}


def boots(disk, cpus=1, memory="256M", form="raw", more=""):
    flags = ["--allow", "qcow2"] if form == "qcow2" else []
    r = subprocess.run([BULKHEAD, "run", "--accel", ACCEL, "--firmware", uefi.OVMF, "--disk",
                        f"{disk},format={form}{more}", "--memory", memory, "--cpus", str(cpus), "--console", "raw",
                        "--net", "none", *flags], stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS,
                       check=False)
    out, err = r.stdout.decode(errors="replace"), r.stderr.decode(errors="replace")
    assert r.returncode == 0, out + err
    assert f"cpus {cpus}" in out and "test smp status 0" in out, out
    assert "powered off" in err
    return out


def test_signed_shim_and_grub(tmp_path):
    boots(loaders.grub(tmp_path, "smp"))


@LONG
@pytest.mark.parametrize("loader", ["fallback", "systemd-boot"])
def test_other_loaders(tmp_path, loader):
    out = boots(LOADERS[loader](tmp_path, "smp"), cpus=2)
    assert out.count("BdsDxe: starting") == 1, out  # no reset, and so no loop of them


@LONG
@pytest.mark.parametrize("cpus, memory", [(1, "2G"), (2, "3G"), (8, "5G")])
def test_sizes(tmp_path, cpus, memory):
    boots(loaders.systemd_boot(tmp_path, "smp"), cpus=cpus, memory=memory)


@LONG
def test_a_disk_that_cannot_be_written(tmp_path):
    boots(loaders.grub(tmp_path, "smp"), more=",readonly=on")


@LONG
def test_qcow2(tmp_path):
    raw, disk = loaders.grub(tmp_path, "smp"), tmp_path / "disk.qcow2"
    subprocess.run([BULKHEAD, "image", "convert", "-f", "raw", "-O", "qcow2", raw, disk], check=True, capture_output=True)
    boots(disk, form="qcow2")
