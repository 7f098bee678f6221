# SPDX-License-Identifier: Apache-2.0
"""The supervisor among processes that die, lie, babble and do not listen.

Whatever they do: one clear line, the documented exit status, and nothing is left running.
"""

import contextlib
import ctypes
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

RUNNING, POWEROFF, REBOOT, PANIC, CRASH = 1, 2, 3, 4, 5
UP = f"enter,ready,event:{RUNNING}"
END = f"event:{POWEROFF}"
DEVICE = "enter,ready,wait"
STOP = ["--on-crash", "stop"]  # a device that dies is not started again


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    assert place_.end() == []


@pytest.fixture
def quick(build):
    """As place, as one user only."""
    place_ = vm.Place(build)
    yield place_
    assert place_.end() == []


def lines(err):
    """What the user reads, without the names in front."""
    return [re.sub(r"^bulkhead: (vm\d+: )?", "", line) for line in vm.without_host(err).splitlines()]


def disk(place_, script):
    path = place_.file("disk.raw", script.encode().ljust(512, b"\n"))
    return ["--disk", f"{path},format=raw"]


# ---- the guest's own ends ----

@pytest.mark.parametrize("script,words,status,line", [
    (f"{UP},{END}", (), 0, "the guest powered off"),
    (f"{UP},event:{PANIC}", (), 3, "the guest's kernel panicked"),
    (f"{UP},event:{CRASH}", (), 4, "the guest crashed: its CPU cannot go on"),
    (f"{UP},event:{REBOOT}", ("--on-reboot", "stop"), 0, "the guest asked for a reboot"),
])
def test_guest_ends(place, script, words, status, line):
    code, _, err = place.run(script, *words)
    assert (code, lines(err)) == (status, [line])


def has_cgroup2():
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def test_what_the_host_lacks_is_said_in_one_line(place):
    """What exactly is missing depends on the host; a user without subordinate ids has a single id."""
    process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},{END}")
    _, err = process.communicate(timeout=60)
    said = vm.HOST_LINE.findall(err)
    assert process.returncode == 0
    assert len(said) == (1 if place.user or not has_cgroup2() else 0), err
    lacks_ids = place.user and not place.subids
    lacks = ["ids"] * lacks_ids + ["memory limit", "task limit"] * (not has_cgroup2())
    if said and not has_cgroup2():
        assert f"this host does not give: {', '.join(lacks)} (bulkhead explain says why)\n" in err


def test_why_the_host_lacks_it_is_said_when_asked(place):
    process = place.start("run", "--verbose", "--kernel", place.kernel, "--cmdline", f"{UP},{END}")
    _, err = process.communicate(timeout=60)
    lacks_ids = place.user and not place.subids
    assert process.returncode == 0
    assert lacks_ids == ("ids (/etc/subuid has no range for this user)" in err)
    if not has_cgroup2():
        assert "memory limit, task limit (no cgroup v2 at /sys/fs/cgroup)" in err
        assert "no cgroup v2 at /sys/fs/cgroup" in place.call("explain", "--kernel", "k")[1]


@pytest.mark.skipif(has_cgroup2(), reason="root has it all here")
def test_strict_refuses(place):
    code, out, err = place.run(f"{UP},{END}", "--strict")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert "--strict: this host does not give: " in err and "no cgroup v2" in err


@pytest.mark.skipif(has_cgroup2(), reason="limits can be had here")
@pytest.mark.parametrize("words", [("--limit-memory", "1G"), ("--limit-tasks", "99"),
                                   ("--limit-cpu", "50%")])
def test_a_limit_that_cannot_be_had_is_refused(quick, words):
    code, _, err = quick.run(f"{UP},{END}", *words)
    assert code == 1 and lines(err) == [f"{words[0]}: no cgroup v2 at /sys/fs/cgroup"]


def test_guest_goes_on_after_a_reboot(quick):
    code, _, err = quick.run(f"{UP},event:{REBOOT},event:{REBOOT},{END}")
    assert code == 0
    assert lines(err) == ["the guest reboots", "the guest reboots", "the guest powered off"]


def test_guest_goes_on_after_a_panic(quick):
    code, _, err = quick.run(f"{UP},event:{PANIC},{END}", "--on-panic", "continue")
    assert code == 0
    assert lines(err) == ["warning: the guest's kernel panicked", "the guest powered off"]


