# SPDX-License-Identifier: Apache-2.0
"""A hostile program behind `--disk vhost-user=SOCKET`: it is the user's own, and nothing here confines it. It has guest
RAM; the vmm that asks it must neither crash nor hang, and no descriptor that it is given does more than it should."""

import fcntl
import itertools
import os
import signal
import socket
import struct
import threading

import pytest

import machines
import second
from bh import vhost_user as vu

VERSION_1 = 1 << 32
FEATURES = VERSION_1 | vu.F_PROTOCOL_FEATURES
PROTOCOL = vu.PROTOCOL_F_MQ | vu.PROTOCOL_F_REPLY_ACK | vu.PROTOCOL_F_CONFIG | vu.PROTOCOL_F_STATUS
ANSWERS = {vu.GET_FEATURES: FEATURES, vu.GET_PROTOCOL_FEATURES: PROTOCOL, vu.GET_QUEUE_NUM: 1}
CAPACITY = 2048  # sectors
F_GET_SEALS, SHRINK, GROW = 1034, 2, 4


class BackEnd(threading.Thread):
    """Answers as it should, until the answer at which it does not."""

    def __init__(self, path, vice=None, at=-1):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(1)
        self.vice, self.at = vice, at
        self.sock, self.status, self.fds = None, 0, {}
        self.serving, self.was_bad = threading.Event(), False
        self.start()

    def run(self):
        try:
            self.sock, _ = self.listener.accept()
            for n in itertools.count():
                self._answer(n, *self._take())
        except OSError:
            pass
        finally:
            self.serving.set()

    def _take(self):
        """A request that is to be answered."""
        while True:
            head, fds = self._exactly(12)
            request, flags, size = struct.unpack("<III", head)
            body, _ = self._exactly(size)
            self.fds.setdefault(request, []).extend(fds)
            if request == vu.SET_STATUS:
                self.status = body[0]
            if request in ANSWERS or request in (vu.GET_CONFIG, vu.GET_STATUS, vu.GET_VRING_BASE) or \
                    flags & vu.FLAG_NEED_REPLY:
                return request, body

    def _exactly(self, n):
        data, fds = b"", []
        while len(data) < n:
            piece, more, _, _ = socket.recv_fds(self.sock, n - len(data), 8)
            if not piece:
                raise OSError("gone")
            data, fds = data + piece, fds + more
        return data, fds

    def _answer(self, n, request, body):
        payload = vu.u64(ANSWERS.get(request, self.status if request == vu.GET_STATUS else 0))
        if request == vu.GET_CONFIG:
            _, size, _ = struct.unpack_from("<III", body)
            payload = body[:12] + struct.pack("<Q", CAPACITY).ljust(size, b"\0")
        if request == vu.GET_VRING_BASE:
            payload = body
        if n == self.at:
            self.was_bad = True
            self.vice(self, request, payload)
        else:
            self.sock.sendall(second.vu_reply(request, payload))
        if request == vu.SET_STATUS and self.status & vu.STATUS_DRIVER_OK:
            self.serving.set()

    def close(self):
        for fd in itertools.chain(*self.fds.values()):
            os.close(fd)
        for sock in filter(None, (self.sock, self.listener)):
            sock.close()


# ---- what it does instead of an answer ----

def goes(end, _request, _payload):
    end.sock.shutdown(socket.SHUT_RDWR)


def stops_in_it(end, request, payload):
    end.sock.sendall(second.vu_reply(request, payload)[:-1])
    end.sock.shutdown(socket.SHUT_RDWR)


def says_something_else(end, request, payload):
    end.sock.sendall(second.vu_reply(request + 1, payload))


def says_too_much(end, request, payload):
    end.sock.sendall(vu.message(request, payload + bytes(4096), vu.VERSION | vu.FLAG_REPLY))


def says_too_little(end, request, payload):
    end.sock.sendall(second.vu_reply(request, payload[:4]))


def claims_all_sizes(end, request, payload):
    end.sock.sendall(vu.message(request, payload, vu.VERSION | vu.FLAG_REPLY, size=2**32 - 1))


