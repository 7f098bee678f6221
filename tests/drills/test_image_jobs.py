# SPDX-License-Identifier: Apache-2.0
"""`bulkhead image`: the processes of a job in its middle (image-tool and a thread of its that copies, image-import,
the one that has started them, the command itself), each taken over."""

import os
import shutil
import signal
import struct
import subprocess
import threading
import time

import pytest

import machines
import second
from conftest import BUILD
from bh.slowfile import SlowFile
from taken import Died, Thread
from test_first_step import Intruder

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")

PROGRAMS = ("image-tool", "image-import")
ROLES = (*PROGRAMS, "image-starter", "bulkhead image")
CONTROL, OUTPUT, PROGRESS, IMAGE, MAP = 3, 4, 5, 6, 7
WRITE, CLOSE, PWRITE, FTRUNCATE = 1, 3, 18, 77
RENAMEAT, UNLINKAT, DIRECTORY = 264, 263, 60
GRAIN, GRAINS = 128, 8192  # sectors; enough for a map that fills all pipes


def make_vmdk(path):
    """Every other grain is the same 64 KiB of the file, the others are none."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "vmdk", "-o", "subformat=monolithicSparse", path,
                    str(GRAINS * GRAIN * 512)], check=True)
    with open(path, "r+b") as f:
        directory, = struct.unpack_from("<Q", f.read(64), 56)
        f.seek(directory * 512)
        tables = struct.unpack("<%dI" % (GRAINS // 512), f.read(GRAINS // 512 * 4))
        end = os.fstat(f.fileno()).st_size + GRAIN * 512 - 1
        grain = end // (GRAIN * 512) * GRAIN
        f.truncate((grain + GRAIN) * 512)
        for table in tables:
            f.seek(table * 512)
            f.write(struct.pack("<II", grain, 0) * 256)
    path.chmod(0o666)


class Jobs:
    """Where jobs are run; each waits in its middle, since nobody takes what it prints."""

    def __init__(self, ground):
        self.ground, self.place = ground, ground.place
        for name in PROGRAMS:
            if not (self.place.dir / "cmd" / name).exists():
                self.place.install(BUILD / "cmd" / name / name, name)
        self.image = self.place.dir / "job.vmdk"
        self.made = self.place.dir / "made"  # where a job puts what it makes
        make_vmdk(self.image)
        self.running = []

    def start(self, *words, wait=True):
        job = Job(self, words or ("map", "--json", "-f", "vmdk", self.image))
        self.running.append(job)
        if wait:
            job.await_rest()
        return job

    def close(self):
        for job in self.running:
            job.discard()
        self.image.unlink()


class Job:
    def __init__(self, jobs, words):
        self.process = jobs.place.start("image", *words, errors="replace")
        self.pids, self.taken = {}, []

    def find(self):
        """Its processes by name, of those that are up."""
        try:
            self.pids = self._find()
        except (FileNotFoundError, ProcessLookupError):  # one has just begun or ended
            self.pids = {}
        return self.pids

    def _find(self):
        starters = machines.children(self.process.pid)
        below = [p for s in starters for p in machines.children(s)]
        found = {machines.name_of(p): p for p in below}
        return {**found, "image-starter": starters[0], "bulkhead image": self.process.pid} if starters else found

    def await_rest(self):
        end = time.monotonic() + machines.HANGS_S
        while not (set(ROLES) <= set(self.find()) and all(machines.filtered(p, p) for p in self.pids.values())):
            assert time.monotonic() < end and self.process.poll() is None, self.pids
            time.sleep(0.005)
        machines.await_rest(lambda: [(p, int(t)) for p in self.pids.values() for t in machines.tasks_of(p)])

    def take(self, role):
        thread = Thread(self.pids[role])
        self.taken.append(thread.tid)
        return thread

    def end(self):
        """(status, output, what was said) when somebody takes the output."""
        out, err = self.process.communicate(timeout=machines.HANGS_S)
        return self.process.returncode, out, err

    def await_gone(self):
        end = time.monotonic() + machines.HANGS_S
        while any(machines.state_of(p, p) and machines.state_of(p, p)[0] not in "ZX" for p in self.pids.values()):
            assert time.monotonic() < end, self.pids
            time.sleep(0.005)

    def discard(self):
        for pid in self.pids.values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for tid in self.taken:
            try:
                os.waitpid(tid, 0x40000000)
            except ChildProcessError:
                pass
        if not self.process.stdout.closed:
            self.process.communicate()


@pytest.fixture(scope="module")
def jobs(ground):
    j = Jobs(ground)
    yield j
    j.close()


@pytest.fixture(scope="module")
def user_jobs(user_ground):
    """An ordinary user's."""
    j = Jobs(user_ground)
    yield j
    j.close()


def test_the_job_is_a_job(jobs):
    """Left alone it prints its map and ends well: what follows is of a job that works."""
    status, out, err = jobs.start().end()
    assert (status, err) == (0, "") and out.count("start") == GRAINS


@pytest.mark.parametrize("role", ROLES)
def test_the_first_step(jobs, neighbour, count, role):
    intruder = Intruder(lambda: jobs.start().take(role)).try_all(jobs.ground, neighbour)
    count(role, intruder.tried, intruder.gains)


@pytest.mark.parametrize("role", PROGRAMS)
def test_the_first_step_of_an_ordinary_users_job(user_jobs, neighbour, count, role):
    intruder = Intruder(lambda: user_jobs.start().take(role)).try_all(user_jobs.ground, neighbour)
    count(role, intruder.tried, intruder.gains)


