# SPDX-License-Identifier: Apache-2.0
"""storage-iscsi in its jail, with somebody else's target: tgt; CHAP of both sides; a target that is away for a while, and
another way to it; and what is said of one that refuses."""

import os
import socket
import subprocess

import pytest

from bh import process, tgt, wait
from bh.process import Process
from bh.tgt import GUEST, HOST, Target
from test_storage import READ, FLUSH, WRITE, answer, request, shake
from test_storage_nbd import CHANNEL, DIALER, Dialer, answer_of, reason

SIZE = 8 << 20
CHAP, PEER = 18, 19
ZERO = 6

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(tgt.MISSING, reason="no tgt: tools/deps check")]


def units(folder):
    for lun, (size, block, readonly) in enumerate(((SIZE, 512, False), (SIZE, 4096, False), (SIZE + 1536, 512, True)), 1):
        file = folder / f"unit{lun}.img"
        file.touch()
        os.truncate(file, size)
        yield file, block, readonly


@pytest.fixture
def target(tmp_path):
    t = Target(tmp_path, list(units(tmp_path)))
    yield t
    t.kill()


def file_of(target, lun=1):
    return target.units[lun - 1][0]


@pytest.fixture
def begin(build, tmp_path):
    """begin(target, address, words, chap=, peer=) -> a storage-iscsi, and the socket to it."""
    running = []

    def begin_one(target, address, *words, chap=None, peer=None):
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        dialer = Dialer(target)
        fds = {CHANNEL: theirs.fileno(), DIALER: dialer.theirs.fileno()}
        for number, text in ((CHAP, chap), (PEER, peer)):
            if text:
                path = tmp_path / f"secret{number}"
                path.write_text(text + "\n")
                fds[number] = os.open(path, os.O_RDONLY)
        p = Process(build, "storage-iscsi", [f"--address={address}", *words], fds)
        for number in (CHAP, PEER):
            if number in fds:
                os.close(fds[number])
        theirs.close()
        dialer.theirs.close()
        running.append((p, ours))
        return p, ours

    yield begin_one
    for p, ours in running:
        ours.close()
        p.kill()


def works(p, sock, target, lun=1):
    """Written, zeroed, flushed, read back; and in the target's file."""
    p.wait_ready()
    assert shake(sock) == SIZE
    data = os.urandom(300 << 10)
    sock.sendall(request(WRITE, 1, 4096, len(data), data))
    assert answer(sock) == (1, 0, b"")
    sock.sendall(request(ZERO, 2, 8192, 4096))
    assert answer(sock) == (2, 0, b"")
    sock.sendall(request(FLUSH, 3))
    assert answer(sock) == (3, 0, b"")
    data = data[:4096] + bytes(4096) + data[8192:]
    sock.sendall(request(READ, 4, 4096, len(data)))
    assert answer(sock, len(data)) == (4, 0, data)
    assert file_of(target, lun).read_bytes()[4096:4096 + len(data)] == data
    return data


def test_in_the_clear(target, begin):
    works(*begin(target, target.uri()), target)


def test_blocks_of_4096_bytes(target, begin):
    p, sock = begin(target, target.uri(lun=2), "--logical_block_size=4096")
    works(p, sock, target, 2)
    sock.sendall(request(READ, 9, 512, 512))
    assert answer(sock)[1] != 0


@pytest.mark.parametrize("peer", (None, f"host:{HOST}"))
def test_chap(target, begin, peer):
    works(*begin(target, target.uri("chap", user="guest@"), chap=GUEST, peer=peer), target)


def test_a_disk_that_is_not_to_be_written(target, begin):
    p, sock = begin(target, target.uri(lun=3), "--readonly=on")
    p.wait_ready()
    assert shake(sock) == SIZE + 1536
    sock.sendall(request(READ, 1, SIZE + 1024, 512))
    assert answer(sock, 512) == (1, 0, bytes(512))


@pytest.mark.parametrize("name, lun, words, chap, peer, line", (
    ("plain", 2, (), None, None, "the disk's blocks have 4096 bytes: say logical_block_size=4096"),
    ("plain", 3, (), None, None, "the target does not let this disk be written: readonly=on may be right"),
    ("plain", 9, (), None, None, "the target has no logical unit of that number"),
    ("nothing", 1, (), None, None, "there is no target of that name (2.3)"),
    ("chap", 1, (), None, None, "the target does not take the name and secret (2.1): it may want chap="),
    ("chap", 1, (), HOST, None, "the target does not take the name and secret (2.1)"),
    ("chap", 1, (), GUEST, "host:wrong-letters-22",
     "the target does not show who it is: chap-target= has another name or secret, or it has none"),
    ("chap", 1, (), GUEST, f"ghost:{HOST}",
     "the target does not show who it is: chap-target= has another name or secret, or it has none"),
))
def test_what_is_said_of_one_that_refuses(target, begin, name, lun, words, chap, peer, line):
    p, _ = begin(target, target.uri(name, lun, "guest@" if chap else ""), *words, chap=chap, peer=peer)
    assert reason(p) == f"storage-iscsi: 127.0.0.1:{target.port}: {line}"


