# SPDX-License-Identifier: Apache-2.0
"""The command and the supervisor, with played processes beside them.

The programs find each other by their own place, so a copy of the layout with fake-process in
place of the processes is all it takes.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from . import wait

PROCESSES = ("vmm", "dev-blk", "dev-rng", "dev-console")
BEHIND = ("storage-file", "storage-iscsi", "storage-nbd", "dev-cdrom", "dev-scsi", "dev-firmware", "dev-flash", "dev-net", "dev-vhost-net", "dev-tpm", "dev-vsock", "net-relay")  # of VMs that say so
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

# An ordinary user with subordinate ids, in two groups more, that only an /etc of the tests knows.
OWNER, OWNER_GROUP, SUB_UIDS, SUB_GIDS, N_SUB = 64000, 64001, 200000, 300000, 65536
OWNERS = ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER_GROUP}",
          f"--groups={OWNER_GROUP},64002,64003"]
ETC_COPIED = ("nsswitch.conf", "login.defs", "ld.so.cache")


NO_NET = ("--net", "none")  # of VMs whose network is not what is tested: no process more, and no host's network


def without_net(words):
    """The same, with no network unless they say one."""
    return list(words if any(str(w).startswith("--net") for w in words) else (*words, *NO_NET))


HOST_LINE = re.compile(r"^bulkhead: \w\S*: (warning: )?this host does not give: .*\n", re.MULTILINE)
ADVICE = re.compile(r"^bulkhead: \w\S*: a kernel that panics before .*\n", re.MULTILINE)


def without_host(err):
    """Standard error without what the VM says of the host that the tests run on, and of a command line that
    is none of Linux."""
    return ADVICE.sub("", HOST_LINE.sub("", err))


def own_name(pid, exe):
    """Launcher and dialer are copies of their supervisor: for the tests each has an executable of its own."""
    if exe.endswith("/supervisor"):
        name = pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").split()[0]  # a dialer's may have a number
        if name in ("launcher", "dialer"):
            return os.path.join(os.path.dirname(exe), name)
    return exe


def place_of(build, who, **options):
    """A Place of "root", "user" or "subids"."""
    return Place(build, user=who == "user", subids=who == "subids", **options)


class Place:
    """A directory of its own with programs, files, and a count of what runs from it."""

    def __init__(self, build, user=False, real=False, subids=False):
        """real: the processes are not played. subids: an ordinary user who has subordinate ids."""
        self.user = user or subids
        self.subids = subids
        self.uid = OWNER if subids else 65534 if user else os.geteuid()
        self.gid = OWNER_GROUP if subids else 65534 if user else os.getegid()
        self.become = OWNERS if subids else NOBODY if user else []
        self.default_net = False  # as the command has it when nothing is said
        self.mounts = []  # (FROM, TO): what the programs see in another place
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-test."))
        self.dir.chmod(0o755)
        for name in ("bulkhead", "supervisor"):
            self.install(build / "cmd" / name / name, name)
        for name in (*PROCESSES, *BEHIND):
            self.install(build / "cmd" / name / name if real else
                         build / "tests/device/fake-process", name)
        if real:  # of resize
            self.install(build / "cmd/image-tool/image-tool", "image-tool")
            self.install(build / "cmd/net-switch/net-switch", "net-switch")
        self.kernel = self.file("kernel", b"a kernel")
        self.runtime = self.dir / "runtime"  # of the user; None: there is none, but root's own
        self.runtime.mkdir(mode=0o700)
        os.chown(self.runtime, self.uid, self.gid)
        if self.user and os.path.exists("/dev/kvm"):
            # an ordinary user with the right to it, whatever its mode is on this machine
            os.mknod(self.dir / "kvm", 0o666 | 0o020000, os.makedev(10, 232))
            (self.dir / "kvm").chmod(0o666)
            self.mounts.append((self.dir / "kvm", "/dev/kvm"))
        if subids:
            self.make_etc()

    def make_etc(self):
        (self.dir / "etc").mkdir()
        for name in filter(os.path.exists, (f"/etc/{n}" for n in ETC_COPIED)):
            shutil.copy(name, self.dir / "etc")
        self.file("etc/passwd", f"owner:x:{OWNER}:{OWNER_GROUP}::/:/bin/sh\n".encode())
        self.give_ids(f"owner:{SUB_UIDS}:{N_SUB}\n", f"owner:{SUB_GIDS}:{N_SUB}\n")
        self.mounts.append((self.dir / "etc", "/etc"))

    def give_ids(self, subuid, subgid):
        self.file("etc/subuid", subuid.encode())
        self.file("etc/subgid", subgid.encode())

    def install(self, program, name):
        folder = self.dir / "cmd" / name
        folder.mkdir(parents=True)
        shutil.copy(program, folder / name)

    def file(self, name, content):
        path = self.dir / name
        path.write_bytes(content)
        path.chmod(0o666)
        return path

    def command(self, *words):
        if words[:1] == ("run",) and len(words) > 2 and "--accel" not in words:
            words = ("run", "--accel", "soft", *words[1:])  # nothing of the machine matters
        if words[:1] in (("run",), ("explain",)) and len(words) > 2 and not self.default_net:
            words = without_net(words)
        words = [str(self.dir / "cmd/bulkhead/bulkhead"), *map(str, words)]
        words = [*self.become, *words]
        if not self.mounts:
            return words
        mounts = "".join(f"mount --bind {a} {b} && " for a, b in self.mounts)
        return ["unshare", "-m", "sh", "-c", f'{mounts}exec "$@"', "sh", *words]

    def environment(self):
        env = {name: value for name, value in os.environ.items() if name != "XDG_RUNTIME_DIR"}
        return {**env, "XDG_RUNTIME_DIR": str(self.runtime)} if self.runtime else env

    def start(self, *words, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "env": self.environment(), **options}
        return subprocess.Popen(self.command(*words), text=True, **options)

    def call(self, *words, timeout=60, **more):
        process = self.start(*words, **more)
        out, err = process.communicate(timeout=timeout)
        return process.returncode, out, without_host(err)

    def run(self, script, *words):
        """bulkhead run with the vmm playing the script."""
        return self.call("run", "--kernel", self.kernel, "--cmdline", script, *words)

    def processes(self):
        """The processes that run from this place."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                exe = os.readlink(f"/proc/{pid}/exe")
                exe = own_name(pid, exe)
            except OSError:
                continue
            if f"/{self.dir.name}/" in exe:  # another mount namespace's path may be cut before that
                found.append((int(pid), exe))
        return found

    def wait_until_empty(self):
        """stop returns when the VM has ended; its supervisor is a moment later."""
        wait.until(lambda: not self.processes(), f"nothing runs from {self.dir}")

    def kill(self):
        """Ends what still runs, and says what that was."""
        left = self.processes()
        for pid, _ in left:
            with contextlib.suppress(ProcessLookupError):  # its VM may be quicker
                os.kill(pid, signal.SIGKILL)
        self.wait_until_empty()
        return left

    def end(self):
        """The last of it; what a test left running is returned."""
        left = self.kill()
        self.close()
        return left

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)
