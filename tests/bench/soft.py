#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The software CPU beside QEMU's TCG: same kernel, initrd and command line, in turn.

Machines that run this are seldom idle, so most figures are seconds of CPU time that the whole of a
VM's processes used, as the host's scheduler counts them; boot times are given by the clock, too.
"""

import argparse
import os
import re
import subprocess
import tempfile
import time

import measure as m

MACHINES = ("q35", "microvm,acpi=off")  # with its ACPI, Debian's kernel finds no timer in microvm
MODELS = ("qemu64", "max")
QUIET = "console=ttyS0 quiet panic=-1"
NO_TESTS = QUIET + " cryptomgr.notests=1"


def soft(kernel, cmdline, **more):
    return m.bulkhead_command(m.guest(kernel), cmdline, extra=["--accel", "soft"], **more)


def tcg(machine, model, kernel, cmdline, **more):
    return m.qemu_command(machine, m.guest(kernel), cmdline, accel="tcg", model=model, **more)


# ---- boot ----


def boot(command):
    """Seconds to the first user line: by the clock, of CPU."""
    with m.Running(command) as r:
        clock = r.wait_for(m.FIRST_LINE)
        return clock, m.cpu_seconds(r.process.pid)


def best_peer(kernel):
    """The machine and CPU model with which QEMU is quickest."""
    tried = {(machine, model): boot(tcg(machine, model, kernel, NO_TESTS))
             for machine in MACHINES for model in MODELS}
    for (machine, model), (clock, cpu) in tried.items():
        m.row(f"  tcg {machine} {model}, {kernel}", f"{clock:.2f}", f"{cpu:.2f}")
    return min(tried, key=lambda peer: tried[peer][1])


def boots(rounds):
    print(f"boot to the first user line, best of {rounds}; targets 2.0 without the crypto self-tests, "
          "4.0 with")
    m.row("", "clock, s", "CPU, s", "clock/tcg", "CPU/tcg")
    for kernel in ("vmlinux", "vmlinuz"):
        peer = best_peer(kernel)
        for name, cmdline in (("no self-tests", NO_TESTS), ("self-tests", QUIET)):
            theirs, ours = [], []
            for _ in range(rounds):
                theirs.append(boot(tcg(*peer, kernel, cmdline)))
                ours.append(boot(soft(kernel, cmdline)))
            t, o = (tuple(min(column) for column in zip(*runs)) for runs in (theirs, ours))
            m.row(f"tcg {peer[0]} {peer[1]}, {kernel}, {name}", *(f"{v:.2f}" for v in t))
            m.row(f"bulkhead soft, {kernel}, {name}", *(f"{v:.2f}" for v in o),
                  *(f"{a / b:.2f}" for a, b in zip(o, t)))


# ---- kernels ----


def build_initrd(folder):
    """The guest's initial RAM disk with the bench's programs behind it."""
    tree = os.path.join(folder, "tree")
    os.makedirs(os.path.join(tree, "bin"))
    os.makedirs(os.path.join(tree, "tests"))
    program = os.path.join(tree, "bin/cpu_bench")
    here = os.path.join(m.TOP, "tests/bench")
    subprocess.run(["gcc", "-O2", "-static", "-s", "-o", program, f"{here}/cpu_bench.c", "-lm"],
                   check=True)
    for name in ("cpu.sh", "pair.sh"):
        subprocess.run(["cp", f"{here}/guest/{name}", f"{tree}/tests/"], check=True)
    return program, m.append_to_initrd(tree, folder)


LINE = re.compile(r"BENCH (\w+) ([\d.]+) ([0-9a-f]{16})")


def results(text):
    """name: (seconds, checksum)"""
    return {name: (float(s), total) for name, s, total in LINE.findall(text)}


def natively(program, divisor):
    done = subprocess.run([program, str(divisor)], check=True, capture_output=True, text=True)
    return results(done.stdout)


def in_guest(r, names):
    """name: (CPU seconds of the VM, checksum). The guest waits for a line before each kernel and
    behind the last, so that no time is counted to a neighbour however late the counter is read."""
    used, names = {}, list(names)
    for name, then in zip(names, [*names[1:], "to end"]):
        r.wait_for(f"BENCH ready {name}\r\n".encode(), 1800)
        before = m.cpu_seconds(r.process.pid)
        r.send_line()
        r.wait_for(f"BENCH ready {then}\r\n".encode(), 1800)
        used[name] = m.cpu_seconds(r.process.pid) - before
    r.send_line()
    r.wait_for(b"BENCH end", 1800)
    sums = results(r.seen.decode(errors="replace"))
    return {name: (used[name], sums[name][1]) for name in names}


def least(runs, name):
    return min(run[name][0] for run in runs)


def table(native, theirs, ours):
    m.row("kernel", "native, s", "tcg, s", "soft, s", "tcg/native", "soft/native", "soft/tcg")
    ratios = []
    for name in native[0]:
        n, t, o = least(native, name), least(theirs, name), least(ours, name)
        ratios.append(o / t)
        wrong = {run[name][1] for run in native + theirs + ours} != {native[0][name][1]}
        m.row(name + (": DIFFERENT RESULTS" if wrong else ""), f"{n:.3f}", f"{t:.3f}", f"{o:.3f}",
              f"{t / n:.1f}", f"{o / n:.1f}", f"{o / t:.2f}")
    m.row("worst row, target 6; rows ahead, target 3", f"{max(ratios):.2f}",
          f"{sum(r < 1 for r in ratios)}")


def kernels(rounds, divisor, model, program, initrd):
    print(f"kernels of a CPU, repetitions / {divisor}, best of {rounds}, CPU seconds")
    cmdline = f"{NO_TESTS} bh.test=cpu bh.divisor={divisor} bh.seconds=60 bh.wait=1"
    native, theirs, ours = [], [], []
    for turn in range(rounds):
        native.append(natively(program, divisor))
        with m.Running(tcg("q35", model, "vmlinux", cmdline, memory="512M", initrd=initrd),
                       talks=True) as r:
            theirs.append(in_guest(r, native[0]))
        with m.Running(soft("vmlinux", cmdline, memory="512M", initrd=initrd), talks=True) as r:
            ours.append(in_guest(r, native[0]))
            if turn == rounds - 1:
                afterwards = after_work(r)
    table(native, theirs, ours)
    print("\na 512 MiB guest after all these")
    m.row("vmm beside guest RAM, MiB, target 48", f"{afterwards[0]:.1f}")
    m.row("idle: % of a core, all processes, target 2", f"{afterwards[1]:.2f}")


def after_work(r):
    """Of a guest that is idle now: the vmm's MiB beside RAM, % of a core."""
    r.wait_for(b"idle for", 300)
    time.sleep(1)
    before, start = m.cpu_seconds(r.process.pid), time.monotonic()
    time.sleep(10)
    used = (m.cpu_seconds(r.process.pid) - before) / (time.monotonic() - start)
    sizes = [m.pss_beside_ram(pid, ["guest-ram"]) for pid in m.children(r.process.pid)
             if m.name_of(pid) == "vmm"]
    return sum(sizes) / 1024, used * 100


# ---- two at once ----


def pair(divisor, initrd):
    cmdline = f"{NO_TESTS} bh.test=pair bh.divisor={divisor}"
    with m.Running(soft("vmlinux", cmdline, cpus=2, initrd=initrd)) as r:
        r.wait_for(b"test pair status", 1800)
        rounds = re.findall(r"pair (\d+) (\d+) end", r.seen.decode(errors="replace"))
    one, two = (min(int(r[i]) for r in rounds) / 100 for i in (0, 1))
    print("\ntwo vCPUs, by the clock: needs two cores that nobody else uses; target 1.2")
    m.row("one program, two at once, ratio", f"{one:.2f}", f"{two:.2f}", f"{two / one:.2f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--divisor", type=int, default=4)
    p.add_argument("--model", default="qemu64", help="QEMU's CPU for the kernels")
    p.add_argument("--only", choices=("boot", "kernels", "pair"))
    args = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        program, initrd = build_initrd(folder)
        if args.only in (None, "boot"):
            boots(args.rounds)
            print()
        if args.only in (None, "kernels"):
            kernels(args.rounds, args.divisor, args.model, program, initrd)
        if args.only in (None, "pair"):
            pair(args.divisor, initrd)


if __name__ == "__main__":
    main()
