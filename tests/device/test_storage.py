# SPDX-License-Identifier: Apache-2.0
"""An image that is a process away from the rings: dev-blk's own tests with storage-file behind it, either
side against QEMU's programs, a side that is hostile, and each of the two started again."""

import os
import random
import shutil
import socket
import struct
import subprocess
import time

import pytest

from bh import blk, process
from bh.devices import Blk, BlkApart
from bh.process import Process
import test_blk
import test_blk_qcow2 as qcow2
from test_blk import (disk, image, pattern,  # noqa: F401
                      test_any_layout_of_a_request, test_configuration, test_discard,
                      test_host_that_is_full, test_image_that_shrinks, test_largest_request_that_is_offered,
                      test_last_sector, test_many_in_flight_on_four_queues, test_read_only,
                      test_reset_in_the_middle_of_io, test_segments, test_write_zeroes,
                      test_writes_before_a_stop_are_not_torn, test_writes_reach_the_image)

SECTOR = blk.SECTOR
HANGS_S = 60
REQUEST, REPLY = ">IHHQQI", ">IIQ"
REQUEST_MAGIC, REPLY_MAGIC = 0x25609513, 0x67446698
READ, WRITE, DISC, FLUSH = range(4)

tools = pytest.mark.skipif(not shutil.which("qemu-nbd") or not shutil.which("qemu-io"),
                           reason="no qemu-utils: tools/deps check")


@pytest.fixture
def start(build):
    """As in conftest.py, with a storage process behind each disk."""
    running = []

    def start_one(kind, **options):
        running.append((BlkApart if kind is Blk else kind)(build, **options))
        return running[-1]

    yield start_one
    for device in running:
        device.close()
        print(f"{device.name}: {device.process.describe()}")


@pytest.fixture
def storage(build, image):
    """storage(words) -> a storage-file on the image, and the socket to it."""
    running = []

    def start_one(*words, readonly=False):
        ours, theirs = socket.socketpair()
        ours.settimeout(HANGS_S)
        fd = os.open(image, os.O_RDONLY if readonly else os.O_RDWR)
        p = Process(build, "storage-file",
                        [f"--readonly={'on' if readonly else 'off'}", "--format=raw", *words],
                        {4: theirs.fileno(), 5: fd})
        theirs.close()
        os.close(fd)
        running.append((p, ours))
        p.wait_ready()
        return p, ours

    yield start_one
    for p, ours in running:
        ours.close()
        p.kill()


def send_channel(device, sock):
    """What the supervisor says of one that was started again."""
    message = struct.pack("<HHII", process.CTL_CHANNEL, 0, 4, 0)
    socket.send_fds(device.control, [message], [sock.fileno()])


def take(sock, n):
    got = b""
    while len(got) < n:
        more = sock.recv(n - len(got))
        assert more, "it has hung up"
        got += more
    return got


def hung_up(sock):
    try:
        return sock.recv(1 << 16) == b""
    except ConnectionResetError:  # with something unread
        return True


def shake(sock):
    """The client's side of a handshake, the shortest one. The size of the export."""
    assert take(sock, 18) == b"NBDMAGICIHAVEOPT\0\3"
    sock.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 1, 0))
    size, _flags = struct.unpack(">QH", take(sock, 10))
    return size


def request(command, cookie, offset=0, length=0, data=b""):
    return struct.pack(REQUEST, REQUEST_MAGIC, 0, command, cookie, offset, length) + data


def answer(sock, data=0):
    magic, error, cookie = struct.unpack(REPLY, take(sock, 16))
    assert magic == REPLY_MAGIC
    return cookie, error, take(sock, data) if data and not error else b""


def test_random_operations(start, image):
    test_blk.test_random_operations_against_a_model(start, image, True, True, 4)


@pytest.mark.skipif(qcow2.IMG is None, reason="needs qemu-img")
@pytest.mark.parametrize("kind", ["default", "small-clusters"])
def test_qcow2(start, tmp_path, kind):
    """Its parser is in storage-file; what was in memory there is written at the end."""
    path = qcow2.create(tmp_path / "a.qcow2", *qcow2.OPTIONS[kind])
    d = qcow2.open_disk(start, path, bound=qcow2.bound())
    model = bytearray(qcow2.SIZE)
    qcow2.play(d, model, 150, random.Random(kind))
    d.device.close()
    qcow2.img("check", "-q", path)
    assert qcow2.content(path) == model


