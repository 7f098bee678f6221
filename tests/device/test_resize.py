# SPDX-License-Identifier: Apache-2.0
"""Disks that become larger while their guest runs: the real command, supervisor, launcher and devices; among real
processes with a guest that writes without a rest, and among played ones where something goes wrong."""

import fcntl
import os
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from bh import vm, wait
from bh.waiting import WaitingVM, place, played, quick  # pylint: disable=unused-import

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NAME = "resize-test"
KIB, MIB = 1 << 10, 1 << 20
RESIZE, RESIZED, GOES_ON, REFUSED, DONE, RESIZING = 41, 42, 45, 50, 51, 56
UP, END = "enter,ready,event:1", "event:2"
FSIZE = "Max file size"


class Guest(WaitingVM):
    """A VM whose guest writes to its disk without a rest (tests/guest/growing.c), or waits for devices."""

    def __init__(self, place, build, *flags, guest="growing"):
        super().__init__(place, build, NAME, guest, "test", flags)

    def has(self, size):
        self.wait_for(f"sectors: {size // 512}")


def image(place, name="data.raw", size=64 * KIB):
    path = place.file(name, bytes(size))
    os.chown(path, place.uid, place.gid)
    return path


def qcow2(place, size="1M", *words):
    folder = place.dir / "images"
    folder.mkdir()
    os.chown(folder, place.uid, place.gid)
    code, _, err = place.call("image", "create", "-f", "qcow2", *words, folder / "top.qcow2", size)
    assert code == 0, err
    return folder / "top.qcow2"


def resize(place, path, size, *words):
    assert place.call("resize", NAME, path, size, *words) == (0, "Image resized.\n", "")


def resize_in_the_end(place, path, size):
    """Once the VM has seen that who asked before is gone."""
    wait.until(lambda: place.call("resize", NAME, path, size)[0] == 0, "the disk is larger")


def refused(place, words, status, line):
    code, out, err = place.call("resize", *words)
    assert code == status and out == "" and line in err and err.count("\n") == 1, (words, code, out, err)


def restarts(place):
    _, out, _ = place.call("ps")
    return int(re.search(rf"^{NAME} .*$", out, re.MULTILINE).group(0).split()[6])


def disks(place, program="dev-blk"):
    return [pid for pid, exe in place.processes() if exe.endswith(f"/{program}")]


def limit(pid):
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith(FSIZE)).split()[3])


# ---- it becomes larger ----

def test_a_raw_disk(place, build):
    """No write fails, nothing is said, nothing counts as a restart; and the bound is the file's new size."""
    data = image(place)
    guest = Guest(place, build, "--disk", f"{data},format=raw")
    for words, size in (("128K", 128 * KIB), ("+64K", 192 * KIB), ("1M", MIB)):
        before = disks(place)
        resize(place, data, words)
        assert data.stat().st_size == size and disks(place) != before
        assert [limit(pid) for pid in disks(place)] == [size]
        guest.has(size)
    resize(place, data, "1M")  # nothing for the guest to know
    assert restarts(place) == 0
    assert guest.stop() == f"bulkhead: {NAME}: the guest powered off\n"
    assert data.read_bytes()[-1] == 0xa5


def test_a_guest_s_header_stays_its_data(quick, build):
    """A raw disk whose bytes look like a qcow2 image, with a size of its own."""
    data = image(quick)
    with open(data, "r+b") as f:
        f.write(b"QFI\xfb" + struct.pack(">I", 3) + bytes(16) + struct.pack(">Q", 1 << 40))
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    resize(quick, data, "1M")
    guest.has(MIB)
    guest.stop()
    assert data.stat().st_size == MIB and data.read_bytes()[:4] == b"QFI\xfb"


def test_a_killed_one_has_the_new_size(quick, build):
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    resize(quick, data, "1M")
    guest.has(MIB)
    os.kill(disks(quick)[0], signal.SIGKILL)
    wait.until(lambda: restarts(quick) == 1, "a restart")
    resize(quick, data, "2M")
    guest.has(2 * MIB)
    assert [limit(pid) for pid in disks(quick)] == [2 * MIB]
    guest.stop()


