# SPDX-License-Identifier: Apache-2.0
"""A VM whose card's frames the host's kernel moves: what whoever takes dev-vhost-net over has not, and what the kernel does
not do for him. That a guest's ring reaches the kernel without anybody taken over is no gain of his: vhost=on says so."""

import os
import struct
import subprocess

import pytest

import attempts
from taken import maps_of
from test_first_step import Intruder

MORE = ("dev-vhost-net",)  # its dialer is done, and has gone
HELD = ("anon_inode", "/memfd:inflight", "/memfd:net-set", "/memfd:guest-ram", "/guest-ram", "/dev/net/tun", "/dev/vhost-net")
IOCTL = 16
SET_OWNER, SET_LOG_BASE, SET_MEM_TABLE, SET_VRING_NUM, SET_VRING_ADDR, SET_VRING_KICK, SET_BACKEND, SET_FEATURES = (
    0xaf01, 0x4008af04, 0x4008af03, 0x4008af10, 0x4028af11, 0x4008af20, 0x4008af30, 0x4008af00)
TUNSETPERSIST, TUNSETIFF = 0x400454cb, 0x400454ca
KERNEL = 0xffff888000000000  # where it has the host's memory

pytestmark = pytest.mark.skipif(not os.path.exists("/dev/vhost-net") or not os.access("/dev/net/tun", os.R_OK | os.W_OK),
                                reason="this host has no /dev/vhost-net, or no tap")


@pytest.fixture(params=[1, 4], ids=["one queue", "four queues"])
def start(request, ground):
    name = f"bh-drill{os.getpid() % 100000}"
    more = ["multi_queue"] if request.param > 1 else []
    subprocess.run(["ip", "tuntap", "add", name, "mode", "tap", *more], check=True)
    yield lambda: ground.start("--net", f"tap={name},queues={request.param},vhost=on", "--allow", "vhost-net", more=MORE)
    subprocess.run(["ip", "link", "delete", name], check=True)


def descriptor(t, name):
    return next(fd for fd in map(int, os.listdir(f"/proc/{t.pid}/fd")) if os.readlink(f"/proc/{t.pid}/fd/{fd}") == name)


def sockets(t):
    return [fd for fd in map(int, os.listdir(f"/proc/{t.pid}/fd")) if os.readlink(f"/proc/{t.pid}/fd/{fd}").startswith("socket")]


def requests(t, _targets, _neighbour):
    """What its filter does not have: each ends it. And those that it has, with what the kernel is not to take."""
    kernels, tap = descriptor(t, "/dev/vhost-net"), descriptor(t, "/dev/net/tun")
    for what, fd, request in (("another owner", kernels, SET_OWNER), ("a log of pages", kernels, SET_LOG_BASE),
                              ("a tap that stays", tap, TUNSETPERSIST), ("another tap", tap, TUNSETIFF)):
        yield what, what, IOCTL, (fd, request, t.put(bytes(64)))
    many = struct.pack("<II", 1 << 20, 0) + bytes(64)
    yield "request", "more regions than there are", IOCTL, (kernels, SET_MEM_TABLE, t.put(many))
    yield "request", "a ring that is not there", IOCTL, (kernels, SET_VRING_KICK, t.put(struct.pack("<Ii", 2, -1)))
    yield "request", "every feature", IOCTL, (kernels, SET_FEATURES, t.put(b"\xff" * 8))
    for fd in [*sockets(t), kernels, 1000]:
        yield "request", f"frames from and to {fd}", IOCTL, (kernels, SET_BACKEND, t.put(struct.pack("<Ii", 0, fd)))
        yield "request", f"kicks by {fd}", IOCTL, (kernels, SET_VRING_KICK, t.put(struct.pack("<Ii", 0, fd)))


def test_the_first_step(start, ground, neighbour, count):
    intruder = Intruder(lambda: start().take("dev-vhost-net")).try_all(ground, neighbour, (*attempts.GROUPS, requests))
    count("dev-vhost-net", intruder.tried, intruder.gains)


def test_no_ring_in_the_kernels_memory(start, count):
    """Its place is looked at when frames are to pass."""
    machine = start()
    t = machine.take("dev-vhost-net")
    kernels, tap = descriptor(t, "/dev/vhost-net"), descriptor(t, "/dev/net/tun")
    gains, own = [], t.put(bytes(4096))
    for what, ram, ring in (("the ring", own, KERNEL), ("ring and memory", KERNEL, KERNEL)):
        for request, data in ((SET_MEM_TABLE, struct.pack("<II4Q", 1, 0, 0, 1 << 20, ram, 0)),
                              (SET_VRING_NUM, struct.pack("<II", 0, 16)),
                              (SET_VRING_ADDR, struct.pack("<II4Q", 0, 0, ring, ring, ring, 0))):
            t.call(IOCTL, kernels, request, t.put(data))
        result = t.call(IOCTL, kernels, SET_BACKEND, t.put(struct.pack("<Ii", 0, tap)))
        gains += [("kernel", what, str(result))] * result.succeeded
        t.call(IOCTL, kernels, SET_BACKEND, t.put(struct.pack("<Ii", 0, -1)))
    t.release()
    count("dev-vhost-net", 2, gains)


def test_what_it_holds(start, count):
    """One /dev/vhost-net for each of its queues, the tap, and two channels: none by which it could ask for more."""
    machine = start()
    pid = machine.pids["dev-vhost-net"]
    names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2]
    gains = [("held", name, "") for name in names if not name.startswith(("socket", *HELD))]
    queues = sum(name == "/dev/net/tun" for name in names)
    assert queues in (1, 4)
    if sum(name == "/dev/vhost-net" for name in names) != queues:
        gains.append(("held", "/dev/vhost-net", "as often as it has no use for"))
    if sum(name.startswith("socket") for name in names) != 2:
        gains.append(("held", "a channel", "beside control and vhost-user"))
    gains += [("mapped", m[3], "") for m in maps_of(pid) if m[3].startswith(("/memfd", "/guest", "/dev")) and
              not m[3].startswith(HELD)]
    count("dev-vhost-net", 4, gains)
    machine.finish()


def test_what_an_audit_says(start, ground):
    """Nothing that is not declared, and what was chosen."""
    machine = start()
    code, out, err = ground.place.call("audit", f"vm{machine.run.pid}")
    assert code == 0 and "the host's kernel serves its rings (vhost=on)" in out, (out, err)
    machine.finish()
