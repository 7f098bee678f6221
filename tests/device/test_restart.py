# SPDX-License-Identifier: Apache-2.0
"""Devices that die while the guest runs are started again: by the real supervisor and launcher, among played
processes."""

import contextlib
import json
import os
import re
import signal
import subprocess

import pytest

from bh import vm, wait
from bh.process import CONTROL_FD

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UP, END = "enter,ready,event:1", "event:2"
DEVICES = ("dev-blk", "dev-rng", "dev-console")
NAME = "restart-test"
RECVMSG = 47
AGAIN = 5  # starts that a device has at once


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    assert place_.end() == []


@pytest.fixture
def quick(build):
    """As place, as root only."""
    place_ = vm.Place(build)
    yield place_
    assert place_.end() == []


def lines(err):
    return [re.sub(r"^bulkhead: (\S+: )?(warning: )?", "", line)
            for line in vm.without_host(err).splitlines()]


def image(place_, script):
    """What dev-blk plays, and plays when it is started again."""
    path = place_.dir / "disk.raw"
    if not path.exists():
        place_.file("disk.raw", b"")
    with open(path, "r+b") as f:
        f.write(script.encode().ljust(512, b"\n"))
    return f"{path},format=raw"


def start(place_, script, *words, disk="enter,ready,wait"):
    """A VM whose vmm and disk play; it runs when this returns."""
    process = place_.start("run", "--kernel", place_.kernel, "--cmdline", script, "--name", NAME,
                           "--disk", image(place_, disk), *words)
    assert process.stdout.readline() == "the console\n", process.stderr.read()
    return process


def pid_of(place_, name):
    def found():
        return [pid for pid, exe in place_.processes() if exe.endswith(f"/{name}")]

    wait.until(found, name)
    (pid,) = found()
    return pid


def successor(place_, name, former):
    """The process after that one, once it is there."""
    def found():
        return [pid for pid, exe in place_.processes() if exe.endswith(f"/{name}") and pid != former]

    wait.until(found, f"another {name}")
    return found()[0]


def restarts(place_):
    _, out, _ = place_.call("ps")
    (row,) = [line.split() for line in out.splitlines() if line.startswith(f"{NAME} ")]
    return int(row[6])


def finish(process, place_):
    assert place_.call("stop", NAME)[0] == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return lines(err)


# ---- it comes back ----

@pytest.mark.parametrize("name", DEVICES)
def test_a_killed_device_is_started_again(place, name):
    process = start(place, f"{UP},power,{END}")
    former = pid_of(place, name)
    assert restarts(place) == 0
    os.kill(former, signal.SIGKILL)
    new = successor(place, name, former)
    wait.until(lambda: restarts(place) == 1, "a restart")
    assert pid_of(place, name) == new
    said = finish(process, place)
    assert said[0].startswith(f"{name} was killed by signal KILL (9)")
    assert said[0].endswith("; started again") and said[1:] == ["the guest powered off"]


@pytest.mark.parametrize("how,line", [
    ("crash", "was killed by signal ILL (4)"),
    ("call:2", "was stopped by its filter: system call open (2)"),
    ("exit:3", "ended by itself with status 3"),
    ("failed:no more,exit:1", ": no more"),
    ("event:1,ignore", "broke the control protocol"),
])
def test_a_crashed_device_is_started_again(place, how, line):
    process = start(place, f"{UP},power,{END}", disk=f"enter,ready,sleep:500,{how}")
    image(place, "enter,ready,wait")
    wait.until(lambda: restarts(place) >= 1, "a restart")
    line = f"dev-blk{line}" if line[0] == ":" else f"dev-blk {line}"
    said = finish(process, place)  # twice, if the image came too late
    assert set(said[:-1]) == {f"{line}; started again"} and said[-1] == "the guest powered off"


