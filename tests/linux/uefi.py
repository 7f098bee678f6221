# SPDX-License-Identifier: Apache-2.0
"""A disk that a PC's firmware boots: GPT, an EFI system partition, and in it a unified kernel image."""

import os
import shutil
import subprocess

from vm import GUEST

OVMF = "/usr/share/OVMF/OVMF_CODE_4M.fd"
VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
STUB = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
PARTITION = 1 << 20  # where it begins
SIZE = 64 << 20

# where the stub expects to find its sections, with room between them
SECTIONS = {".osrel": 0x20000, ".cmdline": 0x30000, ".linux": 0x2000000, ".initrd": 0x3000000}


def call(*words, **kwargs):
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    subprocess.run(list(map(str, words)), check=True, capture_output=True, env={**os.environ, "PATH": path}, **kwargs)


def cmdline(test):
    return f"console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test={test}"


def kernel_image(folder, test):
    """The Debian kernel, its initrd and command line as one EFI program."""
    words, osrel, image = folder / "cmdline", folder / "osrel", folder / "image.efi"
    words.write_text(cmdline(test), encoding="ascii")
    osrel.write_text("ID=bulkhead-test\n", encoding="ascii")
    files = {".osrel": osrel, ".cmdline": words, ".linux": GUEST / "vmlinuz", ".initrd": GUEST / "initrd.cpio.gz"}
    sections = [word for name, file in files.items() for word in
                ("--add-section", f"{name}={file}", "--change-section-vma", f"{name}={SECTIONS[name]:#x}")]
    call("objcopy", *sections, STUB, image)
    return image


def disk(folder, files):
    """A raw disk with those files (host's by guest's name) in its one partition."""
    image = folder / "disk.raw"
    with open(image, "wb") as f:
        f.truncate(SIZE)
    call("sfdisk", "-q", image, input=f"label: gpt\nstart={PARTITION // 512}, type={ESP}\n".encode())
    call("mkfs.vfat", "-F", "32", "--offset", PARTITION // 512, image, (SIZE - 2 * PARTITION) // 1024)
    at = ["-i", f"{image}@@{PARTITION}"]
    made = set()
    for inside, file in files.items():
        parts = inside.split("/")[:-1]
        for n in range(len(parts)):
            directory = "/".join(parts[:n + 1])
            if directory not in made:
                made.add(directory)
                call("mmd", *at, f"::/{directory}")
        call("mcopy", *at, file, f"::/{inside}")
    return image


def bootable(folder, test):
    return disk(folder, {"EFI/BOOT/BOOTX64.EFI": kernel_image(folder, test)})


def missing():
    """What a test needs and is not there, or None."""
    for file in OVMF, STUB:
        if not os.path.exists(file):
            return file
    for tool in "sfdisk", "mkfs.vfat", "mmd", "mcopy", "objcopy":
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return tool
    return None
