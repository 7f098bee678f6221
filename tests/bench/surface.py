#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What each thread may ask of the host's kernel: `bulkhead audit --deep` of a running machine and, by
the same ruler, of QEMU under the strictest sandbox that it offers, with the same guest. Needs root.
Status 1 if one of Bulkhead's is over its target."""

import argparse
import json
import subprocess
import sys
import time

import measure as m

CMDLINE = "console=ttyS0 quiet panic=-1 cryptomgr.notests=1 bh.test=idle bh.seconds=600"
SETTLED = b"idle for"
SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
NAME = "bench-surface"

# Calls at most.
TARGETS = {"vmm vCPU": 12, "dev-blk main": 16, "dev-rng main": 16, "dev-console main": 16}


def bulkhead(accel, disk):
    return m.bulkhead_command(m.guest("vmlinuz"), CMDLINE, extra=[
        "--accel", accel, "--name", NAME, "--disk", f"{disk},format=raw"])


def qemu(accel, disk):
    command = m.qemu_command("q35", m.guest("vmlinuz"), CMDLINE, extra=[
        "-drive", f"file={disk},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d",
        "-device", "virtio-rng-pci", "-sandbox", SANDBOX])
    if accel == "soft":
        command[command.index("kvm")] = "tcg"
        command[command.index("host")] = "max"
    return command


def audit(*words):
    done = subprocess.run([m.BULKHEAD, "audit", "--deep", "--json", *words], capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise SystemExit(f"bulkhead audit: status {done.returncode}\n{done.stdout[-2000:]}"
                         f"{done.stderr}")
    return json.loads(done.stdout)["audits"][0]["processes"]


def surfaces(processes):
    """Threads with the same surface count once: {name: (surface, how many)}."""
    found = {}
    for p in processes:
        for t in p["threads"]:
            if "surface" not in t:
                continue
            calls = [(c["table"], c["number"], str(c["arguments"])) for c in t["surface"]["list"]]
            same = [n for n, (_, seen, _) in found.items() if seen == calls and n.startswith(p["name"])]
            name = same[0] if same else f"{p['name']} {t['role']}"
            found[name] = (t["surface"], calls, found.get(name, (0, 0, 0))[2] + 1)
    return {name: (s, times) for name, (s, _, times) in found.items()}


def row(*cells):
    print(f"  {cells[0]:<30}" + "".join(f"{c:>8}" for c in cells[1:]), flush=True)


def show(found, targets):
    """Prints; whether all targets are met."""
    good = True
    for name, (s, times) in found.items():
        most = targets.get(name, "")
        row(name, times, s["calls"], s["paths"], s["processes"], s["addresses"], s["objects"],
            s["code"], most)
        if most:
            named = s["paths"] + s["processes"] + s["addresses"]
            good = good and s["calls"] <= most and named == 0 and s["whole"]
    return good


def settled(command):
    """Started, and idle."""
    running = m.Running(command)
    try:
        running.wait_for(SETTLED)
        time.sleep(0.5)
    except BaseException:
        running.end()
        raise
    return running


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--accel", choices=("kvm", "soft"), default="kvm")
    accel = p.parse_args().accel
    with m.disk() as disk:
        with settled(bulkhead(accel, disk)):
            ours = surfaces(audit(NAME))
        with settled(qemu(accel, disk)) as running:
            theirs = surfaces(audit("--pid", str(running.process.pid)))
    print(f"system calls that each thread may make, {accel}: bulkhead audit --deep")
    row("", "threads", "calls", "path", "process", "address", "object", "code", "target")
    good = show(ours, TARGETS)
    show(theirs, {})
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
