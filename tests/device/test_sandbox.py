# SPDX-License-Identifier: Apache-2.0
"""The jail and the filter, seen by a process inside (sandbox-probe) and by its parent outside.

Everything is tried as root, where VMs have ids of their own, and as an ordinary user.
"""

import ctypes
import errno
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import tempfile

import pytest

CTL_READY, CTL_LOG, CTL_DENIED, CTL_FAILED = 1, 2, 4, 5
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
RANGE = 0x62000000
SIGSYS = 128 + signal.SIGSYS
SIGSEGV = 128 + signal.SIGSEGV
NR = {"read": 0, "open": 2, "mmap": 9, "mprotect": 10, "rt_sigaction": 13, "ioctl": 16,
      "getpid": 39, "socket": 41, "connect": 42, "clone": 56, "fork": 57, "execve": 59, "kill": 62,
      "fcntl": 72, "ptrace": 101, "prctl": 157, "mount": 165, "openat": 257, "unshare": 272,
      "prlimit64": 302, "seccomp": 317, "bpf": 321, "execveat": 322, "pidfd_open": 434,
      "clone3": 435, "io_uring_setup": 425, "process_vm_readv": 310, "tgkill": 234, "dup": 32}
DEATH_CALL = 174  # create_module: what the trap handler dies by

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(params=[pytest.param("root", marks=AS_ROOT), "user"])
def prefix(request):
    """The start of a command line that runs the rest as that user."""
    return NOBODY if request.param == "user" and os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def programs(build):
    """A place that every user reaches, wherever the tree is."""
    place = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-test."))
    place.chmod(0o755)
    for name in ("jailrun", "sandbox-probe"):
        shutil.copy(build / "tests/device" / name, place)
    yield place
    shutil.rmtree(place)


class Probe:
    def __init__(self, programs_, prefix_, *words, pass_fd=None):
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        table = f"{theirs.fileno()}:3" + (f",{pass_fd}:9" if pass_fd is not None else "")
        self.process = subprocess.Popen(
            [*prefix_, programs_ / "jailrun", table, "--", programs_ / "sandbox-probe",
             *map(str, words)],
            pass_fds=[theirs.fileno()] + ([pass_fd] if pass_fd is not None else []))
        theirs.close()
        self.sock.settimeout(60)

    def next(self):
        packet = self.sock.recv(512)
        if not packet:
            return None
        kind, _, length = struct.unpack_from("<HHI", packet)
        body = packet[8:8 + length]
        if kind in (CTL_LOG, CTL_DENIED):
            return kind, struct.unpack_from("<I", body)[0], body[4:].decode()
        return kind, None, body.decode()

    def rest(self):
        messages = []
        while (m := self.next()) is not None:
            messages.append(m)
        return messages

    def end(self):
        messages = self.rest()
        self.sock.close()
        return messages, self.process.wait()


def run(programs_, prefix_, *words, **options):
    return Probe(programs_, prefix_, *words, **options).end()


@pytest.fixture
def seen(programs, prefix):
    """What the probe reports, as a list of lines."""
    secret = os.open("/etc/passwd", os.O_RDONLY)
    try:
        messages, status = run(programs, prefix, "report")
    finally:
        os.close(secret)
    assert status == 0, messages
    assert (CTL_READY, None, "") in messages
    return [text for kind, _, text in messages if kind == CTL_LOG]


def test_descriptors_are_the_table(seen):
    assert [s for s in seen if s.startswith("fd ")] == ["fd 0", "fd 1", "fd 2", "fd 3"]


def test_a_given_descriptor_gets_its_number(programs, prefix):
    fd = os.open("/dev/null", os.O_RDONLY)
    messages, status = run(programs, prefix, "report", pass_fd=fd)
    os.close(fd)
    fds = [text for _, _, text in messages if text.startswith("fd ")]
    assert fds == ["fd 0", "fd 1", "fd 2", "fd 3", "fd 9"] and status == 0


def test_root_is_empty_and_read_only(seen):
    assert {s for s in seen if s.startswith("root ")} == {"root .", "root .."}
    assert "create 30" in seen and "mkdir 30" in seen  # EROFS


