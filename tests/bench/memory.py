#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Memory beside guest RAM: the PSS of every process of a VM, QEMU's beside it. Needs real KVM."""

import os
import time

import measure as m

CMDLINE = "console=ttyS0 quiet panic=-1 bh.test=idle bh.seconds=60"
SETTLED = b"idle for"


def disk():
    path = "/tmp/bulkhead-bench-disk.raw"
    with open(path, "wb") as f:
        f.truncate(16 << 20)
    return path


def total(command, ram_names, show):
    with m.Running(command) as r:
        r.wait_for(SETTLED)
        time.sleep(1)
        sizes = {}
        for pid in m.children(r.process.pid):
            name = m.name_of(pid)
            sizes[name] = sizes.get(name, 0) + m.pss_beside_ram(pid, ram_names)
        if show:
            for name, kib in sizes.items():
                m.row(f"  {name}", f"{kib / 1024:.2f}")
        return sum(sizes.values()) / 1024


def main():
    path = disk()
    print("memory beside guest RAM, MiB of PSS, all processes; console, one disk, rng; target 8")
    ours = total(m.bulkhead_command(m.guest("vmlinuz"), CMDLINE,
                                    extra=["--disk", f"{path},format=raw"]),
                 ["guest-ram"], True)
    m.row("bulkhead", f"{ours:.2f}")
    for machine in ("microvm,x-option-roms=off,rtc=off,pit=off,pic=off,isa-serial=on", "q35"):
        suffix = "device" if machine.startswith("microvm") else "pci"
        theirs = total(m.qemu_command(
            machine + ",memory-backend=ram", m.guest("vmlinuz"), CMDLINE,
            extra=["-object", "memory-backend-memfd,id=ram,size=256M,share=on",
                   "-drive", f"file={path},format=raw,if=none,id=d",
                   "-device", f"virtio-blk-{suffix},drive=d", "-device", f"virtio-rng-{suffix}"]),
            ["memory-backend-memfd"], False)
        m.row(f"qemu {machine.split(',')[0]}", f"{theirs:.2f}", f"{ours / theirs:.2f} of it")
    os.unlink(path)


if __name__ == "__main__":
    main()
