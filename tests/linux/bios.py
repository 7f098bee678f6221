# SPDX-License-Identifier: Apache-2.0
"""A disk that a PC's BIOS boots: GRUB from its boot sector and a BIOS boot partition (or the gap behind an MBR), and the
Debian kernel, which GRUB finds by a file system's label."""

import os
import shutil
import struct

import uefi
from vm import GUEST

SEABIOS = "/usr/share/seabios/bios-256k.bin"
GRUB = "/usr/lib/grub/i386-pc"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
FAT = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
SECTOR, MIB = 512, 1 << 20
CORE_GPT = 2048  # sectors: the BIOS boot partition
CORE_MBR = 1     # the gap
FILES = 4096     # the partition with the kernel
SIZE = 64 * MIB

# in GRUB's boot sector and in the first of its core, Debian's /usr/lib/grub/i386-pc
AT_CORE = 0x5c   # 8 bytes: the core's first sector
AT_REST = 0x1f4  # 8 bytes: the sector behind the core's first
CODE_END = 0x1b8  # of the boot sector; behind it is the partition table's

CONFIG = """search --no-floppy --label --set=root BOOT
set timeout=0
menuentry "bulkhead" {{
linux /vmlinuz {cmdline}
initrd /initrd
}}
"""


def core(folder):
    """GRUB's core, which looks for its configuration by the label."""
    early, out = folder / "early.cfg", folder / "core.img"
    early.write_text("search --no-floppy --label --set=root BOOT\nset prefix=($root)/grub\nconfigfile ($root)/grub.cfg\n",
                     encoding="ascii")
    uefi.call("grub-mkimage", "-O", "i386-pc", "-d", GRUB, "-p", "/grub", "-c", early, "-o", out, "biosdisk",
              "part_gpt", "part_msdos", "fat", "search_label", "search", "linux", "normal", "configfile", "test")
    return bytearray(out.read_bytes())


def bootable(folder, test, table="gpt"):
    image, config = folder / "disk.raw", folder / "grub.cfg"
    config.write_text(CONFIG.format(cmdline=uefi.cmdline(test)), encoding="ascii")
    with open(image, "wb") as f:
        f.truncate(SIZE)
    rows = {"gpt": f"label: gpt\nstart={CORE_GPT}, size={FILES - CORE_GPT}, type={BIOS_BOOT}\nstart={FILES}, type={FAT}\n",
            "dos": f"label: dos\nstart={FILES}, type=c, bootable\n"}
    uefi.call("sfdisk", "-q", image, input=rows[table].encode())
    uefi.call("mkfs.vfat", "-F", "32", "-n", "BOOT", "--offset", FILES, image, (SIZE - FILES * SECTOR - MIB) // 1024)
    for inside, file in (("vmlinuz", GUEST / "vmlinuz"), ("initrd", GUEST / "initrd.cpio.gz"), ("grub.cfg", config)):
        uefi.call("mcopy", "-i", f"{image}@@{FILES * SECTOR}", file, f"::/{inside}")
    install(image, core(folder), CORE_GPT if table == "gpt" else CORE_MBR)
    return image


def bootable_disc(folder, test):
    """The files of a CD-ROM with GRUB, whose El Torito image is boot.img."""
    folder.mkdir()
    early = folder / "early.cfg"
    early.write_text("search --no-floppy --file --set=root /vmlinuz\nset prefix=($root)/grub\nconfigfile ($root)/grub.cfg\n",
                     encoding="ascii")
    (folder / "grub.cfg").write_text(CONFIG.format(cmdline=uefi.cmdline(test)), encoding="ascii")
    for name, file in ("vmlinuz", GUEST / "vmlinuz"), ("initrd", GUEST / "initrd.cpio.gz"):
        shutil.copy(file, folder / name)
    uefi.call("grub-mkimage", "-O", "i386-pc-eltorito", "-d", GRUB, "-p", "/grub", "-c", early, "-o", folder / "boot.img",
              "biosdisk", "iso9660", "search_fs_file", "search", "linux", "normal", "configfile", "test")


def install(image, grub, start):
    """What grub-bios-setup does, which takes devices alone."""
    assert len(grub) <= (FILES - CORE_GPT if start == CORE_GPT else FILES - start) * SECTOR
    struct.pack_into("<Q", grub, AT_REST, start + 1)
    with open(f"{GRUB}/boot.img", "rb") as f:
        boot = bytearray(f.read(SECTOR))
    struct.pack_into("<Q", boot, AT_CORE, start)
    with open(image, "r+b") as f:
        f.write(boot[:CODE_END])
        f.seek(start * SECTOR)
        f.write(grub)


def missing():
    """What a test needs and is not there, or None."""
    for file in SEABIOS, f"{GRUB}/boot.img":
        if not os.path.exists(file):
            return file
    for tool in "sfdisk", "mkfs.vfat", "mcopy", "grub-mkimage":
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            return tool
    return None