def test_no_power(seen):
    assert "caps 0 0 0 0" in seen
    assert "no_new_privs 1" in seen
    assert "dumpable 0" in seen
    assert "groups 0" in seen


def test_no_page_is_merged(programs, prefix):
    """Although the caller has asked for all of its own to be (Linux 6.4)."""
    libc = ctypes.CDLL(None)
    if libc.prctl(67, 1, 0, 0, 0) < 0:
        pytest.skip("this kernel merges no pages of a whole process, or not for us")
    try:
        messages, _ = run(programs, prefix, "report")
    finally:
        libc.prctl(67, 0, 0, 0, 0)
    assert "memory_merge 0" in [text for _, _, text in messages]


SEEN_AS = 0x6200000F


def test_ids(seen, prefix):
    uid = int([s for s in seen if s.startswith("uid ")][0].split()[1])
    if os.geteuid() == 0 and not prefix:
        assert RANGE < uid < RANGE + (1 << 26) and uid % 16 == 1
    else:
        assert uid == SEEN_AS  # and no other user is seen as that, whoever this one is
    assert f"uid {uid} {uid}" in seen and f"gid {uid} {uid}" in seen


def test_knows_nothing_of_the_host(seen):
    assert "pid 1" in seen and "ppid 0" in seen and "session 1" in seen
    assert "environment 0" in seen
    assert "host bulkhead" in seen


def test_limits(seen):
    limits = {s for s in seen if s.startswith("limit_")}
    assert limits == {"limit_core 0 0", "limit_nofile 64 64", "limit_nproc 0 0",
                      "limit_as 536870912 536870912", "limit_fsize 4096 4096",
                      "limit_memlock 0 0"}


@pytest.mark.parametrize("name", [n for n in NR if n not in ("mmap", "ioctl", "fcntl")])
def test_refused_call_is_reported_and_kills(programs, prefix, name):
    messages, status = run(programs, prefix, "call", NR[name])
    assert messages == [(CTL_READY, None, ""), (CTL_DENIED, NR[name], "")]
    assert status == SIGSYS


@pytest.mark.parametrize("nr,args,allowed", [
    ("mmap", (0, 4096, 3, 0x22, 2**64 - 1, 0), True),
    ("mmap", (0, 4096, 5, 0x22, 2**64 - 1, 0), False),   # PROT_EXEC
    ("mmap", (0, 4096, 7, 0x22, 2**64 - 1, 0), False),
    ("mmap", (0, 4096, 4, 0x22, 2**64 - 1, 0), False),
    ("ioctl", (3, 0x1234), True),
    ("ioctl", (3, 0x80045678), True),
    ("ioctl", (3, 0x1235), False),
    ("ioctl", (3, 0x5412), False),                        # TIOCSTI
    ("fcntl", (3, 1), True),
    ("fcntl", (3, 0), False),
])
def test_arguments_are_filtered(programs, prefix, nr, args, allowed):
    messages, status = run(programs, prefix, "call", NR[nr], *args)
    assert messages[0][0] == CTL_READY
    if allowed:
        assert messages[1][0] == CTL_LOG and messages[1][2].startswith("survived"), messages
        assert status == 0
    else:
        assert messages[1:] == [(CTL_DENIED, NR[nr], "")] and status == SIGSYS


def test_calls_of_i386_are_killed_at_once(programs, prefix):
    """A kernel without them faults instead, with a filter and without."""
    messages, bare = run(programs, prefix, "bare_i386")
    assert (bare == 0 and messages[0][2].startswith("survived")) or bare == SIGSEGV
    messages, status = run(programs, prefix, "i386")
    assert messages == [(CTL_READY, None, "")] and status == (SIGSYS if bare == 0 else SIGSEGV)


@pytest.mark.parametrize("words", [("x32",), ("call", DEATH_CALL)])
def test_killed_at_once(programs, prefix, words):
    messages, status = run(programs, prefix, *words)
    assert messages == [(CTL_READY, None, "")] and status == SIGSYS


def test_a_thread_has_its_own_filter(programs, prefix):
    messages, status = run(programs, prefix, "thread", NR["getpid"])
    assert messages == [(CTL_DENIED, NR["getpid"], "")] and status == SIGSYS


