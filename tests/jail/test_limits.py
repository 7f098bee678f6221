# SPDX-License-Identifier: Apache-2.0
"""The VM's control group: every limit really exceeded, by code in a process that no filter holds
back; out of reach of the limited; and nothing left behind, whoever is killed.

Needs cgroup v2 with its controllers, as the lab has; JAIL_TEST_DISK is a block device to read.
"""

import json
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time

import pytest

from bh import tap, vm, wait

CGROUP = pathlib.Path("/sys/fs/cgroup")
KEEPER = 0x61ffffff
RANGE = 0x62000000
RUNNING, POWEROFF = 1, 2
SPARES = 8  # devices that may be attached
BLK = 9  # MiB of a dev-blk, the largest device: pages of its image, and a redo log
BEHIND = 52 - BLK  # that storage-nbd, the largest, takes more than a device; it has a place of its own
UP = f"enter,ready,event:{RUNNING}"
END = f"event:{POWEROFF}"
DISK = os.environ.get("JAIL_TEST_DISK")
OTHER_DISK = os.environ.get("JAIL_TEST_OTHER_DISK")
QUOTA_US = 25000

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not (CGROUP / "cgroup.controllers").exists(),
    reason="needs root and cgroup v2")


def groups(top=CGROUP):
    """The VMs' groups."""
    return sorted(p for p in (top / "bulkhead").glob("*") if p.is_dir())


@pytest.fixture(scope="module")
def places(build):
    """Programs and files, for root and for ordinary users, without and with subordinate ids."""
    made = {who: vm.place_of(build, who) for who in ("root", "user", "subids")}
    yield made
    for place_ in made.values():
        place_.close()


@pytest.fixture
def place(places):
    yield places["root"]
    assert places["root"].kill() == []
    assert groups() == []


@pytest.fixture(params=["user"])
def delegated(request, places):
    """An ordinary user in a group that it may change, as systemd's Delegate= makes one."""
    place_ = places[request.param]
    uid, gid = place_.uid, place_.gid
    top = CGROUP / "delegated"
    top.mkdir()
    (top / "cgroup.subtree_control").write_text("+cpu +io +memory +pids")
    inner = top / "shell"
    inner.mkdir()
    for path in (top, *(top / f for f in ("cgroup.procs", "cgroup.subtree_control"))):
        os.chown(path, uid, gid)
    os.chown(inner / "cgroup.procs", uid, gid)
    place_.top, place_.inner = top, inner
    place_.command = lambda *words: [
        "sh", "-c", f'echo 0 >{place_.inner}/cgroup.procs; exec "$@"', "sh",
        *vm.Place.command(place_, *words)]
    yield place_
    assert place_.kill() == []
    left = sorted(p.name for p in top.iterdir() if p.is_dir())
    for name in left:
        wait_until_empty(top / name)
        (top / name).rmdir()
    wait_until_empty(top)
    top.rmdir()
    assert left == (["shell"] if place_.inner == inner else ["bulkhead.outside", "shell"])


def wait_until_empty(group):
    wait.until(lambda: not (group / "cgroup.procs").read_text(), f"{group} is empty")


def start(place_, script=f"{UP},power,{END}", *words):
    process = place_.start("run", "--kernel", place_.kernel, "--cmdline", script, *words)
    assert process.stdout.readline() == "the console\n"
    return process


def finish(process, place_):
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert place_.processes() == []
    return err


def only_group(top=CGROUP):
    (group,) = groups(top)
    return group


def script_disk(place_, script):
    path = place_.file("disk.raw", script.encode().ljust(512, b"\n"))
    return ["--disk", f"{path},format=raw"]


def values(group, name):
    return dict(line.rsplit(" ", 1) for line in (group / name).read_text().splitlines())


def named(place_, name):
    return [pid for pid, exe in place_.processes() if exe.endswith(f"/{name}")]


# ---- what is set, and by whom it can be changed ----