def test_a_starter_that_ignores_its_children(place):
    """What it ignores is inherited through exec, until the command takes it back."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},{END}")
    finally:
        signal.signal(signal.SIGCHLD, before)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "the guest powered off" in err
    assert ("give: ids" in err) == (place.user and not place.subids)


def test_console_reaches_standard_output(place):
    code, out, _ = place.run(f"{UP},sleep:300,{END}")
    assert (code, out) == (0, "the console\n")


# ---- a vmm that misbehaves: script, exit status, what is said ----

BAD_VMM = {
    "dies before it is confined": ("exit:3", 5, "vmm ended by itself with status 3"),
    "dies ready": ("enter,ready,exit:0", 5, "vmm ended by itself with status 0"),
    "dies running": (f"{UP},exit:7", 5, "vmm ended by itself with status 7"),
    "crashes": (f"{UP},crash", 5, "vmm was killed by signal ILL (4)"),
    "gives up": (f"{UP},failed:no more memory,exit:1", 5, "vmm: no more memory"),
    "gives up at once": ("failed:no such kernel,exit:1", 1, "vmm: no such kernel"),
    "calls getpid": (f"{UP},call:39", 5,
                     "vmm was stopped by its filter: system call getpid (39)"),
    "calls openat": (f"{UP},call:257", 5,
                     "vmm was stopped by its filter: system call openat (257)"),
    "calls what there is not": (f"{UP},call:9999", 5,
                                "vmm was stopped by its filter: system call unknown (9999)"),
    "says denied": (f"{UP},denied:41,ignore", 5,
                    "vmm was stopped by its filter: system call socket (41)"),
}
BROKEN = "vmm broke the control protocol"
for what, script in {
    "one byte": f"{UP},garbage:1",
    "garbage": f"{UP},garbage:64",
    "too long": f"{UP},garbage:4000",
    "ready twice": "enter,ready,ready",
    "an event before it is ready": "enter,event:1",
    "power-off before the guest runs": "enter,ready,event:2",
    "running twice": f"{UP},event:1",
    "event 0": f"{UP},event:0",
    "event 6": f"{UP},event:6",
    "event 7": f"{UP},event:7",
    "event 4294967295": f"{UP},event:4294967295",
    "a log level that is none": f"{UP},level:9",
    "a descriptor": "enter,fds:1",
    "eight descriptors": "enter,fds:8",
    **{f"type {t}": f"{UP},type:{t}" for t in (6, 16, 32, 33, 34, 51, 52)},
    "an unknown type": f"{UP},garbage:8",
}.items():
    BAD_VMM[what] = (script + ",ignore", 5, BROKEN)


@pytest.mark.parametrize("what", BAD_VMM)
def test_bad_vmm(quick, what):
    script, status, line = BAD_VMM[what]
    code, _, err = quick.run(script)
    assert (code, lines(err)) == (status, [line])


@pytest.mark.parametrize("script,line", [
    ("exit:3", "dev-blk ended by itself with status 3"),
    ("enter,ready,exit:0", "dev-blk ended by itself with status 0"),
    ("enter,ready,sleep:100,crash", "dev-blk was killed by signal ILL (4)"),
    ("enter,ready,sleep:100,call:2", "dev-blk was stopped by its filter: system call open (2)"),
    ("enter,ready,event:1,ignore", "dev-blk broke the control protocol"),
    ("enter,ready,event:2,ignore", "dev-blk broke the control protocol"),
    ("enter,garbage:3,ignore", "dev-blk broke the control protocol"),
    ("enter,busy:1,ignore", "dev-blk broke the control protocol"),
    ("enter,ready,busy:0,ignore", "dev-blk broke the control protocol"),
    ("enter,ready,busy:70000,ignore", "dev-blk broke the control protocol"),
])
def test_bad_device(place, script, line):
    code, _, err = place.run(f"{UP},wait", *disk(place, script), *STOP)
    assert (code, lines(err)) == (5, [line])


def test_an_innocent_vmm_is_not_blamed(quick):
    """The vmm complains of its device before the device's death is seen: the death is told."""
    code, _, err = quick.run(f"{UP},sleep:200,failed:a device is gone,exit:1",
                             *disk(quick, "enter,ready,sleep:195,crash"), *STOP)
    assert code == 5 and lines(err)[-1] == "dev-blk was killed by signal ILL (4)"