@pytest.mark.skipif(qcow2.IMG is None, reason="needs qemu-img")
def test_a_chain(start, tmp_path):
    data = pattern(qcow2.SIZE, 7)
    base = qcow2.convert(tmp_path / "base.qcow2", data)
    top = tmp_path / "top.qcow2"
    qcow2.img("create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", top)
    d = qcow2.open_disk(start, top, backing=[(base, "qcow2")], bound=qcow2.bound())
    assert d.read(0, 64) == data[:64 * SECTOR]
    d.write(3, b"n" * SECTOR)
    d.device.close()
    assert qcow2.content(top) == data[:3 * SECTOR] + b"n" * SECTOR + data[4 * SECTOR:]
    assert qcow2.content(base) == data


def test_what_is_no_such_image_is_one_line(build, image):
    ours, theirs = socket.socketpair()
    with open(image, "r+b") as f:
        p = Process(build, "storage-file", ["--format=qcow2"], {4: theirs.fileno(), 5: f.fileno()})
    p.assert_clean_end(1)
    assert p.said(process.CTL_FAILED)[0].text.startswith("storage-file: image: ")
    assert not p.said(process.CTL_READY)
    ours.close()
    theirs.close()
    p.close()


# ---- against others ----

def accept_at(path):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen(8)
    server.settimeout(HANGS_S)
    return server


