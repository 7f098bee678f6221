# SPDX-License-Identifier: Apache-2.0
"""bulkhead audit: says of a running machine what is so, and finds what is weaker than declared.

As declared: the shipped programs on the software CPU. Weaker: played processes that hold more or
keep less back. What each kind of weakness looks like to the judge is tests/unit/test_audit_judge.c's.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from bh import tap, tgt, vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UP = "enter,ready,event:1"
GUEST_FACING = {"vmm", "dev-blk", "dev-rng", "dev-console"}
# Others on the same machine may run the same tests.
A, B, C, D, P, DYING = (f"{name}{os.getpid()}" for name in ("a", "b", "c", "d", "p", "dying"))
MOST_CALLS = {"launcher": 85, "dev-blk": 16, "dev-rng": 16, "dev-console": 16}


class Audited:
    """What `bulkhead audit --json` said."""

    def __init__(self, place_, *words):
        self.status, out, self.err = place_.call("audit", "--json", *words)
        (self.audit,) = json.loads(out)["audits"]
        self.processes = {p["name"]: p for p in self.audit["processes"]}

    def weak(self):
        """(process, aspect) of each."""
        return [(f["process"], f["aspect"]) for f in self.audit["findings"]
                if f["grade"] == "weaker"]


def start_real(build, user, name=A, *words, subids=False, pass_fds=()):
    place_ = vm.Place(build, user=user, real=True, subids=subids)
    disk = place_.file("disk.raw", bytes(1 << 20))
    guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    code, _, err = place_.call("run", "--accel", "soft", "--kernel", guest, "--cpus", "2",
                               "--memory", "64M", "--disk", f"{disk},format=raw", "--name", name, *words,
                               "--detach", pass_fds=pass_fds)
    assert code == 0, err
    return place_


@pytest.fixture(scope="module")
def real(build):
    place_ = start_real(build, user=False)
    yield place_
    place_.end()


@pytest.fixture(scope="module")
def users(build):
    place_ = start_real(build, user=True)
    yield place_
    place_.end()


@pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")
def test_a_disk_with_metadata(build):
    """Beside its image dev-blk holds what is behind it; its other thread is in two filters, the second the narrower."""
    place_ = vm.Place(build, real=True)
    base = place_.file("base.raw", bytes(1 << 20))
    top = place_.file("top.qcow2", b"")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top], check=True)
    guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    name = f"{A}-qcow2"
    code, _, err = place_.call("run", "--accel", "soft", "--kernel", guest, "--memory", "64M", "--name", name,
                               "--allow", "qcow2", "--detach", "--disk",
                               f"{top},format=qcow2,backing={base},backing-format=raw")
    assert code == 0, err
    try:
        a = Audited(place_, name, "--deep")
        assert (a.status, a.weak()) == (0, [])
        blk = a.processes["dev-blk"]
        assert {d["fd"] for d in blk["descriptors"]} >= {5, 6}
        main, volume = [t for t in blk["threads"] if t["role"] != "kernel's worker"]
        assert (main["seccomp_filters"], volume["role"], volume["seccomp_filters"]) == (1, "volume", 2)
        assert {c["name"] for c in volume["surface"]["list"]} == {
            "read", "write", "close", "preadv", "pwritev", "fdatasync", "fallocate", "sendmsg", "restart_syscall"}
    finally:
        place_.end()


@pytest.fixture
def served(tmp_path):
    """served(program, file) -> the address of that file's server."""
    servers = []

    def serve(program, file):
        if program == "storage-iscsi":
            if tgt.MISSING:
                pytest.skip("no tgt: tools/deps check")
            servers.append(tgt.Target(tmp_path, [(file, 512, False)]))
            return servers[-1].uri()
        if not shutil.which("nbdkit"):
            pytest.skip("no nbdkit: tools/deps check")
        sock = tmp_path / "served.sock"
        servers.append(subprocess.Popen(["nbdkit", "-f", "-U", sock, "file", file]))
        wait.until(sock.exists, "the server listens")
        return f"nbd+unix:///?socket={sock}"

    yield serve
    for server in servers:
        server.kill()


