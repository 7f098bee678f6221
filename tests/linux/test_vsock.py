# SPDX-License-Identifier: Apache-2.0
"""Debian's driver of virtio-vsock, and programs of the host: a client of its own, and bulkhead vsock."""

import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading

import pytest
import test_debian as debian
import test_debian_user as user
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


def boot(*flags, test="vsock", initrd=None):
    flags = [*flags, *(["--initrd", initrd] if initrd else [])]
    g = vm.Guest(test, cpus=2, flags=["--name", NAME, "--allow", "virtio-vsock", "--vsock", "on",
                                         "--vsock-listen", f"{PORT},8,22", *flags], initrd=not initrd)
    g.wait_for(b"vsock-echo listens")
    return g


class Host:
    """A program of the host that guests reach at a port: it sends back what it hears, on any number of connections."""

    def __init__(self, runtime, port):
        (runtime / "bulkhead").mkdir(mode=0o700, exist_ok=True)
        self.path = str(runtime / "bulkhead" / f"{NAME}+vsock_{port}")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.threads, self.socks, self.answered = [], [], 0
        self.taker = threading.Thread(target=self.take)
        self.taker.start()

    def take(self):
        while True:
            try:
                sock = self.listener.accept()[0]
            except OSError:
                return
            self.socks.append(sock)
            self.threads.append(threading.Thread(target=self.serve, args=[sock]))
            self.threads[-1].start()

    def serve(self, sock):
        with sock:
            try:
                while data := sock.recv(65536):
                    sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                return
        self.answered += 1

    def die(self):
        """As the kernel ends a program: what waits to be taken, and what was, all at once."""
        os.unlink(self.path)
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.taker.join(vm.HANGS)
        for sock in self.socks:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def end(self):
        """Nothing of it is left open once its guests are gone."""
        self.die()
        for thread in self.threads:
            thread.join(vm.HANGS)
            assert not thread.is_alive()


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


def test_both_ways_at_once(runtime):
    """The guest calls a program of the host while the host's call one of the guest's: 4 MiB each way both, and hundreds
    of connections. Ports that nobody listens on, or that were not named, are refused."""
    data = random.Random(8).randbytes(4 << 20)
    got = []
    host = Host(runtime, 80)
    with boot("--vsock-connect", "80,81", test="vsock-both") as g:
        caller = threading.Thread(target=lambda: got.append(through_the_command(data)))
        caller.start()
        g.wait_for(b"vsock-call 80: right 8 refused 0 cut 0 wrong 0")
        g.wait_for(b"vsock-call 80: right 200 refused 0 cut 0 wrong 0")
        g.wait_for(b"vsock-call 81: right 0 refused 2")
        g.wait_for(b"vsock-call 99: right 0 refused 2")
        caller.join(vm.HANGS)
        assert got == [(0, data, "")], (got[0][0], got[0][2])
        load_and_loss(g, runtime, host)


def kill(g, role):
    [pid] = [p for p, name in debian.devices_of(g.process.pid, also=("dialer",)).items() if name == role]
    os.kill(pid, signal.SIGKILL)
    g.out = b""


def load_and_loss(g, runtime, host):
    """Under load dev-vsock is killed, then the host's program; either is there again, and so is the guest. Then the dialer,
    which nobody makes again: the guest is refused, the host is not, and dev-vsock still is started again."""
    kill(g, "dev-vsock")
    g.wait_for(b"right 8 refused 0 cut 0 wrong 0")
    host.die()
    g.wait_for(b"right 0 refused 8 cut 0 wrong 0")
    second = Host(runtime, 80)
    g.out = b""
    g.wait_for(b"right 8 refused 0 cut 0 wrong 0")
    kill(g, "dialer")
    g.wait_for(b"right 0 refused 8 cut 0 wrong 0")
    kill(g, "dev-vsock")
    g.wait_for(b"right 0 refused 8 cut 0 wrong 0")
    assert through_the_command(b"again") == (0, b"again", "")
    finish(g)
    assert "the dialer was killed by signal KILL (9): the guest reaches no more ports of the host" in g.err
    assert g.err.count("started again") == 2
    assert host.answered >= 208
    second.end()


# ---- programs that others wrote ----

def with_ssh_server(folder):
    """An initial RAM disk with dropbear; and for OpenSSH its user's key, and whom it knows."""
    initrd = user.with_ssh(folder)
    subprocess.run(["dropbearconvert", "dropbear", "openssh", folder / "key", folder / "openssh"], check=True, capture_output=True)
    said = subprocess.run(["dropbearkey", "-y", "-f", folder / "ssh/etc/dropbear/key"], capture_output=True, text=True,
                          check=True).stdout
    (folder / "known").write_text(f"{NAME} {re.search('^ssh-ed25519.*$', said, re.M)[0]}\n")
    return initrd


def ssh(folder, data, *words):
    command = ["ssh", "-F", "none", "-i", folder / "openssh", "-o", f"UserKnownHostsFile={folder / 'known'}", "-o", "BatchMode=yes",
               "-o", "StrictHostKeyChecking=yes", "-o", f"ProxyCommand={vm.BULKHEAD} vsock %h 22", f"root@{NAME}", *words]
    return subprocess.run(command, input=data, capture_output=True, timeout=vm.HANGS, check=False)


@pytest.mark.skipif(not all(map(shutil.which, ("dropbearkey", "ssh", "socat"))),
                    reason="no dropbear, ssh or socat: tools/deps check")
def test_ssh_and_socat(runtime, tmp_path):
    """A shell of the guest without any network, and the convention of Firecracker and Cloud Hypervisor, spoken by socat both
    ways."""
    (runtime / "bulkhead").mkdir(mode=0o700)
    socket_of = str(runtime / "bulkhead" / f"{NAME}+vsock")
    with subprocess.Popen(["socat", f"UNIX-LISTEN:{socket_of}_80,fork", "EXEC:cat"]) as listener:
        try:
            with boot("--vsock-connect", "80", test="vsock-ssh", initrd=with_ssh_server(tmp_path)) as g:
                g.wait_for(b"vsock-call 80: right 4 refused 0 cut 0 wrong 0")
                done = subprocess.run(["socat", "-t", str(vm.HANGS), "-", f"UNIX-CONNECT:{socket_of}"], capture_output=True,
                                      input=b"CONNECT 7\nby socat", timeout=vm.HANGS, check=True)
                assert re.fullmatch(rb"OK \d+\nby socat", done.stdout), done
                data = random.Random(9).randbytes(1 << 20)
                done = ssh(tmp_path, data, "sha256sum; uname -s")
                assert done.returncode == 0, (done.stderr, g.text())
                assert done.stdout.decode() == f"{hashlib.sha256(data).hexdigest()}  -\nLinux\n"
                finish(g)
        finally:
            listener.kill()
