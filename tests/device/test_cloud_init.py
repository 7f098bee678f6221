# SPDX-License-Identifier: Apache-2.0
"""bulkhead run with --cloud-init, --ssh-key and the like: what is refused, what anybody else sees of a password's hash, and
the disk that dev-blk gets."""

import base64
import fcntl
import os
import signal
import struct
import subprocess

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UP = "enter,ready,event:1"
FOREVER = f"{UP},power,event:2"
KEY = b"ssh-ed25519 " + base64.b64encode(struct.pack(">I", 11) + b"ssh-ed25519" + struct.pack(">I", 32) + bytes(32))
HASH = "$6$salt$" + "x" * 86
PRIVATE = b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n"
F_GET_SEALS, SEALED = 1034, 15


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    place_.install(build / "cmd/image-seed/image-seed", "image-seed")
    yield place_
    assert place_.end() == []


def refused(place_, *words, status=1):
    code, out, err = place_.run(FOREVER, *words)
    assert code == status and out == "", (code, err)
    assert err.startswith("bulkhead: ") and err.count("\n") == 1, err
    assert place_.processes() == []
    return err


# ---- what is refused ----

@pytest.mark.parametrize("name,content,text", [
    ("empty", b"", "it is empty"),
    ("yaml", b"users: []\n", "it must begin with #cloud-config, #!"),
    ("mark", b"\xef\xbb\xbf#cloud-config\n", "a byte order mark"),
    ("latin", b"#cloud-config\n\xe9\n", "it is no UTF-8"),
    ("large", b"#!" + bytes(1 << 20), "has 1048578 bytes: up to 1048576 are right"),
], ids=("empty", "yaml", "mark", "latin", "large"))
def test_user_data_that_is_none(place, name, content, text):
    path = place.file(name, content)
    err = refused(place, "--cloud-init", f"user-data={path}")
    assert "--cloud-init" in err and str(path) in err and text in err


@pytest.mark.parametrize("content,text", [
    (PRIVATE, "this is a PRIVATE key"),
    (b"", "there is no key in it"),
    (b"hello\n", "must begin with the type of a key"),
    (KEY + b"\nno-pty " + KEY, "without options before it"),
    (KEY + b" \x1b]0;x\x07", "without control characters"),
    (b"ssh-rsa " + KEY.split()[1], "none of that type"),
], ids=("private", "empty", "word", "options", "control", "type"))
def test_keys_that_are_none(place, content, text):
    path = place.file("id", content)
    err = refused(place, "--ssh-key", path)
    assert f"--ssh-key {path}: " in err and text in err and "\x1b" not in err


@pytest.mark.parametrize("words", [
    ("--cloud-init", "user-data=MISSING"), ("--ssh-key", "MISSING"), ("--password-hash-file", "MISSING", "--user", "u"),
    ("--ssh-key", "/"), ("--ssh-key", "/dev/zero"), ("--cloud-init", "user-data=/dev/null"), ("--ssh-key", "FIFO")])
def test_what_is_no_file(place, words):
    fifo = place.dir / "fifo"
    os.mkfifo(fifo)
    names = {"MISSING": place.dir / "missing", "FIFO": fifo, "user-data=MISSING": f"user-data={place.dir}/missing"}
    err = refused(place, *(names.get(w, w) for w in words))
    assert words[0] in err


def test_a_file_that_its_user_may_not_read(place):
    if not place.user:
        pytest.skip("root reads all")
    path = place.file("secret", b"#cloud-config\n")
    path.chmod(0o600)
    assert "Permission denied" in refused(place, "--cloud-init", f"user-data={path}")


@pytest.mark.parametrize("said", ["hunter2", "$6$salt$hunter2", "$1$hunter2$0123456789abcdefghijkl"])
@pytest.mark.parametrize("by_file", [False, True])
def test_a_password_is_not_repeated(place, said, by_file):
    words = ("--password-hash-file", place.file("hash", said.encode())) if by_file else ("--password-hash", said)
    err = refused(place, "--user", "ada", *words)
    assert words[0] in err and "hunter2" not in err


def test_both_ways(place):
    path = place.file("user", b"#cloud-config\n")
    err = refused(place, "--cloud-init", f"user-data={path}", "--hostname", "h", status=2)
    assert "say the one or the other" in err


def test_one_disk_too_many(place):
    image = place.file("image", bytes(512))
    disks = [w for _ in range(64) for w in ("--disk", f"{image},format=raw,readonly=on")]
    err = refused(place, *disks, "--hostname", "h", status=2)
    assert "its disk is one more than the 64 disks" in err


# ---- what becomes of it ----

