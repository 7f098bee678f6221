# SPDX-License-Identifier: Apache-2.0
"""The second step of an intruder: what the allowed calls can do to the other ends of its channels."""

import os
import socket
import stat
import struct

from bh import vhost_user as vu

import attempts
import vfio_user as vfu

FLOOD = 1500
NOSIGNAL_DONTWAIT = 0x4040


def sockets_of(pid):
    found = []
    for fd in map(int, os.listdir(f"/proc/{pid}/fd")):
        if stat.S_ISSOCK(os.stat(f"/proc/{pid}/fd/{fd}").st_mode):
            found.append(fd)
    return sorted(found)


def eventfds_of(pid):
    return [fd for fd in map(int, os.listdir(f"/proc/{pid}/fd"))
            if os.readlink(f"/proc/{pid}/fd/{fd}") == "anon_inode:[eventfd]"]


def send(t, fd, data, rights=(), address=b""):
    t.forget()
    iov = t.put(struct.pack("<2Q", t.put(data), len(data)))
    control = b""
    if rights:
        control = struct.pack("<QII", 16 + 4 * len(rights), socket.SOL_SOCKET, 1)
        control += struct.pack(f"<{len(rights)}i", *rights)
    control += bytes(-len(control) % 8)
    header = struct.pack("<QI4xQQQQQ", t.put(address) if address else 0, len(address), iov, 1,
                         t.put(control) if control else 0, len(control), 0)
    return t.call(46, fd, t.put(header), NOSIGNAL_DONTWAIT)


def held(t):
    return sorted(map(int, os.listdir(f"/proc/{t.pid}/fd")))


# ---- steps on everything that a process holds; each yields (name, gained) ----

def map_everything(t, _targets):
    for fd in held(t):
        for flags in (1, 2):
            yield f"mmap {fd} executable", t.call(9, 0, 4096, 5, flags, fd, 0).succeeded


def send_elsewhere(t, targets):
    for fd in sockets_of(t.pid):
        for name, address in attempts.addresses(targets).items():
            send(t, fd, b"\0" * 12, address=address)
            yield f"sendmsg {fd} to {name}", bool(targets.touched())


def close_everything(t, targets):
    for fd in held(t):
        t.call(3, fd)
        yield f"close {fd}", bool(targets.touched())


def flood_eventfds(t, targets):
    """Kicks, interrupts and the process's own, as fast as it goes and to the brim."""
    one, brim = t.put(struct.pack("<Q", 1)), t.put(struct.pack("<Q", 2**64 - 2))
    for fd in eventfds_of(t.pid):
        for i in range(200):
            t.call(1, fd, one if i % 2 else brim, 8)
        yield f"flood of {fd}", bool(targets.touched())


WHOLE = (map_everything, send_elsewhere, close_everything, flood_eventfds)


# ---- steps on one channel ----

def garbage(t, fd, targets):
    for size in (1, 8, 12, 64, 4096):
        for what in (bytes(size), b"\xff" * size, bytes((i * 37 + size) & 255 for i in range(size))):
            send(t, fd, what)
            yield f"{size} bytes over {fd}", bool(targets.touched())


def descriptors(t, fd, targets):
    """Its own, one a message and more than anybody takes at once."""
    for rights in ([[right] for right in held(t)] + [[fd] * 100]):
        send(t, fd, b"\xff" * 12, rights=rights)
        yield f"descriptors {rights[:1]} over {fd}", bool(targets.touched())


def flood(t, fd, targets):
    """One message of each protocol until nobody takes more."""
    for data in (log_line("flood"), vu.message(vu.GET_FEATURES), vfio_message(vfu.DEVICE_GET_INFO),
                 control(50, text="flood")):
        for _ in range(FLOOD):
            if not send(t, fd, data).succeeded:
                break
        yield f"flood over {fd}", bool(targets.touched())


def close_one(t, fd, targets):
    t.call(3, fd)
    yield f"close {fd}", bool(targets.touched())


def shut_down(t, fd, targets):
    """Where shutdown is allowed, and where it is not."""
    for how in (0, 1):
        t.call(48, fd, how)
        yield f"shutdown of {fd}", bool(targets.touched())


