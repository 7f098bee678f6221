# SPDX-License-Identifier: Apache-2.0
"""The real devices in their jail, looked at from outside: what they hold, and what they may call.
The filter is read back out of the kernel, so that it is the one that counts."""

import errno
import json
import os
import stat
import subprocess

import pytest

from bh import hostile, process
from bh.hostile import Stage

MOST_CALLS = 16

# Calls that take a path, a process id or a socket address, or that make such things reachable.
NAMING = """
open openat openat2 creat stat lstat newfstatat statx access faccessat faccessat2 execve execveat
chdir fchdir rename renameat renameat2 mkdir mkdirat rmdir unlink unlinkat symlink symlinkat link
linkat readlink readlinkat chmod fchmodat chown lchown fchownat mknod mknodat truncate statfs mount
umount2 pivot_root chroot swapon swapoff acct name_to_handle_at open_by_handle_at
inotify_add_watch fanotify_mark utime utimes futimesat utimensat setxattr lsetxattr getxattr
lgetxattr listxattr llistxattr removexattr lremovexattr uselib quotactl open_tree move_mount fsopen
fspick mount_setattr memfd_create
kill tkill tgkill ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd
pidfd_send_signal process_madvise rt_sigqueueinfo rt_tgsigqueueinfo sched_setaffinity
sched_setscheduler sched_setparam prlimit64 setpgid getpgid getsid wait4 waitid kcmp
get_robust_list move_pages migrate_pages perf_event_open setpriority
socket socketpair connect bind listen accept accept4 sendto
fork vfork clone3 bpf keyctl add_key request_key userfaultfd init_module finit_module kexec_load
io_uring_setup io_uring_register unshare setns prctl arch_prctl seccomp ioperm iopl
setuid setgid setresuid setresgid setgroups capset rt_sigaction
""".split()

# Guest RAM's file has no seals: nobody who holds it may be able to change its size.
# what threads beside the main one may call; read back, every filter lets these two through
HELPERS = {"dev-blk": [{"read", "write", "fallocate"}]}
ALWAYS = {"sendmsg", "restart_syscall"}
ACCEPTS = {"dev-vsock": {"accept4"}}  # on a socket that it was given, by no name
RESIZING = {"ftruncate", "fallocate", "truncate"}
PUNCH_HOLE = 3  # and KEEP_SIZE: frees space, and no more


def resizes(call):
    if call["name"] != "fallocate":
        return call["name"] in RESIZING
    modes = [a["values"] for a in call["arguments"] if a["index"] == 1 and not a["others"]]
    return modes != [[hex(PUNCH_HOLE)]]


@pytest.fixture
def device(start, kind):
    d = start(kind)
    d.stage = Stage(d).go("serving")
    return d


def proc(device, name):
    return f"/proc/{device.process.pid}/{name}"


def status_of(device):
    with open(proc(device, "status"), encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def test_no_privilege(device):
    status = status_of(device)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split(), "it runs as root"
    assert "0" not in status["Gid"].split(), "it runs in root's group"


def test_namespaces_of_its_own(device):
    for name in ("user", "mnt", "pid", "net", "ipc", "uts"):
        theirs = os.readlink(proc(device, f"ns/{name}"))
        assert theirs != os.readlink(f"/proc/self/ns/{name}"), name


@pytest.mark.skipif(os.geteuid() != 0, reason="a non-dumpable process shows its root to root only")
def test_empty_root(device):
    root = proc(device, "root")
    assert os.listdir(root) == []
    with pytest.raises(OSError) as e:
        os.mkdir(root + "/x")
    assert e.value.errno in (errno.EROFS, errno.EACCES)


@pytest.mark.skipif(os.geteuid() != 0, reason="a non-dumpable process shows its memory to root only")
def test_no_writable_code(device):
    with open(proc(device, "maps"), encoding="ascii") as f:
        rows = [line.split() for line in f]
    assert not [r for r in rows if "w" in r[1] and "x" in r[1]]
    files = {r[5] for r in rows if len(r) > 5 and r[5].startswith("/")}
    assert all(f"/{device.name}" in p or "memfd:" in p or "[" in p for p in files), files
    with open(proc(device, "environ"), "rb") as f:
        assert f.read().strip(b"\0") == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="a non-dumpable process is root's to see")
