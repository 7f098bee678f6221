# SPDX-License-Identifier: Apache-2.0
"""Devices that are attached to a VM that runs, and detached: the real command, supervisor and launcher; among
real processes with a guest that works what comes, and among played ones where something goes wrong."""

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess

import pytest

from bh import vm, wait
from bh.waiting import WaitingVM, place, played, quick  # pylint: disable=unused-import

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NAME = "attach-test"
SPARES = 8
QUERY, ADD, ADD_FILE, REMOVE, REFUSED = 32, 37, 38, 39, 50
PLUG, UNPLUG = "hear:20", "hear:21"
PLUGGED, NOT_PLUGGED, UNPLUGGED = "type:7.24", "type:8", "type:9.24"
UP, END = "enter,ready,event:1", "event:2"


class Guest(WaitingVM):
    """A VM whose guest works what comes (tests/guest/hotplug.c)."""

    def __init__(self, place, build, words="", *flags):
        super().__init__(place, build, NAME, "hotplug", words, flags)


def attached(place):
    _, out, _ = place.call("ps")
    names = re.search(rf"^{NAME} .*$", out, re.MULTILINE).group(0).split()[8]
    return [] if names == "-" else names.split(",")


def restarts(place):
    _, out, _ = place.call("ps")
    return int(re.search(rf"^{NAME} .*$", out, re.MULTILINE).group(0).split()[6])


def attach(place, *words):
    code, out, err = place.call("attach", NAME, *words)
    assert code == 0 and not err, err
    return out


def detach(place, name):
    assert place.call("detach", NAME, name) == (0, "", "")


def pids_of(place, name):
    return [pid for pid, exe in place.processes() if exe.endswith(f"/{name}")]


def image(place, name="data.raw", content=b"-" * 4096):
    path = place.file(name, content)
    os.chown(path, place.uid, place.gid)
    return path


# ---- it comes, works and goes ----

def test_devices_come_and_go(place, build):
    guest = Guest(place, build)
    data = image(place)
    before = place.processes()
    for _ in range(3):
        assert attach(place, "rng") == "rng-2 at 0000:00:18.0\n"
        guest.wait_for("came: 24")
        guest.wait_for("ok random bytes")
        assert attach(place, "disk", f"{data},format=raw,queues=2") == "disk-1 at 0000:00:19.0\n"
        guest.wait_for("came: 25")
        assert attach(place, "rng", "rate=2M") == "rng-3 at 0000:00:1a.0\n"
        assert attached(place) == ["rng-2", "disk-1", "rng-3"]
        assert len(place.processes()) == len(before) + 3
        detach(place, "rng-2")
        detach(place, "disk-1")
        assert attached(place) == ["rng-3"]
        detach(place, "rng-3")
        assert place.processes() == before
    assert guest.stop() == f"bulkhead: {NAME}: the guest powered off\n"


def test_each_has_an_id_of_its_own(quick, build):
    guest = Guest(quick, build)
    for _ in range(SPARES):
        attach(quick, "rng")
    ids = [os.stat(f"/proc/{pid}").st_uid for pid, exe in quick.processes()
           if os.path.basename(exe).startswith("dev-")]
    assert len(set(ids)) == len(ids) == 2 + SPARES
    guest.stop()


def test_the_audit_knows_them(quick, build):
    guest = Guest(quick, build, "", "--disk", f"{image(quick, 'first.raw')},format=raw")
    attach(quick, "rng")
    attach(quick, "disk", f"{image(quick)},format=raw")
    attach(quick, "disk", f"{image(quick, 'apart.raw')},format=raw,parser=apart")
    guest.wait_for("came: 26")
    os.kill(pids_of(quick, "dev-blk")[0], signal.SIGKILL)
    wait.until(lambda: restarts(quick) == 1, "a restart")
    code, out, err = quick.call("audit", NAME)
    assert "WEAKER" not in out and code == 0, out + err
    assert len(re.findall(r"^dev-blk .*declared$", out, re.MULTILINE)) == 3, out
    assert len(re.findall(r"^storage-file .*declared$", out, re.MULTILINE)) == 1, out
    guest.stop()


