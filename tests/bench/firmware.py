#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same disks by the same OVMF, Bulkhead and QEMU in turn: from exec to the loader, which is firmware's own part, and to the
guest; and what firmware adds to a VM's memory. Disks of the tests' (signed shim and GRUB with a small initrd) and, where
tools/cloud-image/build has made it, a Debian with systemd and cloud-init, up to its login prompt."""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

import measure as m

sys.path.append(os.path.join(m.TOP, "tests/linux"))
import loaders  # noqa: E402
import uefi  # noqa: E402

CLOUD = os.path.join(m.TOP, "build/cloud/debian.raw")
LOADER = b"BdsDxe: starting"
LOGIN = b" login:"
ACCEL = {"soft": ("tcg", "max"), "kvm": ("kvm", "host")}
SEED = "#cloud-config\npassword: hunter2\nchpasswd: {expire: false}\n"


def small(folder):
    return [loaders.grub(folder, "smp")]


def cloud(folder):
    """The image and, as a disk of its own, what cloud-init looks for."""
    disk, seed = folder / "debian.raw", folder / "seed.raw"
    subprocess.run(["cp", "--sparse=always", CLOUD, disk], check=True)
    uefi.call("mkfs.vfat", "-n", "CIDATA", "-C", seed, "1024")
    for name, text in (("user-data", SEED), ("meta-data", "instance-id: bench\n")):
        (folder / name).write_text(text, encoding="ascii")
        uefi.call("mcopy", "-i", seed, folder / name, f"::/{name}")
    return [disk, seed]


def ours(disks, accel, cpus):
    words = [w for d in disks for w in ("--disk", f"{d},format=raw")]
    return [m.BULKHEAD, "run", "--accel", accel, "--firmware", uefi.OVMF, *words, "--memory", "512M", "--cpus", str(cpus),
            "--console", "raw", "--net", "none"]


def theirs(disks, accel, cpus):
    peer, model = ACCEL[accel]
    words = [w for i, d in enumerate(disks) for w in
             ("-drive", f"if=none,id=d{i},format=raw,file={d}", "-device", f"virtio-blk-pci,drive=d{i},disable-legacy=on")]
    return [m.QEMU, "-M", "q35", "-accel", peer, "-cpu", model, "-m", "512M", "-smp", str(cpus), "-nodefaults",
            "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio", *words,
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={uefi.OVMF}",
            "-drive", f"if=pflash,format=raw,unit=1,file={disks[0].parent / 'vars.fd'}"]


def boot(make, command, end, args):
    """Seconds by the clock to the loader and to the end, and of CPU in all."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench.") as place:
        folder = pathlib.Path(place)
        disks = make(folder)
        subprocess.run(["cp", uefi.VARS, folder / "vars.fd"], check=True)
        with m.Running(command(disks, args.accel, args.cpus)) as r:
            loader = r.wait_for(LOADER, args.seconds)
            return loader, r.wait_for(end, args.seconds), m.cpu_seconds(r.process.pid)


def compare(name, make, end, args):
    sides = {"bulkhead": ours, "qemu q35": theirs}
    runs = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side, command in sides.items():
            runs[side].append(boot(make, command, end, args))
    medians = {side: [m.median(column) for column in zip(*r)] for side, r in runs.items()}
    for side, values in medians.items():
        m.row(f"{name}, {side}", *(f"{v:.2f}" for v in values))
    m.row("  ratio", *(f"{a / b:.2f}" for a, b in zip(*medians.values())))


def memory(args):
    """The vmm's copy of the file, which it reads whole, and the process of its devices."""
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench.") as place:
        with m.Running(ours(small(pathlib.Path(place)), args.accel, 1)) as r:
            r.wait_for(LOADER, args.seconds)
            pids = {m.name_of(pid): pid for pid in m.children(r.process.pid)}
            device = m.pss_beside_ram(pids["dev-firmware"], ["guest-ram"])
    copy = os.path.getsize(uefi.OVMF) / 1024
    print("memory that firmware adds, MiB of PSS; target 5")
    m.row("  dev-firmware", f"{device / 1024:.2f}")
    m.row("  the vmm's copy of the firmware", f"{copy / 1024:.2f}")
    m.row("  together", f"{(device + copy) / 1024:.2f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--accel", choices=ACCEL, default="soft")
    p.add_argument("--seconds", type=int, default=900, help="the most that one boot may take")
    p.add_argument("--only", choices=["small", "cloud", "memory"])
    args = p.parse_args()
    if args.only in (None, "memory"):
        memory(args)
    print(f"from exec, {args.accel}, {args.cpus} vCPU, median of {args.rounds}; target {1.0 if args.accel == 'soft' else 0.7}")
    m.row("", "loader, s", "guest, s", "CPU, s")
    if args.only in (None, "small"):
        compare("shim, GRUB, small initrd", small, m.FIRST_LINE, args)
    if args.only == "cloud" or (not args.only and os.path.exists(CLOUD)):
        compare("Debian with cloud-init", cloud, LOGIN, args)


if __name__ == "__main__":
    main()