def test_qcow2(place, build):
    """The note of its bound is made anew, and holds after a crash."""
    top = qcow2(place)
    guest = Guest(place, build, "--disk", f"{top},format=qcow2", "--allow", "qcow2")
    first = limit(disks(place)[0])
    resize(place, top, "64M")
    guest.has(64 * MIB)
    second = limit(disks(place)[0])
    assert 64 * MIB < second < 64 * MIB * 5 // 4 and second > first
    os.kill(disks(place)[0], signal.SIGKILL)
    wait.until(lambda: restarts(place) == 1, "a restart")
    assert limit(disks(place)[0]) == second
    resize(place, top, "65M")
    guest.has(65 * MIB)
    guest.stop()
    code, out, err = place.call("image", "check", "-f", "qcow2", top)
    assert code == 0, out + err


def test_nobody_hears_that_it_is_larger(quick, build):
    """The command's output is lost; the disk has its new bound all the same."""
    top = qcow2(quick)
    guest = Guest(quick, build, "--disk", f"{top},format=qcow2", "--allow", "qcow2")
    first = limit(disks(quick)[0])
    reader, writer = os.pipe()
    os.close(reader)
    process = quick.start("resize", NAME, top, "64M", stdout=writer)
    os.close(writer)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 7 and "output cannot be written" in err, err
    guest.has(64 * MIB)
    assert limit(disks(quick)[0]) > 64 * MIB > first
    guest.stop()


def test_qcow2_with_a_backing_file(quick, build):
    base = image(quick, "base.raw", MIB)
    top = qcow2(quick, "1M", "-b", base, "-F", "raw")
    guest = Guest(quick, build, "--disk", f"{top},format=qcow2,backing={base},backing-format=raw", "--allow", "qcow2")
    refused(quick, (NAME, top, "2M"), 1, "which is opened only if you name it: --backing FILE")
    resize(quick, top, "2M", "--backing", base, "--backing-format", "raw")
    guest.has(2 * MIB)
    guest.stop()
    assert base.read_bytes() == bytes(MIB)


def test_what_a_header_says_moves_no_bound(quick, build):
    """An image whose disk was made huge behind the VM's back: what is added is not taken, a smaller size neither,
    and a refused change leaves the note as it was."""
    top = qcow2(quick)
    guest = Guest(quick, build, "--disk", f"{top},format=qcow2", "--allow", "qcow2")
    first = limit(disks(quick)[0])
    with open(top, "r+b") as f:
        f.seek(24)
        f.write(struct.pack(">Q", 1 << 29))
    refused(quick, (NAME, top, "+1M"), 1, "say the whole new size")
    assert limit(disks(quick)[0]) == first
    refused(quick, (NAME, top, "2M"), 1, "more than the new size")
    assert limit(disks(quick)[0]) == first
    guest.place.call("stop", NAME, "--now")
    guest.process.communicate(timeout=60)
    quick.wait_until_empty()


@pytest.mark.parametrize("apart", ["", ",parser=apart"])
def test_by_some_more(quick, build, apart):
    """Of qcow2, too: what is added is added to what the disk had when its first process began, and after each resize."""
    top = qcow2(quick)
    guest = Guest(quick, build, "--disk", f"{top},format=qcow2{apart}", "--allow", "qcow2")
    for words, size in (("+1M", 2 * MIB), ("+64K", 2 * MIB + 64 * KIB), ("4M", 4 * MIB), ("+3M", 7 * MIB)):
        resize(quick, top, words)
        guest.has(size)
    for n, program in enumerate(("dev-blk", "storage-file") if apart else ("dev-blk",), 1):
        os.kill(disks(quick, program)[0], signal.SIGKILL)
        wait.until(lambda n=n: restarts(quick) == n, "a restart")
    resize(quick, top, "+1M")
    guest.has(8 * MIB)
    refused(quick, (NAME, top, "+8E"), 2, "the size is too large")
    refused(quick, (NAME, top, "+7E"), 1, "a disk of that size is not possible")
    resize(quick, top, "+1M")
    guest.has(9 * MIB)
    guest.stop()
    code, out, err = quick.call("image", "check", "-f", "qcow2", top)
    assert code == 0, out + err


