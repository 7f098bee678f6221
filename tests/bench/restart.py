#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk's process is killed under a guest that writes: milliseconds until its next write is in the image.

Beside it QEMU (TCG), whose disk is an export of qemu-storage-daemon. Nothing of QEMU's starts that again, so
this script does, at once; QEMU connects again by itself (reconnect=1). The image's time of modification
tells of writes, so both guests do the same, and their speed plays no part beyond one write.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

import measure as m

STORAGE_DAEMON = shutil.which("qemu-storage-daemon")
CMDLINE = "console=ttyS0 quiet panic=-1 bh.test=beat"
BEAT = """
echo beating
while :; do dd if=/dev/zero of=/dev/vda bs=512 count=30000 oflag=direct 2>/dev/null; done
"""
PATIENCE_S = 30  # then it hangs


def initrd(place):
    """The guest's, and behind it a script that writes without end."""
    (place / "extra/tests").mkdir(parents=True)
    (place / "extra/tests/beat.sh").write_text(BEAT)
    subprocess.run([f"{m.TOP}/tools/initrd", place / "extra", place / "extra.gz"], check=True)
    first = pathlib.Path(m.guest("initrd.cpio.gz")).read_bytes()
    path = place / "initrd"
    path.write_bytes(first + bytes(-len(first) % 4) + (place / "extra.gz").read_bytes())
    return str(path)


def next_write(disk, since):
    """Seconds until the image is written to, or None."""
    began, before = time.monotonic(), since
    while time.monotonic() - began < PATIENCE_S:
        if os.stat(disk).st_mtime_ns != before:
            return time.monotonic() - began
        time.sleep(0.0005)
    return None


def kill(pid, disk):
    """What the image says once that process has ended."""
    os.kill(pid, signal.SIGKILL)
    while True:
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if m.state_of(pid) != "Z":
                continue
        return os.stat(disk).st_mtime_ns


def ours(place, disk, kills):
    command = m.bulkhead_command(m.guest("vmlinuz"), CMDLINE, initrd=initrd(place), accel="soft",
                                 extra=["--disk", f"{disk},format=raw"])
    with m.Running(command) as r:
        r.wait_for(b"beating")
        for _ in range(kills):
            assert next_write(disk, os.stat(disk).st_mtime_ns)
            pid = next(p for p in m.children(r.process.pid) if m.name_of(p) == "dev-blk")
            yield next_write(disk, kill(pid, disk))


def storage_daemon(disk, sock):
    return subprocess.Popen([STORAGE_DAEMON, "--blockdev", f"driver=file,filename={disk},node-name=d,locking=off",
                             "--export", "type=vhost-user-blk,id=e,node-name=d,writable=on,"
                             f"addr.type=unix,addr.path={sock}"])


def theirs(place, disk, kills):
    sock = str(place / "disk.sock")
    daemon = storage_daemon(disk, sock)
    while not os.path.exists(sock):
        time.sleep(0.01)
    command = m.qemu_command(
        "q35,memory-backend=ram", m.guest("vmlinuz"), CMDLINE, accel="tcg", model="max",
        initrd=str(place / "initrd"),
        extra=["-object", "memory-backend-memfd,id=ram,size=256M,share=on",
               "-chardev", f"socket,id=c,path={sock},reconnect=1",
               "-device", "vhost-user-blk-pci,chardev=c"])
    try:
        with m.Running(command) as r:
            r.wait_for(b"beating")
            for _ in range(kills):
                if not next_write(disk, os.stat(disk).st_mtime_ns):
                    return
                os.kill(daemon.pid, signal.SIGKILL)
                daemon.wait()
                since = os.stat(disk).st_mtime_ns
                daemon = storage_daemon(disk, sock)
                yield next_write(disk, since)
    finally:
        daemon.kill()
        daemon.wait()


def show(name, times):
    whole = sorted(t * 1000 for t in times if t is not None)
    hung = f"{sum(t is None for t in times)} of {len(times)}"
    if whole:
        m.row(name, f"{m.median(whole):.0f}", f"{whole[-1]:.0f}", hung)
    else:
        m.row(name, "-", "-", hung)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    kills = parser.parse_args().kills
    print(f"a disk's process is killed under a guest that writes, {kills} times: until the next write, ms")
    m.row("", "median", "worst", f"hung ({PATIENCE_S} s)")
    with tempfile.TemporaryDirectory(prefix="bulkhead-bench-") as place, m.disk() as disk:
        place = pathlib.Path(place)
        show("bulkhead", list(ours(place, disk, kills)))
        if STORAGE_DAEMON:
            show("qemu, qemu-storage-daemon started again", list(theirs(place, disk, kills)))


if __name__ == "__main__":
    main()