CHANNEL = (garbage, descriptors, flood, close_one, shut_down)


# ---- well-formed messages that nobody waits for ----

def control(kind, number=None, text=None, info=False):
    body = (b"" if number is None else struct.pack("<I", number)) + (bytes(100) if info else b"")
    body += b"" if text is None else text.encode()
    return struct.pack("<HHI", kind, 0, len(body)) + body


def log_line(text):
    return control(2, 0, text)


def control_messages(_t):
    """Every type of every role: (name, bytes, rights)."""
    shapes = {1: {}, 2: {"number": 9, "text": "x"}, 4: {"number": 0xffffffff}, 5: {"text": "\x1b[2J"},
              13: {"text": "gone"}, 14: {},
              16: {}, 32: {}, 34: {}, 48: {"info": True}, 50: {"text": "no"}, 51: {}, 52: {}}
    for kind, shape in shapes.items():
        yield f"control {kind}", control(kind, **shape), ()
    for event in range(9):
        yield f"event {event}", control(3, event), ()
        yield f"ended {event}", control(53, event, "it ended"), ()
    for how in range(3):
        yield f"stop {how}", control(33, how), ()
    for kind in (17, 49):
        yield f"control {kind} with a descriptor", control(kind), (0,)


def vu_reply(request, payload):
    return vu.message(request, payload, flags=vu.VERSION | vu.FLAG_REPLY)


def vhost_replies(_t):
    """What a device says to its vmm before it is asked."""
    for request in (vu.GET_FEATURES, vu.GET_PROTOCOL_FEATURES, vu.GET_QUEUE_NUM, vu.GET_STATUS,
                    vu.SET_STATUS, vu.SET_MEM_TABLE):
        yield f"reply {request}", vu_reply(request, vu.u64(2**64 - 1)), ()
    yield "ring base", vu_reply(vu.GET_VRING_BASE, vu.vring_state(0, 0xffffffff)), ()
    yield "base of another ring", vu_reply(vu.GET_VRING_BASE, vu.vring_state(255, 0)), ()
    yield "configuration", vu_reply(vu.GET_CONFIG, vu.config(0, 256)), ()
    yield "endless configuration", vu_reply(vu.GET_CONFIG, vu.config(2**32 - 1, 8)), ()
    yield "no state descriptor", vu_reply(vu.SET_DEVICE_STATE_FD, vu.u64(vu.VRING_NOFD)), ()
    yield "state check", vu_reply(vu.CHECK_DEVICE_STATE, vu.u64(0)), ()
    yield "state descriptor", vu_reply(vu.SET_DEVICE_STATE_FD, vu.u64(0)), (0,)
    yield "half a header", vu_reply(vu.GET_STATUS, vu.u64(0))[:7], ()
    yield "a request", vu.message(vu.SET_MEM_TABLE, vu.mem_table([])), ()


def vhost_requests(t):
    """What a vmm says to a device in service."""
    ram = t.find("guest-ram")
    evil = [(0, 1 << 40, 0, 0), (2**64 - 4096, 8192, 0, 0), (0, 4096, 0, 2**63), (4096, 0, 0, 0)]
    for r in evil:
        yield f"memory {r}", vu.message(vu.SET_MEM_TABLE, vu.mem_table([r])), (ram,)
        yield f"more memory {r}", vu.message(vu.ADD_MEM_REG, vu.mem_reg(*r)), (ram,)
    yield "memory that is a socket", vu.message(vu.SET_MEM_TABLE, vu.mem_table([(0, 4096, 0, 0)])), (3,)
    for request in (vu.SET_FEATURES, vu.SET_PROTOCOL_FEATURES, vu.SET_STATUS):
        yield f"request {request}", vu.message(request, vu.u64(2**64 - 1)), ()
        yield f"request {request} of 0", vu.message(request, vu.u64(0)), ()
    for request in (vu.SET_OWNER, vu.RESET_OWNER, vu.RESET_DEVICE, vu.GET_FEATURES):
        yield f"request {request}", vu.message(request), ()
    for index in (0, 1, 0xffffffff):
        for request in (vu.SET_VRING_NUM, vu.SET_VRING_BASE, vu.GET_VRING_BASE, vu.SET_VRING_ENABLE):
            state = vu.vring_state(index, 0xffffffff)
            yield f"request {request} of {index}", vu.message(request, state), ()
        addr = vu.vring_addr(index, 0, 2**64 - 16, 0, 8)
        yield f"addresses of {index}", vu.message(vu.SET_VRING_ADDR, addr), ()
    for request in (vu.SET_VRING_KICK, vu.SET_VRING_CALL, vu.SET_VRING_ERR):
        yield f"request {request} with a socket", vu.message(request, vu.u64(0)), (3,)
        yield f"request {request} with memory", vu.message(request, vu.u64(0)), (ram,)
    for direction, rights in ((0, (3,)), (1, (ram,)), (2**32 - 1, (3,)), (1, ()), (0, (3, ram))):
        transfer = struct.pack("<II", direction, 0)
        yield f"state {direction} over {rights}", vu.message(vu.SET_DEVICE_STATE_FD, transfer), rights
    yield "state check", vu.message(vu.CHECK_DEVICE_STATE), ()
    yield "configuration", vu.message(vu.GET_CONFIG, vu.config(2**32 - 8, 256)), ()
    yield "a reply", vu_reply(vu.GET_STATUS, vu.u64(0)), ()


