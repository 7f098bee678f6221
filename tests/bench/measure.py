# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: commands of both sides, waiting for a line, memory of a process tree."""

import contextlib
import os
import select
import shutil
import signal
import statistics
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = os.environ.get("BULKHEAD_BUILD", os.path.join(TOP, "build"))
GUEST = os.environ.get("BULKHEAD_GUEST", os.path.join(BUILD, "guest"))
BULKHEAD = os.path.join(BUILD, "cmd/bulkhead/bulkhead")
QEMU = shutil.which("qemu-system-x86_64") or "/usr/bin/qemu-system-x86_64"
FIRST_LINE = b"bulkhead-guest: first user line"


def guest(name):
    return os.path.join(GUEST, name)


def bulkhead_command(kernel, cmdline, memory="256M", cpus=1, initrd=None, accel="kvm", extra=()):
    return [BULKHEAD, "run", "--kernel", kernel, "--initrd", initrd or guest("initrd.cpio.gz"),
            "--cmdline", cmdline, "--memory", memory, "--cpus", str(cpus), "--console", "raw",
            "--accel", accel, *(() if any(e.startswith("--net") for e in map(str, extra)) else ("--net", "none")), *extra]


def qemu_command(machine, kernel, cmdline, memory="256M", cpus=1, accel="kvm", model="host",
                 initrd=None, extra=()):
    return [QEMU, "-M", machine, "-accel", accel, "-cpu", model, "-m", memory, "-smp", str(cpus),
            "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio",
            "-kernel", kernel, "-initrd", initrd or guest("initrd.cpio.gz"), "-append", cmdline,
            *extra]


def compile_driver(name, directory):
    """A driver of virtqueues in C, which plays the guest."""
    program = os.path.join(directory, name)
    here = os.path.join(TOP, "tests/bench")
    subprocess.run(["gcc", "-O2", "-pthread", "-o", program, f"{here}/{name}.c", f"{here}/front.c"], check=True)
    return program


def append_to_initrd(tree, folder):
    """The path, in the folder, of the guest's initial RAM disk with the tree behind it."""
    more = os.path.join(folder, "more.cpio.gz")
    subprocess.run([f"{TOP}/tools/initrd", tree, more], check=True)
    initrd = os.path.join(folder, "initrd.cpio.gz")
    with open(initrd, "wb") as out:
        for part in (guest("initrd.cpio.gz"), more):
            with open(part, "rb") as f:
                shutil.copyfileobj(f, out)
    return initrd


@contextlib.contextmanager
def disk(size=16 << 20):
    """The path of an empty disk image."""
    path = f"/tmp/bulkhead-bench-{os.getpid()}.raw"
    with open(path, "wb") as f:
        f.truncate(size)
    try:
        yield path
    finally:
        os.unlink(path)


class Running:
    """A started command whose output is watched; with talks, lines can be sent to it."""

    def __init__(self, command, talks=False):
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                                        start_new_session=True)
        self.seen = b""

    def wait_for(self, text, seconds=120):
        """Seconds from start until text has been printed."""
        deadline = self.started + seconds
        fd = self.process.stdout.fileno()
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise SystemExit(self.complaint(f"no «{text.decode()}» in {seconds} s"))
            chunk = os.read(fd, 65536)
            if not chunk:
                raise SystemExit(self.complaint(f"ended before «{text.decode()}»"))
            self.seen += chunk
        return time.monotonic() - self.started

    def send_line(self):
        os.write(self.process.stdin.fileno(), b"\n")

    def complaint(self, what):
        tail = self.seen[-1500:].decode(errors="replace")
        return f"{' '.join(self.process.args[:3])} …: {what}\n{tail}"

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        if self.process.stdin:
            self.process.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def children(pid):
    """pid and everything below it."""
    found = [pid]
    for p in found:
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/children", encoding="ascii") as f:
                    found += [int(c) for c in f.read().split()]
        except OSError:
            pass
    return found


def name_of(pid):
    with open(f"/proc/{pid}/comm", encoding="ascii") as f:
        return f.read().strip()


def named(names):
    """Those processes of this machine that have one of these names."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if name_of(pid) in names:
                found.append(int(pid))
        except OSError:
            pass
    return found


def state_of(pid):
    """One letter; Z is a process that has ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rsplit(") ", 1)[1][0]


def cpu_seconds(pid):
    """What pid and everything below it have run for; threads that ended are not counted."""
    total = 0
    for p in children(pid):
        try:
            for task in os.listdir(f"/proc/{p}/task"):
                with open(f"/proc/{p}/task/{task}/schedstat", encoding="ascii") as f:
                    total += int(f.read().split()[0])
        except OSError:
            pass
    return total / 1e9


def pss_beside_ram(pid, ram_names):
    """KiB of proportional memory of one process, mappings of guest RAM left out."""
    total, skip = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as f:
        for line in f:
            head = line.split()
            if not head[0].endswith(":"):
                skip = any(name in line for name in ram_names)
            elif head[0] == "Pss:" and not skip:
                total += int(head[1])
    return total


def median(values):
    return statistics.median(values)


def row(*cells):
    print("  " + "  ".join(f"{c:>14}" if i else f"{c:<42}" for i, c in enumerate(cells)), flush=True)
