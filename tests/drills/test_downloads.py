# SPDX-License-Identifier: Apache-2.0
"""`bulkhead image import`: the processes of a download in its middle (image-fetch, the child of the command that relays for
it) and of the checksum after it (image-digest), each taken over."""

import hashlib
import os
import random
import signal
import time

import pytest

import machines
import second
from conftest import BUILD
from bh.web import Web, head
from taken import Died, Thread
from test_first_step import Intruder

pytestmark = pytest.mark.skipif(not (BUILD / "cmd/image-fetch/image-fetch").exists(), reason="built without libcurl")

PROGRAMS = ("image-fetch", "image-digest")
CONTROL, OUTPUT, PROGRESS, FILE, CONNECTION = 3, 4, 5, 6, 7
WRITE, PWRITE, CONNECT, SENDTO = 1, 18, 42, 44
CONTENT = random.Random(5).randbytes(1 << 20)
LARGE = 64 << 30  # bytes of a hole: its checksum takes longer than anything here


class Downloads:
    """Where files are imported to, from a server that waits in the middle."""

    def __init__(self, ground):
        self.ground, self.place = ground, ground.place
        for name in PROGRAMS:
            if not (self.place.dir / "cmd" / name).exists():
                self.place.install(BUILD / "cmd" / name / name, name)
        self.dir = self.place.dir / "downloads"
        self.dir.mkdir(mode=0o777)
        self.dir.chmod(0o777)
        self.web = Web(self.answer)
        self.running = []
        self.go_on = False

    def answer(self, request, connection):
        """Half of the file; and of what is there already, that it is all."""
        if "range" in request.headers:
            connection.sendall(head(416, f"Content-Range: bytes */{LARGE}", 'ETag: "one"', "Content-Length: 0"))
            return
        half = len(CONTENT) // 2
        connection.sendall(head(200, f"Content-Length: {len(CONTENT)}", 'ETag: "one"') + CONTENT[:half])
        end = time.monotonic() + machines.HANGS_S
        while not self.go_on and time.monotonic() < end:
            time.sleep(0.01)
        connection.sendall(CONTENT[half:])

    def empty(self):
        for path in self.dir.iterdir():
            path.unlink()

    def start(self, role):
        """In the middle of what role does."""
        self.empty()
        self.go_on = False
        if role == "image-digest":
            with open(self.dir / ".disk.import", "wb") as f:
                f.truncate(LARGE)
            note = self.dir / ".disk.import-from"
            note.write_text(f'bulkhead image import 1\n{self.web.url()}\n"one"\n', encoding="ascii")
            for path in self.dir.iterdir():
                os.chown(path, self.place.uid, self.place.gid)
        job = Job(self, role)
        self.running.append(job)
        job.await_middle()
        return job

    def close(self):
        for job in self.running:
            job.discard()
        self.web.close()
        self.empty()
        self.dir.rmdir()


class Job:
    def __init__(self, downloads, role):
        self.downloads, self.role = downloads, role
        self.part = downloads.dir / ".disk.import"
        self.process = downloads.place.start("image", "import", "-q", downloads.web.url(), downloads.dir / "disk",
                                             "--sha256", hashlib.sha256(CONTENT).hexdigest(), errors="replace")
        self.pids, self.taken = {}, []

    def find(self):
        """Its processes by name: the command has a child that relays, that one a starter, that one the rest."""
        try:
            relays = machines.children(self.process.pid)
            starters = [p for r in relays for p in machines.children(r)]
            below = {machines.name_of(p): p for s in starters for p in machines.children(s)}
        except (FileNotFoundError, ProcessLookupError):  # one has just begun or ended
            return {}
        return {**below, "bulkhead image": relays[0]} if below else {}

    def is_middle(self):
        self.pids = self.find()
        wanted = "image-digest" if self.role == "image-digest" else "image-fetch"
        if wanted not in self.pids or not all(machines.filtered(p, p) for p in self.pids.values()):
            return False
        return self.role == "image-digest" or self.part.stat().st_size == len(CONTENT) // 2

    def await_middle(self):
        end = time.monotonic() + machines.HANGS_S
        while not self.is_middle():
            assert time.monotonic() < end and self.process.poll() is None, self.pids
            time.sleep(0.005)

    def take(self):
        thread = Thread(self.pids[self.role])
        self.taken.append(thread.tid)
        return thread

    def end(self):
        out, err = self.process.communicate(timeout=machines.HANGS_S)
        return self.process.returncode, out, err

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
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
def downloads(ground):
    d = Downloads(ground)
    yield d
    d.close()