def with_data_file(place, options=""):
    """A qcow2 image and the file that has its bytes, both the VM's user's."""
    top = qcow2(place)
    data = top.with_suffix(".data")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={data}{options}", top, "1M"], check=True)
    os.chown(data, place.uid, place.gid)
    return top, data


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")
@pytest.mark.parametrize("options", ["", ",data_file_raw=on"])
@pytest.mark.parametrize("apart", ["", ",parser=apart"])
def test_a_data_file(quick, build, apart, options):
    """It has the disk's size, and its process may write just that far; it is named as at the VM's start, and no other."""
    (top, data), other = with_data_file(quick, options), image(quick, "other.raw")
    guest = Guest(quick, build, "--disk", f"{top},format=qcow2,data-file={data}{apart}", "--allow", "qcow2")
    for words in ((), ("--data-file", other), ("--data-file", top)):
        refused(quick, (NAME, top, "2M", *words), 1, "say --data-file FILE if its disk has one, and the one that it has")
    refused(quick, (NAME, data, "2M"), 1, "none of its disks is served from that file")
    refused(quick, (NAME, top, "2M", "--data-file", quick.dir / "none"), 1, "No such file")
    for words, size in (("2M", 2 * MIB), ("+62M", 64 * MIB)):
        resize(quick, top, words, "--data-file", data)
        assert data.stat().st_size == size
        guest.has(size)
        (pid,) = disks(quick, "storage-file" if apart else "dev-blk")
        assert size <= limit(pid) <= size + MIB  # or what the metadata can come to
    assert other.stat().st_size == 64 * KIB and restarts(quick) == 0
    guest.stop()
    assert data.read_bytes()[-1] == 0xa5
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", top], check=True)


def test_a_data_file_that_there_is_not(quick, build):
    data, other = image(quick), image(quick, "other.raw")
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    refused(quick, (NAME, data, "1M", "--data-file", other), 1, "say --data-file FILE if its disk has one")
    assert data.stat().st_size == other.stat().st_size == 64 * KIB
    guest.stop()


@pytest.mark.parametrize("form,words", [("raw", "parser=apart"), ("raw", "iops=100000,burst=10"),
                                        ("qcow2", "parser=apart,bps=1G")])
def test_one_with_a_storage_process(place, build, form, words):
    """Both end, the device first, and both come back; a crash of either moves no bound."""
    data = image(place) if form == "raw" else qcow2(place)
    guest = Guest(place, build, "--disk", f"{data},format={form},{words}", "--allow", "qcow2")
    bounds = []
    for size in (2, 4):
        before = disks(place) + disks(place, "storage-file")
        resize(place, data, f"{size}M")
        guest.has(size * MIB)
        after = disks(place) + disks(place, "storage-file")
        assert len(after) == 2 and not set(after) & set(before)
        bounds.append(limit(disks(place, "storage-file")[0]))
    assert restarts(place) == 0
    assert bounds == [2 * MIB, 4 * MIB] if form == "raw" else bounds[0] < bounds[1]
    for n, program in enumerate(("storage-file", "dev-blk"), 1):
        os.kill(disks(place, program)[0], signal.SIGKILL)
        wait.until(lambda n=n: restarts(place) == n, "a restart")
    assert limit(disks(place, "storage-file")[0]) == bounds[1]
    guest.stop()