def test_qcow2_with_backing_files(place, build):
    """Its chain is opened by the command, its names go no further; a process that is started again has all of it."""
    guest = Guest(place, build, "", "--allow", "qcow2")
    base, folder = image(place, "base.raw", b"-" * 65536), place.dir / "images"
    folder.mkdir()
    os.chown(folder, place.uid, place.gid)
    said, below = "", (base, "raw")
    for n in range(3):
        path = folder / f"{n}.qcow2"
        code, _, err = place.call("image", "create", "-f", "qcow2", "-b", below[0], "-F", below[1], path)
        assert code == 0, err
        said, below = f",backing={below[0]},backing-format={below[1]}{said}", (path, "qcow2")
    before = place.processes()
    for _ in range(2):
        assert attach(place, "disk", f"{below[0]},format=qcow2{said}") == "disk-1 at 0000:00:18.0\n"
        for path in (base, folder / "0.qcow2"):  # others may read them, and nobody writes them
            code, _, err = place.call("attach", NAME, "disk", f"{path},format=raw")
            assert code == 1 and "in use" in err
        (pid,) = pids_of(place, "dev-blk")
        os.kill(pid, signal.SIGKILL)
        wait.until(lambda: restarts(place) > 0 and pids_of(place, "dev-blk") not in ([], [pid]), "a restart")
        detach(place, "disk-1")
        assert place.processes() == before
    code, _, err = place.call("attach", NAME, "disk", f"{below[0]},format=qcow2")
    assert code == 1 and "backing" in err and err.count("\n") == 1, err
    assert place.processes() == before
    guest.stop()


@pytest.mark.parametrize("words", ["parser=apart", "iops=100000,burst=10", "readonly=on,bps=1G"])
def test_one_with_a_storage_process(place, build, words):
    """Two processes come, each of them comes back, and both go."""
    guest = Guest(place, build)
    data = image(place)
    before, n = place.processes(), 0
    for _ in range(2):
        assert attach(place, "disk", f"{data},format=raw,{words}") == "disk-1 at 0000:00:18.0\n"
        guest.wait_for("came: 24")
        assert attached(place) == ["disk-1"] and len(place.processes()) == len(before) + 2
        for program in ("storage-file", "dev-blk", "storage-file"):
            n += 1
            os.kill(pids_of(place, program)[0], signal.SIGKILL)
            wait.until(lambda n=n: restarts(place) == n, "a restart")
        detach(place, "disk-1")
        assert place.processes() == before and attached(place) == []
    said = guest.stop()
    assert said.count("storage-file 1 was killed") == 4 and said.count("dev-blk 1 was killed") == 2, said


