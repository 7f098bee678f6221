#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From exec to the guest's first line of user space, Bulkhead and QEMU in turn. Needs real KVM."""

import argparse

import measure as m

PEERS = {
    "qemu microvm": "microvm,x-option-roms=off,rtc=off,pit=off,pic=off,isa-serial=on",
    "qemu q35": "q35",
}
CMDLINES = {
    "quiet": "console=ttyS0 quiet panic=-1",
    "verbose": "console=ttyS0 panic=-1",
}


def one(command):
    with m.Running(command) as r:
        return r.wait_for(m.FIRST_LINE)


def compare(kernel, cmdline, cpus, rounds):
    times = {"bulkhead": [], **{name: [] for name in PEERS}}
    for _ in range(rounds):
        times["bulkhead"].append(one(m.bulkhead_command(kernel, cmdline, cpus=cpus)))
        for name, machine in PEERS.items():
            times[name].append(one(m.qemu_command(machine, kernel, cmdline, cpus=cpus)))
    return {name: m.median(t) for name, t in times.items()}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--cpus", type=int, default=1)
    args = p.parse_args()
    print(f"boot to the first user line, seconds, median of {args.rounds}, {args.cpus} vCPU")
    m.row("kernel, command line", "bulkhead", *PEERS, "ratio to best")
    for kernel in ("vmlinuz", "vmlinux"):
        for name, cmdline in CMDLINES.items():
            t = compare(m.guest(kernel), cmdline, args.cpus, args.rounds)
            best = min(t[peer] for peer in PEERS)
            m.row(f"{kernel}, {name}", *(f"{t[k]:.2f}" for k in t), f"{t['bulkhead'] / best:.2f}")


if __name__ == "__main__":
    main()