@pytest.mark.parametrize("program", ["dev-blk", "storage-file"])
def test_one_of_two_dies_instead(quick, build, program):
    """It stands still when it is asked to end, and is killed: the command is told, and the guest goes on."""
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw,parser=apart")
    (pid,) = disks(quick, program)
    os.kill(pid, signal.SIGSTOP)
    with connect() as sock:
        show(sock, data)
        refused(quick, (NAME, data, "1M"), 1, "another command changes the size of a disk: try again")
        os.kill(pid, signal.SIGKILL)
        assert hear(sock)[0] == REFUSED
    resize_in_the_end(quick, data, "2M")
    guest.has(2 * MIB)
    guest.stop()


@pytest.mark.parametrize("apart", ["", ",parser=apart"])
@pytest.mark.parametrize("form", ["raw", "qcow2"])
def test_a_disk_that_was_attached(quick, build, form, apart):
    """The bound of qcow2 is noted for it, too: a header that says more afterwards moves nothing."""
    program = "storage-file" if apart else "dev-blk"
    data = image(quick) if form == "raw" else qcow2(quick)
    guest = Guest(quick, build, "--allow", "qcow2", guest="hotplug")
    code, _, err = quick.call("attach", NAME, "disk", f"{data},format={form}{apart}")
    assert code == 0, err
    guest.wait_for("came: 24")
    first = limit(disks(quick, program)[0])
    resize(quick, data, "4M")
    second = limit(disks(quick, program)[0])
    assert second == 4 * MIB if form == "raw" else first < second
    if form == "qcow2":
        with open(data, "r+b") as f:
            f.seek(24)
            f.write(struct.pack(">Q", 1 << 28))
    os.kill(disks(quick, program)[0], signal.SIGKILL)
    wait.until(lambda: restarts(quick) == 1, "a restart")
    assert limit(disks(quick, program)[0]) == second
    assert quick.call("detach", NAME, "disk-1") == (0, "", "")
    assert disks(quick) == []
    guest.stop()


# ---- words and files that will not do: one line, and the guest goes on ----

WRONG = {
    "no words": ((), 2, "resize: say NAME FILE [+]SIZE"),
    "no size": ((NAME, "{data}"), 2, "resize: say NAME FILE [+]SIZE"),
    "a size that is none": ((NAME, "{data}", "much"), 2, "say a size, for example 10G"),
    "smaller by some": ((NAME, "{data}", "-1K"), 2, "a running VM's disk is not made smaller"),
    "smaller, if need be": ((NAME, "{data}", "1K", "--shrink"), 2, "a running VM's disk is not made smaller"),
    "smaller": ((NAME, "{data}", "1K"), 1, "a running VM's disk is not made smaller"),
    "a format": ((NAME, "{data}", "1M", "-f", "raw"), 2, "the VM knows its format"),
    "no such VM": (("no-such-vm", "{data}", "1M"), 1, "no VM of yours is named 'no-such-vm'"),
    "no such file": ((NAME, "{data}.not", "1M"), 1, "No such file or directory"),
    "a device": ((NAME, "/dev/null", "1M"), 1, "/dev/null is a character device"),
    "another file": ((NAME, "{other}", "1M"), 1, "none of its disks is served from that file"),
    "read-only": ((NAME, "{shared}", "1M"), 1, "that disk is read-only"),
    "read-only, and apart": ((NAME, "{apart}", "1M"), 1, "that disk is read-only"),
}


def test_what_is_wrong_is_said_in_one_line(place, build):
    files = {name: image(place, f"{name}.raw") for name in ("data", "other", "shared", "apart")}
    guest = Guest(place, build, "--disk", f"{files['data']},format=raw", "--disk",
                  f"{files['shared']},format=raw,readonly=on", "--disk", f"{files['apart']},format=raw,readonly=on,parser=apart")
    for words, status, line in WRONG.values():
        refused(place, [w.format(**files) for w in words], status, line)
    assert {path.stat().st_size for path in files.values()} == {64 * KIB}
    assert restarts(place) == 0
    resize(place, files["data"], "1M")
    guest.has(MIB)
    assert guest.stop() == f"bulkhead: {NAME}: the guest powered off\n"