def gives_descriptors(end, request, payload):
    socket.send_fds(end.sock, [second.vu_reply(request, payload)], [0] * 100)


def asks_back(end, request, payload):
    end.sock.sendall(vu.message(request, payload))


VICES = (goes, stops_in_it, says_something_else, says_too_much, says_too_little, claims_all_sizes, gives_descriptors,
         asks_back)


# ---- its VM ----

class Foreign:
    """A VM with such a disk alone, whose guest waits for it for ever."""

    def __init__(self, ground, vice=None, at=-1):
        self.ground, path = ground, ground.place.dir / "foreign.sock"
        path.unlink(missing_ok=True)
        self.end_ = BackEnd(path, vice, at)
        self.process = ground.place.start("run", "--accel", ground.accel, "--kernel", ground.guest, "--memory", "64M",
                                          "--on-crash", "stop", "--disk", f"vhost-user={path}", errors="replace")

    def conclude(self):
        """The end of that disk is its VM's, with a reason; nothing is left."""
        try:
            _, err = self.process.communicate(timeout=machines.HANGS_S)
        finally:
            self.process.kill()
            self.end_.close()
        lines = machines.vm.without_host(err).splitlines()
        text = "\n".join(lines)
        assert self.process.returncode in (1, 5), (self.process.returncode, text)
        assert "killed by signal" not in text and "stopped by its filter" not in text, text
        assert "vhost-user" in text and lines[-1].startswith("bulkhead: "), text
        return text


def await_none(ground, before):
    end = machines.time.monotonic() + machines.HANGS_S
    while set(ground.place.processes()) - before:
        assert machines.time.monotonic() < end, ground.place.processes()
        machines.time.sleep(0.005)


@pytest.mark.parametrize("vice", VICES, ids=lambda v: v.__name__)
def test_vices(ground, neighbour, count, vice):
    """At some answers of the way to a disk in service; all of them are in tests/unit/test_vhost_front.c."""
    before, tried = set(ground.place.processes()), 0
    for at in range(VICES.index(vice) % 3, 100, 3):
        machine = Foreign(ground, vice, at)
        machine.end_.serving.wait(machines.HANGS_S)
        if not machine.end_.was_bad:
            goes(machine.end_, 0, b"")
        machine.conclude()
        await_none(ground, before)
        if not machine.end_.was_bad:
            break
        tried += 1
    assert tried > 1
    count("a foreign back end", tried, [("sockets", str(n), "") for n in ground.targets.touched()])


def test_unasked_in_service(ground, neighbour, count):
    """Answers to nothing; then it goes."""
    before, tried = set(ground.place.processes()), 0
    for _, data, rights in list(second.vhost_replies(None))[::3]:
        machine = Foreign(ground)
        assert machine.end_.serving.wait(machines.HANGS_S) and machine.end_.status & vu.STATUS_DRIVER_OK
        socket.send_fds(machine.end_.sock, [data], rights)
        goes(machine.end_, 0, b"")
        machine.conclude()
        await_none(ground, before)
        tried += 1
    count("a foreign back end", tried, [])


def test_guest_ram_keeps_its_size(ground, neighbour, count):
    """With the descriptor of guest RAM: what shrinks under the vmm would kill it."""
    machine, gains = Foreign(ground), []
    assert machine.end_.serving.wait(machines.HANGS_S)
    fds = machine.end_.fds[vu.SET_MEM_TABLE]
    for fd in fds:
        size = os.fstat(fd).st_size
        for to in (0, 4096, size + 4096):
            try:
                os.ftruncate(fd, to)
                gains.append(("memory", f"ftruncate to {to}", ""))
            except PermissionError:
                pass
        assert fcntl.fcntl(fd, F_GET_SEALS) & (SHRINK | GROW) == SHRINK | GROW
    assert fds
    machine.process.send_signal(signal.SIGTERM)
    goes(machine.end_, 0, b"")
    machine.process.communicate(timeout=machines.HANGS_S)
    machine.end_.close()
    count("a foreign back end", 3 * len(fds), gains)