def facts_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        status = dict(line.rstrip("\n").split(":", 1) for line in f)
    kept = ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs",
            "Seccomp", "SigIgn", "SigCgt", "SigBlk")
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        limits = f.read()
    with open(f"/proc/{pid}/cmdline", encoding="ascii") as f:
        words = f.read()
    fds = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}").split("[")[0]
           for fd in os.listdir(f"/proc/{pid}/fd")}
    return {k: status[k].split() for k in kept}, limits, words, fds, os.listdir(f"/proc/{pid}/root")


def has(pid, facts):
    """Whether it has these by now: a new process opens and closes descriptors while it is looked at."""
    try:
        return facts_of(pid) == facts
    except FileNotFoundError:
        return False


def at_rest(pid):
    """It waits for its supervisor's next message: what belongs to its start is done."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        return f.read().split()[:2] == [str(RECVMSG), hex(CONTROL_FD)]


def base_of(pid):
    """Where its program is: no two are likely to share that."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        return f.readline().split("-")[0]


def test_the_second_is_kept_as_the_first(place):
    """Ids, limits, words, descriptors; and it is a new program, at addresses of its own."""
    process = start(place, f"{UP},power,{END}")
    for name in DEVICES:
        former = pid_of(place, name)
        wait.until(lambda f=former: at_rest(f), f"{name} has started")
        before, base = facts_of(former), base_of(former)
        os.kill(former, signal.SIGKILL)
        new = successor(place, name, former)
        wait.until(lambda n=new, b=before: has(n, b), "the same as before")
        assert base_of(new) != base, name
    code, out, _ = place.call("audit", "--json", NAME)
    weak = {(f["process"], f["aspect"]) for f in json.loads(out)["audits"][0]["findings"]
            if f["grade"] == "weaker"}
    assert code in (0, 1) and not {w for w in weak if w[0] in DEVICES}, weak
    finish(process, place)


def test_the_console_goes_on_where_it_was(quick):
    """Its stream outlives it: what waits in it is not lost."""
    process = start(quick, f"{UP},power,{END}")
    former = pid_of(quick, "dev-console")
    os.kill(former, signal.SIGKILL)
    assert process.stdout.readline() == "the console\n"
    wait.until(lambda: restarts(quick) == 1, "a restart")
    finish(process, quick)


# ---- it does not ----

