#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A Debian guest's network beside QEMU's, in turn: iperf3 both ways, packets of 64 bytes, round trips. On a tap:
QEMU's virtio-net in its own process, and vhost-net, ours and QEMU's, where the host has it. On the user's network: QEMU's own
(libslirp), and passt. CPU is that of the VM's processes, passt among them. Needs root, for namespaces and taps."""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

import measure as m

sys.path.insert(0, os.path.join(m.TOP, "tests/device"))
from bh import tap  # pylint: disable=wrong-import-position

NAMES = ("guest to host, TCP", "host to guest, TCP", "guest to host, 64-byte packets", "host to guest, 64-byte packets", "round trip")
CMDLINE = "console=ttyS0 quiet panic=-1 cryptomgr.notests=1 bh.test=iperf"
CARD = "virtio-net-pci,netdev=n,mac=52:54:00:12:34:56"
# passt wants an interface with a route behind it; the server's address is that of another network.
NETWORK = """
ip link set lo up
ip tuntap add tap0 mode tap && ip addr add 10.9.1.1/24 dev tap0 && ip link set tap0 up
ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0
ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254
ip addr add 10.77.0.1/32 dev lo
echo "0 2147483647" >/proc/sys/net/ipv4/ping_group_range
"""


def copy_with_libraries(program, tree):
    listed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    for path in [program, *re.findall(r"(/\S+) \(0x", listed)]:
        into = tree + ("/bin" if path == program else os.path.dirname(path))
        os.makedirs(into, exist_ok=True)
        shutil.copy(path, into)


def build_initrd(folder):
    """The guest's initial RAM disk with iperf3 behind it."""
    tree = os.path.join(folder, "tree")
    os.makedirs(os.path.join(tree, "tests"))
    copy_with_libraries(shutil.which("iperf3"), tree)
    shutil.copy(os.path.join(m.TOP, "tests/bench/guest/iperf.sh"), os.path.join(tree, "tests"))
    return m.append_to_initrd(tree, folder)


def bulkhead(net, words, options, initrd):
    return m.bulkhead_command(m.guest("vmlinux"), f"{CMDLINE} {words}", cpus=options.cpus, initrd=initrd, accel=options.accel,
                              extra=["--net", net, "--allow", "virtio-net,net-relay,vhost-net"])


def qemu(netdev, words, options, initrd):
    model = "host" if options.accel == "kvm" else "max"
    return m.qemu_command("q35", m.guest("vmlinux"), f"{CMDLINE} {words}", cpus=options.cpus, initrd=initrd,
                          accel="kvm" if options.accel == "kvm" else "tcg", model=model,
                          extra=["-netdev", netdev, "-device", CARD])


ON_TAP = "bh.address=10.9.1.2/24 bh.server=10.9.1.1"
FOR_USER = "bh.server=10.77.0.1"
TAP = "tap,id=n,ifname=tap0,script=no,downscript=no"
PASST = "/tmp/bulkhead-bench-passt.sock"


@contextlib.contextmanager
def foreign_passt():
    """As QEMU's users start it."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(PASST)
    process = subprocess.Popen(["passt", "-f", "-q", "-1", "-s", PASST], stderr=subprocess.DEVNULL)
    while not os.path.exists(PASST):
        if process.poll() is not None:
            raise SystemExit("passt ended")
        time.sleep(0.05)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


def nobody():
    return contextlib.nullcontext(None)


# which: [(name, command, network, the guest's words, who else belongs to it)]; ours is the first
SIDES = {
    "tap": [("bulkhead", bulkhead, "tap=tap0", ON_TAP, nobody),
            ("bulkhead, vhost-net", bulkhead, "tap=tap0,vhost=on", ON_TAP, nobody),
            ("qemu", qemu, TAP + ",vhost=off", ON_TAP, nobody),
            ("qemu, vhost-net", qemu, TAP + ",vhost=on", ON_TAP, nobody)],
    "user": [("bulkhead (passt)", bulkhead, "user", FOR_USER, nobody),
             ("qemu user", qemu, "user,id=n", FOR_USER, nobody),
             ("qemu, passt", qemu, f"stream,id=n,server=off,addr.type=unix,addr.path={PASST}", FOR_USER, foreign_passt)],
}


def value_of(name, text):
    """Of what iperf3 or ping printed: Mbit/s, packets a second, or microseconds."""
    if name == "round trip":
        return float(re.search(r"= [\d.]+/([\d.]+)/", text)[1]) * 1000
    line = re.findall(r"0\.00-([\d.]+) +sec .* ([\d.]+) Mbits/sec(.*)receiver", text)[-1]
    if "packets" not in name:
        return float(line[1])
    lost, total = re.search(r"(\d+)/(\d+)", line[2]).groups()
    return (int(total) - int(lost)) / float(line[0])


def figures(r, pids):
    """name: (value, share of a core)"""
    got = {}
    for name in NAMES:
        r.wait_for(f"bench begins {name}".encode(), 900)
        before, start = sum(map(m.cpu_seconds, pids)), time.monotonic()
        r.seen = r.seen[r.seen.index(name.encode()):]
        r.wait_for(b"bench ends", 900)
        used = (sum(map(m.cpu_seconds, pids)) - before) / (time.monotonic() - start)
        got[name] = value_of(name, r.seen.partition(b"bench ends")[0].decode(errors="replace")), used
    return got


def one(side, options, initrd):
    _, command, network, words, beside = side
    with beside() as other, m.Running(command(network, f"{words} bh.seconds={options.seconds}", options, initrd)) as r:
        return figures(r, [r.process.pid] + ([other] if other else []))


def show(sides, runs):
    for name in NAMES:
        unit = "us" if name == "round trip" else "/s" if "packets" in name else "Mbit/s"
        print(name)
        for s in sides:
            ratios = [] if s is sides[0] else [f"x{m.median([o[name][0] / t[name][0] for o, t in zip(runs[sides[0][0]], runs[s[0]])]):.2f}"]
            m.row(f"  {s[0]}", f"{m.median([r[name][0] for r in runs[s[0]]]):.0f} {unit}",
                  f"{m.median([r[name][1] for r in runs[s[0]]]) * 100:.0f} % CPU", *ratios)


def compare(which, options, initrd):
    subprocess.run(["sh", "-ec", NETWORK], check=True)
    sides = [s for s in SIDES[which] if "vhost" not in s[0] or os.path.exists("/dev/vhost-net")]
    server = subprocess.Popen(["iperf3", "-s", "-4"], stdout=subprocess.DEVNULL)
    try:
        runs = {s[0]: [] for s in sides}
        for _ in range(options.rounds):
            for s in sides:
                runs[s[0]].append(one(s, options, initrd))
    finally:
        server.kill()
        server.wait()
    print(f"\n--net {which}, {options.accel}, {options.cpus} vCPU, median of {options.rounds}; "
          "ratios are the first's to each (of round trips, less is better)")
    show(sides, runs)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=int, default=3)
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--accel", choices=("soft", "kvm"), default="soft")
    p.add_argument("--only", choices=tuple(SIDES))
    options = p.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("namespaces and taps are made by root")
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as folder:
        initrd = build_initrd(folder)
        for which in SIDES:
            if options.only in (None, which):
                tap.apart(lambda which=which: compare(which, options, initrd))


if __name__ == "__main__":
    main()