def test_defaults(place):
    process = start(place, f"{UP},power,{END}", "--memory", "256M", "--cpus", "2",
                    *script_disk(place, "enter,ready,wait"))
    guest = only_group() / "guest"
    assert int((guest / "memory.max").read_text()) == (256 + 16 + 128 + BLK + 2 * 8 + SPARES * BLK + SPARES // 2 * BEHIND) << 20
    assert (guest / "memory.oom.group").read_text() == "1\n"
    swap = guest / "memory.swap.max"
    assert not swap.exists() or swap.read_text() == "0\n"
    assert (guest / "pids.max").read_text() == f"{1 + 2 + 11 + 1 + 1 + SPARES * 11}\n"
    assert (guest / "cpu.max").read_text() == "max 100000\n"
    held = {int(p) for p in (guest / "cgroup.procs").read_text().split()}
    assert held == {pid for name in vm.PROCESSES for pid in named(place, name)}
    assert len(held) == 4
    assert (only_group() / "supervisor/cgroup.procs").read_text().split() == [
        str(p) for p in sorted(named(place, "supervisor") + named(place, "launcher"))
        if p != keeper_of(place)]
    assert "this host does not give" not in finish(process, place)


def keeper_of(place_):
    (pid,) = [p for p in named(place_, "supervisor")
              if pathlib.Path(f"/proc/{p}/comm").read_text() == "keeper\n"]
    return pid


def test_none_of_the_limited_may_change_a_limit(place):
    """Every file is root's, but the two that starting a process takes."""
    process = start(place)
    group = only_group()
    for path in [group, *group.rglob("*")]:
        owner = path.stat().st_uid
        assert not path.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP), path
        if path in (group / "cgroup.procs", group / "guest/cgroup.procs"):
            assert RANGE <= owner < RANGE + (1 << 26), path
        else:
            assert owner == 0, path
    finish(process, place)


def test_keeper_is_confined(place):
    process = start(place)
    pid = keeper_of(place)
    status = dict(line.split(":\t", 1) for line in
                  pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(KEEPER)] * 3 + ["0"]  # for files: PLACE's owner
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert status["CapPrm"].strip("0") == "" and status["Groups"].strip() == ""
    held = {fd: os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    group = str(only_group())
    assert held == {"0": "/dev/null", "1": "/dev/null", "2": "/dev/null",
                    "3": str(CGROUP), "4": str(CGROUP / "bulkhead"), "5": group,
                    "6": f"{group}/guest/cgroup.kill", "7": f"{group}/network/cgroup.kill"}
    finish(process, place)


# ---- limits exceeded ----

def test_memory(place):
    code, _, err = place.run(f"{UP},wait", "--limit-memory", "64M",
                             *script_disk(place, "grow:128,enter,ready,wait"))
    assert code == 5
    assert err.endswith(": the VM went over its memory limit: the kernel has ended it\n")


@pytest.mark.parametrize("what", ["restart", "pause"])
def test_memory_while_the_guest_runs(place, what):
    """A device that would be started again, or waited for, is not: the limit is the VM's, which has ended."""
    code, _, err = place.run(f"{UP},wait", "--limit-memory", "64M", "--on-crash", what,
                             *script_disk(place, "ready,sleep:500,grow:128,wait"))
    assert code == 5
    assert err.endswith(": the VM went over its memory limit: the kernel has ended it\n"), err
    assert "started again" not in err and "paused" not in err


def test_memory_of_a_group_around(place):
    """Or of the host: the VM has not reached its own limit."""
    around = CGROUP / "around"
    around.mkdir()
    (around / "memory.max").write_text("96M")
    swap = around / "memory.swap.max"
    if swap.exists():
        swap.write_text("0")
    code, _, err = place.run(f"{UP},wait", "--cgroup", str(around), "--limit-memory", "none",
                             *script_disk(place, "grow:128,enter,ready,wait"))
    for path in (around / "bulkhead", around):
        if path.exists():
            path.rmdir()
    assert code == 5
    assert err.endswith(" was killed by the kernel: memory ran out, of the host or of a control "
                        "group around the VM\n"), err


def test_killed_by_another_program(place):
    process = start(place, f"{UP},ignore")
    (pid,) = named(place, "vmm")
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 5
    assert err.endswith(": vmm was killed by signal KILL (9), by another program\n"), err


def test_memory_within_the_limit(place):
    code, _, err = place.run(f"{UP},sleep:500,{END}", "--limit-memory", "192M",
                             *script_disk(place, "grow:128,enter,ready,wait"))
    assert code == 0, err


@pytest.mark.parametrize("words,expected", [((), 2 + 9 + SPARES * 11), (("--limit-tasks", "20"), 20 - 4)])
def test_tasks(place, words, expected):
    """4 processes run, but no vCPU here and no thread of the disk; 8 disks more could be attached."""
    process = start(place, f"{UP},power,{END}", *words, *script_disk(place, "forks:1000,enter,ready,wait"))
    while "made" not in (line := process.stderr.readline()):
        assert line, "ended"
    assert line.endswith(f"dev-blk: warning: made {expected}\n"), line
    finish(process, place)


def test_cpu(place):
    """A busy loop gets its quota of each period, whatever the clock does."""
    process = start(place, f"{UP},power,{END}", "--limit-cpu", "25%")
    guest = only_group() / "guest"
    assert (guest / "cpu.max").read_text() == f"{QUOTA_US} 100000\n"
    finish(process, place)

    process = place.start("run", "--kernel", place.kernel, "--cmdline", "burn", "--limit-cpu", "25%")
    deadline = time.monotonic() + 120
    while not groups() or int(values(only_group() / "guest", "cpu.stat")["nr_throttled"]) < 10:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    used = values(only_group() / "guest", "cpu.stat")
    assert int(used["usage_usec"]) < (int(used["nr_periods"]) + 3) * QUOTA_US * 1.2, used
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)