def test_deaf_processes_are_killed(place):
    code, _, err = place.run(f"{UP},{END},ignore", *disk(place, "enter,ready,ignore"))
    assert (code, lines(err)) == (0, ["the guest powered off"])


def test_who_waits_for_a_device_is_told(quick):
    """Once, however often it is said."""
    code, _, err = quick.run(f"{UP},sleep:500,{END}",
                             *disk(quick, "enter,ready," + 50 * "busy:12," + "wait"))
    assert code == 0
    assert lines(err).count("dev-blk: still finishes 12 requests; waiting") == 1


def test_a_device_that_makes_progress_may_finish(quick):
    """Past the patience for one that says nothing."""
    code, _, err = quick.run(f"{UP},{END}", *disk(
        quick, "enter,ready,end,busy:2,sleep:4000,busy:1,sleep:1000,log:done,exit:0"))
    assert code == 0
    assert lines(err) == ["dev-blk: still finishes 2 requests; waiting", "dev-blk: warning: done",
                          "the guest powered off"]


def test_a_device_that_only_says_so_may_not(quick):
    code, _, err = quick.run(f"{UP},{END}", *disk(quick, "enter,ready,end,lie:5"))
    assert code == 0
    assert lines(err) == ["dev-blk: still finishes 5 requests; waiting", "the guest powered off"]


def test_lines_are_counted(quick):
    code, _, err = quick.run(f"{UP},logs:5000,{END}")
    assert code == 0
    said = [line for line in lines(err) if line == "vmm: again"]
    assert 100 <= len(said) < 1000, "a burst is shown, a flood is not"


def test_events_are_counted(quick):
    code, _, err = quick.run(f"{UP},events:{REBOOT},{END}")
    assert code == 0 and len(lines(err)) < 1500


def test_words_cannot_drive_the_terminal(quick):
    code, _, err = quick.run(f"{UP},log:\x1b[31mred\x1b]0;title\x07,{END}")
    assert code == 0 and "\x1b" not in err and "\x07" not in err
    assert "vmm: warning: ?[31mred" in err


# ---- stopping from outside ----

def is_up(process):
    """The console's line is there once the guest runs."""
    assert process.stdout.readline() == "the console\n"


def start_up(place_, script=f"{UP},power,{END}", *words):
    process = place_.start("run", "--kernel", place_.kernel, "--cmdline", script, *words)
    is_up(process)
    time.sleep(0.05)
    return process


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signal_presses_the_power_button(place, sig):
    process = start_up(place)
    process.send_signal(sig)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, lines(err)) == (0, ["the guest powered off"])


def test_second_signal_ends(place):
    process = start_up(place, f"{UP},ignore")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, lines(err)) == (6, ["the VM was ended by its user"])


def test_hangup_ends(quick):
    process = start_up(quick, f"{UP},ignore")
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, lines(err)) == (6, ["the VM was ended by its user"])


def test_a_guest_that_does_not_power_off_is_ended(place):
    process = start_up(place, f"{UP},ignore", "--stop-timeout", "1")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, lines(err)) == (
        6, ["the VM was ended: its guest did not power off in 1 s"])


def test_a_reader_that_goes_away_is_a_hangup(place):
    process = start_up(place, f"{UP},ignore")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(60) == 6
    assert lines(err) == ["the reader of its console's output has gone: ending the VM, as for a hang-up",
                          "the VM was ended by its user"]
    place.wait_until_empty()


def test_output_that_cannot_be_written_frees_the_console(place):
    with open("/dev/full", "wb") as full:
        process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},power,{END}",
                              "--name", "full", stdout=full)
    for line in process.stderr:
        if "its console's output cannot be written: No space left on device" in line:
            break
    other = attach(place, "full")
    assert place.call("stop", "full")[0] == 0
    other.communicate(timeout=60)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 7
    assert "the last 12 bytes of its output were lost" in err