@pytest.mark.parametrize("program", ("storage-nbd", "storage-iscsi"))
def test_a_disk_of_a_server(build, served, program):
    """Its connection, the dialer, and the launcher's channel to that, are as declared; another channel would not be."""
    place_ = vm.Place(build, real=True)
    address = served(program, place_.file("served.raw", bytes(1 << 20)))
    try:
        guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
        name = f"{A}-server"
        code, _, err = place_.call("run", "--accel", "soft", "--kernel", guest, "--memory", "64M", "--name", name,
                                   "--allow", program, "--detach", "--disk", f"{address},format=raw")
        assert code == 0, err
        a = Audited(place_, name)
        assert (a.status, a.weak()) == (0, [])
        assert {program, "dialer"} <= set(a.processes)
        assert [d for d in a.processes["launcher"]["descriptors"] if d["fd"] > 3 and d["family"] == "unix"]
    finally:
        place_.end()


@pytest.mark.parametrize("options,holder", [("", "dev-net"), (",guard=on", "net-relay")])
def test_a_network_card(build, options, holder):
    """Its stream is dev-net's, or that of the net-relay behind it, and its launcher's for the next one; nobody else holds
    either end, not even what the command was started with beside it."""
    place_ = vm.Place(build, real=True)
    guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    name = f"{A}-net"
    ours, theirs = socket.socketpair()
    other, _ = pair = socket.socketpair()
    inodes = [os.fstat(s.fileno()).st_ino for s in (theirs, other)]
    started = place_.start("run", "--accel", "soft", "--kernel", guest, "--memory", "64M", "--name", name, "--detach",
                           f"--net=fd={theirs.fileno()}{options}", "--allow", "virtio-net,net-relay",
                           pass_fds=[theirs.fileno(), other.fileno()])
    _, err = started.communicate(timeout=60)
    assert started.returncode == 0, err
    for s in (theirs, *pair):
        s.close()
    try:
        a = Audited(place_, name, "--deep")
        assert (a.status, a.weak()) == (0, [])
        for program, calls in {"dev-net": 16, holder: 16 if holder == "dev-net" else 11}.items():
            found = a.processes[program]
            assert [0 < t["surface"]["calls"] <= calls for t in found["threads"]] == [True]
            assert {d["fd"] for d in found["descriptors"]} >= {3, 4, 5, 6}
        holders = [{os.path.basename(exe) for pid, exe in place_.processes()
                    if any(os.stat(f"/proc/{pid}/fd/{fd}").st_ino == inode for fd in os.listdir(f"/proc/{pid}/fd"))}
                   for inode in inodes]
        assert holders == [{holder, "launcher"}, set()]
    finally:
        place_.end()
        ours.close()


NETWORK = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
           "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254")


@pytest.mark.parametrize("right", [True, False], ids=["passt", "no passt"])
def test_what_has_the_links_other_end(build, tmp_path, right):
    """passt is shown as it confines itself; and what only calls itself so, as what it lacks."""
    name = f"{A}-user"

    def body():
        subprocess.run(NETWORK, shell=True, check=True)
        ours, theirs = socket.socketpair()
        other = subprocess.Popen([tmp_path / "passt", "1000"], pass_fds=[ours.fileno()])
        net = ["--net=user"] if right else [f"--net=fd={theirs.fileno()},guard=on"]
        place_ = start_real(build, False, name, *net, "--allow", "virtio-net,net-relay", pass_fds=[theirs.fileno()])
        theirs.close()
        ours.close()
        try:
            return Audited(place_, name), other.pid
        finally:
            place_.end()
            other.kill()
            other.wait()

    if right and not shutil.which("passt"):
        pytest.skip("no passt: tools/deps check")
    shutil.copy("/bin/sleep", tmp_path / "passt")
    a, pid = tap.apart(body)
    found, *guard = sorted((f for f in a.audit["findings"] if f["aspect"] == "network"), key=lambda f: "passt-guard" in f["is"])
    assert found["is"].startswith(("passt,", "passt.")), found
    if right:
        assert (a.status, a.weak()) == (0, []) and [g["is"].partition(",")[0] for g in guard] == ["passt-guard"], guard
        for f in (found, *guard):
            assert f["grade"] == "note" and "user id 65534" in f["is"], f
    else:
        assert a.status == 1 and not guard and found["grade"] == "weaker" and f"process {pid}, user id 0, runs as root" in found["is"]