@pytest.mark.skipif(not DISK, reason="JAIL_TEST_DISK names no block device")
@pytest.mark.parametrize("work,said,limit", [
    ("read:2048", "read", "rbps=512K"), ("read:2048", "read", "riops=8"),
    ("write:512", "written", "wbps=128K"), ("write:512", "written", "wiops=32")])
def test_io(place, work, said, limit):
    """Four seconds' work: 32 pieces are read, or 128 written, and each is an operation at least."""
    with open(DISK, "r+b", buffering=0) as f:
        f.write(f"{work},enter,ready,wait".encode().ljust(512, b"\n"))
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    device = os.stat(DISK).st_rdev
    started = time.monotonic()
    process = start(place, f"{UP},power,{END}", "--limit-io", limit, "--disk", f"{DISK},format=raw")
    guest = only_group() / "guest"
    line = (guest / "io.max").read_text()
    assert line.startswith(f"{os.major(device)}:{os.minor(device)} "), line
    while f"{said}\n" not in (text := process.stderr.readline()):
        assert text, "ended"
    assert time.monotonic() - started > 2.9
    finish(process, place)


@pytest.mark.skipif(not DISK, reason="JAIL_TEST_DISK names no block device")
def test_a_reset_waits_for_a_slow_disk(build):
    """8 MiB are in flight, more than the time that a silent device has: it is waited for."""
    with open(DISK, "r+b", buffering=0) as f:
        script = f.read(512)  # of a played dev-blk: for the other tests
        f.seek(0)
        f.write(bytes(512))
        os.fsync(f.fileno())
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    real = vm.Place(build, real=True)
    try:
        code, out, err = real.call("run", "--accel", "soft", "--kernel",
                                   build / "tests/guest/slow-reset.elf", "--memory", "64M",
                                   "--console", "raw", "--cmdline", "test", "--limit-io", "rbps=400K",
                                   "--disk", f"{DISK},format=raw", timeout=300)
    finally:
        real.close()
        with open(DISK, "r+b", buffering=0) as f:
            f.write(script)
    assert code == 0 and "FAILED" not in out, f"{out}{err}"
    assert out.count("resets\n") == 1 and out.count("ok read\n") == 2, f"{out}{err}"