@tools
def test_qemu_is_the_client(storage, image, tmp_path):
    """QEMU's programs over our server: each of its connections is one client after another."""
    p, ours = storage()
    ours.close()
    with accept_at(tmp_path / "nbd") as server:
        url = f"nbd+unix:///?socket={tmp_path / 'nbd'}"

        def run(*words, connections=1):
            client = subprocess.Popen([*words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                      text=True)
            for _ in range(connections):
                sock, _ = server.accept()
                send_channel(p, sock)
                sock.close()
            out, _ = client.communicate(timeout=HANGS_S)
            assert client.returncode == 0, out
            return out

        assert f"{image.stat().st_size} bytes" in run("qemu-img", "info", url)
        run("qemu-io", "-f", "raw", url, "-c", "write -P 0x61 4k 64k", "-c", "read -P 0x61 4k 64k",
            "-c", "write -z 8k 8k", "-c", "read -P 0 8k 8k", "-c", "discard 16k 4k", "-c", "flush",
            "-c", "write -f -P 0x62 0 512", "-c", "read -P 0x62 0 512")
        run("qemu-img", "convert", "-f", "raw", "-O", "raw", url, tmp_path / "copy.raw")
    assert (tmp_path / "copy.raw").read_bytes() == image.read_bytes()
    assert image.read_bytes()[4096:8192] == b"a" * 4096 and not any(image.read_bytes()[8192:16384])


@pytest.fixture
def qemu_nbd(image, tmp_path):
    """Starts a qemu-nbd, of which any number of sockets can be had."""
    path, running = tmp_path / "server", []

    def start_one(*words):
        running.append(subprocess.Popen(["qemu-nbd", "-f", "raw", "-t", "-e", "8", "-k", path,
                                         "--discard=unmap", *words, image]))
        end = time.monotonic() + HANGS_S
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(str(path))
                return sock
            except OSError:
                sock.close()
                assert running[-1].poll() is None and time.monotonic() < end
                time.sleep(0.01)

    def end():
        for server in running:
            server.kill()
            server.wait()

    start_one.end = end
    yield start_one
    end()


class BlkOver(Blk):
    """A dev-blk behind a socket of the test's."""

    def make_fds(self):
        return {5: self.options["sock"].fileno()}

    def close_fds(self):
        pass


@tools
def test_qemu_is_the_server(build, image, qemu_nbd):
    sock = qemu_nbd()
    with BlkOver(build, sock=sock) as device:
        sock.close()
        device.probe(device.open())
        d = blk.Disk(device.session)
        data = pattern(256 * SECTOR, 9)
        d.write(512, data)
        d.flush()
    assert image.read_bytes()[512 * SECTOR:][:len(data)] == data


@tools
def test_qemu_that_is_killed_is_slow_io_and_no_more(build, image, qemu_nbd):
    """Requests wait while nobody answers; with another server they are done."""
    sock = qemu_nbd()
    with BlkOver(build, sock=sock) as device:
        sock.close()
        d = blk.Disk(device.open())
        d.write(0, pattern(SECTOR, 3))
        qemu_nbd.end()
        r = blk.Request(device.session.memory, blk.T_OUT, 1, data=pattern(SECTOR, 4))
        device.session.submit(r.bufs)
        time.sleep(0.05)
        assert r.status == blk.S_UNTOUCHED and device.process.alive
        device.process.assert_idle()
        again = qemu_nbd()
        send_channel(device.process, again)
        again.close()
        device.session.wait()
        assert r.status == blk.S_OK
        assert d.read(0, 2) == pattern(SECTOR, 3) + pattern(SECTOR, 4)


# ---- hostile servers ----

def serve_handshake(sock, size=1 << 20, flags=0x6d):
    sock.sendall(b"NBDMAGICIHAVEOPT\0\3")
    take(sock, 4 + 16 + 8)

    def reply(kind, data=b""):
        return struct.pack(">QIII", 0x3e889045565a9, 7, kind, len(data)) + data

    sock.sendall(reply(3, struct.pack(">HQH", 0, size, flags)) + reply(1))


def start_over(build, act):
    """A dev-blk whose storage process is act(sock)."""
    ours, theirs = socket.socketpair()
    vhost, device = socket.socketpair()
    p = Process(build, "dev-blk", ["--readonly=off", "--queues=1", "--serial=x"],
                    {4: device.fileno(), 5: theirs.fileno()})
    theirs.close()
    device.close()
    ours.settimeout(HANGS_S)
    act(ours)
    return p, ours, vhost


@pytest.mark.parametrize("act", [
    lambda s: s.sendall(b"x" * 18),
    lambda s: serve_handshake(s, size=0), lambda s: serve_handshake(s, size=1 << 63),
    lambda s: serve_handshake(s, flags=0x6f), lambda s: serve_handshake(s, flags=1),
], ids=["no-hello", "empty", "too-large", "readonly", "no-flush"])
def test_a_server_that_cannot_be_used_is_one_line(build, act):
    p, ours, vhost = start_over(build, act)
    p.assert_clean_end(1)
    assert "its storage process: " in p.said(process.CTL_FAILED)[0].text
    assert not p.said(process.CTL_READY)
    ours.close()
    vhost.close()
    p.close()


def test_a_server_that_ends_is_waited_for(build, image, storage):
    """In the middle of the handshake, too: the supervisor brings a channel to the next one."""
    p, ours, vhost = start_over(build, lambda s: s.sendall(b"NBDMAGIC"))
    ours.close()
    time.sleep(0.05)
    assert p.alive and not p.said(process.CTL_READY)
    _, ours = storage()
    send_channel(p, ours)
    p.wait_ready()
    p.kill()
    p.assert_clean_end(0)
    vhost.close()


def test_a_server_that_says_nothing_ends_with_the_machine(build):
    p, ours, vhost = start_over(build, lambda s: s.sendall(b"NBDMAGIC"))
    time.sleep(0.05)
    assert p.alive and not p.said(process.CTL_READY)
    p.kill()
    p.assert_clean_end(0)
    ours.close()
    vhost.close()


@pytest.mark.parametrize("reply", [
    struct.pack(REPLY, REPLY_MAGIC, 0, 999), b"x" * 16, struct.pack(REPLY, REPLY_MAGIC, 5, 0) * 2,
], ids=["to-nothing", "no-reply", "twice"])
def test_a_hostile_reply_is_the_end(build, reply):
    ours, theirs = socket.socketpair()
    ours.settimeout(HANGS_S)
    device = None

    class Over(Blk):
        def make_fds(self):
            serve = os.fork()
            if serve == 0:
                theirs.close()
                serve_handshake(ours)
                take(ours, 28)
                ours.sendall(reply)
                take(ours, 1 << 20)  # until it ends
                os._exit(0)
            self.server = serve
            return {5: theirs.fileno()}

        def close_fds(self):
            theirs.close()
            ours.close()
            os.kill(self.server, 9)
            os.waitpid(self.server, 0)

    device = Over(build)
    session = device.open()
    session.submit(blk.Request(session.memory, blk.T_IN, 0, in_len=SECTOR).bufs)
    device.process.assert_clean_end(1)
    device.close()


# ---- hostile clients ----

def test_hostile_clients_of_storage_file(storage):
    """Whatever one says, the next one is served."""
    p, ours = storage()
    for words in (b"x" * 64, struct.pack(">I", 3) + b"x" * 16,
                  struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 7, 1 << 31)):
        take(ours, 18)
        ours.sendall(words)
        assert hung_up(ours)
        ours.close()
        ours, theirs = socket.socketpair()
        ours.settimeout(HANGS_S)
        send_channel(p, theirs)
        theirs.close()
    size = shake(ours)
    ours.sendall(request(READ, 1, size, SECTOR) + request(READ, 2, 0, 0) + request(9, 3) +
                 request(WRITE, 4, size, SECTOR, b"w" * SECTOR) + request(FLUSH, 5))
    assert [answer(ours)[:2] for _ in range(5)] == [(1, 22), (2, 22), (3, 22), (4, 28), (5, 0)]
    ours.sendall(request(WRITE, 6, 0, 1 << 30))
    assert hung_up(ours)
    assert p.alive
    p.assert_idle()
    ours.close()