@pytest.mark.parametrize("reaches", [False, True], ids=["listens", "connects"])
def test_a_vsock(build, reaches):
    """Where its clients connect is dev-vsock's, and its launcher's for the next one; and so is its channel to the dialer."""
    place_ = vm.Place(build, real=True)
    guest = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    name = f"{A}-vsock"
    code, _, err = place_.call("run", "--accel", "soft", "--kernel", guest, "--memory", "64M", "--name", name, "--detach",
                               "--vsock", "on", "--vsock-listen", "22", "--allow", "virtio-vsock",
                               *(("--vsock-connect", "80,81") if reaches else ()))
    try:
        assert code == 0, err
        a = Audited(place_, name, "--deep")
        assert (a.status, a.weak()) == (0, [])
        vsock = a.processes["dev-vsock"]
        assert [0 < t["surface"]["calls"] <= 16 for t in vsock["threads"]] == [True]
        assert {d["fd"] for d in vsock["descriptors"]} >= {3, 4, 5}
        assert ("dialer" in a.processes) == reaches
        assert [d for d in a.processes["launcher"]["descriptors"] if d["fd"] > 3 and d["family"] == "unix"]
    finally:
        place_.end()


@pytest.fixture
def played(build):
    place_ = vm.Place(build)

    def start(script, disk=None):
        words = []
        if disk:
            path = place_.file("disk.raw", disk.encode().ljust(512, b"\n"))
            words = ["--disk", f"{path},format=raw"]
        code, _, err = place_.call("run", "--kernel", place_.kernel, "--cmdline", script, "--name",
                                   P, "--detach", *words)
        assert code == 0, err
        return place_

    yield start
    place_.end()


# ---- as declared ----

def test_a_machine_is_as_declared(real):
    code, out, err = real.call("audit", A)
    assert (code, err) == (0, ""), out
    assert "WEAKER" not in out and "not visible" not in out
    assert out.count(" declared\n") == 6
    assert max(map(len, out.splitlines())) <= 80


def test_all_machines(real):
    """There may be others of root's, by other tests, as they are and may end."""
    _, out, _ = real.call("audit")
    assert f"{A}: 6 processes" in out


def test_json_has_every_thread(real):
    a = Audited(real, A)
    assert (a.status, a.err, a.weak()) == (0, "", [])
    assert set(a.processes) == GUEST_FACING | {"supervisor", "launcher"}
    for name, p in a.processes.items():
        tids = {t["tid"] for t in p["threads"]}
        assert tids == {int(t) for t in os.listdir(f"/proc/{p['pid']}/task")}, name
        if name != "supervisor":  # the command itself was its client
            assert {d["fd"] for d in p["descriptors"]} == \
                {int(d) for d in os.listdir(f"/proc/{p['pid']}/fd")}, name
        assert p["root"]["empty"] and p["root"]["read_only"] and not p["dumpable"]
        for ns, seen in p["namespaces"].items():
            assert seen["inode"] == os.stat(f"/proc/{p['pid']}/ns/{ns}").st_ino
        for t in p["threads"]:
            ids = {"permitted", "effective"} if name == "launcher" else set()
            assert {c for c, held in t["capabilities"].items() if held != "none"} == ids
            assert t["no_new_privs"] and t["seccomp_mode"] == 2 and t["seccomp_filters"] == 1
    assert [t["role"] for t in a.processes["vmm"]["threads"]] == ["main", "vCPU", "vCPU"]


def test_clients_that_come_and_go_are_no_weakness(real):
    """A socket may be closed between a look at the descriptors and one at the kernel's lists."""
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
                sock.connect(f"\0bulkhead/0/{A}")

    client = threading.Thread(target=come_and_go)
    client.start()
    try:
        seen = [Audited(real, A).weak() for _ in range(20)]
    finally:
        stop.set()
        client.join()
    assert seen == [[]] * 20


