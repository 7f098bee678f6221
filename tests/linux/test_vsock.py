# SPDX-License-Identifier: Apache-2.0
"""Debian's driver of virtio-vsock, and programs of the host: a client of its own, and bulkhead vsock."""

import hashlib
import os
import random
import re
import signal
import socket
import subprocess
import threading

import pytest
import test_debian as debian
import vm

SIZE = 10 << 20
NAME = "vsock-test"
PORT = 7


@pytest.fixture(autouse=True)
def runtime(tmp_path, monkeypatch):
    """A directory for sockets, as a user who has logged in has one."""
    path = tmp_path / "run"
    path.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(path))
    yield path
    assert vm.processes() == []


def boot(*flags):
    g = vm.Guest("vsock", cpus=2, flags=["--name", NAME, "--allow", "virtio-vsock", "--vsock", "on",
                                         "--vsock-listen", f"{PORT},8", *flags])
    g.wait_for(b"vsock-echo listens")
    return g


def through_the_command(data, port=PORT):
    done = subprocess.run([vm.BULKHEAD, "vsock", NAME, str(port)], input=data, capture_output=True, timeout=vm.HANGS,
                          check=False)
    return done.returncode, done.stdout, done.stderr.decode()


def client(runtime, port=PORT):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(vm.HANGS)
    sock.connect(str(runtime / "bulkhead" / f"{NAME}+vsock"))
    sock.sendall(f"CONNECT {port}\n".encode())
    return sock


def finish(g):
    assert through_the_command(b"end") == (0, b"", ""), g.text()
    g.wait_for(b"sent back -1")
    assert g.end() == 0, g.err


def test_ten_megabytes_each_way(runtime):
    data = random.Random(7).randbytes(SIZE)
    with boot() as g:
        code, out, err = through_the_command(data)
        assert (code, err) == (0, ""), g.text()
        assert hashlib.sha256(out).digest() == hashlib.sha256(data).digest()
        with client(runtime) as sock:
            assert re.fullmatch(rb"OK \d+\n", sock.recv(32))
            threading.Thread(target=lambda: (sock.sendall(data), sock.shutdown(socket.SHUT_WR))).start()
            got = b""
            while more := sock.recv(65536):
                got += more
        assert hashlib.sha256(got).digest() == hashlib.sha256(data).digest()
        finish(g)


def test_ports_that_are_not_there(runtime):
    with boot() as g:
        for port in (8, 9):  # where nobody listens, and that nobody named
            code, out, err = through_the_command(b"", port)
            assert (code, out) == (1, b"") and f"port {port} is not there" in err
        with client(runtime, 9) as sock:
            assert sock.recv(1) == b""
        finish(g)


def test_its_process_is_killed(runtime):
    """What was under way is over, on both sides, and the guest listens on."""
    with boot() as g:
        with client(runtime) as sock:
            assert sock.recv(3) == b"OK "
            sock.sendall(b"some")
            got = b""
            while not got.endswith(b"some"):
                got += sock.recv(1)
            [pid] = [p for p, name in debian.devices_of(g.process.pid).items() if name == "dev-vsock"]
            os.kill(pid, signal.SIGKILL)
            assert sock.recv(1) == b""
        g.wait_for(b"sent back 4")  # the event's doing
        assert through_the_command(b"again") == (0, b"again", "")
        finish(g)
        assert "started again" in g.err
