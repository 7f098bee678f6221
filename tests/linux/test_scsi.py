# SPDX-License-Identifier: Apache-2.0
"""Disks behind virtio-scsi (bus=scsi): an unmodified Debian kernel has several of them at 8 CPUs beside those of virtio-blk, also
while their processes are killed, become larger, come and go; firmware boots from them (BULKHEAD_LONG=1)."""

import hashlib
import os
import pathlib
import random
import subprocess
import sys

import pytest

import bios
import test_debian as debian
import test_debian_attach as attach
import uefi
import vm

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import vm as user  # noqa: E402

MIB = 1 << 20
ALLOW = ["--allow", "scsi-disk,qcow2"]


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert vm.processes() == []


def call(*words):
    done = subprocess.run([vm.BULKHEAD, *map(str, words)], capture_output=True, text=True, timeout=vm.HANGS, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def of(image):
    return hashlib.sha256(image.read_bytes()).hexdigest()


def test_several_beside_others(tmp_path):
    """Raw, qcow2, apart, read-only, of 4 KiB; each with a process and an adapter of its own, and two of virtio-blk."""
    for name in "abcdefg":
        (tmp_path / name).write_bytes(random.Random(name).randbytes(8 * MIB))
    call("image", "convert", "-f", "raw", "-O", "qcow2", tmp_path / "b", tmp_path / "b.qcow2")
    before = of(tmp_path / "d")
    said = ["a,format=raw,bus=scsi,queues=8", "b.qcow2,format=qcow2,bus=scsi,queues=4", "c,format=raw,bus=scsi,parser=apart",
            "d,format=raw,bus=scsi,readonly=on", "e,format=raw,bus=scsi,logical_block_size=4096", "f,format=raw,queues=8", "g,format=raw"]
    g = vm.run("scsi", cpus=8, words="bh.disks=7", flags=[*ALLOW, *(w for s in said for w in ("--disk", f"{tmp_path}/{s}"))])
    disks = {}
    for line in g.text().splitlines():
        _, found, rest = line.partition("scsi: ")
        if found and " serial " in rest:
            word = rest.split()
            disks[word[0]] = dict(zip(word[1::2], word[2::2])) | {"line": rest}
    assert sorted(disks) == [*(f"sd{c}" for c in "abcde"), "vda", "vdb"]
    by_serial = {d["serial"]: name for name, d in disks.items()}
    assert sorted(by_serial) == [f"bulkhead-{i}" for i in range(7)]
    for i, (letter, queues) in enumerate(zip("abcde", (8, 4, 1, 1, 1))):
        line = disks[by_serial[f"bulkhead-{i}"]]["line"]
        assert f"sectors {8 * MIB // 512} ro {int(letter == 'd')} block {4096 if letter == 'e' else 512} " in line, line
        assert "cache write back fua 1" in line or letter == "d", line
        assert f"rotates 0 queues {queues} discard {'0' if letter == 'd' else ''}" in line, line
    assert "FAILED" not in g.text()
    call("image", "convert", "-f", "qcow2", "-O", "raw", tmp_path / "b.qcow2", tmp_path / "b.raw")
    for i, name in enumerate(["a", "b.raw", "c", "d", "e", "f", "g"]):
        assert g.said(rf"scsi: {by_serial[f'bulkhead-{i}']} sha256 (\w{{64}})")[1] == of(tmp_path / name), name
    assert of(tmp_path / "d") == before


def test_killed_while_it_is_written(tmp_path):
    """It costs the guest nothing."""
    disk, chance, gone = tmp_path / "disk.raw", random.Random(2), []
    disk.write_bytes(bytes(16 * MIB))
    with vm.Guest("kills", words="bh.disk=sda", flags=[*ALLOW, "--disk", f"{disk},format=raw,bus=scsi"], stdin=subprocess.PIPE) as g:
        g.wait_for(b"kills ready")
        for _ in range(8):
            debian.kill_one(g, chance, gone, "dev-scsi")
        g.process.stdin.write(b"enough\n")
        g.process.stdin.flush()
        assert g.end() == 0, g.err
        g.said("kills cost nothing")


@pytest.mark.parametrize("form", [pytest.param("raw", marks=vm.LONG), "qcow2"])
def test_it_becomes_larger(tmp_path, form):
    """The event queue says so: Linux asks for its size again without being told to."""
    path = tmp_path / f"disk.{form}"
    call("image", "create", "-f", form, path, "16M")
    with vm.Guest("grow", cpus=2, words="bh.disk=sda bh.sizes=2", flags=[*ALLOW, "--disk", f"{path},format={form},bus=scsi"]) as g:
        for before, size in (16, 24), (24, 40):
            g.wait_for(f"grow ready {before * MIB // 512}".encode())
            call("resize", f"vm{g.process.pid}", path, f"{size}M")
            g.wait_for(f"grow sectors {size * MIB // 512}".encode())
        assert g.end() == 0, g.err
        g.said("grow cost nothing")


@pytest.mark.parametrize("more", [pytest.param("", marks=vm.LONG), ",parser=apart"], ids=["together", "apart"])
def test_it_comes_and_goes(tmp_path, more):
    path = tmp_path / "hot.raw"
    with open(path, "wb") as f:
        f.truncate(32 * MIB)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", path], check=True)
    with vm.Guest("hotplug", words="bh.disk=sda", flags=["--rng", "off", *ALLOW]) as g:
        host = attach.Host(g)
        g.wait_for(b"hotplug waits: disk to come\r")
        disk = host.attach("disk", f"{path},format=raw,bus=scsi{more}")
        assert disk == "disk-1"
        if os.geteuid() == 0:
            host.kill("dev-scsi")
        g.wait_for(b"hotplug waits: disk to go\r")
        host.detach(disk)
        g.wait_for(b"hotplug waits: disk to come back")
        disk = host.attach("disk", f"{path},format=raw,bus=scsi{more}")
        g.wait_for(b"hotplug waits: rng to come")
        rng = host.attach("rng", "rate=10M")
        g.wait_for(b"hotplug waits: rng to go")
        host.detach(rng)
        g.wait_for(b"hotplug waits: disk to go again")
        host.detach(disk)
        assert g.end() == 0, g.err
        g.said(r"hotplug disk bytes 33554432 serial bulkhead-0\r?$")
        g.said("hotplug data kept")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_of_an_ordinary_user():
    """Who has subordinate ids, and an image that is his."""
    place = user.Place(vm.BUILD, subids=True, real=True)
    image = place.file("disk.raw", bytes(16 * MIB))
    words = ["--initrd", place.file("initrd", (vm.GUEST / "initrd.cpio.gz").read_bytes()), "--console", "raw", "--net", "none",
             "--cmdline", "console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test=disk bh.disk=sda", *ALLOW,
             "--disk", f"{image},format=raw,bus=scsi"]
    try:
        code, out, err = place.call("run", "--accel", vm.ACCEL, "--kernel", place.file("vmlinuz", (vm.GUEST / "vmlinuz").read_bytes()),
                                    *words, timeout=vm.HANGS)
        after = of(image)
    finally:
        place.close()
    assert code == 0, out + err
    assert f"disk sha256 {after}" in out and "test disk status 0" in out, out


def boots(*words):
    r = subprocess.run([vm.BULKHEAD, "run", "--accel", vm.ACCEL, "--memory", "512M", "--console", "raw", "--net", "none", *ALLOW,
                        *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, timeout=vm.HANGS, check=False)
    out = r.stdout.decode(errors="replace")
    assert r.returncode == 0, out + r.stderr.decode()
    return out


@vm.LONG
@pytest.mark.skipif(uefi.missing() is not None, reason=f"{uefi.missing()} is not there: tools/deps check")
def test_firmware_boots_it(tmp_path):
    """The second of two that could, by the order that is said."""
    disks = []
    for test in "poweroff", "smp":
        (tmp_path / test).mkdir()
        disks += ["--disk", f"{uefi.bootable(tmp_path / test, test)},format=raw,bus=scsi"]
    out = boots(*disks, "--boot", "disk2,disk1")
    assert "Scsi(0x0,0x0)" in out and "test smp status 0" in out and "test poweroff" not in out, out


@vm.LONG
@pytest.mark.skipif(bios.missing() is not None, reason=f"{bios.missing()} is not there: tools/deps check")
def test_bios_boots_it(tmp_path):
    """SeaBIOS has a driver of virtio-scsi, and follows the order of disks as well."""
    disks = []
    for test in "poweroff", "smp":
        (tmp_path / test).mkdir()
        disks += ["--disk", f"{bios.bootable(tmp_path / test, test)},format=raw,bus=scsi"]
    out = boots("--firmware", "bios", *disks, "--boot", "disk2,disk1")
    assert "Welcome to GRUB" in out and "test smp status 0" in out, out
