# SPDX-License-Identifier: Apache-2.0
"""An ordinary user's VM under subordinate ids: what the kernel says of its processes, what those ids
keep from them, that no two VMs have the same, and what is said where there are none.

The user, and their ids, are in an /etc that only the programs under test see (bh/vm.py).
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become others")

RUNNING, POWEROFF = 1, 2
UP = f"enter,ready,event:{RUNNING}"
END = f"event:{POWEROFF}"
N_IDS, BLOCK = 15, 16
SEEN_AS = 0x6200000F  # the user, inside


@pytest.fixture(params=["subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    assert place_.end() == []


class Machine:
    """One that runs until it is stopped."""

    def __init__(self, place_, *words):
        before = {pid for pid, _ in place_.processes()}
        self.disk = place_.file(f"disk{len(before)}.raw",
                                b"enter,ready,wait".ljust(512, b"\n"))
        self.process = place_.start("run", "--verbose", "--kernel", place_.kernel, "--cmdline",
                                    f"{UP},power,{END}", "--disk", f"{self.disk},format=raw", *words)
        assert self.process.stdout.readline() == "the console\n", self.process.stderr.read()
        self.pids = {os.path.basename(exe): pid for pid, exe in place_.processes()
                     if pid not in before}
        assert set(self.pids) == {"bulkhead", "supervisor", "launcher", *vm.PROCESSES}
        self.own = {n: pid for n, pid in self.pids.items() if n not in ("bulkhead", "launcher")}

    def ids(self):
        return {int(status_of(pid)["Uid"].split()[0]) for pid in self.own.values()}

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, err
        return err


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in f)}


def map_of(pid, kind):
    with open(f"/proc/{pid}/{kind}_map", encoding="ascii") as f:
        return [tuple(map(int, line.split())) for line in f]


# ---- what the kernel says ----

def test_ids_are_of_the_range(place):
    machine = Machine(place)
    uids, gids = [], []
    for name, pid in machine.own.items():
        status = status_of(pid)
        (uid,), (gid,) = set(status["Uid"].split()), set(status["Gid"].split())
        uids.append(int(uid) - vm.SUB_UIDS)
        gids.append(int(gid) - vm.SUB_GIDS)
        assert status["Groups"] == "", name
        assert {status[c].strip("0") for c in ("CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb")} == \
            {""}, name
        assert os.readlink(f"/proc/{pid}/ns/user") != os.readlink("/proc/self/ns/user")
    assert sorted(uids) == list(range(min(uids), min(uids) + 5)) and min(uids) % BLOCK == 0
    assert 0 <= min(uids) <= vm.N_SUB - N_IDS and gids == uids
    relay = status_of(machine.pids["bulkhead"])
    assert set(relay["Uid"].split()) == {str(vm.OWNER)}
    assert "this host does not give: ids" not in machine.stop()


def test_only_the_block_and_the_user_are_mapped(place):
    """A process has one id in its namespace; nobody has a third user's."""
    machine = Machine(place)
    base = min(machine.ids())
    group = base - vm.SUB_UIDS + vm.SUB_GIDS
    pid = machine.pids["supervisor"]
    assert map_of(pid, "uid") == [(base, base, N_IDS), (SEEN_AS, vm.OWNER, 1)]
    assert map_of(pid, "gid") == [(base, group, N_IDS), (SEEN_AS, vm.OWNER_GROUP, 1)]
    for name in vm.PROCESSES:
        pid = machine.pids[name]
        (uid,), (gid,) = map_of(pid, "uid"), map_of(pid, "gid")
        assert uid[0] == uid[1] == gid[0] > base and uid[2] == gid[2] == 1
    machine.stop()


# ---- what the ids keep from them ----