@pytest.mark.skipif(not OTHER_DISK, reason="JAIL_TEST_OTHER_DISK names no block device")
def test_io_of_a_disk_that_is_attached(place):
    """The limits of the VM's first disk are those of one that is attached."""
    for disk in (DISK, OTHER_DISK):
        with open(disk, "r+b", buffering=0) as f:
            f.write(b"enter,ready,wait".ljust(512, b"\n"))
    process = start(place, f"{UP},hear:20,type:7.24,power,{END}", "--limit-io", "wiops=32,rbps=1M",
                    "--name", "limits", "--disk", f"{DISK},format=raw")
    code, _, err = place.call("attach", "limits", "disk", f"{OTHER_DISK},format=raw")
    assert code == 0, err
    lines = dict(line.split(" ", 1) for line in (only_group() / "guest/io.max").read_text().splitlines())
    devices = [os.stat(name).st_rdev for name in (DISK, OTHER_DISK)]
    assert sorted(lines) == sorted(f"{os.major(d)}:{os.minor(d)}" for d in devices)
    assert set(lines.values()) == {"rbps=1048576 wbps=max riops=max wiops=32"}
    finish(process, place)


# ---- programs that are its network ----

NETWORK = ("ip link set lo up && ip tuntap add v0 mode tap && ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up && "
           "ip route add default via 10.9.0.254")
MOST_PASSTS = SPARES // 2  # that are attached: each takes two places
PASST_MEMORY = 128 << 20
NEEDS_PASST = pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")


def with_network(body):
    def run():
        subprocess.run(NETWORK, shell=True, check=True)
        return body()

    return tap.apart(run)


def passts_of(group):
    pids = (group / "network/cgroup.procs").read_text().split()
    return [pid for pid in pids if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() in ("passt", "passt.avx2")]


@NEEDS_PASST
def test_a_passt_has_limits_of_its_own(place):
    """It is born in its group, so that all that it ever took counts there, and nothing of it as the VM's."""
    def body():
        process = start(place, f"{UP},power,{END}", "--net=user", "--name", "user", "--allow", "virtio-net,net-relay")
        network = only_group() / "network"
        assert int((network / "memory.max").read_text()) == (1 + MOST_PASSTS) * PASST_MEMORY
        assert (network / "pids.max").read_text() == f"{4 * (1 + MOST_PASSTS)}\n"
        [pid] = passts_of(only_group())
        assert len((network / "cgroup.procs").read_text().split()) == 2  # and its guard
        anon = int(values(network, "memory.stat")["anon"])
        assert 0 < anon < int((network / "memory.current").read_text()) < PASST_MEMORY
        finish(process, place)
        assert not os.path.exists(f"/proc/{pid}")

    with_network(body)


@NEEDS_PASST
def test_a_passt_that_does_not_end_is_ended(place):
    """Nor does one that is attached stay, nor the group of either."""
    def body():
        process = start(place, f"{UP},hear:20,type:7.24,power,{END}", "--net=user", "--name", "user",
                        "--allow", "virtio-net,net-relay")
        code, _, err = place.call("attach", "user", "net", "user")
        assert code == 0, err
        pids = passts_of(only_group())
        assert len(pids) == 2
        for pid in pids:
            os.kill(int(pid), signal.SIGSTOP)
        for pid in named(place, "supervisor"):
            if pid != keeper_of(place):
                os.kill(pid, signal.SIGKILL)
        process.communicate(timeout=120)
        wait.until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids), "both passts end")
        assert groups() == []

    with_network(body)


@NEEDS_PASST
@pytest.mark.parametrize("delegated", ["user", "subids"], indirect=True)
def test_a_users_passt(delegated):
    def body():
        process = start(delegated, f"{UP},power,{END}", "--net=user", "--allow", "virtio-net,net-relay",
                        "--cgroup", delegated.top)
        [pid] = passts_of(only_group(delegated.top))
        assert os.stat(f"/proc/{pid}").st_uid == delegated.uid
        finish(process, delegated)

    with_network(body)


