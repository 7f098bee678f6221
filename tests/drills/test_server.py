# SPDX-License-Identifier: Apache-2.0
"""A disk that an NBD server or an iSCSI target has: what whoever takes storage-nbd or storage-iscsi over, or the dialer,
has not: any other address."""

import os
import shutil
import socket
import struct
import subprocess
import time

import pytest

import machines
import second
from bh import tgt
from taken import Died, maps_of
from test_behind import links
from test_first_step import SIGSYS_ENDED, Intruder

pytestmark = pytest.mark.skipif(not shutil.which("nbdkit"), reason="no nbdkit: tools/deps check")

SOCKET, CONNECT, SENDMSG = 41, 42, 46
MMAP, MPROTECT, MUNMAP, MREMAP = 9, 10, 11, 25
STREAM = 1 | 0o2000000 | 0o4000
TABLE = 0x10000000000  # lib/declared/declared.h
NOSIGNAL = 0x4000
CONTROL, AWAY, BACK, SAID = 3, 13, 14, 20  # a descriptor, messages, and how often they are said
RUNNING, PAUSED = 1, 8
OWN = ("storage-nbd", "dialer")


@pytest.fixture
def serve():
    """serve(file) -> the address of a server of it."""
    running = []

    def serve_one(file):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        running.append(subprocess.Popen(["nbdkit", "-f", "-i", "127.0.0.1", "-p", str(port), "file", file],
                                        stderr=subprocess.DEVNULL))
        end = time.monotonic() + machines.HANGS_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return f"nbd://127.0.0.1:{port}/"
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.01)

    yield serve_one
    for server in running:
        server.kill()
        server.wait()


@pytest.fixture
def target(tmp_path):
    """target(file) -> the address of its logical unit."""
    running = []

    def target_of(file):
        running.append(tgt.Target(tmp_path, [(file, 512, False)]))
        return running[-1].uri()

    if tgt.MISSING:
        pytest.skip("no tgt: tools/deps check")
    yield target_of
    for one in running:
        one.kill()


@pytest.fixture(params=("storage-nbd", "storage-iscsi"))
def server(request):
    """The name of what holds the connection, and what serves it."""
    return request.param, request.getfixturevalue("serve" if request.param == "storage-nbd" else "target")


def test_the_first_step(ground, neighbour, count, server):
    name, serve = server

    def take():
        return ground.start(server=serve, more=(name, "dialer")).take(name)

    intruder = Intruder(take).try_all(ground, neighbour)
    count(name, intruder.tried, intruder.gains)


def test_who_holds_what(ground, neighbour, count, server):
    """What holds the connection: no file and no guest RAM; the dialer: neither."""
    name, serve = server
    machine = ground.start(server=serve, more=(name, "dialer"))
    gains = []
    for role in (name, "dialer"):
        pid = machine.pids[role]
        gains += [("held", role, m[3]) for m in maps_of(pid) if "guest-ram" in m[3]]
        gains += [("held", role, path) for path in links(pid) if path.startswith("/") and path != "/dev/null"]
    gains += [("network", name, "the host's")] * (os.readlink(f"/proc/{machine.pids[name]}/ns/net") ==
                                                  os.readlink("/proc/self/ns/net"))
    count(name, 3, gains)
    machine.finish()


@pytest.fixture
def decoy():
    """Somebody who listens beside the server."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        s.settimeout(0)
        yield s


def reached(decoy):
    try:
        decoy.accept()[0].close()
        return True
    except BlockingIOError:
        return False


def address(port):
    return struct.pack("=HHI8x", socket.AF_INET, socket.htons(port), 0x0100007f)


def ways_out(t, port):
    """How a taken dialer might reach another address: (name, number, arguments)."""
    sock = t.call(SOCKET, socket.AF_INET, STREAM, 0).value
    assert sock >= 0
    yield "an address of its own", CONNECT, (sock, t.put(address(port)), 16)
    yield "half an address of the table", CONNECT, (sock, TABLE + 8, 16)
    yield "behind the table", CONNECT, (sock, TABLE + 65536, 16)
    yield "the table made writable", MPROTECT, (TABLE, 65536, 3)
    yield "another table there", MMAP, (TABLE, 65536, 3, 0x32, -1 & (1 << 64) - 1, 0)
    yield "none there", MUNMAP, (TABLE, 65536)
    yield "another page moved there", MREMAP, (t.put(b"x") & ~4095, 4096, 4096, 3, TABLE)
    message = t.put(struct.pack("<7Q", t.put(address(port)), 16, t.put(struct.pack("<2Q", t.put(b"x"), 1)), 1, 0, 0, 0))
    yield "a message with an address, and TCP's fast open", SENDMSG, (sock, message, NOSIGNAL | 0x20000000)
    yield "a datagram", SOCKET, (socket.AF_INET, 2, 0)
    yield "a raw packet", SOCKET, (17, 3, 0)


def test_a_taken_dialer_reaches_nobody_else(ground, neighbour, count, serve, decoy):
    gains, tried, port = [], 0, decoy.getsockname()[1]
    while True:
        machine = ground.start(server=serve, more=OWN)
        t = machine.take("dialer")
        try:
            ways = list(ways_out(t, port))
            name, nr, args = ways[tried]
            result = t.call(nr, *args)
            gains += [("dialer", name, str(result))] * (not result.refused)
        except Died as death:
            gains += [("dialer", name, str(death))] * (death.status != SIGSYS_ENDED)
        gains += [("dialer", name, "reached")] * reached(decoy)
        machine.discard()
        tried += 1
        if tried == len(ways):
            break
    count("dialer", tried, gains)


def test_what_is_in_the_table_is_not_to_be_written(ground, neighbour, count, serve):
    machine = ground.start(server=serve, more=OWN)
    with open(f"/proc/{machine.pids['dialer']}/maps", encoding="ascii") as f:
        (rights,) = [line.split()[1] for line in f if line.startswith(f"{TABLE:x}-")]
    count("dialer", 1, [] if rights == "r--p" else [("table", "is", rights)])
    machine.finish()


def test_a_taken_storage_nbd_pauses_its_own_vm_alone(ground, neighbour, count, serve):
    """However often it says that its server is away: one pause, until its user lets the VM go on."""
    machine = ground.start("--on-storage-error", "stop", server=serve, more=OWN)
    t = machine.take("storage-nbd")
    for _ in range(SAID):
        assert second.send(t, CONTROL, second.control(AWAY, text="\x1b[2J")).value > 0
        assert second.send(t, CONTROL, second.control(BACK)).value > 0
    end = time.monotonic() + machines.HANGS_S
    while machine.state() != PAUSED:
        assert time.monotonic() < end
    gains = [("pause", "of its neighbour", neighbour.state())] * (neighbour.state() != RUNNING)
    assert ground.place.call("resume", f"vm{machine.run.pid}")[0] == 0
    gains += [("pause", "after the end of it", machine.state())] * (machine.state() != RUNNING)
    count("storage-nbd", SAID, gains)
    t.release()
    machine.press()
    status, lines, out = machine.end()
    assert status == 0 and "ok power button" in out, (status, lines, out)
    assert 0 < sum("the VM is paused" in line for line in lines) <= SAID and not any("\x1b" in line for line in lines)