def full_pipe():
    """Its ends: one that nobody reads, and one that takes no more."""
    r, w = os.pipe()
    os.set_blocking(w, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(w, b"x" * 65536)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(w, b"x")
    os.set_blocking(w, True)
    return r, w


def test_nobody_reads_anything(place):
    """Standard output and error are one pipe, and full: neither process may wait for it for ever."""
    r, w = full_pipe()
    process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},logs:500,ignore",
                          "--name", "unread", "--stop-timeout", "1", stdout=w, stderr=w)
    assert os.get_blocking(w), "it is not ours alone"
    os.close(w)
    wait.until(lambda: re.search(r"^unread +\d+ +running", place.call("ps")[1], re.MULTILINE),
               "it runs")
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 6
    place.wait_until_empty()
    os.close(r)


def test_lines_that_nobody_read_are_counted(place):
    r, w = full_pipe()
    process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},logs:60,power,log:late,{END}",
                          "--name", "late", stderr=w)
    os.close(w)
    is_up(process)
    time.sleep(0.2)
    os.set_blocking(r, False)
    with contextlib.suppress(BlockingIOError):
        while os.read(r, 65536):
            pass
    os.set_blocking(r, True)
    process.send_signal(signal.SIGTERM)
    with open(r, encoding="ascii") as said:
        err = said.read()
    assert process.wait(60) == 0
    assert re.search(r"warning: \d+ lines were left out: nobody read them", err), err
    assert "late" in err


def role(place_, name):
    return [pid for pid, exe in place_.processes() if exe.endswith(f"/{name}")]


def test_killed_command_leaves_nothing(place):
    process = start_up(place, f"{UP},ignore")
    (pid,) = role(place, "bulkhead")
    os.kill(pid, signal.SIGKILL)
    process.communicate()
    place.wait_until_empty()


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSYS])
def test_killed_supervisor_leaves_nothing(place, sig):
    process = start_up(place, f"{UP},ignore", *disk(place, "enter,ready,ignore"))
    (pid,) = role(place, "supervisor")
    os.kill(pid, sig)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert lines(err) == [f"the supervisor was killed by signal {sig.name[3:]} ({sig:d})"]
    place.wait_until_empty()


@pytest.mark.parametrize("name", vm.PROCESSES)
def test_killed_process_ends_all(quick, name):
    process = start_up(quick, f"{UP},ignore", *disk(quick, "enter,ready,ignore"), *STOP)
    (pid,) = role(quick, name)
    os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    (line,) = lines(err)
    assert line.startswith(f"{name} was killed by signal KILL (9), by another program")