# ---- a segment ----

SEGMENT_MEMORY, SEGMENT_TASKS = 96 << 20, 4
# In the group, and none of it: as many more as there is room for, and one.
FORKS = """
import os, sys, time
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
n = 0
try:
    for n in range(10):
        if os.fork() == 0:
            time.sleep(60)
except BlockingIOError:
    print("forked", n, flush=True)
os.killpg(0, 9)
"""
EATS = """
import sys
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
print("eats", flush=True)
kept = [bytearray(b"x" * (1 << 20)) for _ in range(200)]
print("ate", flush=True)
"""


@pytest.fixture
def segment(build):
    """Two VMs of the shipped programs on one, without a network but that; and its group."""
    place_ = vm.Place(build, real=True)
    guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    for n in (1, 2):
        code, _, err = place_.call("run", "--accel", "soft", "--kernel", guest, "--memory", "64M", "--name", f"s{n}", "--detach",
                                   "--allow", "net-switch,virtio-net", "--net", f"switch=lab,mac=52:54:00:00:00:0{n}")
        assert code == 0, err
    (group,) = groups_of_segments()
    yield place_, group
    for n in (1, 2):
        place_.call("stop", "--now", f"s{n}")
    place_.wait_until_empty()
    wait.until(lambda: not (group / "cgroup.procs").read_text(), "the segment ends with its last VM")
    # the next start of any VM takes it away
    assert place_.call("run", "--accel", "soft", "--kernel", guest, "--memory", "64M", "--name", "next", "--detach")[0] == 0
    assert groups_of_segments() == []
    assert place_.call("stop", "next")[0] == 0
    place_.wait_until_empty()
    place_.close()
    assert groups() == []


def groups_of_segments():
    return [group for group in groups() if group.name.startswith("segment+lab.")]


def comms(group):
    return sorted(pathlib.Path(f"/proc/{pid}/comm").read_text().strip() for pid in (group / "cgroup.procs").read_text().split())


def in_group(script, group):
    done = subprocess.run(["/usr/bin/python3", "-c", script, str(group)], stdout=subprocess.PIPE, text=True, start_new_session=True,
                          timeout=120, check=False)
    return done.returncode, done.stdout


def test_a_segment_has_limits_of_its_own(segment):
    """Its two processes are bounded together, and by no VM's group."""
    place_, group = segment
    assert comms(group) == ["net-switch", "switch-keeper"]
    assert {name: (group / name).read_text().strip() for name in ("memory.max", "pids.max", "memory.oom.group", "memory.swap.max")
            if (group / name).exists()}.items() >= {"memory.max": str(SEGMENT_MEMORY), "pids.max": str(SEGMENT_TASKS),
                                                    "memory.oom.group": "1"}.items()
    audit = json.loads(place_.call("audit", "--json", "s2")[1])["audits"][0]["findings"]
    assert [f for f in audit if f["grade"] == "weaker"] == []
    assert any(f"net-switch, process" in f["is"] and f"in its segment's control group: " in f["is"] and
               f" {SEGMENT_MEMORY} at most, tasks {SEGMENT_TASKS}" in f["is"] for f in audit), audit
    assert in_group(FORKS, group) == (-signal.SIGKILL, f"forked {SEGMENT_TASKS - 3}\n")
    assert place_.call("stop", "s1")[0] == 0
    assert comms(group) == ["net-switch", "switch-keeper"]  # of the other VM


def test_a_segment_that_takes_too_much_ends_alone(segment):
    """Both go, and no VM does."""
    place_, group = segment
    assert in_group(EATS, group) == (-signal.SIGKILL, "eats\n")
    wait_until_empty(group)
    assert all(f"s{n} " in place_.call("ps")[1] for n in (1, 2))


# ---- words that cannot be done ----

