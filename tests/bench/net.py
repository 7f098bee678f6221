#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""dev-net on a tap, alone: a driver (net_ring.c) on its rings, beside a bare copy loop on a tap, which is the limit.
Frames per second and CPU for each, as medians; ratios are the medians of the turns' ratios. Needs root."""

import argparse
import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

import measure as m

sys.path.insert(0, os.path.join(m.TOP, "tests/device"))
from bh import net, tap  # pylint: disable=wrong-import-position
from bh.process import Process  # pylint: disable=wrong-import-position

JOBS = [("send", 64, 64), ("receive", 64, 64), ("send", 1514, 64), ("receive", 1514, 64),
        ("send", 64000, 4), ("receive", 64000, 4), ("send", 64, 1), ("receive", 64, 1)]


class Ours:
    def __init__(self, build):
        self.tap = tap.Tap()
        self.page = net.state_page()
        self.sock, theirs = socket.socketpair()
        self.process = Process(pathlib.Path(build), "dev-net", ["--mac=52:54:00:12:34:56", "--mtu=1500"],
                               {4: theirs.fileno(), net.STATE_FD: self.page, net.TAP_FD: self.tap.fd}).wait_ready()
        theirs.close()
        self.pid = self.process.pid
        self.name = "dev-net" if build == m.BUILD else build

    def words(self):
        return [self.sock.fileno(), self.pid, self.tap.packets.fileno()]

    def fds(self):
        return [self.sock.fileno(), self.tap.packets.fileno()]

    def end(self):
        self.sock.close()
        self.process.wait_end()
        self.process.close()
        self.tap.close()
        os.close(self.page)


class Loop:
    name = "bare copy loop"

    def __init__(self):
        self.tap = tap.Tap()

    def words(self):
        return ["loop", *self.fds()]

    def fds(self):
        return [self.tap.fd, self.tap.packets.fileno()]

    def end(self):
        self.tap.close()


def measure(driver, backs, options):
    """For each job, for each round, (frames per second, µs of CPU) of each back end."""
    words = [w for b in backs for w in b.words()]
    done = subprocess.run([driver, str(options.slice), str(options.rounds), *map(str, words)],
                          input="".join(" ".join(map(str, j)) + "\n" for j in JOBS), text=True, check=True,
                          stdout=subprocess.PIPE, pass_fds=[fd for b in backs for fd in b.fds()])
    for table in done.stdout.strip().split("\n\n"):
        rows = [[float(w) for w in line.split()] for line in table.split("\n")]
        yield [[(r[i], r[i + 1]) for i in range(0, len(r), 2)] for r in rows]


def show(job, rounds, backs):
    """The loop is the last; each of the others has its ratios to it."""
    op, size, depth = job
    print(f"{op} {size} bytes, {depth} at once")
    for i, b in enumerate(backs):
        ratios = [f"x{m.median([r[i][k] / r[-1][k] for r in rounds]):.2f}" for k in (0, 1)]
        rate = m.median([r[i][0] for r in rounds])
        m.row(f"  {b.name}", f"{rate:.0f}/s", f"{rate * size / 1e6:.0f} MB/s",
              f"{m.median([r[i][1] for r in rounds]):.2f} us", *(ratios if b is not backs[-1] else []))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--slice", type=int, default=100, help="milliseconds")
    p.add_argument("--build", nargs="*", default=[m.BUILD])
    options = p.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("a tap is made by root")
    with contextlib.ExitStack() as stack:
        driver = m.compile_driver("net_ring", stack.enter_context(tempfile.TemporaryDirectory()))
        backs = [*map(Ours, options.build), Loop()]
        for b in backs:
            stack.callback(b.end)
        print("a network card's process on a tap: frames and CPU of each, and of the loop's")
        for job, rounds in zip(JOBS, measure(driver, backs, options)):
            show(job, rounds, backs)
        for b in backs[:-1]:
            m.row(f"  {b.name}, memory beside guest RAM",
                  f"{m.pss_beside_ram(b.pid, ['bench-ram']) / 1024:.2f} MiB")


if __name__ == "__main__":
    main()
