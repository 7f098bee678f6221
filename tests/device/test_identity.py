# SPDX-License-Identifier: Apache-2.0
"""bulkhead run with --credential and the like: what is refused, who sees a secret afterwards, and what the vmm gets."""

import base64
import fcntl
import os
import signal

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UP = "enter,ready,event:1"
FOREVER = f"{UP},power,event:2"
SECRET = b"a secret that is long enough to be found\n\0\xff"
CODED = base64.b64encode(SECRET)
IDENTITY = 11  # the vmm's
F_GET_SEALS, SEALED = 1034, 15


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    assert place_.end() == []


def refused(place_, *words, status=1):
    code, out, err = place_.run(FOREVER, *words)
    assert code == status and out == "", (code, err)
    assert err.startswith("bulkhead: ") and err.count("\n") == 1, err
    assert place_.processes() == []
    return err


# ---- what is refused ----

@pytest.mark.parametrize("name,text", [("nowhere", "No such file"), (".", "is a directory: a file is right")])
def test_what_is_no_file(place, name, text):
    err = refused(place, "--credential", f"key={place.dir / name}")
    assert "--credential key" in err and str(place.dir) in err and text in err


def test_a_file_that_its_user_may_not_read(place):
    path = place.file("key", SECRET)
    os.chown(path, 1, 1)
    os.chmod(path, 0o600)
    if place.user or place.subids:
        assert "Permission denied" in refused(place, "--credential", f"key={path}")


def test_one_that_is_too_large(place):
    path = place.file("key", bytes(2945))
    assert "has more than the 2944 bytes that systemd reads of one" in refused(place, "--credential", f"key={path}")


def test_too_much_together(place):
    path = place.file("key", bytes(2944))
    err = refused(place, *(word for n in range(8) for word in ("--credential", f"key{n}={path}")))
    assert "more than the 28672 bytes that a guest is told" in err


def test_a_secret_among_the_words(place):
    assert "say --credential NAME=FILE" in refused(
        place, "--oem-string", "io.systemd.credential:password=hunter2", status=2)


# ---- who has it ----

class Running:
    def __init__(self, place_, *words):
        self.place = place_
        self.key = place_.file("key", SECRET)
        self.process = place_.start("run", "--kernel", place_.kernel, "--cmdline", FOREVER, "--name", "told",
                                    "--credential", f"my.key={self.key}", *words)
        wait.until(self.vmm, "the vmm runs")

    def vmm(self):
        found = [pid for pid, exe in self.place.processes() if exe.endswith("/vmm")]
        return found and os.path.exists(f"/proc/{found[0]}/fd/{IDENTITY}") and found[0]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=60)


@pytest.fixture
def running(place):
    made = []

    def start(*words):
        made.append(Running(place, *words))
        return made[-1]

    yield start
    for r in made:
        r.end()


def test_what_the_vmm_gets(running):
    """All that was said, in one file that nobody changes."""
    r = running("--uuid", "01234567-89ab-cdef-fedc-ba9876543210", "--serial", "SN 1", "--oem-string", "role=web")
    fd = os.open(f"/proc/{r.vmm()}/fd/{IDENTITY}", os.O_RDWR)
    try:
        assert fcntl.fcntl(fd, F_GET_SEALS) == SEALED
        content = os.pread(fd, 1 << 16, 0)
    finally:
        os.close(fd)
    assert content[:16].hex() == "0123456789abcdeffedcba9876543210"
    assert content[16:].split(b"\0") == [b"SN 1", b"role=web", b"io.systemd.credential.binary:my.key=" + CODED, b""]


def test_nobody_else_has_the_secret(place, running):
    """In no process's words, environment or memory, and no other's descriptors; nor in what is said."""
    r = running("--verbose")
    vmm = r.vmm()
    for pid, exe in place.processes():
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                text = f.read()
            assert SECRET not in text and CODED not in text, (exe, name)
        links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert not any(str(r.key) in to for to in links), (exe, links)
        assert pid == vmm or not any("guest-identity" in to for to in links), (exe, links)
        with open(f"/proc/{pid}/maps", encoding="ascii") as f:
            maps = [line.split() for line in f]
        with open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for m in maps:
                low, high = (int(n, 16) for n in m[0].split("-"))
                if not m[1].startswith("rw") or "guest-ram" in m[-1] or high - low > 64 << 20:
                    continue
                try:
                    bytes_ = os.pread(mem.fileno(), high - low, low)
                except OSError:
                    continue
                assert SECRET not in bytes_ and CODED not in bytes_, (exe, m)
    out, err = r.end()
    assert CODED.decode() not in out + err


def test_explain_says_who_has_it(place):
    key = place.file("key", SECRET)
    code, out, _ = place.call("explain", "--kernel", place.kernel, "--credential", f"my.key={key}")
    flat = " ".join(out.split())
    assert code == 0 and f"my.key from {key}" in flat and "11 the guest's identity, until it is read" in flat
    assert CODED.decode() not in out and "a secret that" not in out