def test_refused(place):
    for words, text in [
        (("--limit-tasks", "3"), "--limit-tasks: this VM has up to 4 tasks, not 3"),
        (("--cgroup", "/tmp"), "--cgroup: /tmp: it is no directory of a cgroup v2 hierarchy"),
        (("--cgroup", "/sys/fs/cgroup/no"), "it is no directory of a cgroup v2 hierarchy"),
    ]:
        code, _, err = place.run(f"{UP},{END}", *words)
        assert code == 1 and text in err and err.count("\n") == 1, words


@pytest.mark.skipif(not DISK, reason="JAIL_TEST_DISK names no block device")
def test_io_of_a_name_that_changes(place):
    """The limit is of the disk that was opened, whatever its name stands for while that happens."""
    link, other = place.dir / "link", place.file("other.raw", bytes(1 << 20))
    limited = threading.Event()

    def turn():
        while not limited.is_set():
            for target in (DISK, other):
                (place.dir / "next").symlink_to(target)
                os.replace(place.dir / "next", link)

    link.symlink_to(DISK)
    turner = threading.Thread(target=turn)
    turner.start()
    device = os.stat(DISK).st_rdev
    try:
        for _ in range(20):
            process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},power,{END}",
                                  "--limit-io", "rbps=512K", "--disk", f"{link},format=raw")
            if process.stdout.readline() != "the console\n":
                assert "is not on a disk that can be limited" in process.communicate()[1]
                continue
            (blk,) = named(place, "dev-blk")
            opened = os.stat(f"/proc/{blk}/fd/5")
            line = (only_group() / "guest/io.max").read_text()
            assert opened.st_rdev == device and line.startswith(
                f"{os.major(device)}:{os.minor(device)} "), (line, opened)
            finish(process, place)
    finally:
        limited.set()
        turner.join()


def test_io_of_a_file_on_no_disk(place):
    code, _, err = place.run(f"{UP},{END}", "--limit-io", "rbps=1M", *script_disk(place, "wait"))
    if code == 0:
        pytest.skip("the tests' folder is on a disk here")
    assert code == 1 and "is not on a disk that can be limited" in err


# ---- nothing is left behind ----

def test_gone_with_the_command(place):
    """When the command returns, the group is gone, not a moment later."""
    assert place.run(f"{UP},{END}")[0] == 0
    assert groups() == []


def test_nothing_is_left_of_a_named_place(place):
    """Not of root's, not of another's; what was there stays."""
    named_place = CGROUP / "named"
    named_place.mkdir()
    (named_place / "theirs").mkdir()
    for owner in (0, 12345):
        os.chown(named_place, owner, owner)
        code, _, err = place.run(f"{UP},{END}", "--cgroup", str(named_place))
        left = sorted(p.name for p in named_place.iterdir() if p.is_dir())
        assert code == 0 and left == ["theirs"], err
    (named_place / "theirs").rmdir()
    named_place.rmdir()


def test_killed_supervisor(place):
    process = start(place, f"{UP},ignore", *script_disk(place, "enter,ready,ignore"))
    keeper = keeper_of(place)
    (pid,) = [p for p in named(place, "supervisor") if p != keeper]
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 5 and "the supervisor was killed by signal KILL (9)" in err
    assert place.processes() == [] and groups() == []


def test_killed_keeper(place):
    """Its VM ends; the group that nobody removes goes with the next VM."""
    process = start(place)
    os.kill(keeper_of(place), signal.SIGKILL)
    process.communicate(timeout=120)
    place.wait_until_empty()
    assert len(groups()) == 1
    assert place.run(f"{UP},sleep:500,{END}")[0] == 0
    assert groups() == []


def test_killed_command(place):
    process = start(place, f"{UP},ignore")
    (pid,) = named(place, "bulkhead")
    os.kill(pid, signal.SIGKILL)
    process.communicate()
    place.wait_until_empty()
    assert groups() == []


def test_failed_start(place):
    code, _, _ = place.run("failed:no such kernel,exit:1")
    assert code == 1 and groups() == []


# ---- an ordinary user ----

BOTH = pytest.mark.parametrize("delegated", ["user", "subids"], indirect=True)
WITH_IDS = pytest.mark.parametrize("delegated", ["subids"], indirect=True)