@pytest.fixture
def copying(jobs):
    """Starts a job with four threads that copy, of which one waits for its image for as long as the test runs."""
    slow = []
    jobs.made.mkdir(mode=0o777)
    jobs.made.chmod(0o777)

    def start():
        slow.append(SlowFile(jobs.place.dir / f"slow-{len(jobs.running)}", 4096))
        slow[-1].hold_reads = True
        job = jobs.start("convert", "-m", "4", "-f", "raw", "-O", "raw", slow[-1].place, jobs.made / "copy", wait=False)
        slow[-1].wait_held(1)
        job.find()
        return job

    yield start
    for s in slow:
        s.release()
        s.close()
    shutil.rmtree(jobs.made)


def take_copier(job):
    """One that waits for work."""
    pid = job.pids["image-tool"]
    for tid in map(int, machines.tasks_of(pid)):
        with open(f"/proc/{pid}/task/{tid}/syscall", encoding="ascii") as f:
            if tid != pid and f.read().startswith("202 "):  # futex
                job.taken.append(pid)
                return Thread(pid, tid)
    raise AssertionError("no thread waits for work")


def test_the_first_step_of_a_thread_that_copies(jobs, copying, neighbour, count):
    intruder = Intruder(lambda: take_copier(copying())).try_all(jobs.ground, neighbour)
    count("image-tool, copier", intruder.tried, intruder.gains)


# ---- what each could do with what it holds ----

def test_an_image_is_only_read(jobs, neighbour, count):
    """Who parses an image writes nothing to it, and image-tool to none that its job reads."""
    before, gains, tried = jobs.image.read_bytes(), [], 0
    for role in PROGRAMS:
        t = jobs.start().take(role)
        data = t.put(b"x" * 16)
        for name, nr, args in (("write", WRITE, (IMAGE, data, 16)), ("pwrite", PWRITE, (IMAGE, data, 16, 0)),
                               ("ftruncate", FTRUNCATE, (IMAGE, 0)), ("hole", 285, (IMAGE, 3, 0, 4096))):
            tried += 1
            result = t.call(nr, *args)
            gains += [("image", f"{role}: {name}", str(result))] if result.succeeded else []
        t.release()
    assert jobs.image.read_bytes() == before
    count("image-tool, image-import", tried, gains)


def renames(t, jobs):
    """Into its job's directory and out of it, and away, of what others have."""
    for path in (jobs.ground.targets.file, f"../{jobs.image.name}", "../cmd", "/etc/passwd", "link/file"):
        t.forget()
        name, to = t.text(path), t.text("stolen")
        yield f"unlink {path}", t.call(UNLINKAT, DIRECTORY, name, 0)
        yield f"rename {path}", t.call(RENAMEAT, DIRECTORY, name, DIRECTORY, to)
        yield f"rename to {path}", t.call(RENAMEAT, DIRECTORY, t.text("own"), DIRECTORY, name)


def test_the_command_is_held_to_its_directory(jobs, copying, neighbour, count):
    job = copying()
    os.symlink(jobs.ground.targets.dir, jobs.made / "link")
    (jobs.made / "own").write_text("own")
    t = job.take("bulkhead image")
    tried, gains = 0, []
    for name, result in renames(t, jobs):
        tried += 1
        gains += [("files", name, str(result))] if result.succeeded else []
    assert t.call(UNLINKAT, DIRECTORY, t.text("own"), 0).value == 0  # which it is for
    t.release()
    with open(jobs.ground.targets.file, encoding="ascii") as f:
        assert f.read() == "a file of the host\n"
    count("bulkhead image", tried, gains)


def lies():
    """What a process could say over its channel."""
    yield from (b"", b"\0", b"\xff" * 8, b"\xff" * 4096)
    for _, data, _ in second.control_messages(None):
        yield data
    yield second.control(5, text="a line")
    yield second.control(2, 0, "\x1b[2Jx")


SPOKEN = b"\x1b]0;owned\x07\x1b[2J\x9b31m\xff\0\n"


def say_all(t, role):
    """To the command, its user's terminal and image-tool; then all that it holds is closed."""
    for data in lies():
        second.send(t, CONTROL, data)
    for data in (b"\xff" * 16, bytes(16), b"\0" * 8 + b"\1" + bytes(7), b"x", b"\xff" * 1024):
        t.call(WRITE, PROGRESS, t.put(data), len(data))
        t.forget()
    for fd in (OUTPUT, MAP) if role == "image-import" else (OUTPUT,):
        t.call(WRITE, fd, t.put(SPOKEN), len(SPOKEN))
    for fd in second.held(t):
        t.call(CLOSE, fd)


@pytest.mark.parametrize("role", PROGRAMS)
def test_what_it_says(jobs, neighbour, count, role):
    """The command ends in order, nothing of the job is left, and no control character is shown."""
    job = jobs.start()
    thread = job.take(role)
    reader = Reader(job)
    try:
        say_all(thread, role)
        thread.release()
    except Died as death:
        assert death.status == -signal.SIGKILL, death
    status, out, err = reader.end()
    job.await_gone()
    shown = [c for c in out + err if ord(c) < 32 and c not in "\n"]
    count(role, 1, [("terminal", repr(shown), "")] if shown else [])
    assert status in (1, 7) and err.startswith("bulkhead: image map: "), (status, err)


class Reader(threading.Thread):
    """Takes what a job prints."""

    def __init__(self, job):
        super().__init__()
        self.job, self.got = job, None
        self.start()

    def run(self):
        self.got = self.job.end()

    def end(self):
        self.join(machines.HANGS_S)
        return self.got