@pytest.mark.parametrize("chap, peer, line", (
    ("short", None, "chap= is to have one line, a secret of 12 to 255 bytes"),
    (GUEST, "nobody", "chap-target= is to have one line NAME:SECRET, the target's name for CHAP and a secret of 12 to "
                     "255 bytes"),
    (GUEST, f"host:{GUEST}", "chap-target= has the secret of chap= as well: whoever knows one could play the other"),
))
def test_secrets_that_will_not_do(target, begin, chap, peer, line):
    assert reason(begin(target, target.uri("chap", user="guest@"), chap=chap, peer=peer)[0]) == f"storage-iscsi: {line}"


def test_a_target_that_is_away_for_a_while(target, begin):
    """Requests wait, and are done once: no error is seen, with CHAP of both sides each time."""
    p, sock = begin(target, target.uri("chap", user="guest@"), chap=GUEST, peer=f"host:{HOST}")
    data = works(p, sock, target)
    for _ in range(2):
        target.kill()
        new = os.urandom(64 << 10)
        sock.sendall(request(WRITE, 10, 1 << 20, len(new), new) + request(READ, 11, 4096, len(data)))
        wait.until(lambda: len(p.said(process.CTL_LOG)) > 0, "it says that the target is away")
        target.start()
        got = dict((a[0], a[1:]) for a in (answer_of(sock, {10: 0, 11: len(data)}) for _ in range(2)))
        assert got == {10: (0, b""), 11: (0, data)}
        sock.sendall(request(FLUSH, 12))
        assert answer(sock) == (12, 0, b"")
        assert file_of(target).read_bytes()[1 << 20:(1 << 20) + len(new)] == new


def test_a_target_that_is_away_too_long(target, begin):
    """Errors are reported, and none any more once it is there again."""
    p, sock = begin(target, target.uri(), "--on-error=report", "--away=1")
    works(p, sock, target)
    target.kill()
    sock.sendall(request(WRITE, 1, 0, 512, b"x" * 512))
    assert answer(sock) == (1, 5, b"")
    target.start()
    wait.until(lambda: written(sock), "it is there again")
    assert file_of(target).read_bytes()[:512] == b"y" * 512


def written(sock):
    sock.sendall(request(WRITE, 2, 0, 512, b"y" * 512))
    return answer(sock) == (2, 0, b"")


@pytest.mark.parametrize("name, lun, words", (("plain", 1, ()), ("plain", 2, ("logical=4096",)), ("plain", 3, ("readonly",)),
                                              ("chap", 1, ("chap", "target"))))
def test_many_requests_at_once(build, target, tmp_path, name, lun, words):
    """32 writes of 160 KiB from two pieces each, all under way; zeroes and discards; and all of it read back."""
    for word, text in (("chap", GUEST), ("target", f"host:{HOST}")):
        (tmp_path / word).write_text(text + "\n")
    said = [f"{word}={tmp_path / word}" if word in ("chap", "target") else word for word in words]
    out = subprocess.run([build / "tests/device/iscsi-tool", target.uri(name, lun, "guest@" if said[1:] else ""), *said],
                         input="\n", capture_output=True, text=True, check=False, timeout=120).stdout.splitlines()
    assert out[0].startswith(f"up {SIZE + (1536 if lun == 3 else 0)} {4096 if lun == 2 else 512} ")
    assert out[1:] == ["same", "same"]


@pytest.mark.parametrize("as_large", (False, True))
def test_another_disk_than_before(target, begin, as_large):
    """Whatever is there instead is not written to."""
    p, sock = begin(target, target.uri())
    works(p, sock, target)
    target.kill()
    file_of(target).write_bytes(bytes(SIZE if as_large else SIZE // 2))
    target.serial = "second" if as_large else "first"
    target.start()
    try:
        sock.sendall(request(WRITE, 1, 0, 512, b"x" * 512))
    except BrokenPipeError:
        pass  # it has ended already
    p.wait_end()
    assert [m.text for m in p.said(process.CTL_FAILED)] == [
        "storage-iscsi: the target has another disk there than before: Bad message"]
    assert file_of(target).read_bytes()[:512] == bytes(512)