def seize(pid):
    """Traces it, so that its end is told to us before its parent."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    assert libc.ptrace(0x4206, pid, 0, 0) == 0, os.strerror(ctypes.get_errno())


def calms_down(pid):
    """Until it has no processor time for a moment; a process that spins never comes back."""
    def used():
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
            return f.read().split()[:1]

    before = None
    for _ in range(200):
        now = used()
        if now == before:
            return True
        before = now
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("name", ["vmm", "dev-rng"])
def test_a_process_killed_while_it_is_traced(quick, name):
    process = start_up(quick, f"{UP},ignore", *STOP)
    (pid,) = role(quick, name)
    (supervisor,) = role(quick, "supervisor")
    seize(pid)
    os.kill(pid, signal.SIGKILL)
    assert calms_down(supervisor)
    assert process.poll() is None
    assert os.waitpid(pid, 0x40000000)[1] == signal.SIGKILL
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    (line,) = lines(err)
    assert line.startswith(f"{name} was killed by signal KILL (9), by another program")


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signal_to_the_supervisor(quick, sig):
    process = start_up(quick)
    (pid,) = role(quick, "supervisor")
    os.kill(pid, sig)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, lines(err)) == (0, ["the guest powered off"])


# ---- who runs, with what power ----

def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in f)}


def test_all_are_confined(place):
    process = start_up(place, f"{UP},power,{END}", *disk(place, DEVICE))
    uids = {}
    for pid, exe in place.processes():
        s = status_of(pid)
        name = os.path.basename(exe)
        uids[name] = s["Uid"].split()[0]
        assert len(set(s["Uid"].split())) == 1 and uids[name] != "0", name
        assert len(set(s["Gid"].split())) == 1 and s["Gid"].split()[0] != "0", name
        assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1", name
        kept = "00000000000000c0" if name == "launcher" else "0" * 16  # setgid, setuid
        assert s["CapEff"] == s["CapPrm"] == kept, name
        if name != "bulkhead":
            assert os.listdir(f"/proc/{pid}/root") == [], name
            assert s["Groups"] == "", name
    assert len(uids) == 7 and uids["launcher"] == uids["supervisor"]
    assert len(set(uids.values())) == (1 if place.user and not place.subids else 6)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("accel", ["auto", "kvm"])
@pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
def test_supervisor_keeps_no_file_of_the_user(quick, accel):
    process = start_up(quick, f"{UP},power,{END}", "--accel", accel, *disk(quick, DEVICE))
    (pid,) = role(quick, "supervisor")
    held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not [h for h in held if str(quick.dir) in h or "kvm" in h or h.startswith("/proc")]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


@pytest.mark.parametrize("words,said", [([], 1), (["--on-panic", "continue"], 0)])
def test_a_command_line_without_panic_gets_advice(quick, words, said):
    process = quick.start("run", "--kernel", quick.kernel, "--cmdline", f"{UP},{END}", *words)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.count("add panic=-1 reboot=panic_warm to --cmdline\n") == said


# ---- clients ----

def detached(place_, name, script=f"{UP},power,{END}", *words):
    code, out, err = place_.call("run", "--kernel", place_.kernel, "--cmdline", script, "--name",
                                 name, "--detach", *words)
    assert (code, out, err) == (0, f"{name}\n", "")


def test_detached_life(place):
    detached(place, "life")
    code, out, err = place.call("ps")
    assert code == 0 and err == ""
    row = [line.split() for line in out.splitlines() if line.startswith("life ")]
    assert len(row) == 1 and row[0][2:5] == ["running", "1", "256M"]
    assert int(row[0][1]) in [pid for pid, _ in place.processes()]
    code, _, err = place.run(UP, "--name", "life")
    assert code == 1 and "a VM named 'life' runs already" in err
    code, out, _ = place.call("stop", "life")
    assert (code, out) == (0, "life: the guest powered off\n")
    place.wait_until_empty()
    code, out, _ = place.call("ps")
    assert "life" not in out


def test_stop_now(place):
    detached(place, "deaf", f"{UP},ignore")
    code, out, _ = place.call("stop", "deaf", "--now")
    assert (code, out) == (0, "deaf: the VM was ended by bulkhead stop\n")
    place.wait_until_empty()


def test_stop_now_waits_for_no_device(place):
    """Neither for one that says for ever that it still finishes requests."""
    code, out, _ = place.call("run", "--kernel", place.kernel, "--cmdline", f"{UP},ignore", "--name",
                              "busy", "--detach", *disk(place, "enter,ready,lie:5"))
    assert (code, out) == (0, "busy\n")
    code, out, _ = place.call("stop", "busy", "--now")
    assert (code, out) == (0, "busy: the VM was ended by bulkhead stop\n")
    place.wait_until_empty()


def test_stop_ends_a_guest_that_does_not_power_off(place):
    detached(place, "slow", f"{UP},ignore")
    code, out, err = place.call("stop", "slow", "--timeout", "1")
    assert (code, out) == (0, "slow: the VM was ended by bulkhead stop\n")
    assert "slow: its guest did not power off in 1 s: ending it" in err
    place.wait_until_empty()


def test_stop_says_that_it_waits(place):
    detached(place, "long", f"{UP},ignore")
    process = place.start("stop", "long", "--timeout=none")
    assert process.stderr.readline() == \
        "bulkhead: long: waiting for its guest to power off: --now ends it at once\n"
    assert place.call("stop", "long", "--now")[0] == 0
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "long: the VM was ended by bulkhead stop\n")
    place.wait_until_empty()


def attach(place_, name):
    """Its console, once it can be had: the played vmm says that the guest runs without a look at
    dev-console, and a console that was killed is free a moment later."""
    while True:
        process = place_.start("console", name)
        if process.stdout.readline() == "the console\n":
            return process
        err = process.communicate(timeout=60)[1]
        assert "try again" in err or "in use" in err, err


def test_console_attaches_once_at_a_time(place):
    detached(place, "con")
    first = attach(place, "con")
    code, _, err = place.call("console", "con")
    assert code == 1 and "the console is in use" in err
    first.kill()
    first.communicate()
    second = attach(place, "con")
    assert place.call("stop", "con")[0] == 0
    second.communicate(timeout=60)
    assert second.returncode == 0
    place.wait_until_empty()


def test_console_in_use_by_run(quick):
    process = start_up(quick, f"{UP},power,{END}", "--name", "mine")
    code, _, err = quick.call("console", "mine")
    assert code == 1 and "the console is in use" in err
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)


def connect(name, uid=0):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect(f"\0bulkhead/{uid}/{name}")
    sock.settimeout(60)
    return sock


def message(kind, body=b""):
    return struct.pack("<HHI", kind, 0, len(body)) + body


def test_bad_clients_are_dropped_and_the_vm_lives(quick):
    detached(quick, "patient")
    for bad in (b"\xa5" * 100, b"", message(99), message(1), message(3, struct.pack("<I", 2)),
                message(33, struct.pack("<I", 7)), message(32, b"more"), message(17)):
        sock = connect("patient")
        sock.send(bad)
        if bad:
            assert sock.recv(512) == b"", bad
    with connect("patient") as sock:
        socket.send_fds(sock, [message(32)], [0, 0, 0])
        assert sock.recv(512) == b""
    many = [connect("patient") for _ in range(40)]  # more than there are slots
    for sock in many:
        sock.close()
    wait.until(lambda: any(line.startswith("patient ") and "running" in line
                           for line in quick.call("ps")[1].splitlines()), "it serves again")
    assert quick.call("stop", "patient")[0] == 0
    quick.wait_until_empty()


def test_a_client_that_never_reads_holds_nobody_up(quick):
    detached(quick, "busy")
    sock = connect("busy")
    sock.setblocking(False)
    sent = 0
    try:
        while sent < 100000:
            sock.send(message(32))
            sent += 1
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    assert "running" in quick.call("ps")[1]
    assert quick.call("stop", "busy")[0] == 0
    quick.wait_until_empty()


def size(columns, rows):
    return message(36, struct.pack("<HH", columns, rows))


def ask(sock, what):
    sock.send(what)
    return sock.recv(512)


def hold(name):
    """A client that has the console, and its stream."""
    while True:
        sock = connect(name)
        sock.send(message(34))
        answer, fds, _, _ = socket.recv_fds(sock, 512, 1)
        if fds:
            stream = socket.socket(fileno=fds[0])
            stream.settimeout(60)
            return sock, stream.makefile("r")
        assert b"try again" in answer or b"in use" in answer, answer
        sock.close()


DONE = message(51)


def test_only_who_has_the_console_says_its_size(quick):
    detached(quick, "con")
    stranger = connect("con")
    assert b"the console is not yours" in ask(stranger, size(80, 24))
    sock, stream = hold("con")
    assert stream.readline() == "the console\n"
    assert ask(sock, size(80, 24)) == DONE
    assert stream.readline() == "size 80x24\n"
    assert b"the console is not yours" in ask(stranger, size(81, 24))
    assert ask(sock, size(80, 24)) == DONE  # the same: nobody is told
    assert ask(sock, size(82, 24)) == DONE
    assert stream.readline() == "size 82x24\n"
    assert ask(sock, message(35)) == DONE
    assert b"the console is not yours" in ask(sock, size(83, 24))
    for columns, rows in ((0, 24), (80, 0), (0, 0)):
        with connect("con") as bad:
            assert ask(bad, size(columns, rows)) == b""
    assert quick.call("stop", "con")[0] == 0
    quick.wait_until_empty()


def test_a_flood_of_sizes_ends_with_the_last(quick):
    detached(quick, "con")
    sock, stream = hold("con")
    for i in range(5000):
        assert ask(sock, size(100 + i, 24)) == DONE
    shown = [stream.readline()]
    while shown[-1] != "size 5099x24\n":
        shown.append(stream.readline())
    assert "running" in quick.call("ps")[1]
    assert ask(sock, size(9, 24)) == DONE  # dev-console does not answer this one: the others wait
    for i in range(5000):
        assert ask(sock, size(100 + i, 24)) == DONE
    assert stream.readline() == "size 9x24\n"
    assert "running" in quick.call("ps")[1]
    assert quick.call("stop", "con")[0] == 0
    assert stream.readline() == ""
    quick.wait_until_empty()


def test_an_answer_that_nobody_asked_for_breaks_the_protocol(quick):
    t = Terminal(quick, "run", "--kernel", quick.kernel, "--cmdline", f"{UP},power,{END}")
    t.wait_for(b"the console\r\n")
    set_size(t, 7, 24)
    assert t.end() == 5
    assert b"dev-console broke the control protocol" in t.said


STRANGER = """
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect("\\0" + sys.argv[1])
s.settimeout(60)
try:
    s.send(bytes.fromhex(sys.argv[2]))
    print(len(s.recv(512)))
