# SPDX-License-Identifier: Apache-2.0
"""A passt that does not end, or that computes without end: it is gone with its VM, or before. A program of ours stands in for it."""

import ctypes
import os
import shutil
import signal
import subprocess

import pytest

from bh import tap, vm, wait

CLONE_NEWNS = 0x20000
NETWORK = ("ip link set lo up && ip tuntap add v0 mode tap && ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up && "
           "ip route add default via 10.9.0.254")
# as passt: the first process ends once another serves, which is rid of standard error; and that one ends by nothing
COMPUTES = "while :; do :; done"
CALLS = "while :; do : </dev/null; done"
STANDS_IN = "#!/bin/sh\ntrap '' TERM HUP INT PIPE\n({}) 2>/dev/null &\nexit {}\n"

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="networks and file systems of its own take root"),
              pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")]


@pytest.fixture(scope="module", params=["root", "user"])
def place(request, build):
    place_ = vm.place_of(build, request.param, real=True)
    place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    yield place_
    assert place_.end() == []


def named(*names):
    """Processes of this thread's network."""
    own, found = os.stat("/proc/thread-self/ns/net").st_ino, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                comm, _, rest = f.read().partition("(")[2].rpartition(")")
            if comm in names and rest.split()[0] not in "ZX" and os.stat(f"/proc/{pid}/ns/net").st_ino == own:
                found.append(int(pid))
        except OSError:
            pass
    return found


def passts():
    return named("passt", "passt.avx2")


def time_of(pid):
    """Seconds of a CPU's; 0 when it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(place, name):
    return place.call("run", "--accel", "soft", "--kernel", place.dir / "guest.elf", "--memory", "64M", "--name", name,
                      "--detach", "--net", "user", "--allow", "virtio-net,net-relay")


def stand_in(place, loop, status=0):
    """From now on it is passt."""
    path = place.file("passt", STANDS_IN.format(loop, status).encode())
    os.chmod(path, 0o755)
    subprocess.run(f"umount /usr/bin/passt 2>/dev/null; mount --bind {path} /usr/bin/passt", shell=True, check=True)


def apart(body):
    def run():
        if ctypes.CDLL(None).unshare(CLONE_NEWNS):
            raise OSError("unshare")
        subprocess.run(f"mount --make-rprivate / && {NETWORK}", shell=True, check=True)
        return body()

    return tap.apart(run)


def supervisors(place):
    return [pid for pid, exe in place.processes() if exe.endswith("/supervisor")]


def end_by_stop(place):
    assert place.call("stop", "v")[0] == 0


def end_by_kill(place):
    for pid in supervisors(place):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


ENDS = {"stop": end_by_stop, "kill": end_by_kill}


def all_gone(place):
    place.wait_until_empty()
    wait.until(lambda: not passts() and not named("passt-guard"), "nothing is left of it")


@pytest.mark.parametrize("end", ENDS)
def test_one_that_spins_ends_with_its_vm(place, end):
    def body():
        stand_in(place, CALLS)
        assert start(place, "v")[0] == 0
        [pid] = passts()
        wait.until(lambda: time_of(pid) > 0.1, "it spins")
        os.kill(pid, signal.SIGTERM)
        ENDS[end](place)
        all_gone(place)

    apart(body)


@pytest.mark.parametrize("end", ENDS)
def test_one_that_stands_still_ends_with_its_vm(place, end):
    def body():
        assert start(place, "v")[0] == 0
        [pid] = passts()
        os.kill(pid, signal.SIGSTOP)
        ENDS[end](place)
        all_gone(place)

    apart(body)


def test_one_without_its_guard(place):
    """Whoever ends that ends passt; and passt's end is its guard's."""
    def body():
        for victim, other in (("passt-guard", "passt"), ("passt", "passt-guard")):
            stand_in(place, CALLS)
            assert start(place, "v")[0] == 0
            [pid] = named(victim)
            assert len(named(other)) == 1
            os.kill(pid, signal.SIGKILL)
            wait.until(lambda: not named("passt", "passt-guard"), "both have ended")
            end_by_stop(place)
            all_gone(place)

    apart(body)


def compute(pid, seconds):
    """Until it has ended, or has used so much of a CPU: how much it gets of one is the host's business."""
    spent = 0
    while spent < seconds and os.path.exists(f"/proc/{pid}"):
        wait.until(lambda: time_of(pid) >= min(spent + 0.5, seconds) or not os.path.exists(f"/proc/{pid}"), "it goes on")
        spent = time_of(pid)
    return spent


def test_one_that_computes_alone_is_ended(place):
    """The VM goes on, and one line says that it has no network. One that makes calls is as busy, and stays."""
    def body():
        stand_in(place, CALLS)
        assert start(place, "busy")[0] == 0
        [busy] = passts()
        stand_in(place, COMPUTES)
        assert start(place, "v")[0] == 0
        [pid] = set(passts()) - {busy}
        assert compute(pid, 60) < 60
        assert compute(busy, 7) >= 7
        assert passts() == [busy]
        for name in ("busy", "v"):
            assert place.call("stop", name)[0] == 0
        all_gone(place)

    apart(body)


def test_one_that_does_not_start(place):
    def body():
        stand_in(place, "echo this one will not >&3; exec sleep 1", 1)
        code, _, err = start(place, "v")
        assert code == 1 and "passt does not start" in err and err.count("\n") == 1, err
        all_gone(place)

    apart(body)