@pytest.fixture(scope="module")
def user_downloads(user_ground):
    """An ordinary user's."""
    d = Downloads(user_ground)
    yield d
    d.close()


def take(downloads, role):
    """The one before is not needed any more."""
    for job in downloads.running:
        job.discard()
    downloads.running.clear()
    return downloads.start(role).take()


def test_the_download_is_a_download(downloads):
    """Left alone it ends well: what follows is of one that works."""
    job = downloads.start("image-fetch")
    downloads.go_on = True
    assert job.end() == (0, "", "") and (downloads.dir / "disk").read_bytes() == CONTENT


@pytest.mark.parametrize("role", [*PROGRAMS, "bulkhead image"])
def test_the_first_step(downloads, neighbour, count, role):
    intruder = Intruder(lambda: take(downloads, role)).try_all(downloads.ground, neighbour)
    count(role, intruder.tried, intruder.gains)


@pytest.mark.parametrize("role", PROGRAMS)
def test_the_first_step_of_an_ordinary_users_download(user_downloads, neighbour, count, role):
    intruder = Intruder(lambda: take(user_downloads, role)).try_all(user_downloads.ground, neighbour)
    count(role, intruder.tried, intruder.gains)


# ---- what each could do with what it holds ----

def test_what_was_written_wrong_gets_no_name(downloads):
    """image-fetch writes something else, and then does all as it should."""
    job = downloads.start("image-fetch")
    t = job.take()
    assert t.call(PWRITE, FILE, t.put(b"taken"), 5, 0).value == 5  # which it is for
    t.release()
    downloads.go_on = True
    status, out, err = job.end()
    assert (status, out) == (1, "") and "its sha256 is" in err and os.listdir(downloads.dir) == []


def test_the_file_grows_no_further(downloads, count):
    """Than its user allows, and than there is room."""
    job = downloads.start("image-fetch")
    t = job.take()
    result = t.call(PWRITE, FILE, t.put(b"x"), 1, 1 << 41)
    count("image-fetch", 1, [("file", "beyond --max-size", str(result))] if result.succeeded else [])


def test_what_is_checked_is_only_read(downloads, count):
    job = downloads.start("image-digest")
    t = job.take()
    result = t.call(WRITE, FILE, t.put(b"taken"), 5)
    count("image-digest", 1, [("file", "write", str(result))] if result.succeeded else [])
    assert job.part.stat().st_blocks == 0


REDIRECTS = [b"redirect file:///etc/passwd\n", b"redirect http://x@127.0.0.1/\n", b"redirect \x1b[2J\n", b"again x\n",
             b"validator \x1b]0;x\x07\n", b'validator "' + b"x" * 3000 + b'"\n', b"digest " + b"0" * 64 + b"\n", b"\n",
             b"\0" * 100, b"x" * 70000, b'validator "one"\n' * 2000]


@pytest.mark.parametrize("said", range(len(REDIRECTS)))
def test_what_it_says(downloads, count, said):
    """The command ends in order, nothing of the job is left, and no control character is shown."""
    job = downloads.start("image-fetch")
    t = job.take()
    second_words = [*(second.control(2, 0, "\x1b[2Jx"), second.control(5, text="a line")), b"\xff" * 4096]
    try:
        for data in second_words if said == 0 else ():
            second.send(t, CONTROL, data)
        t.call(WRITE, PROGRESS, t.put(b"\xff" * 16), 16)
        t.forget()
        for at in range(0, len(REDIRECTS[said]), 4096):
            piece = REDIRECTS[said][at:at + 4096]
            t.forget()
            t.call(WRITE, OUTPUT, t.put(piece), len(piece))
        t.release()
    except Died as death:
        assert death.status in (-signal.SIGKILL, -signal.SIGTERM), death
    downloads.go_on = True
    status, out, err = job.end()
    shown = [c for c in out + err if ord(c) < 32 and c != "\n"]
    count("image-fetch", 1, [("terminal", repr(shown), "")] if shown else [])
    assert status == 1 and err.startswith("bulkhead: image import: "), (status, err)
    assert not (downloads.dir / "disk").exists()
    end = time.monotonic() + machines.HANGS_S
    while any(machines.state_of(p, p) and machines.state_of(p, p)[0] not in "ZX" for p in job.pids.values()):
        assert time.monotonic() < end, job.pids
        time.sleep(0.005)
