#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""dev-blk beside qemu-storage-daemon: one driver (blk_ring.c) on a ring of each, on the same file, or
for qcow2 on copies, in turns of a fraction of a second. Requests per second and CPU for each, as
medians; ratios are the medians of the turns' ratios. CPU is that of the whole process, the kernel's
workers for it included."""

import argparse
import contextlib
import fcntl
import itertools
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import typing

import measure as m

sys.path.insert(0, os.path.join(m.TOP, "tests/device"))
from bh.process import Process  # pylint: disable=wrong-import-position

MIB = 1 << 20
JOBS = [("read", 4096, 1, "random"), ("read", 4096, 32, "random"), ("write", 4096, 1, "random"),
        ("write", 4096, 32, "random"), ("read", 128 << 10, 8, "sequential"),
        ("write", 128 << 10, 8, "sequential")]
FIRST_WRITES = [("write", 4096, 32, "random")]
EMPTY_MIB = 16 << 10
BASE_MIB = 1 << 10
REDO_FD, REDO_BYTES = 21, 1 << 20  # as the supervisor hands it over


def connect(path, process):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    for _ in range(600):
        try:
            sock.connect(path)
            return sock
        except OSError:
            if process.poll() is not None:
                raise SystemExit("qemu-storage-daemon ended") from None
            time.sleep(0.1)
    raise SystemExit("qemu-storage-daemon does not listen")


class Theirs:
    """how: io_uring or threads; with +iothread in a thread of its own, which polls."""

    def __init__(self, image, how, directory, kind):
        path = os.path.join(directory, f"qsd-{how}.sock")
        cache = ",cache.direct=on" if kind.direct else ""
        self.name = f"qsd {how}"
        aio, _, thread = how.partition("+")
        self.process = subprocess.Popen(
            ["qemu-storage-daemon", "--object", "iothread,id=iothread", "--blockdev",
             f"driver=file,node-name=file,filename={image},aio={aio},locking=off,discard=unmap"
             f"{cache}",
             "--blockdev", f"driver={kind.format},node-name=disk,file=file,discard=unmap{cache}",
             "--export",
             f"type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path={path},writable=on"
             f"{',iothread=iothread' if thread else ''}"])
        self.sock = connect(path, self.process)
        self.pid = self.process.pid

    def end(self):
        self.sock.close()
        self.process.kill()  # at times it does not end by SIGTERM, and nothing is lost
        self.process.wait()


def redo_log():
    fd = os.memfd_create("image-redo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, REDO_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


class Ours:
    def __init__(self, image, build, kind, name="dev-blk"):
        self.name = name
        self.sock, theirs = socket.socketpair()
        fds = [os.open(image, os.O_RDWR | os.O_CLOEXEC)]
        table = {4: theirs.fileno(), 5: fds[0]}
        if kind.format != "raw":
            fds.append(redo_log())
            table[REDO_FD] = fds[-1]
        words = []
        if kind.overlay:
            fds.append(os.open(os.path.join(os.path.dirname(image), BASE), os.O_RDONLY | os.O_CLOEXEC))
            table[6] = fds[-1]
            words = ["--backing-format=raw"]
        self.process = Process(
            pathlib.Path(build), "dev-blk",
            [f"--format={kind.format}", "--readonly=off", "--queues=1", "--serial=bench",
             f"--cache={'none' if kind.direct else 'writeback'}", *words], table).wait_ready()
        for fd in fds:
            os.close(fd)
        theirs.close()
        self.pid = self.process.pid

    def end(self):
        self.sock.close()
        self.process.wait_end()
        self.process.close()


def schedule_alike(backs):
    """A session is scheduled as one group: dev-blk has one of its own, where the others share the driver's. On a machine
    with other work, each of them goes before that."""
    for pid in ("self", *(b.pid for b in backs)):
        with contextlib.suppress(OSError):  # an ordinary user, or a kernel without such groups
            pathlib.Path(f"/proc/{pid}/autogroup").write_text("-15", encoding="ascii")


def measure(driver, backs, options, jobs):
    """For each job, for each round, (requests per second, µs of CPU) of each back end."""
    command = [driver, str(options.slice), str(options.rounds)]
    schedule_alike(backs)
    for b in backs:
        command += [str(b.sock.fileno()), str(b.pid)]
    text = "".join(" ".join(map(str, j)) + "\n" for j in jobs)
    done = subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.PIPE,
                          pass_fds=[b.sock.fileno() for b in backs])
    for table in done.stdout.strip().split("\n\n"):
        rows = [[float(w) for w in line.split()] for line in table.split("\n")]
        yield [[(r[i], r[i + 1]) for i in range(0, len(r), 2)] for r in rows]


def show(job, rounds, backs):
    """Ours is the first; each of the others has its ratios."""
    op, size, depth, order = job
    print(f"{order} {op} {size >> 10} KiB, depth {depth}")
    for i, b in enumerate(backs):
        ratios = [f"x{m.median([r[0][k] / r[i][k] for r in rounds]):.2f}" for k in (0, 1)]
        m.row(f"  {b.name}", f"{m.median([r[i][0] for r in rounds]):.0f}/s",
              f"{m.median([r[i][1] for r in rounds]):.2f} us", *(ratios if i else []))


class Kind(typing.NamedTuple):
    """What is compared. empty: the disk has no cluster yet, and is for first writes alone; overlay: on a
    raw base that is full."""

    format: str = "raw"
    direct: bool = False
    empty: bool = False
    overlay: bool = False

    def __str__(self):
        return (self.format + (", empty" if self.empty else "") +
                (", overlay" if self.overlay else "") + (", cache=none" if self.direct else ""))


BASE = "disk.raw"
RAW = Kind()
KINDS = [RAW, Kind(direct=True), Kind("qcow2"), Kind("qcow2", empty=True),
         Kind("qcow2", empty=True, overlay=True)]


def fill(path, mib):
    with open(path, "wb") as f:
        for _ in range(mib):
            f.write(os.urandom(MIB))


def has_direct(directory):
    try:
        with tempfile.NamedTemporaryFile(dir=directory) as f:
            os.close(os.open(f.name, os.O_RDONLY | os.O_DIRECT))
            return True
    except OSError:
        return False


def images(directory, kind, mib):
    """One after the other: a raw file is for all; of another format each has its own."""
    filled = os.path.join(directory, BASE)
    if kind.overlay or not kind.empty:
        fill(filled, BASE_MIB if kind.overlay else mib)
    if kind.format == "raw":
        yield from itertools.repeat(filled)
    for i in itertools.count():
        path = os.path.join(directory, f"disk-{i}.{kind.format}")
        make = (["create", "-q", "-f", kind.format, "-b", filled, "-F", "raw", path] if kind.overlay else
                ["create", "-q", "-f", kind.format, path, f"{EMPTY_MIB}M"] if kind.empty else
                ["convert", "-f", "raw", "-O", kind.format, filled, path])
        subprocess.run(["qemu-img", *make], check=True)
        yield path


def open_backs(stack, where, kind, options):
    directory = stack.enter_context(tempfile.TemporaryDirectory(dir=where, prefix="bulkhead-bench-"))
    sockets = stack.enter_context(tempfile.TemporaryDirectory())
    image = images(directory, kind, options.mib)
    backs = [Ours(next(image), build, kind) for build in options.build]
    if kind.format != "raw" and not kind.empty:
        backs.append(Ours(os.path.join(directory, BASE), options.build[0], RAW, "dev-blk raw"))
    backs += [Theirs(next(image), how, sockets, kind) for how in options.aio]
    for b in backs:
        stack.callback(b.end)
    return backs


def compare(driver, where, kind, options):
    jobs = FIRST_WRITES if kind.empty else JOBS
    with contextlib.ExitStack() as stack:
        backs = open_backs(stack, where, kind, options)
        print(f"{kind} on {where}: requests and CPU of each; dev-blk's of theirs")
        for job, rounds in zip(jobs, measure(driver, backs, options, jobs)):
            show(job, rounds, backs)
        for b in backs:
            m.row(f"  {b.name}, memory beside guest RAM",
                  f"{m.pss_beside_ram(b.pid, ['bench-ram']) / 1024:.2f} MiB")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=15)
    p.add_argument("--slice", type=int, default=100, help="milliseconds")
    p.add_argument("--mib", type=int, default=256)
    p.add_argument("--aio", nargs="*", default=["io_uring", "threads", "io_uring+iothread"])
    p.add_argument("--build", nargs="*", default=[m.BUILD])
    p.add_argument("--where", nargs="*", default=["/dev/shm", "/var/tmp"])
    p.add_argument("--only", help="kinds that have this in their name")
    options = p.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        driver = m.compile_driver("blk_ring", directory)
        for where in options.where:
            for kind in KINDS:
                if options.only and options.only not in str(kind):
                    continue
                if kind.direct and not has_direct(where):
                    print(f"{kind} on {where}: it has no O_DIRECT")
                else:
                    compare(driver, where, kind, options)


if __name__ == "__main__":
    main()
