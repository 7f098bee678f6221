#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Memory beside guest RAM: the PSS of every process of a VM, QEMU's beside it; and what a card adds, with what serves several
cards or is no process of ours shown apart. Needs real KVM; the cards' part needs root, for a network of its own."""

import os
import subprocess
import sys
import time

import measure as m
from net_guest import NETWORK

sys.path.insert(0, os.path.join(m.TOP, "tests/device"))
from bh import tap  # pylint: disable=wrong-import-position

CMDLINE = "console=ttyS0 quiet panic=-1 bh.test=idle bh.seconds=60"
SETTLED = b"idle for"
RAM = ["guest-ram"]
CARDS = {"user": ["passt", "passt.avx2", "passt-guard"], "switch=bench": ["net-switch", "switch-keeper"]}


def disk():
    path = "/tmp/bulkhead-bench-disk.raw"
    with open(path, "wb") as f:
        f.truncate(16 << 20)
    return path


def sizes_of(pids, ram_names):
    """name: MiB"""
    sizes = {}
    for pid in pids:
        name = m.name_of(pid)
        sizes[name] = sizes.get(name, 0) + m.pss_beside_ram(pid, ram_names) / 1024
    return sizes


def settled(command, ram_names, beside=()):
    """The sizes of a VM's processes, and of others that have the names of beside."""
    with m.Running(command) as r:
        r.wait_for(SETTLED)
        time.sleep(1)
        own = m.children(r.process.pid)
        others = [p for p in m.named(beside) if p not in own]
        return sizes_of(own, ram_names), sizes_of(others, ram_names)


def show(sizes, why=""):
    for name, mib in sizes.items():
        m.row(f"  {name}{why}", f"{mib:.2f}")


def compare(path):
    print("memory beside guest RAM, MiB of PSS, all processes; console, one disk, rng; target 8")
    sizes, _ = settled(m.bulkhead_command(m.guest("vmlinuz"), CMDLINE, extra=["--disk", f"{path},format=raw"]), RAM)
    ours = sum(sizes.values())
    show(sizes)
    m.row("bulkhead", f"{ours:.2f}")
    for machine in ("microvm,x-option-roms=off,rtc=off,pit=off,pic=off,isa-serial=on", "q35"):
        suffix = "device" if machine.startswith("microvm") else "pci"
        sizes, _ = settled(m.qemu_command(
            machine + ",memory-backend=ram", m.guest("vmlinuz"), CMDLINE,
            extra=["-object", "memory-backend-memfd,id=ram,size=256M,share=on",
                   "-drive", f"file={path},format=raw,if=none,id=d",
                   "-device", f"virtio-blk-{suffix},drive=d", "-device", f"virtio-rng-{suffix}"]),
            ["memory-backend-memfd"])
        theirs = sum(sizes.values())
        m.row(f"qemu {machine.split(',')[0]}", f"{theirs:.2f}", f"{ours / theirs:.2f} of it")


def with_cards():
    subprocess.run(["sh", "-ec", NETWORK], check=True)
    for net, beside in CARDS.items():
        print(f"\nthe same with --net {net}, without a disk; target 2 for dev-net")
        own, others = settled(m.bulkhead_command(m.guest("vmlinuz"), CMDLINE,
                                                 extra=["--net", net, "--allow", "virtio-net,net-relay,net-switch"]), RAM, beside)
        show(own)
        show(others, ", beside the VM")


def main():
    path = disk()
    try:
        compare(path)
    finally:
        os.unlink(path)
    if os.geteuid() == 0:
        tap.apart(with_cards)
    else:
        print("networks are made by root: the memory of cards is left out")


if __name__ == "__main__":
    main()
