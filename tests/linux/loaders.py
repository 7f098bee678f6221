# SPDX-License-Identifier: Apache-2.0
"""Disks whose EFI system partition has Debian's signed loaders as an installation leaves them, or systemd-boot."""

import os

import uefi
from vm import GUEST

SHIM = "/usr/lib/shim"
GRUB = "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"
SYSTEMD_BOOT = "/usr/lib/systemd/boot/efi/systemd-bootx64.efi"
CMDLINE = "console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test="


def kernel():
    return {"vmlinuz": GUEST / "vmlinuz", "initrd.gz": GUEST / "initrd.cpio.gz"}


def text(folder, name, words):
    file = folder / name
    file.write_text(words, encoding="ascii")
    return file


def grub_config(folder, test):
    return text(folder, "grub.cfg", f"search --file /vmlinuz --set=root\nlinux /vmlinuz {CMDLINE}{test}\n"
                "initrd /initrd.gz\nboot\n")


def grub(folder, test):
    """Signed shim and signed GRUB at the place of removable disks."""
    return uefi.disk(folder, {"EFI/BOOT/BOOTX64.EFI": f"{SHIM}/shimx64.efi.signed", "EFI/BOOT/grubx64.efi": GRUB,
                              "EFI/debian/grub.cfg": grub_config(folder, test), **kernel()})


def fallback(folder, test):
    """The same as cloud images have it: at that place shim finds its fallback, which makes a boot entry of the
    distribution's BOOTX64.CSV."""
    csv = folder / "BOOTX64.CSV"
    csv.write_text("shimx64.efi,debian,,This is the boot entry for debian\n", encoding="utf-16")
    return uefi.disk(folder, {"EFI/BOOT/BOOTX64.EFI": f"{SHIM}/shimx64.efi.signed",
                              "EFI/BOOT/fbx64.efi": f"{SHIM}/fbx64.efi.signed",
                              "EFI/debian/shimx64.efi": f"{SHIM}/shimx64.efi.signed",
                              "EFI/debian/grubx64.efi": GRUB, "EFI/debian/BOOTX64.CSV": csv,
                              "EFI/debian/grub.cfg": grub_config(folder, test), **kernel()})


def systemd_boot(folder, test):
    """Its menu for one second, with two entries of which the second is the default."""
    files = {"EFI/BOOT/BOOTX64.EFI": SYSTEMD_BOOT, **kernel(),
             "loader/loader.conf": text(folder, "loader.conf", "timeout 1\ndefault second.conf\n")}
    for name, wanted in ("first", "no-such-test"), ("second", test):
        files[f"loader/entries/{name}.conf"] = text(folder, f"{name}.conf", f"title Debian {name}\nlinux /vmlinuz\n"
                                                    f"initrd /initrd.gz\noptions {CMDLINE}{wanted}\n")
    return uefi.disk(folder, files)


def missing():
    for file in GRUB, SYSTEMD_BOOT, f"{SHIM}/shimx64.efi.signed", f"{SHIM}/fbx64.efi.signed":
        if not os.path.exists(file):
            return file
    return uefi.missing()