def test_another_users_vm(quick, build):
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    other = vm.Place(build, user=True)
    code, _, err = other.call("resize", NAME, data, "1M")
    assert code == 1 and err == f"bulkhead: no VM of yours is named '{NAME}': see bulkhead ps\n"
    assert other.end() == []
    guest.stop()


def test_qcow2_is_attached_where_it_is_allowed(quick, build):
    data = qcow2(quick)
    guest = Guest(quick, build, guest="hotplug")
    code, out, err = quick.call("attach", NAME, "disk", f"{data},format=qcow2")
    assert code == 1 and out == "" and "started with --allow qcow2" in err and err.count("\n") == 1, err
    guest.stop()


def test_a_vm_without_a_launcher(quick, build):
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw", "--on-crash", "stop")
    refused(quick, (NAME, data, "1M"), 1, "--on-crash stop starts no disk again")
    assert data.stat().st_size == 64 * KIB
    guest.stop()


# ---- a client of one's own ----

def connect():
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (name,) = {line.split()[-1] for line in open("/proc/net/unix", encoding="ascii")
               if line.rstrip().endswith(NAME) and "@" in line} or {None}
    if name is None:
        pytest.skip("the VM has no abstract name")
    sock.connect("\0" + name[1:])
    sock.settimeout(60)
    return sock


def send(sock, type_, payload=b"", *fds):
    socket.send_fds(sock, [struct.pack("<HHI", type_, 0, len(payload)) + payload], list(fds))


def hear(sock):
    packet = sock.recv(512)
    return struct.unpack_from("<H", packet)[0], packet[8:].decode("ascii")


def show(sock, path, flags=os.O_RDWR):
    fd = os.open(path, flags)
    send(sock, RESIZE, b"", fd)
    os.close(fd)


def test_who_goes_away_meanwhile(quick, build):
    """The disk is not served until he does; it is what the file is by then, for a raw one."""
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    for size in (1, 2):
        with connect() as sock:
            show(sock, data)
            assert hear(sock) == (RESIZING, "raw")
            assert disks(quick) == []
            refused(quick, (NAME, data, "3M"), 1, "another command changes the size of a disk: try again")
            os.truncate(data, size * MIB)
        guest.has(size * MIB)
    with connect() as sock:  # before he was answered
        show(sock, data)
    resize_in_the_end(quick, data, "3M")
    guest.has(3 * MIB)
    assert restarts(quick) == 0
    guest.stop()


def test_requests_that_no_command_makes(quick, build):
    data, other = image(quick), image(quick, "other.raw")
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    pids = disks(quick)
    with connect() as sock:
        for flags in (os.O_RDONLY, os.O_WRONLY, os.O_PATH):
            show(sock, data, flags)
            assert hear(sock)[0] == REFUSED
        show(sock, other)
        assert hear(sock)[0] == REFUSED
        send(sock, RESIZE, b"", sock.fileno())
        assert hear(sock)[0] == REFUSED
        for number in (0, 1):
            send(sock, RESIZED, struct.pack("<I", number))
            assert hear(sock) == (REFUSED, "no disk of this VM waits for that")
        send(sock, RESIZED, struct.pack("<I", 2))
        assert sock.recv(512) == b""
    with connect() as sock:
        send(sock, RESIZE)
        assert sock.recv(512) == b""
    assert disks(quick) == pids
    with connect() as mine, connect() as another:
        show(mine, data)
        assert hear(mine)[0] == RESIZING
        send(another, RESIZED, struct.pack("<I", 1))
        assert hear(another)[0] == REFUSED
        send(mine, RESIZED, struct.pack("<I", 0))
        assert hear(mine)[0] == DONE
    guest.stop()


# ---- who is silent ----

# What a command has of a file that it changes (lib/files/lock.c): a byte by which it counts, and one by which it is named.
CHANGE, NAMED = 300, 301
F_OFD_GETLK, F_OFD_SETLK = 36, 37


def lock(kind, start):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, 1, 0)