@BOTH
def test_user_in_a_named_group(delegated):
    process = start(delegated, f"{UP},power,{END}", "--cgroup", delegated.top, "--limit-cpu", "50%")
    guest = only_group(delegated.top) / "guest"
    assert len((guest / "cgroup.procs").read_text().split()) == 3
    assert (guest / "pids.max").read_text() == f"{4 + SPARES * 11}\n"
    assert (guest / "cpu.max").read_text() == "50000 100000\n"
    finish(process, delegated)


def test_user_in_a_group_that_is_marked(delegated):
    os.setxattr(delegated.top, "user.delegate", b"1")
    process = start(delegated)
    guest = only_group(delegated.top) / "guest"
    assert len((guest / "cgroup.procs").read_text().split()) == 3
    finish(process, delegated)


def test_user_in_the_marked_group_itself(delegated):
    """Whoever is where VMs' groups go is moved aside."""
    os.setxattr(delegated.top, "user.delegate", b"1")
    (delegated.top / "cgroup.subtree_control").write_text("-cpu -io -memory -pids")
    delegated.inner = delegated.top
    process = start(delegated)
    aside = (delegated.top / "bulkhead.outside/cgroup.procs").read_text().split()
    assert {str(p) for p in named(delegated, "bulkhead")} < set(aside)
    finish(process, delegated)


def test_user_in_a_named_group_with_processes(delegated):
    (delegated.top / "cgroup.subtree_control").write_text("-cpu -io -memory -pids")
    delegated.inner = delegated.top
    code, _, err = delegated.run(f"{UP},{END}", "--cgroup", delegated.top)
    assert code == 1 and "delegated: processes are in it, beside which no group can" in err
    os.mkdir(delegated.top / "bulkhead.outside")  # which the fixture expects


@BOTH
def test_user_whose_limit_is_exceeded(delegated):
    code, _, err = delegated.run(f"{UP},wait", "--cgroup", delegated.top, "--limit-memory", "64M",
                                 *script_disk(delegated, "grow:128,enter,ready,wait"))
    assert code == 5
    assert err.endswith(": the VM went over its memory limit: the kernel has ended it\n")


@WITH_IDS
def test_no_limit_is_a_file_of_the_limited(delegated):
    """With ids of their own, a limit's file is not theirs either; the user's are."""
    process = start(delegated, f"{UP},power,{END}", "--cgroup", delegated.top)
    group = only_group(delegated.top)
    for path in [group, *group.rglob("*")]:
        owner = path.stat().st_uid
        assert not path.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP), path
        if path in (group / "cgroup.procs", group / "guest/cgroup.procs"):
            assert vm.SUB_UIDS <= owner < vm.SUB_UIDS + vm.N_SUB, path
        else:
            assert owner == delegated.uid, path
    finish(process, delegated)


@WITH_IDS
@pytest.mark.parametrize("name", ["supervisor", "keeper", "bulkhead"])
def test_user_with_ids_leaves_nothing(delegated, name):
    """Whoever of its machine is killed; here by the user, who may end what runs under those ids."""
    process = start(delegated, f"{UP},ignore", "--cgroup", delegated.top)
    keeper = keeper_of(delegated)
    pids = {"keeper": keeper, "bulkhead": named(delegated, "bulkhead")[0],
            "supervisor": [p for p in named(delegated, "supervisor") if p != keeper][0]}
    subprocess.run([*delegated.become, "kill", "-KILL", str(pids[name])], check=True)
    process.communicate(timeout=120)
    delegated.wait_until_empty()
    if name == "keeper":  # the next machine removes the group
        assert delegated.run(f"{UP},sleep:500,{END}", "--cgroup", delegated.top)[0] == 0
    assert groups(delegated.top) == []


def test_user_without_a_group(delegated):
    process = start(delegated, f"{UP},power,{END}", "--verbose")
    assert "memory limit, task limit (no cgroup is delegated to this user, see --cgroup)" in \
        finish(process, delegated)