def test_the_user_may_have_none_started_again(quick):
    process = start(quick, f"{UP},ignore", "--on-crash", "stop")
    assert not [exe for _, exe in quick.processes() if exe.endswith("/launcher")]
    os.kill(pid_of(quick, "dev-rng"), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert lines(err)[0].startswith("dev-rng was killed by signal KILL (9)") and len(lines(err)) == 1


@pytest.mark.parametrize("script,line", [
    ("exit:3", "dev-blk ended by itself with status 3"),
    ("crash", "dev-blk was killed by signal ILL (4)"),
    ("enter,call:2", "dev-blk was stopped by its filter: system call open (2)"),
    ("failed:no image,exit:1", "dev-blk: no image"),
    ("enter,garbage:3,ignore", "dev-blk broke the control protocol"),
])
def test_one_that_dies_at_every_start(place, script, line):
    """One line, after a bounded number of starts."""
    code, err = dies_later(place, script)
    assert code == 5
    assert lines(err) == [f"{line}; it was started again {AGAIN} times, and is not once more"]


def dies_later(place_, script):
    """Serves until the guest runs, and then its image has another script."""
    process = start(place_, f"{UP},wait", disk="enter,ready,sleep:200,crash")
    image(place_, script)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("script,line", [
    ("enter,ready,sleep:200,exit:0", "dev-blk ended by itself with status 0"),
    ("enter,ready,sleep:200,crash", "dev-blk was killed by signal ILL (4)"),
    ("enter,ready,sleep:200,call:2", "dev-blk was stopped by its filter: system call open (2)"),
    ("enter,ready,sleep:200,busy:0,ignore", "dev-blk broke the control protocol"),
])
def test_one_that_dies_of_serving(place, script, line):
    """A line for each time, and the last one says that it was enough."""
    code, _, err = place.run(f"{UP},wait", "--disk", image(place, script))
    assert code == 5
    said = lines(err)
    assert said[:-1] == [f"{line}; started again"] * (len(said) - 1) and len(said) - 1 <= AGAIN
    assert said[-1] == f"{line}; it was started again {AGAIN} times, and is not once more"


def test_who_kills_from_outside_is_no_crash(quick):
    """More often than a device may crash."""
    process = start(quick, f"{UP},power,{END}")
    pid = pid_of(quick, "dev-rng")
    for n in range(1, AGAIN + 4):
        os.kill(pid, signal.SIGKILL)
        pid = successor(quick, "dev-rng", pid)
        wait.until(lambda n=n: restarts(quick) == n, "a restart")
    assert len(finish(process, quick)) == AGAIN + 4


def test_a_program_that_cannot_be_executed_any_more(quick):
    """The launcher holds the one that was there at first; it is cut off, as by a full disk."""
    process = start(quick, f"{UP},wait")
    former = pid_of(quick, "dev-rng")
    program = quick.dir / "cmd/dev-rng/dev-rng"
    content = program.read_bytes()
    os.kill(former, signal.SIGSTOP)
    with contextlib.suppress(OSError):  # its text is in use: as busy as it can be
        program.write_bytes(content[:100])
    program.chmod(0o000)
    os.kill(former, signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert lines(err) == ["dev-rng cannot be started again: its executable: Permission denied; it was "
                          f"started again {AGAIN + 1} times, and is not once more"]


# ---- it waits for its user ----

PAUSED = "the VM is paused: bulkhead resume restart-test tries again, bulkhead stop restart-test ends it"


def state_of(place_):
    _, out, _ = place_.call("ps")
    (row,) = [line.split() for line in out.splitlines() if line.startswith(f"{NAME} ")]
    return row[2]


def paused(place_, script="exit:3", vmm=f"{UP},power,{END}"):
    """A VM whose disk dies at every start from now on, until it is paused."""
    process = start(place_, vmm, "--on-crash", "pause", disk="enter,ready,sleep:200,crash")
    image(place_, script)
    wait.until(lambda: state_of(place_) == "paused", "the pause")
    return process


def test_a_dead_device_pauses_the_vm(place):
    """Resumed in vain, then with a device that lives; then a stop as ever."""
    process = paused(place)
    code, _, err = place.call("resume", NAME)
    assert code == 1 and lines(err) == ["dev-blk ended by itself with status 3"]
    assert state_of(place) == "paused"
    image(place, "enter,ready,wait")
    assert place.call("resume", NAME) == (0, "", "")
    wait.until(lambda: state_of(place) == "running", "it runs")
    code, _, err = place.call("resume", NAME)
    assert code == 1 and lines(err) == ["the VM is not paused"]
    said = finish(process, place)
    assert said.count(f"dev-blk ended by itself with status 3; {PAUSED}") == 2
    vmm = [line for line in said if line.startswith("vmm: ")]
    assert vmm == ["vmm: warning: stands still", "vmm: warning: goes on"]
    assert said[-1] == "the guest powered off"


@pytest.mark.parametrize("words", [[], ["--now"]])
def test_a_paused_vm_is_stopped(quick, words):
    process = paused(quick)
    assert quick.call("stop", NAME, *words)[0] == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6
    assert lines(err)[-1].startswith("the VM was ended"), err


def test_a_paused_vm_without_its_launcher(quick):
    """Nobody could start the device again: it ends."""
    process = paused(quick)
    os.kill(pid_of(quick, "launcher"), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    assert lines(err)[-1].endswith("it is not started again: the launcher has ended")


def test_a_paused_vm_whose_vmm_dies(quick):
    process = paused(quick)
    os.kill(pid_of(quick, "vmm"), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5


def test_nothing_to_resume(quick):
    code, _, err = quick.call("resume", "nobody")
    assert code == 1 and "nobody" in err
    code, _, err = quick.call("resume")
    assert code == 2 and lines(err) == ["say NAME, of a VM that is paused"]
    process = start(quick, f"{UP},power,{END}")
    assert quick.call("resume", NAME)[0] == 1
    finish(process, quick)


def test_who_goes_away_while_it_resumes(quick):
    """The VM goes on all the same."""
    process = paused(quick)
    image(quick, "sleep:700,enter,ready,wait")
    command = quick.start("resume", NAME)
    command.kill()
    command.communicate(timeout=60)
    if state_of(quick) == "paused":
        quick.call("resume", NAME)
    wait.until(lambda: state_of(quick) == "running", "it runs")
    finish(process, quick)


# ---- the launcher ----

def test_a_killed_launcher(place):
    """The machine goes on, until a device dies."""
    process = start(place, f"{UP},power,{END}")
    os.kill(pid_of(place, "launcher"), signal.SIGKILL)
    said = process.stderr.readline()
    while "launcher" not in said:
        said = process.stderr.readline()
    assert lines(said) == ["the launcher has ended: a device that dies ends the VM"]
    assert restarts(place) == 0
    os.kill(pid_of(place, "dev-rng"), signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 5
    (line,) = lines(err)
    assert line.startswith("dev-rng was killed by signal KILL (9)")


def test_a_stopped_launcher_keeps_no_machine(quick):
    """One that never answers: the VM is stopped all the same, and nothing is left."""
    process = start(quick, f"{UP},power,{END}")
    os.kill(pid_of(quick, "launcher"), signal.SIGSTOP)
    os.kill(pid_of(quick, "dev-rng"), signal.SIGKILL)
    wait.until(lambda: not [e for _, e in quick.processes() if e.endswith("/dev-rng")], "its end")
    assert quick.call("stop", NAME)[0] == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and lines(err)[-1] == "the guest powered off"


def test_stop_while_a_device_is_away(quick):
    """One that is to be started again after a while is not waited for."""
    process = start(quick, f"{UP},power,{END}")
    image(quick, "exit:3")
    os.kill(pid_of(quick, "dev-blk"), signal.SIGKILL)
    assert quick.call("stop", NAME)[0] == 0
    _, err = process.communicate(timeout=60)
    assert process.returncode in (0, 5), err


@pytest.mark.parametrize("name", ["supervisor", "vmm", "bulkhead"])
def test_with_whom_the_launcher_ends(place, name):
    process = start(place, f"{UP},ignore")
    os.kill(pid_of(place, name), signal.SIGKILL)
    process.communicate(timeout=60)
    place.wait_until_empty()


def test_the_launcher_is_nobodys_to_command(quick):
    """It has one way in, a channel whose other end its supervisor alone has."""
    process = start(quick, f"{UP},power,{END}")
    launcher, supervisor = pid_of(quick, "launcher"), pid_of(quick, "supervisor")
    way_in = os.readlink(f"/proc/{launcher}/fd/3")
    way_out = os.readlink(f"/proc/{supervisor}/fd/5")
    assert way_in.startswith("socket:") and way_out.startswith("socket:")
    holders = [(pid, os.readlink(f"/proc/{pid}/fd/{fd}")) for pid, _ in quick.processes()
               for fd in os.listdir(f"/proc/{pid}/fd")]
    assert [pid for pid, link in holders if link == way_in] == [launcher]
    assert [pid for pid, link in holders if link == way_out] == [supervisor]
    with open(f"/proc/{launcher}/status", encoding="ascii") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
    assert int(status["CapPrm"], 16) == 0xc0 and status["NoNewPrivs"] == "1"
    assert os.listdir(f"/proc/{launcher}/root") == []
    assert subprocess.run(["ls", f"/proc/{launcher}/task"], capture_output=True, text=True,
                          check=True).stdout.split() == [str(launcher)]
    finish(process, quick)
