# SPDX-License-Identifier: Apache-2.0
"""A CD-ROM (--cdrom): an unmodified Debian kernel finds, reads, mounts and ejects it, also while its process is killed;
Debian's unmodified OVMF boots from it, as it boots installers."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import time

import pytest

import test_debian as debian
import uefi
import vm

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
    """Each has an adapter and a process of its own; eight CPUs and queues."""
    other = make(tmp_path, size=100000)
    g = vm.run("cdrom", cpus=8, flags=[*flags(f"{disc},queues=8"), "--cdrom", other])
    g.said("devices 2")


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
        assert g.end() == 0, g.err
        assert g.text().count(f"cdrom: sha256 {of(disc)}") == loops
        assert "I/O error" not in g.text()[:g.text().index("cdrom: holds")]


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