def test_user_without_a_group_is_refused_a_limit(delegated):
    code, _, err = delegated.run(f"{UP},{END}", "--limit-cpu", "50%")
    assert code == 1
    assert "--limit-cpu: no cgroup is delegated to this user, see --cgroup" in err


# ---- what the audit sees of it ----

@pytest.fixture
def elsewhere():
    """The same hierarchy, mounted once more."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "cgroup2", "none", folder], check=True)
        yield folder
        subprocess.run(["umount", folder], check=True)


@pytest.fixture(params=["default"])
def real(request, build):
    """A machine of the shipped programs, with a tiny guest on the software CPU."""
    place_ = vm.Place(build, real=True)
    words = []
    if request.param == "elsewhere":
        words = ["--cgroup", request.getfixturevalue("elsewhere")]
    disk = place_.file("disk.raw", bytes(1 << 20))
    guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    code, _, err = place_.call("run", "--accel", "soft", "--kernel", guest, "--cpus", "2", "--memory",
                               "64M", "--disk", f"{disk},format=raw", "--name", "a", "--detach",
                               *words)
    assert code == 0, err
    yield place_
    assert place_.call("stop", "a")[0] == 0
    place_.wait_until_empty()
    place_.close()
    assert groups() == []


@pytest.mark.parametrize("real", ["default", "elsewhere"], indirect=True)
def test_audit(real):
    """Nothing is weaker than declared, the keeper and the supervisor's group included."""
    status, out, err = real.call("audit", "--json", "a")
    (audit,) = json.loads(out)["audits"]
    weak = [f for f in audit["findings"] if f["grade"] == "weaker"]
    assert weak == []
    assert (status, err) == (0, "")
    assert [p["name"] for p in audit["processes"]][:3] == ["keeper", "supervisor", "vmm"]
    assert audit["processes"][-1]["name"] == "launcher"
    (note,) = [f["is"] for f in audit["findings"] if f["aspect"] == "control group"]
    guest = only_group() / "guest"
    assert f"memory {(guest / 'memory.max').read_text().strip()}, " in note
    assert f"tasks {(guest / 'pids.max').read_text().strip()}, " in note and "no limit" not in note
    tasks = int((guest / "pids.current").read_text())
    assert 1 + 2 + 1 + 1 + 1 <= tasks <= int((guest / "pids.max").read_text())


def test_guest_ram_is_not_dumped(real):
    """Nor merged with another guest's; the process itself is not dumpable to begin with."""
    (pid,) = named(real, "vmm")
    smaps = pathlib.Path(f"/proc/{pid}/smaps").read_text()
    flags = [part.split("VmFlags:")[1].split("\n")[0].split()
             for part in smaps.split("guest-ram")[1:]]
    assert flags and all("dd" in f and "mg" not in f for f in flags), flags


# ---- strict ----

def test_strict_as_root(place):
    code, _, err = place.run(f"{UP},{END}", "--strict")
    assert code == 0, err


def test_strict_as_a_user_without_ids(delegated):
    code, _, err = delegated.run(f"{UP},{END}", "--strict", "--cgroup", delegated.top)
    assert code == 1 and \
        "--strict: this host does not give: ids (/etc/subuid has no range for this user)" in err


@WITH_IDS
def test_strict_as_a_user(delegated):
    """Subordinate ids and a delegated group are all that it takes; without the group it is refused."""
    process = start(delegated, f"{UP},power,{END}", "--strict", "--cgroup", delegated.top)
    held = {status_uid(int(p)) for p in
            (only_group(delegated.top) / "guest/cgroup.procs").read_text().split()}
    assert len(held) == 3 and min(held) >= vm.SUB_UIDS, held
    finish(process, delegated)
    code, _, err = delegated.run(f"{UP},{END}", "--strict")
    assert code == 1 and "--strict: this host does not give: memory limit, task limit (no cgroup is " \
        "delegated to this user" in err


def status_uid(pid):
    (line,) = [line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
               if line.startswith("Uid:")]
    (uid,) = set(line.split()[1:])
    return int(uid)