def test_deep(real):
    a = Audited(real, A, "--deep")
    assert (a.status, a.weak()) == (0, [])
    for name, p in a.processes.items():
        for t in p["threads"]:
            s = t["surface"]
            assert 0 < s["calls"] <= MOST_CALLS.get(name, 32) and s["whole"], name
            assert s["x32"] == s["i386"] == s["unnamed"] == 0, name
            assert s["code"] == (1 if name == "launcher" else 0), name  # what it starts is a program
            if name in GUEST_FACING:
                taken = [c["name"] for c in s["list"] if c["takes"]]
                assert taken == [], name
            # the launcher's are by flags, and unit tests know that none is of code
            mmaps = [c for c in s["list"] if c["name"] == "mmap" and name != "launcher"]
            for c in mmaps:
                [prot] = [a for a in c["arguments"] if a["index"] == 2]  # and none is PROT_EXEC
                assert set(prot["values"]) <= {"0x1", "0x3"} and not prot["others"]
    code, out, _ = real.call("audit", A, "--deep")
    assert code == 0 and "dev-blk main" in out and "vmm vCPU" in out
    assert max(map(len, out.splitlines())) <= 80


def test_guest_ram_in_small_pages(build):
    place_ = start_real(build, False, C, "--huge-pages", "off")
    code, out, _ = place_.call("audit", C)
    place_.end()
    assert code == 0, out


@pytest.mark.skipif(not os.access("/dev/kvm", os.R_OK | os.W_OK), reason="needs /dev/kvm")
def test_kvm(build):
    place_ = start_real(build, False, D, "--accel", "kvm")
    a = Audited(place_, D, "--deep")
    place_.end()
    assert (a.status, a.weak()) == (0, [])
    main, *vcpus = a.processes["vmm"]["threads"]
    vcpus = [t for t in vcpus if not t["kernel_worker"]]
    assert len(vcpus) == 2 and all(t["surface"]["calls"] <= 12 for t in vcpus)
    (ioctl,) = [c for c in vcpus[0]["surface"]["list"] if c["name"] == "ioctl"]
    assert not ioctl["arguments"][0]["others"] and "0xae80" in ioctl["arguments"][0]["values"]
    assert main["surface"]["calls"] <= 32


def test_the_machine_serves_on(build):
    """Threads are stopped and go on, also when the command is killed at any time."""
    place_ = start_real(build, False, B)
    dice = random.Random(4)
    for _ in range(25):
        process = place_.start("audit", B, "--deep")
        time.sleep(dice.random() * 0.03)
        process.kill()
        process.communicate()
    for pid, _ in place_.processes():
        for tid in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as f:
                lines = f.read().splitlines()
            assert "TracerPid:\t0" in lines
            assert not [l for l in lines if l.startswith("State:") and "t" in l.split()[1].lower()]
    assert place_.call("audit", B, "--deep")[0] == 0
    assert place_.call("stop", B)[1] == f"{B}: the guest powered off\n"
    place_.end()


def test_ordinary_user(users):
    """The user owns the processes' namespaces and sees into them, not into the supervisor."""
    code, out, err = users.call("audit", A)
    assert (code, err) == (0, ""), out
    assert out.count("not visible to this user:") == 1
    for what in ("namespaces", "descriptors", "mappings"):
        assert what in out.replace("\n", " ")
    a = Audited(users, A)
    assert a.weak() == []
    hidden = {name for name, p in a.processes.items()
              if "descriptors" not in p and "mappings" not in p and "namespaces" not in p}
    assert hidden == {"supervisor", "launcher"}
    assert a.processes["dev-blk"]["unseen"] == ["descriptors"]
    assert len(a.processes["vmm"]["threads"]) == 3


def notes(audit):
    return {f["aspect"] for f in audit.audit["findings"] if f["grade"] == "note"}


