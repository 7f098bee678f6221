# SPDX-License-Identifier: Apache-2.0
"""Many connections at once and one after another, through net-relay and Debian's passt: the guest is the kernel of this
host in a network namespace of its own, on a tap."""

import ctypes
import fcntl
import os
import resource
import select
import selectors
import shutil
import socket
import struct
import subprocess
import threading

import pytest

from bh import guest, net, process, tap, wait

STATE_SIZE = (1024 << 10) + (64 << 10)
HOST = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
        "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254 && ip addr add 10.77.0.1/32 dev lo")
GUEST = (f"ip link set lo up && ip link set tap0 address {net.MAC.hex(':')} && ip addr add 10.9.0.1/24 dev tap0 && "
         "ip link set tap0 up && ip route add default via 10.9.0.254")
SERVER = ("10.77.0.1", 4003)
IN_FLIGHT = 100
N = 10000 if "BULKHEAD_LONG" in os.environ else 1000
DESCRIPTORS = 512  # of passt: one or two for each connection

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="networks of its own take root"),
              pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")]


class Wire:
    """Frames between a tap and a stream, in a thread, until close."""

    def __init__(self, fd, sock):
        self.fd, self.sock = fd, sock
        self.end, self.wake = os.pipe()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        held = b""
        while True:
            ready = select.select([self.fd, self.sock, self.end], [], [])[0]
            if self.end in ready:
                return
            if self.fd in ready:
                self.sock.sendall(b"".join(net.pack(f) for f in self.frames()))
            if self.sock in ready:
                held = self.put(held + self.sock.recv(1 << 18))

    def frames(self):
        for _ in range(64):
            try:
                yield os.read(self.fd, 70000)
            except BlockingIOError:
                return

    def put(self, data):
        """Into the tap; what is no whole frame is left."""
        at = 0
        while len(data) - at >= 4 and len(data) - at - 4 >= (n := struct.unpack_from(">I", data, at)[0]):
            os.write(self.fd, data[at + 4:at + 4 + n])
            at += 4 + n
        return data[at:]

    def close(self):
        os.close(self.wake)
        self.thread.join()
        for fd in (self.fd, self.end):
            os.close(fd)
        self.sock.close()


class Echo:
    """Sends back what each connection says."""

    def __init__(self):
        self.poll = selectors.DefaultSelector()
        self.listener = socket.create_server(SERVER, backlog=4096)
        self.end, self.wake = os.pipe()
        for f in (self.listener, self.end):
            self.poll.register(f, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            for key, _ in self.poll.select():
                if key.fileobj == self.end:
                    return
                if key.fileobj is self.listener:
                    self.poll.register(self.listener.accept()[0], selectors.EVENT_READ)
                else:
                    self.answer(key.fileobj)

    def answer(self, s):
        data = s.recv(1000)
        if data:
            s.sendall(data)
        else:
            self.poll.unregister(s)
            s.close()

    def close(self):
        os.close(self.wake)
        self.thread.join()
        for key in list(self.poll.get_map().values()):
            if key.fileobj != self.end:
                key.fileobj.close()
        os.close(self.end)
        self.poll.close()


class Net:
    """Host, relay and passt, and a tap in a namespace of the guest's; all in the thread's network."""

    def __init__(self, build):
        subprocess.run(HOST, shell=True, check=True)
        self.host = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        ours, inner = socket.socketpair()
        outer, theirs = socket.socketpair()
        self.page = guest.sealed_memfd(STATE_SIZE, name="net-relay")
        self.relay = process.Process(build, "net-relay", [f"--mac={net.MAC.hex(':')}", "--ip=10.9.0.1"],
                                     {4: inner.fileno(), 5: self.page, 6: outer.fileno()})
        self.relay.wait_ready()
        self.passt = subprocess.Popen(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "passt", "--fd", str(theirs.fileno()), "-f", "-q",
             "-4", "--no-map-gw"], pass_fds=[theirs.fileno()],
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS)))
        for s in (inner, outer, theirs):
            s.close()
        self.echo = Echo()
        tap.apart(lambda: self.make_guest(ours))

    def make_guest(self, stream):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, tap.TUNSETIFF, struct.pack("16sH22x", tap.NAME, tap.IFF_TAP | tap.IFF_NO_PI))
        subprocess.run(GUEST, shell=True, check=True)
        self.guest = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self.wire = Wire(fd, stream)

    def close(self):
        self.passt.kill()
        self.passt.wait()
        self.wire.close()
        self.echo.close()
        self.relay.kill()
        for fd in (self.page, self.host, self.guest):
            os.close(fd)


def inside(fd, body):
    """In the namespace that fd is, in a thread of its own."""
    def run():
        if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
            raise OSError(ctypes.get_errno(), "setns")
        return body()

    return tap.apart(run)


def ask(number, timeout=wait.HANG_S):
    """A connection that was answered."""
    s = socket.create_connection(SERVER, timeout=timeout)
    s.settimeout(wait.HANG_S)
    check(s, number)
    return s


def check(s, number):
    said = b"%d\n" % number
    s.sendall(said)
    got = b""
    while not got.endswith(b"\n"):
        got += s.recv(100)
        assert got
    assert got == said


def one_after_another():
    """N of them, IN_FLIGHT of them at a time."""
    held = []
    for n in range(0, N, IN_FLIGHT):
        for s in held:
            s.close()
        held = [socket.create_connection(SERVER, timeout=wait.HANG_S) for _ in range(IN_FLIGHT)]
        for i, s in enumerate(held):
            check(s, n + i)
    for s in held:
        s.close()


def as_many_as_there_are():
    """Those that are too many are not answered, and cost the others nothing."""
    held = []
    try:
        while len(held) < DESCRIPTORS:
            held.append(ask(len(held), timeout=5))
    except TimeoutError:
        pass
    assert DESCRIPTORS // 4 < len(held) < DESCRIPTORS, len(held)
    for n, s in enumerate(held):
        check(s, n)
    for s in held:
        s.close()
    ask(0).close()


def test_many_connections(build):
    def body():
        n = Net(build)
        try:
            inside(n.guest, one_after_another)
            inside(n.guest, as_many_as_there_are)
            n.relay.drain()
            assert n.relay.said(process.CTL_LOG) == [] and n.passt.poll() is None
        finally:
            n.close()

    tap.apart(body)
