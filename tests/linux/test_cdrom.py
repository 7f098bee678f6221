# SPDX-License-Identifier: Apache-2.0
"""A CD-ROM (--cdrom): an unmodified Debian kernel finds, reads, mounts and ejects it, also while its process is killed;
firmware boots from it, as it boots installers (BULKHEAD_LONG=1)."""

import hashlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import bios
import test_debian as debian
import uefi
import vm

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import vm as user  # noqa: E402

MIB = 1 << 20
BOOT_MIB = 31  # of El Torito's image, whose sectors are counted in 16 bits
pytestmark = pytest.mark.skipif(not shutil.which("xorriso"), reason="xorriso is not there: tools/deps check")


def make(folder, *words, size=MIB):
    """An ISO 9660 image with a file to be read, and one to fill it."""
    files = folder / "files"
    files.mkdir(exist_ok=True)
    (files / "hello.txt").write_text("hello from the disc", encoding="ascii")
    (files / "filler").write_bytes(random.Random(3).randbytes(size))
    image = folder / "cd.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", image, *map(str, words), files], check=True, capture_output=True)
    return image


@pytest.fixture(scope="module")
def disc(tmp_path_factory):
    return make(tmp_path_factory.mktemp("cd"))


def flags(image):
    return ["--cdrom", image, "--allow", "virtio-scsi"]


def of(image):
    return hashlib.sha256(image.read_bytes()).hexdigest()


def test_as_an_installer_has_it(disc):
    before = of(disc)
    g = vm.run("cdrom", flags=flags(disc))
    assert g.said(r"cdrom: BULKHEAD type 5 removable 1 ro 1 sectors (\d+) block 2048 devices 1")[1] == \
        str(disc.stat().st_size // 512)
    assert g.said(r"cdrom: sha256 (\w{64})")[1] == before
    g.said("cdrom: holds hello from the disc")
    assert g.said(r"cdrom: again (\w{64})")[1] == before
    g.said("asc=0x53 ascq=0x2")  # while it is mounted nobody takes it out
    assert not [word for word in ("WRITTEN", "WITHOUT", "not ejected") if word in g.text()]
    assert of(disc) == before


def test_two_of_them(disc, tmp_path):
    """Each has an adapter and a process of its own; eight CPUs and queues, and disks beside them."""
    other, disks = make(tmp_path, size=100000), []
    for name in "a", "b":
        (tmp_path / name).write_bytes(bytes(MIB))
        disks += ["--disk", f"{tmp_path / name},format=raw,queues=8"]
    g = vm.run("cdrom", cpus=8, flags=[*flags(f"{disc},queues=8"), "--cdrom", other, *disks])
    g.said("devices 2")
    g.said("disks 2")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes an ordinary user")
def test_of_an_ordinary_user(disc):
    """Who has subordinate ids, and an image that is his to read alone."""
    place = user.Place(vm.BUILD, subids=True, real=True)
    image = place.file("cd.iso", disc.read_bytes())
    image.chmod(0o444)
    words = ["--initrd", place.file("initrd", (vm.GUEST / "initrd.cpio.gz").read_bytes()), "--console", "raw",
             "--cmdline", "console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test=cdrom", *flags(image)]
    try:
        code, out, err = place.call("run", "--accel", vm.ACCEL, "--kernel", place.file("vmlinuz", (vm.GUEST / "vmlinuz").read_bytes()),
                                    *words, timeout=vm.HANGS)
    finally:
        place.close()
    assert code == 0, out + err
    assert "cdrom: holds hello from the disc" in out and f"cdrom: again {of(disc)}" in out


def test_killed_while_it_is_read(disc):
    chance, gone, loops = random.Random(4), [], 12
    with vm.Guest("cdrom", words=f"bh.loops={loops}", flags=flags(disc)) as g:
        g.wait_for(b"cdrom: sha256")
        while len(gone) < 5:
            found = [p for p, name in debian.devices_of(g.process.pid, gone).items() if "dev-cdrom" in name]
            if not found:
                time.sleep(0.01)
                continue
            time.sleep(chance.random() / 20)
            gone.append(found[0])
            os.kill(found[0], signal.SIGKILL)
        g.wait_for(b"cdrom: ejected")
        for pid, name in debian.devices_of(g.process.pid, gone).items():
            if "dev-cdrom" in name:
                os.kill(pid, signal.SIGKILL)
        assert g.end() == 0, g.err
        assert "WITHOUT" not in g.text()  # the tray stays open
        assert g.text().count(f"cdrom: sha256 {of(disc)}") == loops
        assert "I/O error" not in g.text()[:g.text().index("cdrom: holds")]


@vm.LONG
@pytest.mark.skipif(uefi.missing() is not None, reason=f"{uefi.missing()} is not there: tools/deps check")
def test_firmware_boots_it(tmp_path):
    """El Torito's image of a file system with a unified kernel image; the kernel then has the disc as well."""
    kernel = uefi.kernel_image(tmp_path, "cdrom")
    (tmp_path / "files").mkdir()
    boot = tmp_path / "files/boot.img"
    with open(boot, "wb") as f:
        f.truncate(BOOT_MIB * MIB)
    uefi.call("mkfs.vfat", boot)
    uefi.call("mmd", "-i", boot, "::/EFI", "::/EFI/BOOT")
    uefi.call("mcopy", "-i", boot, kernel, "::/EFI/BOOT/BOOTX64.EFI")
    image = make(tmp_path, "-e", "boot.img", "-no-emul-boot", "-boot-load-size", str(BOOT_MIB * 2048))
    r = subprocess.run([vm.BULKHEAD, "run", "--accel", vm.ACCEL, "--firmware", uefi.OVMF, "--memory", "512M", "--console", "raw",
                        "--allow", "firmware", "--net", "none", *flags(image)], stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=vm.HANGS, check=False)
    out = r.stdout.decode(errors="replace")
    assert r.returncode == 0, out + r.stderr.decode()
    assert "cdrom: holds hello from the disc" in out and "test cdrom status 0" in out, out


@vm.LONG
@pytest.mark.skipif(bios.missing() is not None, reason=f"{bios.missing()} is not there: tools/deps check")
def test_bios_boots_it(tmp_path):
    """SeaBIOS has a driver of virtio-scsi: El Torito's boot image is GRUB, which finds the kernel on the disc."""
    bios.bootable_disc(tmp_path / "files", "cdrom")
    image = make(tmp_path, "-b", "boot.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table")
    r = subprocess.run([vm.BULKHEAD, "run", "--accel", vm.ACCEL, "--firmware", "bios", "--memory", "256M", "--console", "raw",
                        "--net", "none", *flags(image)], stdin=subprocess.DEVNULL, capture_output=True, timeout=vm.HANGS,
                       check=False)
    out = r.stdout.decode(errors="replace")
    assert r.returncode == 0, out + r.stderr.decode()
    assert "Welcome to GRUB" in out and "cdrom: holds hello from the disc" in out and "test cdrom status 0" in out, out