def test_user_with_subordinate_ids(build, users):
    """No less is seen than without them; root sees all."""
    place_ = start_real(build, True, A, subids=True)
    try:
        code, out, err = place_.call("audit", A)
        assert (code, err) == (0, ""), out
        a, without = Audited(place_, A), Audited(users, A)
        root = Audited(vm.Place(build), "--uid", str(place_.uid), A, "--deep")
    finally:
        place_.end()
    assert a.weak() == root.weak() == [] and root.status == 0
    assert {n: p.get("unseen") for n, p in a.processes.items()} == \
        {n: p.get("unseen") for n, p in without.processes.items()}
    assert all(not p["unseen"] for p in root.processes.values())
    uids = [set(t["uid"]) for p in a.processes.values() for t in p["threads"][:1]]
    # the launcher has its supervisor's
    assert [len(u) for u in uids] == [1] * 6 and len(set.union(*uids)) == 5
    assert all(vm.SUB_UIDS <= u < vm.SUB_UIDS + vm.N_SUB for u in set.union(*uids))
    assert "user id" in notes(without) and "user id" not in notes(a)


def test_rights(users):
    code, out, err = users.call("audit", "--deep", A)
    assert (code, out) == (5, "") and "takes root" in err
    code, out, err = users.call("audit", "--uid", "0", A)
    assert (code, out) == (5, "") and "takes root" in err


def test_root_audits_a_users_machine(users, real):
    """Its supervisor serves its user alone; the kernel still says who listens."""
    code, out, err = real.call("audit", "--uid", "65534", A, "--deep")
    assert (code, err) == (0, ""), out
    assert "not visible" not in out and out.count(" declared\n") == 6
    code, _, err = real.call("audit", "--uid", "65534", "none")
    assert code == 5 and "no VM of user 65534 is named 'none'" in err


# ---- weaker than declared ----

def weak_of(place_, *words):
    a = Audited(place_, P, *words)
    assert a.status == 1
    return a, a.weak()


def test_missing_filter(played):
    a, weak = weak_of(played(UP + ",wait", disk="ready,wait"))
    assert ("dev-blk", "filter") in weak and ("dev-blk", "dumpable") in weak
    assert ("dev-blk", "descriptor limit") in weak
    assert ("dev-rng", "filter") not in weak
    (finding,) = [f for f in a.audit["findings"]
                  if f["process"] == "dev-blk" and f["aspect"] == "filter"]
    assert finding["declared"] == "seccomp" and finding["is"] == "none"
    assert finding["pid"] == a.processes["dev-blk"]["pid"]


def test_extra_descriptor(played):
    place_ = played(UP + ",wait", disk="dir,enter,ready,wait")
    _, weak = weak_of(place_)
    assert weak.count(("dev-blk", "descriptor")) == 1
    code, out, _ = place_.call("audit", P)
    assert code == 1 and "WEAKER THAN DECLARED" in out
    assert "descriptor: declared none such, is 6: /" in out
    assert max(map(len, out.splitlines())) <= 80


def test_writable_code(played):
    _, weak = weak_of(played(UP + ",wait", disk="wx,enter,ready,wait"))
    assert weak.count(("dev-blk", "mapping")) == 1


def test_wider_filter(played):
    """The player's policy has calls that no process's has."""
    place_ = played(UP + ",wait")
    assert ("vmm", "filter") not in Audited(place_, P).weak()
    a, weak = weak_of(place_, "--deep")
    assert weak.count(("dev-rng", "filter")) >= 2
    said = [f["is"] for f in a.audit["findings"] if f["aspect"] == "filter"
            and f["process"] == "dev-rng"]
    assert any(s.startswith("lets through dup(") for s in said)
    assert not any("sendmsg" in s or "close" in s for s in said)


# ---- any process ----

def test_pid(real):
    """The same ruler for a process of any program."""
    caps = "-all,+net_raw,+kill"
    process = subprocess.Popen(["setpriv", f"--bounding-set={caps}", "sleep", "100"])
    try:
        wait.until(lambda: os.readlink(f"/proc/{process.pid}/exe").endswith("/sleep"), "exec")
        a = Audited(real, "--pid", str(process.pid), "--deep")
    finally:
        process.kill()
        process.wait()
    assert a.status == 0 and a.weak() == []
    p = a.processes["sleep"]
    assert p["declared"] is None and not p["root"]["empty"] and p["root"]["auditors"]
    (thread,) = p["threads"]
    assert thread["capabilities"]["bounding"] == "cap_kill,cap_net_raw"
    assert thread["surface"]["filters"] == 0 and thread["surface"]["calls"] > 300
    assert thread["surface"]["paths"] > 50 and thread["surface"]["i386"] > 300


