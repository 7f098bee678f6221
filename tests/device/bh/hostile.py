# SPDX-License-Identifier: Apache-2.0
"""What the hostile tests share: all requests well-formed, a device's states, and the verdict."""

import contextlib
import os
import select
import socket
import subprocess

from . import guest, vhost_user as vu
from .session import Session


@contextlib.contextmanager
def case(text):
    """Says which of many cases failed."""
    try:
        yield
    except BaseException as e:
        e.add_note(f"case: {text}")
        raise


class Stage:
    """A session that is started step by step, so that a test can stop at any state."""

    def __init__(self, device):
        self.device = device
        self.index = device.queue
        self.session = device.session = Session(device.sock, device.features,
                                                n_queues=self.index + 1, main=self.index,
                                                watch=[device.process.pidfd])
        self.front = self.session.front
        self.memory = self.session.memory
        self.queue = guest.Queue(self.memory, 64, event_idx=True)
        self.session.queues = [self.queue] * (self.index + 1)  # only the last one is started

    def go(self, state):
        for step in STATES[1:STATES.index(state) + 1]:
            getattr(self, f"_{step}")()
        return self

    def _negotiated(self):
        s = self.session
        self.front.negotiate(s.want, s.protocol)
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER)
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER | vu.STATUS_FEATURES_OK)

    def _memory(self):
        self.front.set_mem_table(self.memory)

    def _num(self):
        self.front.tell(vu.SET_VRING_NUM, vu.vring_state(self.index, self.queue.num))
        self.front.tell(vu.SET_VRING_BASE, vu.vring_state(self.index, 0))

    def _addr(self):
        self.front.tell(vu.SET_VRING_ADDR, vu.vring_addr(self.index, 0, *self.queue.uaddrs()))

    def _call(self):
        self.front.tell(vu.SET_VRING_CALL, vu.u64(self.index), [self.queue.call_fd])
        self.front.tell(vu.SET_VRING_ERR, vu.u64(self.index), [self.queue.err_fd])

    def _kicked(self):
        self.front.tell(vu.SET_VRING_KICK, vu.u64(self.index), [self.queue.kick_fd])

    def _enabled(self):
        self.front.tell(vu.SET_VRING_ENABLE, vu.vring_state(self.index, 1))

    def _serving(self):
        self.front.set_status(vu.STATUS_ACKNOWLEDGE | vu.STATUS_DRIVER | vu.STATUS_FEATURES_OK |
                              vu.STATUS_DRIVER_OK)
        self.device.probe(self.session)

    def _stopped(self):
        self.front.stop_queue(self.index)

    def _reset(self):
        self.front.set_status(0)

    def verdict(self, sent=None):
        """After hostile bytes: "serves" if the device still answers, "ended" if it closed and
        ended cleanly. Anything else fails. sent: the request that was sent, if it was one."""
        probe = vu.GET_PROTOCOL_FEATURES if sent == vu.GET_FEATURES else vu.GET_FEATURES
        try:
            self.front.send(probe)
            for _ in range(3):
                if self.front.recv()[0] == probe:
                    break
            else:
                raise vu.ProtocolError("more replies than requests")
        except vu.Closed:
            self.device.process.assert_clean_end()
            self.device.assert_bounded()
            return "ended"
        assert self.device.process.alive
        self.device.assert_bounded()
        return "serves"

    def recover(self):
        """Starts all over on the same connection and uses the device; True, or False if the device
        closed instead and ended cleanly."""
        s = self.session
        self.queue.close()
        s.queues = []
        try:
            if s.front.protocol_features:
                s.front.set_status(0)
            else:
                s.front.negotiate(s.want, s.protocol)
            s.front.tell(vu.SET_FEATURES, vu.u64(s.front.features))
            s.front.set_mem_table(s.memory)
            s.start_queues()
            self.device.probe(s)
        except vu.Closed:
            self.device.process.assert_clean_end()
            return False
        return True


STATES = ["fresh", "negotiated", "memory", "num", "addr", "call", "kicked", "enabled", "serving",
          "stopped", "reset"]