def test_a_readonly_image_is_not_written(storage, image):
    before = image.read_bytes()
    p, ours = storage(readonly=True)
    shake(ours)
    ours.sendall(request(WRITE, 1, 0, SECTOR, b"w" * SECTOR) + request(READ, 2, 0, SECTOR))
    assert answer(ours)[:2] == (1, 1)
    assert answer(ours, SECTOR) == (2, 0, before[:SECTOR])
    assert image.read_bytes() == before and p.alive


# ---- started again ----

def test_the_device_is_started_again(storage, image):
    """The next client finds what the one before wrote."""
    p, ours = storage()
    shake(ours)
    ours.sendall(request(WRITE, 1, 0, SECTOR, b"1" * SECTOR))
    assert answer(ours)[:2] == (1, 0)
    ours.sendall(request(WRITE, 2, SECTOR, SECTOR, b"2" * 100))  # and is gone in the middle
    ours.close()
    ours, theirs = socket.socketpair()
    ours.settimeout(HANGS_S)
    send_channel(p, theirs)
    theirs.close()
    shake(ours)
    ours.sendall(request(READ, 3, 0, 2 * SECTOR))
    assert answer(ours, 2 * SECTOR)[2] == b"1" * SECTOR + image.read_bytes()[SECTOR:2 * SECTOR]
    ours.close()


# ---- rates ----

def test_a_rate_holds_whatever_the_client_does(storage):
    """A thousand requests at once are a burst, and what the time that they take allows."""
    _, ours = storage("--iops=100", "--burst=1")
    shake(ours)
    began = time.monotonic()
    ours.sendall(b"".join(request(FLUSH, n) for n in range(300)))
    assert {answer(ours)[0] for _ in range(300)} == set(range(300))
    assert time.monotonic() - began > 1.9  # 200 beyond the burst, by 100 a second


def test_a_rate_of_bytes(storage):
    _, ours = storage("--bps-read=1048576", "--bps-write=1048576", "--burst=1")
    shake(ours)
    began = time.monotonic()
    for n in range(5):
        ours.sendall(request(READ, n, 0, 1 << 19))
    for n in range(5):
        assert answer(ours, 1 << 19)[:2] == (n, 0)
    assert time.monotonic() - began > 1.4  # one and a half beyond the burst of 1 MiB
