#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From exec of `bulkhead run` to the first vCPU entry, as seen from outside.

The guest is the smallest there is: its first instructions print. What is timed is a little more
than what is claimed: the guest's first byte has crossed to dev-console and back to here.
"""

import os

import measure as m

HELLO = os.path.join(m.BUILD, "tests/guest/hello.elf")


def one(command, text):
    with m.Running(command) as r:
        return r.wait_for(text) * 1000


def run(number):
    """With a disk of its own: the kernel lets go of the last one's lock a little late."""
    disk = os.path.join(m.BUILD, f"bench-disk-{number}.raw")
    with open(disk, "wb") as f:
        f.truncate(16 << 20)
    try:
        return one([m.BULKHEAD, "run", "--kernel", HELLO, "--memory", "64M", "--console", "raw", "--net", "none",
                    "--disk", f"{disk},format=raw"], b"hello")
    finally:
        os.unlink(disk)


def main():
    rounds = 21
    times = sorted(run(n) for n in range(rounds))
    print(f"exec of `bulkhead run` to the guest's first word, ms, {rounds} runs, target 30")
    m.row("", "minimum", "median", "maximum")
    m.row("bulkhead, console, disk, rng", *(f"{t:.1f}" for t in
                                            (times[0], times[rounds // 2], times[-1])))


if __name__ == "__main__":
    main()