def test_two_places_for_one_disk(quick, build):
    guest = Guest(quick, build)
    ids = set()
    for i in range(SPARES // 2):
        assert attach(quick, "disk", f"{image(quick, f'{i}.raw')},format=raw,parser=apart").startswith(f"disk-{i + 1} ")
    assert {len(pids_of(quick, name)) for name in ("dev-blk", "storage-file")} == {SPARES // 2}
    ids = [os.stat(f"/proc/{pid}").st_uid for name in ("dev-blk", "storage-file") for pid in pids_of(quick, name)]
    assert len(set(ids)) == SPARES
    detach(quick, "disk-2")
    attach(quick, "rng")
    before = quick.processes()
    code, _, err = quick.call("attach", NAME, "disk", f"{image(quick)},format=raw,iops=9")
    assert code == 1 and "this disk has two processes" in err and err.count("\n") == 1, err
    assert quick.processes() == before
    assert attach(quick, "disk", f"{image(quick)},format=raw").startswith("disk-2 ")
    guest.stop()


@pytest.mark.parametrize("program", ["dev-blk", "storage-file"])
def test_one_of_two_is_stopped_while_it_goes(quick, build, program):
    """It is told to end, and does not: it is killed by whoever looks, and the other one ends as well."""
    guest = Guest(quick, build)
    before = quick.processes()
    attach(quick, "disk", f"{image(quick)},format=raw,parser=apart")
    guest.wait_for("came: 24")
    (pid,) = pids_of(quick, program)
    os.kill(pid, signal.SIGSTOP)
    command = quick.start("detach", NAME, "disk-1")
    wait.until(lambda: attached(quick) == [], "the guest has let go of it")
    assert command.poll() is None
    os.kill(pid, signal.SIGKILL)
    assert command.communicate(timeout=60) == ("", "") and command.returncode == 0
    assert quick.processes() == before
    attach(quick, "disk", f"{image(quick)},format=raw,parser=apart")
    guest.stop()


# ---- words and files that will not do: one line, and nothing is half-done ----

WRONG = {
    "no words": ((), 2, "attach: which VM is missing"),
    "no kind": ((NAME,), 2, "attach: the kind of device is missing"),
    "unknown kind": ((NAME, "floppy"), 2, "attach: 'floppy' is no device that can be attached: there are disk, rng"),
    "the console": ((NAME, "console"), 2, "attach: 'console' is no device that can be attached"),
    "a flag": ((NAME, "--rng"), 2, "attach: '--rng' will not do"),
    "too much": ((NAME, "rng", "rate=1M", "x"), 2, "attach: 'x' will not do"),
    "no file": ((NAME, "disk"), 2, "attach: the disk's image is missing"),
    "no format": ((NAME, "disk", "{data}"), 2, "the format is never guessed: say FILE,format=raw"),
    "wrong option": ((NAME, "disk", "{data},format=raw,colour=on"), 2, "a disk has format="),
    "wrong value": ((NAME, "rng", "rate=0"), 2, "rate must be bytes a second, 1 to 1G"),
    "no image, in a process behind": ((NAME, "disk", "{data},format=qcow2,parser=apart"), 1, "storage-file 2: "),
    "a server's": ((NAME, "disk", "nbd://localhost,format=qcow2"), 2, "serves is format=raw: its own files"),
    "a target's": ((NAME, "disk", "iscsi://localhost/iqn.2026-11.a:b/1,format=qcow2"), 2, "serves is format=raw: its own files"),
    "served by another": ((NAME, "disk", "vhost-user=/run/x"), 2, "a disk that is attached has a process of ours"),
    "inner option": ((NAME, "disk", "{data},format=raw,serial=x"), 2, "a disk has format="),
    "no such VM": (("no-such-vm", "rng"), 1, "no VM of yours is named 'no-such-vm'"),
    "no such file": ((NAME, "disk", "{data}.not,format=raw"), 1, "No such file or directory"),
    "a folder": ((NAME, "disk", "/tmp,format=raw"), 1, "Is a directory"),
    "a device": ((NAME, "disk", "/dev/null,format=raw"), 1, "/dev/null is a character device"),
    "odd size": ((NAME, "disk", "{odd},format=raw"), 1, "has 513 bytes: a multiple of 512 is right"),
    "in use here": ((NAME, "disk", "{first},format=raw"), 1, "is in use, by this VM or another"),
    "in use, to read": ((NAME, "disk", "{first},format=raw,readonly=on"), 1, "is in use, by this VM or another"),
}


def test_what_is_wrong_is_said_in_one_line(place, build):
    files = {"data": image(place), "odd": image(place, "odd.raw", b"-" * 513),
             "first": image(place, "first.raw")}
    guest = Guest(place, build, "", "--allow", "qcow2", "--disk", f"{files['first']},format=raw")
    before = place.processes()
    for what, (words, status, line) in WRONG.items():
        code, out, err = place.call("attach", *[w.format(**files) for w in words])
        assert code == status and out == "" and line in err and err.count("\n") == 1, (what, code, err)
    for words, line in (((), "which VM is missing"), ((NAME,), "which device is missing"),
                        ((NAME, "rng-1"), "rng-1: no device that was attached has that name"),
                        ((NAME, "rng-2"), "rng-2: no device that was attached has that name"),
                        ((NAME, "x", "--timeout", "x"), "--timeout: 'x' will not do"),
                        ((NAME, "x", "y"), "'y' will not do"), (("no-such-vm", "x"), "no VM of yours")):
        code, out, err = place.call("detach", *words)
        assert code in (1, 2) and out == "" and line in err and err.count("\n") == 1, (words, err)
    assert place.processes() == before and attached(place) == []
    attach(place, "disk", f"{files['data']},format=raw")
    assert guest.stop() == f"bulkhead: {NAME}: the guest powered off\n"


def test_a_file_that_its_user_may_not_open(build):
    place = vm.Place(build, user=True, real=True)
    guest = Guest(place, build)
    secret = place.file("secret.raw", b"-" * 4096)
    secret.chmod(0o600)
    code, _, err = place.call("attach", NAME, "disk", f"{secret},format=raw")
    assert code == 1 and err.endswith(f"{secret}: Permission denied\n")
    guest.stop()
    assert place.end() == []


def test_another_users_vm(quick, build):
    guest = Guest(quick, build)
    other = vm.Place(build, user=True)
    for verb in (("attach", NAME, "rng"), ("detach", NAME, "rng-1")):
        code, _, err = other.call(*verb)
        assert code == 1 and err == f"bulkhead: no VM of yours is named '{NAME}': see bulkhead ps\n"
    assert other.end() == []
    guest.stop()


def test_the_ninth_device(quick, build):
    guest = Guest(quick, build)
    for i in range(SPARES):
        assert attach(quick, "rng").startswith(f"rng-{i + 2} at ")
    before = quick.processes()
    code, _, err = quick.call("attach", NAME, "rng")
    assert code == 1
    assert err == f"bulkhead: {NAME}: rng: 8 devices are attached already: detach one of them first\n"
    assert quick.processes() == before
    detach(quick, "rng-4")
    assert attach(quick, "rng").startswith("rng-4 at ")
    guest.stop()


def test_one_disk_goes_from_one_vm_to_another(quick, build):
    """Its lock ends with its device."""
    guest = Guest(quick, build)
    data = image(quick)
    for _ in range(3):
        attach(quick, "disk", f"{data},format=raw")
        code, _, err = quick.call("attach", NAME, "disk", f"{data},format=raw")
        assert code == 1 and "in use" in err
        detach(quick, "disk-1")
    guest.stop()


@pytest.mark.parametrize("flags,line", [
    (("--on-crash", "stop"), "a VM that was started with --on-crash stop has no launcher"),
])
def test_a_vm_that_takes_no_more(quick, build, flags, line):
    guest = Guest(quick, build, "", *flags)
    code, _, err = quick.call("attach", NAME, "rng")
    assert code == 1 and line in err and err.count("\n") == 1
    guest.stop()


# ---- guests of all kinds ----

def test_a_guest_that_keeps_it(quick, build):
    guest = Guest(quick, build, "stubborn")
    attach(quick, "rng")
    code, _, err = quick.call("detach", NAME, "rng-2", "--timeout", "1")
    assert code == 1 and err == (f"bulkhead: {NAME}: its guest has not let go of rng-2 in 1 s: it still may, "
                                 "and does when it reboots\n")
    assert attached(quick) == ["rng-2"]
    guest.wait_for("is to go: 24")
    assert quick.call("detach", NAME, "rng-2", "--timeout=0")[0] == 1  # it is asked once more
    guest.wait_for("is to go: 24")
    guest.stop()


def test_a_guest_that_lets_go_unasked(quick, build):
    guest = Guest(quick, build, "unasked all")
    before = quick.processes()
    for _ in range(3):
        attach(quick, "rng")
        guest.wait_for("ejected")
        wait.until(lambda: quick.processes() == before, "its process is gone")
        assert attached(quick) == []
    guest.stop()


def test_a_guest_that_reboots_finds_it(quick, build):
    guest = Guest(quick, build, "reset")
    attach(quick, "rng")
    guest.wait_for("was there: 24")
    guest.wait_for("waiting")
    wait.until(lambda: attached(quick) == [], "the guest has let go of it")
    guest.stop()


def test_a_killed_one_is_started_again(place, build):
    guest = Guest(place, build)
    attach(place, "rng")
    guest.wait_for("ok random bytes")
    (first, second) = pids_of(place, "dev-rng")
    os.kill(max(first, second), signal.SIGKILL)
    wait.until(lambda: restarts(place) == 1, "a restart")
    assert attached(place) == ["rng-2"]
    detach(place, "rng-2")
    assert restarts(place) == 1
    said = guest.stop()
    assert "dev-rng 2 was killed by signal KILL (9)" in said and said.count("started again") == 1


def test_a_vm_that_is_ended_takes_them_with_it(quick, build):
    guest = Guest(quick, build)
    for _ in range(3):
        attach(quick, "rng")
    assert quick.call("stop", NAME, "--now")[0] == 0
    guest.process.communicate(timeout=60)
    quick.wait_until_empty()


# ---- processes that break ----

def start(place, script, *words):
    process = place.start("run", "--kernel", place.kernel, "--cmdline", script, "--name", NAME, *words)
    assert process.stdout.readline() == "the console\n", process.stderr.read()
    return process


def script_disk(place, script):
    """What dev-blk plays."""
    return f"{image(place, 'disk.raw', script.encode().ljust(512, bytes([10])))},format=raw"


def finish(process, place):
    assert place.call("stop", NAME)[0] == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return vm.without_host(err)


@pytest.mark.parametrize("script,line", [
    ("enter,failed:no good,exit:1", "dev-blk 1: no good"),
    ("enter,exit:3", "dev-blk 1 ended by itself with status 3"),
    ("crash", "dev-blk 1 was killed by signal ILL (4)"),
    ("enter,call:2", "dev-blk 1 was stopped by its filter: system call open (2)"),
    ("enter,event:1,ignore", "dev-blk 1 broke the control protocol"),
])
def test_a_process_that_does_not_get_ready(played, script, line):
    process = start(played, f"{UP},power,{END}")
    before = played.processes()
    disk = script_disk(played, script)
    for _ in range(2):  # the second time the file is free
        code, _, err = played.call("attach", NAME, "disk", disk)
        assert code == 1 and err.startswith(f"bulkhead: {NAME}: disk: dev-blk 1") and line in err, err
        assert err.count("\n") == 1
        assert played.processes() == before
    assert finish(process, played) == f"bulkhead: {NAME}: the guest powered off\n"


def test_a_vmm_that_does_not_take_it(played):
    process = start(played, f"{UP},{PLUG},{NOT_PLUGGED},{PLUG},{PLUGGED},power,{END}")
    before = played.processes()
    disk = script_disk(played, "enter,ready,wait")
    code, _, err = played.call("attach", NAME, "disk", disk)
    assert code == 1 and err == f"bulkhead: {NAME}: disk: \n"
    assert played.processes() == before and attached(played) == []
    attach(played, "disk", disk)
    finish(process, played)


@pytest.mark.parametrize("said", [PLUGGED, NOT_PLUGGED, UNPLUGGED, f"{PLUG},{UNPLUGGED}",
                                  f"{PLUG},{PLUGGED},type:9.25", f"{PLUG},{PLUGGED},{PLUGGED}",
                                  f"{PLUG},{PLUGGED},{UNPLUGGED},{UNPLUGGED}"])
def test_a_vmm_that_says_what_cannot_be(played, said):
    process = start(played, f"{UP},{said},ignore")
    with contextlib.suppress(subprocess.TimeoutExpired):
        if PLUG in said:
            played.call("attach", NAME, "rng")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert err.endswith(": vmm broke the control protocol\n"), err
    played.wait_until_empty()


@pytest.mark.parametrize("answer", [PLUGGED, NOT_PLUGGED])
def test_a_process_that_dies_while_the_vmm_has_not_answered(played, answer):
    process = start(played, f"{UP},{PLUG},sleep:700,{answer},power,{END}")
    disk = script_disk(played, "enter,ready,sleep:200,exit:3")
    code, out, err = played.call("attach", NAME, "disk", disk)
    if answer == PLUGGED:
        assert code == 0 and out.startswith("disk-1 at ")
        wait.until(lambda: restarts(played) > 0, "it is started again")
    else:
        assert code == 1 and "dev-blk 1 ended by itself with status 3" in err
        assert attached(played) == []
    assert "the guest powered off" in finish(process, played)


def test_one_that_is_lost_for_good_does_not_end_the_vm(played):
    """It crashes at every start: the guest is asked to let go of it, and then the file is free again."""
    process = start(played, f"{UP},{PLUG},{PLUGGED},{UNPLUG},{UNPLUGGED},{PLUG},{PLUGGED},power,{END}")
    before = played.processes()
    disk = script_disk(played, "enter,ready,sleep:50,crash")
    attach(played, "disk", disk)
    wait.until(lambda: attached(played) == [], "it has gone")
    wait.until(lambda: played.processes() == before, "its process, too")
    disk = script_disk(played, "enter,ready,wait")
    attach(played, "disk", disk)
    said = finish(process, played)
    assert "dev-blk 1 was killed by signal ILL (4); it was started again 5 times, and is not once more" in said


def test_a_command_that_does_not_wait(played):
    process = start(played, f"{UP},{PLUG},sleep:500,{PLUGGED},{UNPLUG},sleep:500,{UNPLUGGED},power,{END}")
    before = played.processes()
    command = played.start("attach", NAME, "rng")
    wait.until(lambda: len(pids_of(played, "dev-rng")) == 2, "its process")
    command.kill()
    command.communicate()
    wait.until(lambda: attached(played) == ["rng-2"], "it is there all the same")
    command = played.start("detach", NAME, "rng-2")
    command.kill()
    command.communicate()
    if attached(played):  # the command was killed before it had asked, or the guest has not answered
        played.call("detach", NAME, "rng-2")
    wait.until(lambda: played.processes() == before, "it has gone")
    finish(process, played)


def test_without_a_launcher(played):
    process = start(played, f"{UP},{PLUG},{PLUGGED},{UNPLUG},{UNPLUGGED},power,{END}")
    attach(played, "rng")
    os.kill(pids_of(played, "launcher")[0], signal.SIGKILL)
    code, _, err = played.call("attach", NAME, "rng")
    assert code == 1 and err.endswith(": the launcher has ended: this VM takes no more devices\n")
    former = max(pids_of(played, "dev-rng"))
    detach(played, "rng-2")
    assert former not in pids_of(played, "dev-rng")
    assert "the launcher has ended" in finish(process, played)


def test_one_that_dies_without_a_launcher(played):
    process = start(played, f"{UP},{PLUG},{PLUGGED},{UNPLUG},{UNPLUGGED},power,{END}")
    attach(played, "rng")
    os.kill(pids_of(played, "launcher")[0], signal.SIGKILL)
    wait.until(lambda: not pids_of(played, "launcher"), "its end")
    os.kill(max(pids_of(played, "dev-rng")), signal.SIGKILL)
    wait.until(lambda: attached(played) == [], "the guest has let go of it")
    assert "dev-rng 2 was killed by signal KILL (9)" in finish(process, played)


# ---- a client of one's own ----

@pytest.fixture
def client(played):
    process = start(played, f"{UP},{PLUG},{PLUGGED},power,{END}", "--allow", "virtio-net,net-relay")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    (name,) = {line.split()[-1] for line in open("/proc/net/unix", encoding="ascii")
               if line.rstrip().endswith(NAME) and "@" in line} or {None}
    if name is None:
        pytest.skip("the VM has no abstract name")
    sock.connect("\0" + name[1:])
    sock.settimeout(60)
    yield played, sock
    sock.close()
    finish(process, played)


def ask(sock, type_, text, *fds):
    payload = text.encode()
    socket.send_fds(sock, [struct.pack("<HHI", type_, 0, len(payload)) + payload], list(fds))
    packet = sock.recv(512)
    return struct.unpack_from("<H", packet)[0], packet[8:].decode("ascii")


def test_requests_that_no_command_makes(client):
    place, sock = client
    before = place.processes()
    data = image(place)
    reader, both = os.open(data, os.O_RDONLY), os.open(data, os.O_RDWR)
    ends = os.pipe()
    for type_, text, fds, line in (
            (ADD, "", (), "there is no such kind"), (ADD, "disk,format=raw", (), "not how it is attached"),
            (ADD, "console", (), "there is no such kind"), (ADD_FILE, "rng", (both,), "not how it is attached"),
            (ADD, "rng,rate=0", (), "rate must be"), (ADD, "rng,,", (), "a rng has rate="),
            (ADD_FILE, "disk,format=raw", (reader,), "no file that is open for all"),
            (ADD_FILE, "disk,format=raw,readonly=on", (both,), "no file that is open for all"),
            (ADD_FILE, "disk,format=raw", (ends[0],), "no file that is open for all"),
            (ADD_FILE, "disk,format=raw", (sock.fileno(),), "no file that is open for all"),
            (ADD_FILE, "disk,format=raw" + ",readonly=off" * 28, (both,), "its options are too long"),
            (ADD_FILE, "disk,format=raw,backing=/etc/passwd,backing-format=raw", (both,), ""),
            (ADD_FILE, "disk,format=qcow2,backing=+,backing-format=raw", (both,), "not how it is attached"),
            (REMOVE, "", (), "no device that was attached"), (REMOVE, "x" * 400, (), "no device that was attached")):
        said, why = ask(sock, type_, text, *fds)
        assert said == REFUSED and line in why, (text, why)
    for fd in (reader, both, *ends):
        os.close(fd)
    assert place.processes() == before and attached(place) == []
    attach(place, "disk", script_disk(place, "enter,ready,wait"))


def test_two_at_once(client):
    """The second is told to try again, or comes after the first."""
    place, sock = client
    both = os.open(script_disk(place, "enter,sleep:500,ready,wait").split(",")[0], os.O_RDWR)
    payload = b"disk,format=raw"
    socket.send_fds(sock, [struct.pack("<HHI", ADD_FILE, 0, len(payload)) + payload], [both])
    os.close(both)
    wait.until(lambda: pids_of(place, "dev-blk"), "the first one's process")
    code, _, err = place.call("attach", NAME, "rng")
    assert code == 1 and err.endswith(": another device is being attached: try again\n")
    assert struct.unpack_from("<H", sock.recv(512))[0] == 55


def test_a_kind_whose_program_is_not_there(played):
    (played.dir / "cmd/dev-blk/dev-blk").unlink()
    process = start(played, f"{UP},{PLUG},{PLUGGED},power,{END}")
    code, _, err = played.call("attach", NAME, "disk", f"{image(played)},format=raw")
    assert code == 1
    assert err == f"bulkhead: {NAME}: disk: the program dev-blk was not there when the VM was started\n"
    attach(played, "rng")
    finish(process, played)