def test_names_cannot_drive_the_terminal(real):
    script = ("import os, sys; os.memfd_create('x\\x1b[31m\\n\\x07'); "
              "open('/proc/self/comm', 'w').write('\\x1b]0;t\\x07'); print(flush=True); "
              "sys.stdin.read()")
    with subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        for words in ([], ["--json"], ["--deep"]):
            code, out, _ = real.call("audit", "--pid", str(process.pid), *words)
            assert code == 0 and "\x1b" not in out and "\x07" not in out
        process.stdin.close()


def test_families_of_sockets(real):
    script = ("import socket as s, sys; a, b = s.socketpair(); t = s.socket(); t.bind(('127.0.0.1', 0));"
              "t.listen(); n = s.socket(s.AF_NETLINK, s.SOCK_RAW, 0); n.bind((0, 0)); "
              "print(a.fileno(), t.fileno(), n.fileno(), flush=True); sys.stdin.read()")
    with subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:
        fds = map(int, process.stdout.readline().split())
        (seen,) = Audited(real, "--pid", str(process.pid)).processes.values()
        process.stdin.close()
    families = {d["fd"]: d["family"] for d in seen["descriptors"]}
    assert [families[fd] for fd in fds] == ["unix", "tcp", "netlink"]
    assert families[0] is None


# ---- bad input ----

@pytest.mark.parametrize("words,status,line", [
    (["nobody"], 5, "no VM of yours is named 'nobody'"),
    (["--pid", "2147483646"], 5, "there is no process 2147483646"),
    (["--pid", "0"], 2, "is no process id"),
    (["--pid", "-1"], 2, "is no process id"),
    (["--pid=12x"], 2, "is no process id"),
    (["--pid"], 2, "will not do"),
    (["--what"], 2, "will not do"),
    (["a", B], 2, "will not do"),
    (["a", "--pid", "1"], 2, "not both"),
    (["--uid", "1"], 2, "which VM is missing"),
    (["--uid", "x", A], 2, "is no user id"),
    (["x" * 300], 5, "no VM of yours"),
])
def test_bad_words(real, words, status, line):
    code, out, err = real.call("audit", *words)
    assert (code, out) == (status, "")
    assert line in err and err.count("\n") == 1


def test_a_thread_of_the_kernel(real):
    with open("/proc/2/comm", encoding="ascii") as f:
        if f.read() != "kthreadd\n":
            pytest.skip("the kernel's threads are not to be seen from here")
    code, out, err = real.call("audit", "--pid", "2")
    assert (code, out) == (5, "") and err.startswith("bulkhead: process 2 cannot be audited")


def test_nothing_runs(build):
    place_ = vm.Place(build)
    nobody_else = ["setpriv", "--reuid=64917", "--regid=64917", "--clear-groups"]
    done = subprocess.run([*nobody_else, place_.dir / "cmd/bulkhead/bulkhead", "audit"],
                          capture_output=True, text=True, check=False)
    place_.close()
    assert (done.returncode, done.stdout) == (5, "") and "no VM of yours runs" in done.stderr


def test_a_machine_that_ends_meanwhile(build):
    """One clear line, or a whole audit; never half of one."""
    dice = random.Random(7)
    statuses = set()
    for _ in range(12):
        place_ = vm.Place(build)
        code, _, err = place_.call("run", "--kernel", place_.kernel, "--cmdline", f"{UP},wait",
                                   "--name", DYING, "--detach")
        assert code == 0, err
        (pid,) = [pid for pid, exe in place_.processes() if exe.endswith("/supervisor")]
        process = place_.start("audit", DYING, "--deep")
        time.sleep(dice.random() * 0.04)
        os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        statuses.add(process.returncode)
        if process.returncode == 5:
            assert out == "" and err.count("\n") == 1, err
            assert "ended while" in err or "no VM of yours" in err
        else:
            assert process.returncode == 1 and err == "" and f"{DYING}: 4 processes" in out
        place_.wait_until_empty()
        place_.close()
    assert statuses <= {1, 5}