def test_not_dumpable(device):
    assert os.stat(proc(device, "mem")).st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="a non-dumpable process shows its descriptors to root")
def test_descriptors(device):
    """Standard streams are /dev/null; the rest is what it was handed, guest events and its own
    loop: no directory, no file that it was not given."""
    allowed_files = {os.fstat(device.image_fd).st_ino} if hasattr(device, "image_fd") else set()
    for fd in os.listdir(proc(device, "fd")):
        path = proc(device, f"fd/{fd}")
        target, mode = os.readlink(path), os.stat(path).st_mode
        if int(fd) <= 2:
            assert target.endswith("/null") or target == "/dev/null", f"{fd}: {target}"
            continue
        assert not stat.S_ISDIR(mode), f"{fd}: {target}"
        if target.startswith(("socket:", "anon_inode:", "/memfd:")):
            continue
        assert os.stat(path).st_ino in allowed_files, f"{fd}: {target}"


@pytest.mark.skipif(os.geteuid() != 0, reason="reading a filter back takes root")
class TestFilter:
    @pytest.fixture
    def surface(self, device, build):
        """What bulkhead audit reads back and finds to pass."""
        done = subprocess.run([build / "cmd/bulkhead/bulkhead", "audit", "--deep", "--json", "--pid",
                               str(device.process.pid)], capture_output=True, text=True, check=True)
        (process_,) = json.loads(done.stdout)["audits"][0]["processes"]
        thread, *others = [t for t in process_["threads"] if not t["kernel_worker"]]
        helpers = HELPERS.get(device.name, [])
        assert len(others) == len(helpers)
        if "surface" not in thread:
            pytest.skip("this kernel does not give filters back")
        for other, calls in zip(others, helpers):
            assert {c["name"] for c in other["surface"]["list"]} == calls | ALWAYS
            assert not [c for c in other["surface"]["list"] if resizes(c)]
        return thread["surface"]

    def test_allowlist(self, device, surface):
        passed = {c["name"] for c in surface["list"]}
        print(f"{device.name}: {len(passed)} calls: {' '.join(sorted(passed))}")
        assert surface["filters"] == 1 and surface["whole"]
        assert 0 < surface["calls"] <= MOST_CALLS, f"{len(passed)}: {sorted(passed)}"
        assert passed & set(NAMING) == ACCEPTS.get(device.name, set()), "a call that names something"
        assert not [c for c in surface["list"] if resizes(c)], "it can change a file's size"
        assert not [c for c in surface["list"] if c["takes"]]
        assert surface["unnamed"] == 0

    def test_no_code_is_made(self, surface):
        makes = [c for c in surface["list"] if c["name"] in ("mmap", "mprotect", "pkey_mprotect")]
        assert [c["name"] for c in makes] == ["mmap"]
        place, prot, flags = makes[0]["arguments"]
        assert (place["index"], place["values"], place["others"]) == (0, ["0"], False)  # the kernel's choice
        assert (prot["index"], prot["values"], prot["others"]) == (2, ["0x3"], False)  # no code
        assert (flags["index"], flags["values"], flags["others"]) == (3, ["0x1"], False)  # a file's

    def test_other_call_tables(self, surface):
        assert surface["i386"] == surface["x32"] == 0
        assert {c["table"] for c in surface["list"]} == {"x86_64"}

    def test_the_device_serves_on(self, device, surface):
        assert surface
        device.probe(device.stage.session)


@pytest.mark.parametrize("missing", [3, 4])
def test_start_without_a_descriptor(build, kind, missing):
    """Nothing is served when the table is not as it must be."""
    class Without(kind):
        def make_fds(self):
            fds = super().make_fds()
            fds[missing] = hostile_fd
            return fds

    hostile_fd = os.open("/dev/null", os.O_RDWR)
    with pytest.raises((process.Ended, AssertionError)):
        Without(build)
    os.close(hostile_fd)


def test_start_with_words_it_does_not_know(build, kind):
    for word in ("--no-such=1", "surplus", "--rate=x", "--queues=0", "--queues=99999",
                 "--readonly=maybe", "--serial=" + "x" * 21, "--rate=-1", "--"):
        class Wrong(kind):
            def make_args(self, word=word):
                return [*super().make_args(), word]

        with hostile.case(word), pytest.raises(process.Ended) as ended:
            Wrong(build)
        assert "status 1" in str(ended.value) and "FAILED" in str(ended.value)