except (BrokenPipeError, ConnectionResetError):
    print(0)
"""


@pytest.mark.parametrize("uid", [64999, 65534, vm.SUB_UIDS])
@pytest.mark.parametrize("asked", [message(32), message(33, struct.pack("<I", 1)), message(34)],
                         ids=["query", "stop", "console"])
def test_other_users_are_not_served(place, uid, asked):
    """An abstract name has no mode; the supervisor looks who connects. In its user namespace everybody
    that is not mapped has the id of the user nobody, whose machine it may be."""
    if uid == place.uid:
        pytest.skip("the machine is this user's")
    detached(place, "private")
    stranger = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                               "/usr/bin/python3", "-c", STRANGER, f"bulkhead/{place.uid}/private",
                               asked.hex()], capture_output=True, text=True, check=False)
    assert (stranger.returncode, stranger.stdout, stranger.stderr) == (0, "0\n", "")
    assert "running" in place.call("ps")[1]
    assert place.call("stop", "private")[0] == 0
    place.wait_until_empty()


@pytest.mark.parametrize("words", [("stop", "private"), ("console", "private"), ("audit", "private")])
def test_who_may_be_anybody_is_told_so(quick, words):
    """In a namespace where the user is not mapped, all others that are not look the same."""
    quick.become = ["setpriv", "--reuid=64000", "--clear-groups", "unshare", "--user"]
    code, out, err = quick.call(*words)
    assert code != 0 and out == ""
    assert "stands for all unknown users in this user namespace" in err and err.count("\n") == 1


# ---- on a terminal: the relay under its own filter ----

class Terminal:
    """bulkhead on a terminal of its own, in a process group that job control can stop."""

    def __init__(self, place_, *words):
        self.master, slave = pty.openpty()
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        self.said = b""
        self.process = place_.start(*words, stdin=slave, stdout=slave, stderr=slave,
                                    process_group=0)

    def wait_for(self, *texts, times=1):
        """Until one of them was said so often."""
        deadline = time.monotonic() + 60
        while not any(self.said.count(text) >= times for text in texts):
            assert time.monotonic() < deadline, self.said
            if select.select([self.master], [], [], 0.1)[0]:
                self.said += os.read(self.master, 4096)

    def type(self, keys):
        os.write(self.master, keys)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO)

    def end(self):
        status = self.process.wait(timeout=60)
        assert termios.tcgetattr(self.slave) == self.before
        while select.select([self.master], [], [], 0)[0]:
            self.said += os.read(self.master, 4096)
        os.close(self.master)
        os.close(self.slave)
        return status


@pytest.fixture
def terminal(place):
    def start(script, *words):
        t = Terminal(place, "run", "--kernel", place.kernel, "--cmdline", script, *words)
        t.wait_for(b"the console\r\n")
        wait.until(t.is_raw, "raw mode")
        return t

    return start


def attach_on_terminal(place_, name, *words):
    """Once it can be had, as attach has it."""
    while True:
        t = Terminal(place_, "console", name, *words)
        t.wait_for(b"the console\r\n", b"try again\r\n", b"by another command\r\n")
        if b"the console\r\n" in t.said:
            return t
        assert t.end() == 1


def test_terminal_keys(terminal):
    t = terminal(f"{UP},power,{END}")
    t.type(b"\x1d?")
    t.wait_for(b"presses the power button")
    t.type(b"\x1dq")
    assert t.end() == 0
    assert b"the guest powered off" in t.said


@pytest.mark.parametrize("how", ["raw", "safe", "auto"])
def test_what_a_raw_terminal_gives_up_is_said(terminal, how):
    t = terminal(f"{UP},power,{END}", "--console", how, "--name", "tty")
    t.type(b"\x1dq")
    assert t.end() == 0
    line = (b"bulkhead: tty: --console raw on a terminal: no security claim: gives up terminal: "
            b"the guest drives its user's terminal")
    assert (line in t.said) == (how == "raw")


def test_the_same_for_the_console_of_a_detached_vm(place):
    detached(place, "rawcon")
    t = attach_on_terminal(place, "rawcon", "--console", "raw")
    t.type(b"\x1dq")
    assert t.end() == 0
    assert b"bulkhead: rawcon: --console raw on a terminal: no security claim: gives up" in t.said
    assert place.call("stop", "rawcon")[0] == 0
    place.wait_until_empty()


def test_a_raw_console_that_is_no_terminal_gives_nothing_up(quick):
    code, _, err = quick.run(f"{UP},{END}", "--console", "raw")
    assert (code, lines(err)) == (0, ["the guest powered off"])


def test_terminal_quit_twice(terminal):
    t = terminal(f"{UP},power,ignore")
    t.type(b"\x1dq")
    t.type(b"\x1dq")
    assert t.end() == 6


def test_terminal_stops_and_goes_on(terminal, place):
    t = terminal(f"{UP},power,{END}")
    (pid,) = role(place, "bulkhead")
    os.kill(pid, signal.SIGTSTP)
    wait.until(lambda: status_of(pid)["State"].startswith("T"), "it stops")
    assert termios.tcgetattr(t.slave) == t.before
    os.kill(pid, signal.SIGCONT)
    wait.until(t.is_raw, "raw mode")
    t.type(b"\x1dq")
    assert t.end() == 0


@pytest.mark.parametrize("sig", [signal.SIGQUIT, signal.SIGABRT, signal.SIGUSR1])
def test_terminal_is_given_back_by_a_deadly_signal(terminal, place, sig):
    t = terminal(f"{UP},ignore")
    (pid,) = role(place, "bulkhead")
    os.kill(pid, sig)
    assert t.end() == -sig
    place.wait_until_empty()


def set_size(t, columns, rows, told=True):
    """told: as a terminal tells its foreground processes; this one controls nobody."""
    fcntl.ioctl(t.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    if told:
        t.process.send_signal(signal.SIGWINCH)


def test_terminal_size_is_followed(terminal, place):
    """From the command to dev-console; also a change while stopped."""
    t = terminal(f"{UP},power,{END}")  # has no size yet
    for columns, rows in ((80, 24), (132, 50), (65535, 1)):
        set_size(t, columns, rows)
        t.wait_for(b"size %dx%d\r\n" % (columns, rows))
    (pid,) = role(place, "bulkhead")
    os.kill(pid, signal.SIGTSTP)
    wait.until(lambda: status_of(pid)["State"].startswith("T"), "it stops")
    set_size(t, 90, 30, told=False)
    os.kill(pid, signal.SIGCONT)
    t.wait_for(b"size 90x30\r\n")
    t.type(b"\x1dq")
    assert t.end() == 0
    assert t.said.count(b"size ") == 4


def test_terminal_size_is_told_to_a_successor(terminal, place):
    t = terminal(f"{UP},power,{END}")
    set_size(t, 80, 24)
    t.wait_for(b"size 80x24\r\n")
    (pid,) = role(place, "dev-console")
    os.kill(pid, signal.SIGKILL)
    t.wait_for(b"size 80x24\r\n", times=2)
    t.type(b"\x1dq")
    assert t.end() == 0


def test_terminal_size_of_a_console(place):
    detached(place, "tty")
    for columns in (100, 101):
        t = attach_on_terminal(place, "tty")
        set_size(t, columns, 40)
        t.wait_for(b"size %dx40\r\n" % columns)
        wait.until(t.is_raw, "raw mode")
        t.type(b"\x1dq")
        assert t.end() == 0
    assert place.call("stop", "tty")[0] == 0
    place.wait_until_empty()


def test_terminal_console(place):
    detached(place, "tty")
    t = attach_on_terminal(place, "tty")
    wait.until(t.is_raw, "raw mode")
    t.type(b"\x1dq")
    assert t.end() == 0
    assert place.call("stop", "tty")[0] == 0
    place.wait_until_empty()
