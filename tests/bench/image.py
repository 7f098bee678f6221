#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""bulkhead image convert beside qemu-img convert, the same file on tmpfs and on disk, in turn: seconds of each
and their ratio. qemu-img has the best of several -m, with and without -W; both leave the target unflushed, or
both flush it."""

import argparse
import os
import random
import shutil
import subprocess
import tempfile
import time

import measure

MIB = 1 << 20
ROWS = [  # name, source's format, options of its making, target's format
    ("raw to qcow2", "raw", [], "qcow2"),
    ("qcow2 to raw", "qcow2", [], "raw"),
    ("compressed to raw", "qcow2", ["-c"], "raw"),
    ("zstd to raw", "qcow2", ["-c", "-o", "compression_type=zstd"], "raw"),
    ("vmdk to qcow2", "vmdk", [], "qcow2"),
]
QEMU_WAYS = [[], ["-m", "16"], ["-m", "16", "-W"], ["-m", "4", "-W"]]


def make_disk(path, megabytes):
    """A third noise, a third text, a third holes, in runs of many lengths."""
    noise = random.Random(1)
    with open(path, "wb") as f:
        f.truncate(megabytes * MIB)
        at, kind = 0, 0
        while at < megabytes * MIB:
            length = min(noise.choice((64, 192, 1024, 4096)) * 1024, megabytes * MIB - at)
            f.seek(at)
            if kind % 3 == 0:
                f.write(noise.randbytes(length))
            elif kind % 3 == 1:
                line = b"%016x: the quick brown fox jumps over the lazy dog\n"
                f.write(b"".join(line % noise.getrandbits(64) for _ in range(length // 60)))
            at, kind = at + length, kind + 1


def timed(command, target):
    if os.path.exists(target):
        os.unlink(target)
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def compare(row, source, target, cache, rounds):
    """The best seconds of each side."""
    _, form, _, to = row
    commands = [[measure.BULKHEAD, "image", "convert", "-t", cache, "-f", form, "-O", to, source, target]]
    commands += [["qemu-img", "convert", *way, "-t", cache, "-f", form, "-O", to, source, target]
                 for way in QEMU_WAYS]
    best = [min(times) for times in zip(*([timed(c, target) for c in commands] for _ in range(rounds)),
                                        strict=True)]
    return best[0], min(best[1:])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabytes", type=int, default=512)
    options = parser.parse_args()
    if not shutil.which("qemu-img"):
        print("qemu-img is not installed: images are left out")
        return
    print(f"bulkhead image convert, a disk of {options.megabytes} MiB: the best of {options.rounds}")
    print(f"{'':20} {'where':8} {'flush':5} {'bulkhead':>9} {'qemu-img':>9} {'ratio':>6}")
    for where, parent in (("tmpfs", "/dev/shm"), ("disk", "/var/tmp")):
        with tempfile.TemporaryDirectory(dir=parent) as folder:
            raw, source, target = (os.path.join(folder, n) for n in ("raw", "source", "target"))
            make_disk(raw, options.megabytes)
            for row in ROWS:
                subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", row[1], *row[2], raw, source], check=True)
                for cache in ("unsafe", "writeback") if where == "disk" else ("unsafe",):
                    ours, theirs = compare(row, source, target, cache, options.rounds)
                    print(f"{row[0]:20} {where:8} {'yes' if cache == 'writeback' else 'no':5} {ours:8.3f}s "
                          f"{theirs:8.3f}s {theirs / ours:6.2f}", flush=True)


if __name__ == "__main__":
    main()
