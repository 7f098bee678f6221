# SPDX-License-Identifier: Apache-2.0
"""Whichever process of a VM is killed, the report names that one, however the others ended of it."""

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest

import test_guests as guests

KILLS = 12  # the order in which ends are noticed differs from one to the next

pytestmark = guests.pytestmark


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return path


def descendants(pid):
    """(pid, name of the executable) of all processes below one."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                children = [int(child) for child in f.read().split()]
            for child in children:
                with open(f"/proc/{child}/cmdline", "rb") as f:
                    name = os.path.basename(f.read().split(b"\0")[0].decode())
                with open(f"/proc/{child}/comm", encoding="ascii") as f:
                    # copies of the supervisor, below it
                    own = f.read().strip()
                    yield child, own if own in ("launcher", "dialer") else name
                yield from descendants(child)


def report_of_killed(name, disk):
    """What the command says at last when that process is killed while the guest runs."""
    process = subprocess.Popen(guests.words("powerbutton", flags=[*guests.disk_flags(disk), "--on-crash", "stop"]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.readline()
    # a supervisor's keeper is a copy of it, above it
    found = [pid for pid, program in descendants(process.pid) if program == name]
    os.kill(found[-1], signal.SIGKILL)
    _, err = process.communicate(timeout=guests.HANGS)
    assert process.returncode == 5
    return err.decode().splitlines()[-1]


@pytest.mark.skipif(os.geteuid() != 0, reason="processes are signalled")
@pytest.mark.parametrize("name", ["vmm", "dev-blk", "dev-rng", "dev-console"])
def test_the_one_that_was_killed_is_named(name, disk):
    reports = [report_of_killed(name, disk) for _ in range(KILLS)]
    wrong = [r for r in reports if f": {name} was killed by signal KILL (9)" not in r]
    assert not wrong, "\n".join(wrong)


def test_a_killed_supervisor_is_named(disk):
    report = report_of_killed("supervisor", disk)
    assert report.endswith(": the supervisor was killed by signal KILL (9)")


DEVICES = ["dev-blk", "dev-rng", "dev-console"]


def start_serving(disk, options="", form="raw"):
    allow = ["--allow", "qcow2", "--allow", "storage-nbd"]
    process = subprocess.Popen(guests.words("serving", flags=[*allow, "--disk", f"{disk},format={form}{options}"]),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    while process.stdout.readline() != "waiting\n":
        assert process.poll() is None
    return process


def kill_and_await(process, names):
    """Kills the processes of these names at once; each is said to be started again."""
    for pid, program in list(descendants(process.pid)):
        if program in names:
            os.kill(pid, signal.SIGKILL)
    left = set(names)
    while left:
        line = process.stderr.readline()
        assert line, "it was not started again"
        if "; started again" in line:
            (name,) = [n for n in left if f": {n} was killed by signal KILL (9)" in line]
            left.remove(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="processes are signalled")
def test_a_disk_and_the_process_behind_it_cost_the_guest_nothing(disk):
    """Either of the two is killed, or both at once; then the guest uses its disk anew."""
    process = start_serving(disk, ",parser=apart")
    for n in range(9):
        kill_and_await(process, [["dev-blk"], ["storage-file"], ["dev-blk", "storage-file"]][n % 3])
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=guests.HANGS)
    assert process.returncode == 0 and "ok power button" in out and "ok a sector" in out, (out, err)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nbdkit"), reason="processes are signalled; nbdkit")
@pytest.mark.parametrize("local", (False, True))
def test_a_disk_of_a_server_and_all_that_it_takes_cost_the_guest_nothing(disk, tmp_path, local):
    """A process is killed, or the server, which comes again; then the guest uses its disk anew."""
    sock = tmp_path / "server.sock"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    where = ("-U", sock) if local else ("-i", "127.0.0.1", "-p", str(port))

    def serve():
        sock.unlink(missing_ok=True)
        server = subprocess.Popen(["nbdkit", "-f", *where, "file", disk], stderr=subprocess.DEVNULL)
        end = time.monotonic() + guests.HANGS
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX if local else socket.AF_INET) as probe:
                probe.connect(str(sock) if local else ("127.0.0.1", port))
                return server
            time.sleep(0.01)
        raise AssertionError("the server does not come")

    server = serve()
    try:
        process = start_serving(f"nbd+unix:///?socket={sock}" if local else f"nbd://127.0.0.1:{port}/")
        (dialer,) = (pid for pid, name in descendants(process.pid) if name == "dialer")
        dialer = os.pidfd_open(dialer)
        for names in (["dev-blk"], ["storage-nbd"], ["dev-blk", "storage-nbd"]):
            kill_and_await(process, names)
        server.kill()
        server.wait()
        server = serve()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=guests.HANGS)
    finally:
        server.kill()
        server.wait()
    assert process.returncode == 0 and "ok power button" in out and "ok a sector" in out, (out, err)
    assert select.select([dialer], [], [], guests.HANGS)[0], "the dialer outlives its VM"
    os.close(dialer)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("qemu-img"), reason="processes are signalled; qemu-img")
def test_killed_dev_blk_opens_its_image_again(disk, tmp_path):
    """With what the launcher has: the image, its backing file, and how far it may grow."""
    top = tmp_path / "top.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", top], check=True)
    process = start_serving(top, f",backing={disk},backing-format=raw", "qcow2")
    for _ in range(4):
        kill_and_await(process, ["dev-blk"])
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=guests.HANGS)
    assert process.returncode == 0 and "ok power button" in out and "ok a sector" in out, (out, err)
    assert disk.read_bytes() == bytes(1 << 20)
    # not by its lock, which the kernel lets go of some time after the process's end
    subprocess.run(["qemu-img", "check", "-q", "-U", "-f", "qcow2", top], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="processes are signalled")
def test_killed_devices_cost_the_guest_nothing(disk):
    """Each of them, in turn, again and again; then the guest uses its disk and random numbers anew."""
    process = start_serving(disk)
    for n in range(18):
        kill_and_await(process, [DEVICES[n % len(DEVICES)]])
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=guests.HANGS)
    assert process.returncode == 0 and "ok power button" in out and "ok a sector" in out