class Running:
    def __init__(self, place_, *words):
        self.place = place_
        self.process = place_.start("run", "--kernel", place_.kernel, "--cmdline", FOREVER, "--name", "seeded", *words)
        wait.until(self.disks, "its disk's process runs")

    def disks(self):
        """What the disks' processes hold of memory, by process."""
        found = {}
        for pid, exe in self.place.processes():
            if exe.endswith("/dev-blk"):
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{fd}").startswith("/memfd:cloud-init"):
                        found[pid] = f"/proc/{pid}/fd/{fd}"
        return found

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=60)
        return out, err


@pytest.fixture
def running(place):
    made = []

    def start(*words):
        made.append(Running(place, *words))
        return made[-1]

    yield start
    for r in made:
        r.end()


def test_nobody_sees_the_hash(place, running):
    """Not in any process's words or environment, nor in what is said; not even the command's own words."""
    r = running("--user", "ada", "--password-hash", HASH, "--verbose")
    pids = [p for p, _ in place.processes()]
    assert len(pids) > 3
    for pid in pids:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                assert HASH.encode() not in f.read(), (pid, name)
    out, err = r.end()
    assert HASH not in out + err


def test_nor_in_memory_but_the_guests(place, running):
    """Of the command, the supervisor and the launcher no page has it: only dev-blk's disk does."""
    running("--user", "ada", "--password-hash", HASH)
    for pid, exe in place.processes():
        with open(f"/proc/{pid}/maps", encoding="ascii") as f:
            maps = [line.split() for line in f]
        with open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for m in maps:
                if not m[1].startswith("rw") or "guest-ram" in m[-1]:
                    continue
                low, high = (int(n, 16) for n in m[0].split("-"))
                if high - low > 64 << 20:
                    continue
                try:
                    assert HASH.encode() not in os.pread(mem.fileno(), high - low, low), (exe, m)
                except OSError:
                    continue


def test_the_disk(place, running):
    """Sealed, and the only process that made it has gone."""
    disk = place.file("image", UP.encode() + bytes(512 - len(UP)))
    r = running("--disk", f"{disk},format=raw", "--ssh-key", place.file("id", KEY), "--hostname", "h")
    assert not [e for _, e in place.processes() if e.endswith("/image-seed")]
    [path] = r.disks().values()
    fd = os.open(path, os.O_RDWR)
    try:
        assert fcntl.fcntl(fd, F_GET_SEALS) == SEALED
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        content = os.pread(fd, 1 << 21, 0)
    finally:
        os.close(fd)
    assert content[32769:32774] == b"CD001" and content[32808:32816] == b"CIDATA  "
    assert b'- "' + KEY + b'"\n' in content and b'local-hostname: "h"\n' in content


def test_the_same_name_is_the_same_instance(place, running):
    """Another start of it has the same meta-data."""
    seen = []
    for _ in range(2):
        r = running("--hostname", "h")
        [path] = r.disks().values()
        with open(path, "rb") as f:
            content = f.read()
        at = content.index(b"instance-id: ")
        seen.append(content[at:content.index(b"\n", at)])
        r.end()
        place.wait_until_empty()
    assert seen == [b'instance-id: "bulkhead-seeded"'] * 2


def test_from_a_file(place, running):
    """The configuration file has the same names."""
    conf = place.file("vm.conf", f"user = ada\npassword-hash = {HASH}\nssh-key = {place.dir}/id\n"
                      .encode())
    place.file("id", KEY)
    r = running("--config", conf)
    [path] = r.disks().values()
    with open(path, "rb") as f:
        content = f.read()
    assert f'hashed_passwd: "{HASH}"\n'.encode() in content and b'- "' + KEY + b'"\n' in content


def test_explain_counts_it(place):
    place.file("id", KEY)
    code, out, _ = place.call("explain", "--kernel", place.kernel, "--ssh-key", place.dir / "id", "--user", "ada")
    assert code == 0 and "1 disk\n" in out


@pytest.mark.skipif(not os.path.exists("/usr/bin/ssh-keygen"), reason="needs ssh-keygen")
@pytest.mark.parametrize("kind", [("ed25519",), ("rsa", "-b", "3072"), ("ecdsa", "-b", "521")])
def test_keys_that_ssh_keygen_makes(place, running, tmp_path, kind):
    """The public half goes in, the private one does not."""
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "me@host", "-f", tmp_path / "k"], check=True)
    public, private = (place.file(n, (tmp_path / n).read_bytes()) for n in ("k.pub", "k"))
    assert "this is a PRIVATE key" in refused(place, "--ssh-key", private)
    r = running("--ssh-key", public)
    [path] = r.disks().values()
    with open(path, "rb") as f:
        assert public.read_bytes().strip() in f.read()