# Run with the ids, groups and namespaces of a process of the VM, without its filter, Landlock, root
# and process namespace: what is left in the way is who it is.
INTRUDER = """
import ctypes, os, signal, sys
pid, victim, secret = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
libc = ctypes.CDLL(None, use_errno=True)

def try_to(what, call):
    try:
        call()
        print(what, "done")
    except OSError as e:
        print(what, e.strerror)

def trace():
    if libc.ptrace(16, victim, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    os.waitpid(victim, 0x40000000)

try_to("read", lambda: open(secret).close())
try_to("write", lambda: open(secret, "r+").close())
try_to("unlink", lambda: os.unlink(secret))
try_to("memory", lambda: open(f"/proc/{victim}/mem", "rb").close())
try_to("stop", lambda: os.kill(victim, signal.SIGSTOP))
try_to("limit", lambda: __import__("resource").prlimit(victim, 7, (9, 9)))
try_to("trace", trace)
"""

ENTER = """
import ctypes, os, sys
pid = sys.argv[1]
libc = ctypes.CDLL(None, use_errno=True)
uid = int(open(f"/proc/{pid}/uid_map").read().split()[0])
gid = int(open(f"/proc/{pid}/gid_map").read().split()[0])
os.setgroups([])
assert libc.setns(os.open(f"/proc/{pid}/ns/user", os.O_RDONLY), 0x10000000) == 0
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], *sys.argv[3:]])
"""


def intrude(place_, pid):
    """What a process with the other's ids can do to a process and a file of the VM's user."""
    home = place_.dir / "home"
    home.mkdir(mode=0o700)
    os.chown(home, place_.uid, place_.gid)
    secret = home / "secret"
    secret.write_text("secret")
    secret.chmod(0o600)
    os.chown(secret, place_.uid, place_.gid)
    with subprocess.Popen([*place_.become, "sleep", "1000"]) as victim:
        wait.until(lambda: os.readlink(f"/proc/{victim.pid}/exe").endswith("/sleep"), "exec")
        said = subprocess.run(["/usr/bin/python3", "-c", ENTER, str(pid), INTRUDER, str(pid),
                               str(victim.pid), secret], capture_output=True, text=True, timeout=60,
                              check=False)
        victim.kill()
    shutil.rmtree(home)
    assert said.returncode == 0, said.stderr
    return dict(line.split(" ", 1) for line in said.stdout.splitlines())


TRIED = {"read", "write", "unlink", "memory", "stop", "limit", "trace"}


@pytest.mark.parametrize("name", ["supervisor", "launcher", *vm.PROCESSES])
def test_nothing_of_the_user_is_theirs(place, name):
    machine = Machine(place)
    done = intrude(place, machine.pids[name])
    machine.stop()
    assert set(done) == TRIED and set(done.values()) <= {"Permission denied",
                                                         "Operation not permitted"}, done


@pytest.mark.parametrize("place", ["user"], indirect=True)
def test_what_one_id_for_all_would_give(place):
    """The same without subordinate ids: what the others keep out then is all that does."""
    machine = Machine(place)
    done = intrude(place, machine.pids["dev-blk"])
    machine.stop()
    assert {what for what, how in done.items() if how == "done"} >= {"read", "write", "unlink",
                                                                    "stop"}, done


# ---- no two have the same ----

def said_of_ids(err):
    """Why there are none, out of the one line that says it (as far as it does); None if there are."""
    lines = [line for line in err.splitlines() if "warning: this host does not give: " in line]
    assert len(lines) <= 1, err
    found = re.search(r"give: ids\b(?: \((.*?)\)(?:,|$))?", lines[0]) if lines else None
    return found and (found.group(1) or "not said")


ALL_USED = "all of this user's subordinate ids are in use"


def test_two_machines_never_share(place):
    """A range of two blocks, three machines, and again after one has ended."""
    place.give_ids(f"owner:{vm.SUB_UIDS}:{2 * BLOCK}\n", f"{vm.OWNER}:{vm.SUB_GIDS}:40\n")
    first, second = Machine(place), Machine(place)
    assert not first.ids() & second.ids() and len(first.ids() | second.ids()) == 10
    third = Machine(place)
    assert third.ids() == {vm.OWNER}
    code, _, err = place.run(f"{UP},{END}", "--strict")
    assert code == 1 and f"ids ({ALL_USED})" in err and err.count("\n") == 1
    assert said_of_ids(third.stop()) == ALL_USED
    used = second.ids()
    assert said_of_ids(second.stop()) is None
    fourth = Machine(place)
    assert fourth.ids() == used
    fourth.stop()
    first.stop()