def changes(path):
    """Whether somebody has the file to change it."""
    with open(path, "rb") as f:
        return struct.unpack("hhqqi4x", fcntl.fcntl(f, F_OFD_GETLK, lock(fcntl.F_WRLCK, CHANGE)))[0] != fcntl.F_UNLCK


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(child) for child in f.read().split()]


def test_who_says_nothing_more(quick, build):
    """It is connected, and has been told that nobody uses the file: the disk is taken back, and a later command has it."""
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    with connect() as sock:
        show(sock, data)
        assert hear(sock)[0] == RESIZING
        os.truncate(data, MIB)
        kind, why = hear(sock)
        assert kind == REFUSED and "the VM has taken the disk back" in why
        guest.has(MIB)
        send(sock, RESIZED, struct.pack("<I", 1))
        assert hear(sock) == (REFUSED, "no disk of this VM waits for that")
        resize(quick, data, "2M")
    guest.has(2 * MIB)
    assert f"process {os.getpid()}, which was to change the size of its disk, has said nothing for 15 s" in guest.stop()


def test_who_says_that_it_goes_on(quick, build):
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    with connect() as sock:
        show(sock, data)
        assert hear(sock)[0] == RESIZING
        sock.settimeout(2)
        for _ in range(9):  # longer than silence may last
            send(sock, GOES_ON)
            with pytest.raises(TimeoutError):
                hear(sock)
        assert disks(quick) == []
        sock.settimeout(60)
        send(sock, RESIZED, struct.pack("<I", 0))
        assert hear(sock)[0] == DONE
    guest.stop()


@pytest.mark.parametrize("form", ["raw", "qcow2"])
@pytest.mark.parametrize("apart", ["", ",parser=apart"])
def test_a_command_that_stands_still(quick, build, form, apart):
    """Stopped (Ctrl-Z) between its question and its change: it is ended by the kernel before the disk is served again, so
    that it changes nothing when it would go on, and the next one does."""
    data = image(quick) if form == "raw" else qcow2(quick)
    before = data.stat().st_size
    guest = Guest(quick, build, "--disk", f"{data},format={form}{apart}", "--allow", "qcow2")
    (disk,) = disks(quick)
    os.kill(disk, signal.SIGSTOP)
    command = quick.start("resize", NAME, data, "1M" if form == "raw" else "2M")
    wait.until(lambda: changes(data), "the command has the file")
    (worker,) = children(command.pid)
    os.kill(worker, signal.SIGSTOP)
    os.kill(disk, signal.SIGCONT)
    wait.until(lambda: disk not in disks(quick), "it has ended")
    _, err = command.communicate(timeout=60)
    assert command.returncode == 1 and "it stood still for too long, so that the VM has its disk back" in err
    wait.until(lambda: len(disks(quick)) == 1, "the disk is served")
    assert not changes(data)
    if form == "raw":
        assert data.stat().st_size == before
    resize_in_the_end(quick, data, "3M")
    guest.has(3 * MIB)
    guest.stop()
    if form == "qcow2":
        code, out, err = quick.call("image", "check", "-f", "qcow2", data)
        assert code == 0, out + err


@pytest.mark.parametrize("apart", ["", ",parser=apart"])
def test_who_keeps_the_file(quick, build, apart):
    """Silent, and it can still write: no process is started on its file, whoever asks is told who holds it up, and
    with its end all goes on."""
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw{apart}")
    server = "storage-file" if apart else "dev-blk"
    held = f"process {os.getpid()} "
    with connect() as sock, open(data, "r+b") as f:
        fcntl.fcntl(f, F_OFD_SETLK, lock(fcntl.F_WRLCK, CHANGE))
        fcntl.fcntl(f, fcntl.F_SETLK, lock(fcntl.F_WRLCK, NAMED))
        send(sock, RESIZE, b"", f.fileno())
        assert hear(sock)[0] == RESIZING
        refused(quick, (NAME, data, "2M"), 1, held + "changes it, or stands still there")
        assert hear(sock)[0] == REFUSED
        with connect() as other:  # one that does not look
            show(other, data)
            wait.until(lambda: told_who(other, data, held), "who holds it")
        assert disks(quick, server) == []
        # this process has closed the file elsewhere by now, and with that the lock that named it
        refused(quick, (NAME, data, "2M"), 1, "another process changes it: try again once that has ended")
        code, _, err = quick.call("run", "--kernel", quick.kernel, "--disk", f"{data},format=raw")
        assert code == 1 and "in use by another VM" in err
    wait.until(lambda: disks(quick, server) != [], "the disk is served")
    resize_in_the_end(quick, data, "1M")
    guest.has(MIB)
    said = guest.stop()
    assert said.count(f"is not started before {held}has closed its image") == 1, said


