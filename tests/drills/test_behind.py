# SPDX-License-Identifier: Apache-2.0
"""A disk whose image is in a process of its own: what whoever takes either of the two over has not."""

import os
import struct
import time

import pytest

import second
import test_exhaustion as exhaustion
import test_second_step
from taken import maps_of
from test_first_step import Intruder
from test_ring import submit_all

APART = {"options": ",parser=apart", "more": ("storage-file",)}
IOPS, REQUESTS, REQUEST_LEN, REPLY_LEN = 50, 200, 28, 16
FLUSH, MAGIC = 3, 0x25609513
DONTWAIT, NOSIGNAL, CMSG_CLOEXEC = 0x40, 0x4000, 0x40000000
EAGAIN = -11
CHANNEL = 5  # of dev-blk to its storage process


def links(pid):
    """What its descriptors from 3 on are, without the numbers of sockets."""
    names = (os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2)
    return {name.split(":[")[0] if name.startswith("socket") else name for name in names}


def test_the_first_step_of_storage_file(ground, neighbour, count):
    intruder = Intruder(lambda: ground.start(**APART).take("storage-file")).try_all(ground, neighbour)
    count("storage-file", intruder.tried, intruder.gains)


def test_the_ring_of_storage_file(ground, neighbour, count):
    t = ground.start(**APART).take("storage-file")
    tried, gains = submit_all(t, ground.targets)
    t.release()
    count("storage-file", tried, gains)


@pytest.mark.parametrize("step", second.WHOLE, ids=lambda s: s.__name__)
def test_the_second_step_on_everything(ground, neighbour, count, step):
    test_second_step.drill(ground, count, "storage-file", lambda t: step(t, ground.targets), **APART)


@pytest.mark.parametrize("step", second.CHANNEL, ids=lambda s: s.__name__)
def test_the_second_step_on_each_channel(ground, neighbour, count, step):
    test_second_step.each_channel(ground, count, "storage-file", step, **APART)


@pytest.mark.parametrize("tries", [exhaustion.descriptors, exhaustion.memory, exhaustion.files,
                                   exhaustion.tasks], ids=lambda f: f.__name__)
def test_exhaustion(ground, neighbour, count, tries):
    exhaustion.drill(ground, count, "storage-file", tries, **APART)


def test_who_holds_what(ground, neighbour, count):
    """storage-file: the image, and nothing of the guest's; dev-blk: no file."""
    machine = ground.start(**APART)
    storage, blk = machine.pids["storage-file"], machine.pids["dev-blk"]
    gains = [("held", "guest RAM", m[3]) for m in maps_of(storage) if "guest-ram" in m[3]]
    # attached nowhere, the path begins at its file system's root
    files = {name for name in links(storage) if name.startswith("/")}
    assert [name.rsplit("/", 1)[1] for name in files] == [machine.disk.name]
    gains += [("held", "a file", name) for name in links(blk)
              if name.startswith("/") and not name.startswith(("/memfd:inflight", "/memfd:dirty-log", "/memfd:guest-ram", "/guest-ram"))]
    count("dev-blk", 2, gains)
    machine.finish()


def send(t, data):
    message = t.put(struct.pack("<7Q", 0, 0, t.put(struct.pack("<2Q", t.put(data), len(data))), 1, 0, 0, 0))
    sent = t.call(46, CHANNEL, message, DONTWAIT | NOSIGNAL).value
    t.forget()
    return sent


def receive(t, most):
    """How many bytes came; 0: none now."""
    room = t.put(bytes(most))
    message = t.put(struct.pack("<7Q", 0, 0, t.put(struct.pack("<2Q", room, most)), 1, 0, 0, 0))
    got = t.call(47, CHANNEL, message, DONTWAIT | CMSG_CLOEXEC).value
    t.forget()
    assert got > 0 or got == EAGAIN, got
    return max(got, 0)


def test_a_rate_holds_a_taken_dev_blk(ground, neighbour, count):
    """Requests of its own, as many as the socket takes: no more are answered than a burst and the time's share."""
    machine = ground.start(options=f",iops={IOPS},burst=1", more=("storage-file",))
    t = machine.take("dev-blk")
    requests = b"".join(struct.pack(">IHHQQI", MAGIC, 0, FLUSH, n, 0, 0) for n in range(REQUESTS))
    began = time.monotonic()
    assert send(t, requests) == REQUESTS * REQUEST_LEN
    answered = 0
    while answered < REQUESTS * REPLY_LEN:
        answered += receive(t, 2048)
        time.sleep(0.01)
    # the timer's last tick may have begun before we did
    least = (REQUESTS - IOPS) / IOPS - 0.1
    took = time.monotonic() - began
    t.release()
    count("dev-blk", REQUESTS, [] if took >= least else [("rate", f"{REQUESTS} requests", f"{took:.2f} s")])