def requests(stage):
    """Every request that the devices know, well-formed: name -> (request, payload, descriptors).
    Device-type specifics (configuration space) may be refused."""
    m, q, i = stage.memory, stage.queue, stage.index
    first = m.regions[0]
    extra = (1 << 40, 1 << 20, 0x7e0000000000, 0)
    rows = [
        (vu.GET_FEATURES, b"", []),
        (vu.SET_FEATURES, vu.u64(guest.F_VERSION_1 | vu.F_PROTOCOL_FEATURES), []),
        (vu.SET_OWNER, b"", []),
        (vu.RESET_OWNER, b"", []),
        (vu.SET_MEM_TABLE, vu.mem_table([r.wire() for r in m.regions]), [r.fd for r in m.regions]),
        (vu.SET_VRING_NUM, vu.vring_state(i, q.num), []),
        (vu.SET_VRING_ADDR, vu.vring_addr(i, 0, *q.uaddrs()), []),
        (vu.SET_VRING_BASE, vu.vring_state(i, 0), []),
        (vu.GET_VRING_BASE, vu.vring_state(i, 0), []),
        (vu.SET_VRING_KICK, vu.u64(i), [q.kick_fd]),
        (vu.SET_VRING_CALL, vu.u64(i), [q.call_fd]),
        (vu.SET_VRING_ERR, vu.u64(i), [q.err_fd]),
        (vu.GET_PROTOCOL_FEATURES, b"", []),
        (vu.SET_PROTOCOL_FEATURES, vu.u64(vu.PROTOCOL_F_REPLY_ACK), []),
        (vu.GET_QUEUE_NUM, b"", []),
        (vu.SET_VRING_ENABLE, vu.vring_state(i, 1), []),
        (vu.GET_CONFIG, vu.config(0, 8), []),
        (vu.SET_CONFIG, vu.config(0, 1), []),
        (vu.RESET_DEVICE, b"", []),
        (vu.GET_MAX_MEM_SLOTS, b"", []),
        (vu.ADD_MEM_REG, vu.mem_reg(*extra), [m.fd]),
        (vu.REM_MEM_REG, vu.mem_reg(*first.wire()), []),
        (vu.SET_STATUS, vu.u64(0), []),
        (vu.GET_STATUS, b"", []),
    ]
    return {vu.NAMES[row[0]]: row for row in rows}


REQUEST_NAMES = [
    "GET_FEATURES", "SET_FEATURES", "SET_OWNER", "RESET_OWNER", "SET_MEM_TABLE", "SET_VRING_NUM",
    "SET_VRING_ADDR", "SET_VRING_BASE", "GET_VRING_BASE", "SET_VRING_KICK", "SET_VRING_CALL",
    "SET_VRING_ERR", "GET_PROTOCOL_FEATURES", "SET_PROTOCOL_FEATURES", "GET_QUEUE_NUM",
    "SET_VRING_ENABLE", "GET_CONFIG", "SET_CONFIG", "RESET_DEVICE", "GET_MAX_MEM_SLOTS",
    "ADD_MEM_REG", "REM_MEM_REG", "SET_STATUS", "GET_STATUS"]


def is_tmpfs(path):
    """Whose files are memory."""
    done = subprocess.run(["stat", "-f", "-c", "%T", path], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip() == "tmpfs"


class WrongFds:
    """Descriptors that are not what a request calls for, by name; closed together."""

    def __init__(self, directory):
        self.fds, self.keep = {}, []
        r, w = os.pipe()
        self.fds["pipe, read end"], self.fds["pipe, write end"] = r, w
        r, w = os.pipe()
        os.close(w)
        self.fds["pipe at its end"] = r
        r, w = os.pipe()
        os.close(r)
        self.fds["pipe that nobody reads"] = w
        self.fds["directory"] = os.open(directory, os.O_RDONLY)
        self.fds["O_PATH"] = os.open(directory, os.O_PATH)
        self.fds["/dev/null"] = os.open("/dev/null", os.O_RDWR)
        self.fds["/dev/zero"] = os.open("/dev/zero", os.O_RDWR)
        a, b = socket.socketpair()
        self.keep += [a, b]
        self.fds["socket"] = os.dup(a.fileno())
        a, b = socket.socketpair()
        b.close()
        self.keep.append(a)
        self.fds["socket whose peer is gone"] = os.dup(a.fileno())
        self.fds["eventfd"] = os.eventfd(0)
        self.fds["full eventfd"] = os.eventfd(0)
        os.eventfd_write(self.fds["full eventfd"], 0xfffffffffffffffe)
        # Anonymous inodes as an eventfd is, and readable for ever.
        epoll = select.epoll()
        epoll.register(self.fds["eventfd"], select.EPOLLOUT)
        self.keep.append(epoll)
        self.fds["epoll descriptor"] = os.dup(epoll.fileno())
        child = os.fork()
        if child == 0:
            os._exit(0)
        self.fds["descriptor of a dead process"] = os.pidfd_open(child)
        os.waitpid(child, 0)
        self.fds["regular file"] = os.open(directory / "regular", os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self.fds["regular file"], 16 << 20)
        self.fds["short memory file"] = guest.sealed_memfd(4096)
        self.fds["unsealed memory file"] = guest.sealed_memfd(16 << 20, 0)
        self.fds["read-only memory file"] = os.open(
            f"/proc/self/fd/{self.fds['unsealed memory file']}", os.O_RDONLY)

    def close(self):
        for fd in self.fds.values():
            os.close(fd)
        for sock in self.keep:
            sock.close()