NANOSLEEP = ("35 ", "230 ")


def call_of(pid):
    """The system call that a process waits in."""
    with open(f"/proc/{pid}/syscall", encoding="ascii") as f:
        return f.read()


def test_an_end_is_waited_for(place):
    """The only block is claimed until the supervisor has begun to wait for it."""
    place.give_ids(f"owner:{vm.SUB_UIDS}:{N_IDS}\n", f"owner:{vm.SUB_GIDS}:{N_IDS}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(f"\0bulkhead/ids/{vm.SUB_UIDS}")
        process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},{END}")
        wait.until(lambda: [p for p, exe in place.processes() if exe.endswith("/supervisor")],
                   "the supervisor")
        (pid,) = [p for p, exe in place.processes() if exe.endswith("/supervisor")]
        wait.until(lambda: call_of(pid).startswith(NANOSLEEP), "a pause")
        os.kill(pid, signal.SIGSTOP)  # it counts its pauses, not the time
    os.kill(pid, signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and said_of_ids(err) is None, err


def test_ids_of_other_processes_are_passed_over(place):
    """Whoever they are: here of the last id of the first block."""
    place.give_ids(f"owner:{vm.SUB_UIDS}:{2 * BLOCK}\n", f"owner:{vm.SUB_GIDS}:{2 * BLOCK}\n")
    uid = str(vm.SUB_UIDS + N_IDS - 1)
    with subprocess.Popen(["setpriv", "--reuid", uid, "--clear-groups", "sleep", "1000"]) as other:
        wait.until(lambda: status_of(other.pid)["Uid"].split()[0] == uid, "setpriv")
        machine = Machine(place)
        code, _, err = place.run(f"{UP},{END}", "--strict")
        other.kill()
    assert min(machine.ids()) == vm.SUB_UIDS + BLOCK
    assert code == 1 and ALL_USED in err
    machine.stop()


def test_claims_of_others_are_passed_over(place):
    place.give_ids(f"owner:{vm.SUB_UIDS}:{2 * BLOCK}\n", f"owner:{vm.SUB_GIDS}:{2 * BLOCK}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(f"\0bulkhead/ids/{vm.SUB_UIDS + BLOCK}")
        machine = Machine(place)
        assert min(machine.ids()) == vm.SUB_UIDS
        machine.stop()


def test_uids_and_gids_of_several_ranges(place):
    """Each file has its own; what is too small or malformed is passed over."""
    place.give_ids(f"other:{vm.SUB_UIDS}:65536\nowner:x:y\nowner:5000:14\nowner:7001:30\n",
                   f"owner:0:65536\nowner:9007:15\n{vm.OWNER}:400000:15\n")
    machine = Machine(place)
    assert min(machine.ids()) == 7008
    assert map_of(machine.pids["supervisor"], "gid")[0] == (7008, 400000, N_IDS)
    machine.stop()


# ---- where there are none ----

def is_said(place_, why):
    """Said once, and the machine runs as its user; refused with --strict; explained."""
    machine = Machine(place_)
    assert machine.ids() == {vm.OWNER}
    said = said_of_ids(machine.stop())
    assert said and re.fullmatch(why, said), said
    code, out, err = place_.run(f"{UP},{END}", "--strict")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert re.search(rf"--strict: this host does not give: ids \({why}\)", err), err
    code, out, err = place_.call("explain", "--kernel", "k", "--strict")
    assert code == 0 and err == ""
    assert re.search(rf"  ids +not given \({why}\): a VM's processes share their user's id; run refuses",
                     re.sub(r"\n {20}", " ", out)), out


BIG = f"owner:{vm.SUB_UIDS}:65536\n"


@pytest.mark.parametrize("subuid,subgid,why", [
    ("", BIG, "/etc/subuid has no range for this user"),
    (BIG, "", "/etc/subgid has no range for this user"),
    (BIG.replace("owner", "other"), BIG, "/etc/subuid has no range for this user"),
    (BIG, "owner:0:65536\n", "/etc/subgid has no range for this user"),
    ("owner:100000:14\n", BIG,
     "the range in /etc/subuid is too small: 15 ids from a multiple of 16 on"),
    (BIG, "owner:100001:29\n",
     "the range in /etc/subgid is too small: 15 ids from a multiple of 16 on"),
])
def test_no_range(place, subuid, subgid, why):
    place.give_ids(subuid, subgid)
    is_said(place, why)


def test_no_file(place):
    (place.dir / "etc/subgid").unlink()
    is_said(place, "/etc/subgid: No such file or directory")
    (place.dir / "etc/subgid").mkdir()
    is_said(place, "/etc/subgid: Invalid argument")


def test_helper_is_not_there(place):
    """No /usr/bin at all: what starts the test's program is a copy."""
    empty = place.dir / "empty"
    empty.mkdir()
    shutil.copy("/usr/bin/setpriv", place.dir)
    place.become = [str(place.dir / "setpriv"), *place.become[1:]]
    place.mounts.append((empty, "/usr/bin"))
    is_said(place, "/usr/bin/newuidmap: No such file or directory")


@pytest.mark.parametrize("name", ["newuidmap", "newgidmap"])
def test_helper_has_no_power(place, name):
    shutil.copyfile(f"/usr/bin/{name}", place.dir / name)
    (place.dir / name).chmod(0o755)
    place.mounts.append((place.dir / name, f"/usr/bin/{name}"))
    is_said(place, f"{name}: write to .id_map failed: Operation not permitted")


def test_helper_without_new_privileges(place):
    place.become = [*place.become, "--no-new-privs"]
    is_said(place, "new.idmap: write to .id_map failed: Operation not permitted")


def test_helper_refuses(place):
    """It lets nobody in but with the group that passwd says."""
    place.become = [w.replace(f"--regid={vm.OWNER_GROUP}", "--regid=64002") for w in place.become]
    is_said(place, "newuidmap: Target process .* is owned by a different user.*|"
                   "new.idmap: Target .*")


def test_programs_that_others_may_not_execute(place):
    program = place.dir / "cmd/dev-rng/dev-rng"
    program.chmod(0o700)
    os.chown(program, vm.OWNER, vm.OWNER_GROUP)
    code, _, err = place.run(f"{UP},{END}")
    assert code == 1 and err.count("\n") == 1
    assert "the program dev-rng beside " in err and err.endswith("chmod o+x it\n")
    place.give_ids("", "")
    assert place.run(f"{UP},{END}")[0] == 0


# ---- a VM of many processes ----

def test_many_processes_have_an_id_each(place):
    """More than a block has: blocks in a row, of which no other VM has any."""
    disks = []
    for i in range(20):
        path = place.file(f"many{i}.raw", b"enter,ready,wait".ljust(512, b"\n"))
        disks += ["--disk", f"{path},format=raw"]
    small = Machine(place)
    large = place.start("run", "--verbose", "--kernel", place.kernel, "--cmdline",
                        f"{UP},power,{END}", *disks)
    assert large.stdout.readline() == "the console\n", large.stderr.read()
    own = [pid for pid, exe in place.processes()
           if os.path.basename(exe) not in ("bulkhead", "launcher") and pid not in small.own.values()]
    uids = {int(status_of(pid)["Uid"].split()[0]) for pid in own}
    assert len(uids) == len(own) == 24
    assert not uids & small.ids()
    supervisor = next(p for p, exe in place.processes()
                      if os.path.basename(exe) == "supervisor" and p in own)
    (base, outside, n), seen_as = map_of(supervisor, "uid")
    assert (base % BLOCK, n, seen_as) == (0, 9 * BLOCK - 1, (SEEN_AS, vm.OWNER, 1))
    assert outside == base and set(range(base, base + n)) >= uids
    assert not set(range(base, base + n)) & small.ids()
    large.send_signal(signal.SIGTERM)
    _, err = large.communicate(timeout=60)
    assert large.returncode == 0, err
    assert "this host does not give: ids" not in err
    small.stop()
