# SPDX-License-Identifier: Apache-2.0
"""The directory of a TPM's state: whose it may be, that one VM has it at a time, and what swtpm is given of it; with a kernel that is none,
so that a VM ends as soon as its TPM was there."""

import fcntl
import os
import shutil
import subprocess
import time

import pytest

from bh import vm

pytestmark = pytest.mark.skipif(not shutil.which("swtpm"), reason="swtpm is not there: tools/deps check")
SWTPM_ID = 0x61fffffd


@pytest.fixture
def place(build):
    p = vm.Place(build, real=True)
    yield p
    p.close()


def words(place, state):
    return ["run", "--kernel", place.kernel, "--accel", "soft", "--memory", "64M", "--net", "none", "--allow", "tpm", "--tpm",
            f"state={state}"]


def run(place, state):
    """What it said; the kernel, which is none, ends a VM that had its TPM."""
    _, _, err = place.call(*words(place, state))
    return err


def test_directories_that_will_not_do(place):
    """One line, which says what would be right, and nothing is left or changed."""
    def make(name, mode, uid=0):
        path = place.dir / name
        path.mkdir()
        os.chown(path, uid, 0)
        path.chmod(mode)
        return path

    cases = [(make("open", 0o755), "others may use it (mode 0755): a TPM's keys are in it, so make it 0700"),
             (make("group", 0o770), "others may use it (mode 0770)"),
             (make("stranger", 0o700, 1234), "it belongs to user 1234, not to who starts the VM"),
             (place.file("file", b""), "Not a directory"), (place.dir / "no" / "state", "it cannot be made: No such file")]
    for path, says in cases:
        before = path.stat() if path.exists() else None
        err = run(place, path)
        assert f"--tpm: state={path}: {says}" in err, err
        assert not before or (path.stat().st_mode, path.stat().st_uid) == (before.st_mode, before.st_uid)


def test_files_that_are_links(place):
    """What leads elsewhere, or has another name, is refused and stays as it is."""
    state, secret = place.dir / "state", place.file("secret", b"secret")
    state.mkdir(mode=0o700)
    for make in (lambda: (state / "tpm2-00.permall").symlink_to(secret), lambda: os.link(secret, state / "TMP2-00.permall"),
                 lambda: (state / "folder").mkdir(), lambda: os.mkfifo(state / "fifo")):
        make()
        [inside] = state.iterdir()
        assert f"{inside.name} in it is a link or no file" in run(place, state)
        inside.rmdir() if inside.is_dir() and not inside.is_symlink() else inside.unlink()
        assert secret.read_bytes() == b"secret" and secret.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("other", [".profile", "tpm2", "zz"])
def test_a_directory_named_by_mistake(place, other):
    """Somebody's own: nothing in it changes hands, whatever its files are called."""
    state = place.dir / "state"
    state.mkdir(mode=0o700)
    for name in ("tpm2-00.permall", other):
        (state / name).write_bytes(b"own")
    before = {p.name: (p.stat().st_uid, p.stat().st_gid, p.stat().st_mode) for p in [state, *state.iterdir()]}
    assert f"--tpm: state={state}: {other} in it is not swtpm's" in run(place, state)
    assert {p.name: (p.stat().st_uid, p.stat().st_gid, p.stat().st_mode) for p in [state, *state.iterdir()]} == before


def test_it_is_made_and_kept(place):
    """Once, with nobody else's right; what is in it is the same TPM the next time."""
    state = place.dir / "state"
    assert "neither a bzImage" in run(place, state)
    assert state.stat().st_mode & 0o777 == 0o700
    assert os.geteuid() != 0 or state.stat().st_uid == SWTPM_ID
    assert "neither a bzImage" in run(place, state)


@pytest.mark.parametrize("subids", [False, True])
def test_an_ordinary_users(build, subids):
    """It stays the user's own, whose namespaces his swtpm is in; what is root's is not his to name."""
    p = vm.Place(build, user=True, real=True, subids=subids)
    try:
        state, roots = p.runtime / "state", p.dir / "roots"
        roots.mkdir(mode=0o700)
        for _ in range(2):
            assert "neither a bzImage" in run(p, state)
            assert (state.stat().st_uid, state.stat().st_mode & 0o777) == (p.uid, 0o700)
        assert f"--tpm: state={roots}: Permission denied" in run(p, roots)
    finally:
        p.close()


def test_one_vm_has_it(place):
    """Whoever comes second is told; once the first has ended it may have it, and no swtpm is left."""
    state = place.dir / "state"
    state.mkdir(mode=0o700)
    holder = os.open(state, os.O_RDONLY)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert f"--tpm: state={state}: another VM uses it" in run(place, state)
    finally:
        os.close(holder)
    deadline = time.monotonic() + 60
    while "neither a bzImage" not in run(place, state):
        assert time.monotonic() < deadline


def test_no_swtpm(place):
    """One line, which names the package."""
    empty = place.file("empty", b"")
    r = subprocess.run(["unshare", "--mount", "sh", "-c",
                        'mount --bind "$0" /usr/bin/swtpm && chmod 644 "$0" && exec "$@"', empty, place.dir / "cmd/bulkhead/bulkhead",
                        *words(place, place.dir / "state")],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert "swtpm is not installed: the package is swtpm" in r.stderr, r.stderr