def told_who(sock, data, who):
    kind, why = hear(sock)
    assert kind == REFUSED
    if who + "was to change the size of a disk, and still has its image open" in why:
        return True
    show(sock, data)
    return False


def test_an_image_that_is_still_changed(quick, build):
    """Its VM has ended meanwhile: no other one gets it before that has, too."""
    data = image(quick)
    with open(data, "r+b") as f:
        fcntl.fcntl(f, F_OFD_SETLK, lock(fcntl.F_WRLCK, CHANGE))
        for options in ("", ",readonly=on"):
            code, _, err = quick.call("run", "--kernel", quick.kernel, "--disk", f"{data},format=raw{options}")
            assert code == 1 and "in use by another VM" in err, err
        code, _, err = quick.call("image", "resize", "-f", "raw", data, "1M")
        assert code == 1 and "in use" in err, err
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    guest.stop()


# ---- processes that break ----

def start(place, script, disk, *words):
    process = place.start("run", "--kernel", place.kernel, "--cmdline", script, "--name", NAME, "--disk", disk, *words)
    assert process.stdout.readline() == "the console\n", process.stderr.read()
    return process


def script_disk(place, script):
    """What dev-blk plays."""
    return f"{image(place, 'disk.raw')},format=raw" if script is None else \
        f"{place.file('disk.raw', script.encode().ljust(512, bytes([10])))},format=raw"


def test_a_disk_that_dies_instead(played):
    """It is told to end, and says why it cannot: it is started again as any, and the command is told."""
    process = start(played, f"{UP},ignore", script_disk(played, "enter,ready,end,exit:3"))
    with connect() as sock:
        show(sock, played.dir / "disk.raw")
        assert hear(sock)[0] == REFUSED
    wait.until(lambda: len(disks(played)) == 1, "it is started again")
    played.call("stop", NAME, "--now")
    _, err = process.communicate(timeout=60)
    assert "dev-blk ended by itself with status 3" in err, err
    played.wait_until_empty()


def test_a_vm_that_ends_meanwhile(quick, build):
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    with connect() as sock:
        show(sock, data)
        assert hear(sock)[0] == RESIZING
        assert quick.call("stop", NAME, "--now")[0] == 0
        guest.process.communicate(timeout=60)
    quick.wait_until_empty()


def test_a_launcher_that_is_gone(quick, build):
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    (launcher,) = [pid for pid, exe in quick.processes() if exe.endswith("/launcher")]
    os.kill(launcher, signal.SIGKILL)
    wait.until(lambda: not [1 for pid, exe in quick.processes() if exe.endswith("/launcher")], "its end")
    refused(quick, (NAME, data, "1M"), 1, "the launcher has ended")
    assert data.stat().st_size == 64 * KIB
    assert "the launcher has ended" in guest.stop()


def test_an_interrupted_command(quick, build):
    """The guest goes on, with the size that the file has."""
    data = image(quick)
    guest = Guest(quick, build, "--disk", f"{data},format=raw")
    command = quick.start("resize", NAME, data, "1M")
    command.send_signal(signal.SIGINT)
    command.communicate(timeout=60)
    resize_in_the_end(quick, data, "2M")
    guest.has(2 * MIB)
    guest.stop()