def test_refused_call_kills_although_nobody_listens(programs, prefix):
    probe = Probe(programs, prefix, "wait_call", NR["getpid"])
    assert probe.next()[0] == CTL_READY
    probe.sock.close()
    assert probe.process.wait() == SIGSYS


def test_ends_with_its_channel(programs, prefix):
    probe = Probe(programs, prefix, "wait")
    assert probe.next()[0] == CTL_READY
    probe.sock.close()
    assert probe.process.wait() == 0


def landlock_abi():
    return max(0, ctypes.CDLL(None).syscall(444, None, 0, 1))


# What a capability-less process may do with a directory that it holds and owns, by errno, without
# Landlock in the way.
OPEN = {"read": 0, "write": 0, "create": 0, "list": 0, "mkdir": 0, "symlink": 0, "rename": 0,
        "unlink": errno.ENOENT, "rmdir": 0, "connect": errno.ENETUNREACH, "bind": errno.EACCES}


@pytest.mark.parametrize("verb", ["reach", "reach_thread"])
def test_landlock_allows_nothing(programs, prefix, tmp_path, verb):
    """With a directory in hand and no filter in the way."""
    os.chmod(tmp_path, 0o777)
    (tmp_path / "file").write_text("secret")
    (tmp_path / "dir").mkdir()
    for path in (tmp_path / "file", tmp_path / "dir"):
        path.chmod(0o777)
    fd = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    messages, status = run(programs, prefix, verb, pass_fd=fd)
    os.close(fd)
    tried = dict(text.split()[1:] for _, _, text in messages if text.startswith("tried "))
    abi = landlock_abi()
    expected = {name: errno.EACCES if abi >= 1 else e for name, e in OPEN.items()}
    if abi < 4:  # the loopback of the jail is down, and low ports are root's
        expected |= {"connect": errno.ENETUNREACH, "bind": errno.EACCES}
    assert tried == {name: str(e) for name, e in expected.items()} and status == 0
    if abi:
        assert sorted(p.name for p in tmp_path.iterdir()) == ["dir", "file"]


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


@AS_ROOT
def test_from_outside(programs, prefix):
    probe = Probe(programs, prefix, "wait")
    assert probe.next()[0] == CTL_READY
    pid = probe.process.pid
    (child,) = children(pid)
    for ns in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup"):
        inner = os.readlink(f"/proc/{child}/ns/{ns}")
        assert inner != os.readlink(f"/proc/self/ns/{ns}"), ns
        assert inner != os.readlink(f"/proc/{pid}/ns/{ns}"), ns
    assert os.listdir(f"/proc/{child}/root") == []
    with open(f"/proc/{child}/status", encoding="ascii") as f:
        status = {key: value.strip() for key, _, value in (line.partition(":") for line in f)}
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert {status[c].strip("0") for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
    assert status["SigIgn"].strip("0") == ""
    with open(f"/proc/{child}/mountinfo", encoding="ascii") as f:
        mounts = f.read().splitlines()
    assert len(mounts) == 1 and " ro," in mounts[0] and "tmpfs" in mounts[0]
    assert os.stat(f"/proc/{child}/fd/0").st_rdev == os.makedev(1, 3)
    probe.sock.close()
    assert probe.process.wait() == 0


def test_dies_with_its_supervisor(programs, prefix):
    probe = Probe(programs, prefix, "wait")
    assert probe.next()[0] == CTL_READY
    (child,) = children(probe.process.pid)
    pidfd = os.pidfd_open(child)
    os.kill(probe.process.pid, signal.SIGKILL)
    probe.process.wait()
    assert probe.rest() == []  # its end of the channel closes, so it is gone
    os.close(pidfd)


def test_outside_a_jail_nothing_enters(programs):
    sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    probe = programs / "sandbox-probe"
    process = subprocess.Popen([probe, "wait"], preexec_fn=lambda: os.dup2(theirs.fileno(), 3),
                               close_fds=False)
    theirs.close()
    packet = sock.recv(512)
    assert struct.unpack_from("<H", packet)[0] == CTL_FAILED
    assert b"a process namespace of its own" in packet
    assert process.wait() == 1
