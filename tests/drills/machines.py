# SPDX-License-Identifier: Apache-2.0
"""Running VMs of the shipped programs, and what there is around them to be found by an intruder."""

import os
import secrets
import signal
import socket
import struct
import subprocess
import tempfile
import time

from bh import vm, wait
from taken import Thread, maps_of

ACCEL = os.environ.get("BULKHEAD_ACCEL", "soft")
PARTS = ("vmm", "dev-blk", "dev-rng", "dev-console")
HANGS_S = 60
NOBODY = 65534
QUERY, INFO = 32, 48  # of the control protocol
ROLES = ("vmm", "vcpu", "dev-blk", "dev-rng", "dev-console", "supervisor", "relay")


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except FileNotFoundError:
        return []


def name_of(pid):
    """By its executable; the launcher is a copy of its supervisor."""
    return os.path.basename(vm.own_name(pid, os.readlink(f"/proc/{pid}/exe")))


def filtered(pid, tid):
    with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as f:
        return "Seccomp:\t2" in f.read()


def tasks_of(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []


def state_of(pid, tid):
    """(what it does, how long and how often it did run), or None."""
    try:
        with open(f"/proc/{pid}/task/{tid}/stat", encoding="ascii") as f:
            state = f.read().rsplit(")", 1)[1].split()[0]
        with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as f:
            return state, f.read()
    except (FileNotFoundError, ProcessLookupError):
        return None


def await_rest(threads):
    """Until those threads sleep, all at once and for a moment."""
    before, end = None, time.monotonic() + HANGS_S
    while True:
        now = [state_of(*t) for t in threads()]
        if now == before and not any(n and n[0] not in "SZX" for n in now):
            return
        assert time.monotonic() < end, f"never at rest: {list(zip(threads(), now))}"
        before = now
        time.sleep(0.01)


def await_end(pid):
    """Until it has ended; who has taken its parent sees it stay as a zombie."""
    wait.until(lambda: (state_of(pid, pid) or "Z")[0] in "ZX", f"process {pid} has ended")


class Machine:
    """bulkhead run with a console, a disk and random numbers; its guest serves and then sleeps."""

    def __init__(self, ground, words=(), says="waiting\n", launcher=False, options="", more=(), qcow2=False, server=None,
                 net=False, firmware=None):
        """firmware: a file, in place of the guest. words: more for bulkhead run; options: of its disk; qcow2: an image on that disk; server: what serves that disk, as an address; net: a network card, whose link's other end is self.link, or its further options; more: processes that come of them; says: the line by which its guest is up; launcher: whether it has one.
        Without, a device that dies is seen to end its VM."""
        self.ground = ground
        words = [*words, "--on-crash", "restart" if launcher else "stop"]
        self.parts = (*PARTS, *more, "launcher") if launcher else (*PARTS, *more)
        self.secret = "secret-" + secrets.token_hex(12)
        boot = ["--firmware", firmware] if firmware else ["--kernel", ground.guest, "--cmdline", self.secret]
        content = ground.image + self.secret.encode()
        self.disk = ground.place.file(f"{self.secret}.raw", content.ljust(1 << 16, b"-"))
        disk = f"{self.disk},format=raw{options}"
        if qcow2:  # on that as its backing file
            self.top = self.disk.with_suffix(".qcow2")
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", self.disk, "-F", "raw", self.top], check=True)
            disk = f"{self.top},format=qcow2,backing={self.disk},backing-format=raw{options}"
            words = [*words, "--allow", "qcow2"]
        if server:
            address = server(self.disk)
            disk, words = f"{address},format=raw{options}", [*words, "--allow", f"storage-{address[:address.index(':')]}"]
        passed = {}
        if net:
            self.link, theirs = socket.socketpair()
            words = [*words, "--net", f"fd={theirs.fileno()}{'' if net is True else net}", "--allow", "virtio-net,net-relay"]
            passed = {"pass_fds": (theirs.fileno(),)}
        self.run = ground.place.start(
            "run", "--accel", ground.accel, *boot, "--memory", "64M", "--disk", disk, "--console", "raw", *words,
            errors="replace", **passed)
        if net:
            theirs.close()
        for line in self.run.stdout:
            if line == says:
                break
        else:
            raise AssertionError(self.run.stderr.read())
        self.pids = self._find()
        self.taken = []

    def _find(self):
        relay = self.run.pid
        (supervisor,) = [pid for pid in children(relay) if name_of(pid) != "bulkhead"]  # that is a net-keeper
        found = {"relay": relay, "supervisor": supervisor}
        below = children(supervisor)
        if [name_of(pid) for pid in below] == ["supervisor"]:  # where there is a control group
            found.update(keeper=supervisor, supervisor=below[0])
            below = children(below[0])
        parts = {name_of(pid): pid for pid in below}
        assert set(parts) == set(self.parts), parts
        return {**found, **parts}

    def take(self, role):
        thread = self._take(role)
        if thread.tid != self.run.pid:  # the relay is our child anyway
            self.taken.append(thread.tid)
        return thread

    def _take(self, role):
        if role != "vcpu":
            return Thread(self.pids[role])
        return Thread(self.pids["vmm"], self.vcpus()[0])

    def vcpus(self):
        """Its vCPUs' threads."""
        vmm = self.pids["vmm"]
        tasks = [int(t) for t in os.listdir(f"/proc/{vmm}/task") if int(t) != vmm]
        return [t for t in sorted(tasks) if filtered(vmm, t)]

    def await_sleep(self):
        """Until its guest, which has said that it waits, does."""
        vmm = self.pids["vmm"]
        await_rest(lambda: [(vmm, t) for t in self.vcpus()])

    def _threads(self, but):
        pids = {self.pids[r] for r in self.pids if r != ("vmm" if but == "vcpu" else but)}
        return [(pid, int(t)) for pid in sorted(pids) for t in tasks_of(pid)]

    def ended_by_itself(self, but):
        """Whether it has, once nothing of it runs any more; what was taken may. What spins is not at
        rest."""
        await_rest(lambda: [] if self.run.poll() is not None else self._threads(but))
        return self.run.poll() is not None

    def holdings(self, but):
        """How many descriptors its processes hold, beside the one that was taken."""
        found = {}
        for role, pid in self.pids.items():
            if role != ("vmm" if but == "vcpu" else but):
                try:
                    found[role] = len(os.listdir(f"/proc/{pid}/fd"))
                except (FileNotFoundError, ProcessLookupError):
                    pass
        return found

    def answers(self):
        """Whether its supervisor answers its user. (bulkhead ps asks all VMs of a host.)"""
        return self.info()[:2] == struct.pack("<H", INFO)

    def state(self):
        return struct.unpack_from("<I", self.info(), 96)[0]

    def info(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.settimeout(HANGS_S)
            os.seteuid(self.ground.uid)
            try:
                s.connect(f"\0bulkhead/{self.ground.uid}/vm{self.run.pid}")
                s.send(struct.pack("<HHI", QUERY, 0, 0))
                return s.recv(512)
            except ConnectionError:
                return b""
            finally:
                os.seteuid(0)

    def press(self):
        """The power button."""
        self.run.send_signal(signal.SIGTERM)

    def end(self):
        """(status, lines of standard error, console) once it has ended."""
        try:
            out, err = self.run.communicate(timeout=HANGS_S)
            err = vm.without_host(err)
        except subprocess.TimeoutExpired:
            self.run.kill()
            self.run.communicate()
            raise
        self.disk.unlink()
        return self.run.returncode, err.splitlines(), out

    def finish(self):
        """Presses the power button: the VM must still serve, and end as its guest says."""
        self.press()
        status, lines, out = self.end()
        assert status == 0 and "ok power button" in out, (status, lines, out)
        assert lines and lines[-1].endswith("the guest powered off"), lines

    def gone(self):
        """None of its processes is left."""
        end = time.monotonic() + HANGS_S
        while left := [p for p in self.place_processes() if p in self.pids.values()]:
            assert time.monotonic() < end, left
            time.sleep(0.002)

    def place_processes(self):
        return [pid for pid, _ in self.ground.place.processes()]

    def discard(self):
        """Kills what is left; a traced process is gone only when its tracer has waited for it."""
        for pid in self.pids.values():
            try:
                if str(self.ground.place.dir) in os.readlink(f"/proc/{pid}/exe"):
                    os.kill(pid, signal.SIGKILL)
            except (FileNotFoundError, ProcessLookupError):
                pass
        for tid in self.taken:
            try:
                os.waitpid(tid, 0x40000000)
            except ChildProcessError:
                pass
        self.run.communicate()


class Targets:
    """On the host: a listener of each kind, and a process of root's."""

    init = 1

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="drills.")
        os.chmod(self.dir, 0o777)
        self.path = os.path.join(self.dir, "socket")
        self.file = os.path.join(self.dir, "file")
        self.made = os.path.join(self.dir, "made")
        self.abstract = "drills-" + secrets.token_hex(6)
        with open(self.file, "w", encoding="ascii") as f:
            f.write("a file of the host\n")
        os.chmod(self.file, 0o666)
        self.tcp = self._listen(socket.AF_INET, ("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.unix = self._listen(socket.AF_UNIX, "\0" + self.abstract)
        self.unix_datagrams = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix_datagrams.bind("\0" + self.abstract + "d")
        self.unix_path = self._listen(socket.AF_UNIX, self.path)
        os.chmod(self.path, 0o777)
        self.sleeper = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def _listen(family, address):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.bind(address)
        sock.listen(64)
        return sock

    def touched(self):
        """What came to the listeners since the last time, and what was made on the host."""
        found = []
        for name in ("tcp", "unix", "unix_path", "udp", "unix_datagrams"):
            sock = getattr(self, name)
            sock.setblocking(False)
            try:
                while True:
                    if name.startswith("unix_d") or name == "udp":
                        sock.recv(4096)
                    else:
                        sock.accept()[0].close()
                    found.append(name)
            except BlockingIOError:
                pass
        if os.path.exists(self.made):
            found.append(self.made)
            (os.rmdir if os.path.isdir(self.made) else os.unlink)(self.made)
        return found

    def close(self):
        self.sleeper.kill()
        self.sleeper.wait()
        for name in ("tcp", "unix", "unix_path", "udp", "unix_datagrams"):
            getattr(self, name).close()
        for name in os.listdir(self.dir):
            os.unlink(os.path.join(self.dir, name))
        os.rmdir(self.dir)


class Ground:
    """The programs of one user, whose VMs are started here."""

    def __init__(self, build, user, real=True, accel=ACCEL):
        """real: the processes are not played."""
        self.accel = accel
        self.uid = NOBODY if user else 0
        self.place = vm.Place(build, user=user, real=real)
        self.image = b"" if real else b"enter,ready,wait\n"  # what a played dev-blk does
        self.guest = self.place.file("guest.elf", (build / "tests/guest/serving.elf").read_bytes())
        self.targets = Targets()
        self.machines = []

    def start(self, *words, **options):
        self.machines.append(Machine(self, words, **options))
        return self.machines[-1]

    def close(self):
        for machine in self.machines:
            machine.discard()
        end = time.monotonic() + HANGS_S
        while self.place.processes():
            assert time.monotonic() < end, self.place.processes()
            time.sleep(0.005)
        self.targets.close()
        self.place.close()


class Weak:
    """A process without jail and filter, an ordinary user's or root's, with descriptors beside."""

    def __init__(self, root=False, fds=()):
        words = [] if root else vm.NOBODY
        self.process = subprocess.Popen([*words, "sleep", "1000"], pass_fds=fds)
        while name_of(self.process.pid) != "sleep":
            pass

    def take(self):
        return Thread(self.process.pid)

    def close(self):
        self.process.kill()
        self.process.wait()