def vfio_message(command, payload=b"", flags=0, number=7):
    return struct.pack("<HHIII", number, command, 16 + len(payload), flags, 0) + payload


def access(offset, region, count, data=b""):
    return struct.pack("<QII", offset, region, count) + data


def vfio_requests(t):
    irqs = struct.pack("<IIIII", 20, vfu.IRQ_DATA_EVENTFD | vfu.IRQ_ACTION_TRIGGER, 0, 0, 2**32 - 1)
    yield "version again", vfio_message(vfu.VERSION, struct.pack("<HH", 0, 1) + b"{}\0"), ()
    yield "interrupts", vfio_message(vfu.DEVICE_SET_IRQS, irqs), (3,)
    yield "memory", vfio_message(vfu.DMA_MAP, bytes(40)), (t.find("guest-ram"),)
    for offset, region, count in ((2**64 - 1, 0, 1), (0, 99, 1), (0, 0, 2**32 - 1), (7, 0, 8)):
        yield f"read {offset}", vfio_message(vfu.REGION_READ, access(offset, region, count)), ()
        yield f"write {offset}", vfio_message(vfu.REGION_WRITE, access(offset, region, count, b"x")), ()
    yield "reset", vfio_message(vfu.DEVICE_RESET), ()
    yield "an unknown command", vfio_message(999), ()
    yield "a reply", vfio_message(vfu.DEVICE_RESET, flags=vfu.FLAG_REPLY), ()


def vfio_replies(_t):
    for number in (0, 7, 0xffff):
        read = access(0, 0, 1, b"x")
        yield f"reply to {number}", vfio_message(vfu.REGION_READ, read, vfu.FLAG_REPLY, number), ()
    yield "an error", vfio_message(vfu.REGION_READ, b"", vfu.FLAG_REPLY | vfu.FLAG_ERROR), ()
    yield "a command", vfio_message(vfu.REGION_READ, access(0, 0, 1)), ()
    yield "half a header", vfio_message(vfu.REGION_READ)[:5], ()


def virtio_channel(kind):
    """Finds the vmm's channel to that device among its words."""
    def find(t):
        with open(f"/proc/{t.pid}/cmdline", encoding="ascii") as f:
            for word in f.read().split("\0"):
                if word.startswith(f"--virtio={kind}:") or word.startswith(f"--{kind}="):
                    return int(word.replace("=", ":").split(":")[-1])
        raise AssertionError(f"no channel to {kind}")

    return find


# (role, its channel, the messages)
MESSAGES = (
    ("vmm", lambda t: 3, control_messages),
    ("dev-rng", lambda t: 3, control_messages),
    ("relay", lambda t: sockets_of(t.pid)[0], control_messages),
    ("supervisor", lambda t: 3, control_messages),
    ("vmm", virtio_channel("disk"), vhost_requests),
    ("vmm", virtio_channel("serial"), vfio_requests),
    ("dev-blk", lambda t: 4, vhost_replies),
    ("dev-console", lambda t: 4, vfio_replies),
)
