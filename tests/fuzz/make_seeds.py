#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the fuzz targets' seeds anew: seeds/TARGET/NAME, each a legal input or one just past a limit.
They are kept in the repository, as the tests read them from there; run this after a change of a wire
format."""

import base64
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent / "seeds"


def answer():
    """How many descriptors, then part, result, reserved, reason, text."""
    def said(n_fds, result, reason=0, text=b""):
        return struct.pack("<BBBHi", n_fds, 5, result, 0, reason) + text
    return {"started": said(3, 1), "started-console": said(4, 1), "failed": said(1, 2, -13, b"exec"),
            "failed-early": said(0, 2, -24, b"its channels"), "refused": said(0, 3, 3),
            "found": said(0, 5), "unfound": struct.pack("<BBBHi", 0, 0, 6, 0, 0),
            "found-size": said(0, 5, 0, b"1048576"), "found-words": said(0, 5, 0, b"1 MiB"),
            "unfound-beside": struct.pack("<BBBHi", 0, 0, 6, 0, 1),
            "unfound-of-a-part": said(0, 6),
            "bad-count": said(5, 1), "long": said(0, 2, -1, b"x" * 57)}


def vsock():
    """Steps: a packet of the guest, a client that says its line, what is due is given, the dialer is asked or answers, a client's
    doings."""
    def packet(op, length=0, alloc=1 << 16, fwd=0, own=1 << 30, **said):
        return b"\0" + struct.pack("<QQIIIHHIII", 3, said.get("dst", 2), 22, own, length, said.get("type", 1), op,
                                   said.get("flags", 0), alloc, fwd)
    greet, due, asks, made, fails = bytes([64]), bytes([80]), bytes([98]), bytes([97]), bytes([96])

    def client(what, value=0, which=0):
        return bytes([112 + what, which, value])
    opened = greet + due + packet(2)
    return {"unknown": packet(1) + packet(5, 9) + packet(3) + packet(1, dst=7) + due,
            "data": opened + packet(5, 1000) + client(2, 255) + packet(7) + due + client(1, 9),
            "lies": opened + packet(6, alloc=0) + client(1, 9) + packet(6, alloc=100, fwd=1 << 31) + client(1, 9),
            "too-much": opened + packet(5, 32768) + packet(5, 1) + due,
            "ends": opened + client(3) + due + packet(4, flags=3) + client(2, 255) + client(5) + due,
            "reset": opened + packet(5, 700) + packet(3) + client(2, 255) + client(5),
            "types": opened + packet(5, type=2) + due + greet + due + packet(1, own=(1 << 30) + 1),
            "reached": packet(1, own=80) + asks + made + due + packet(5, 1000, own=80) + client(2, 255) + client(1, 9) + due,
            "reached-none": packet(1, own=81) + asks + fails + due + packet(1, own=79) + due,
            "reached-late": packet(1, own=80) + asks + packet(3, own=80) + client(5) + packet(1, own=81) + asks + made + asks +
            made + due + packet(3, own=81)}


def ask():
    return {
        "again": bytes([0, 1, 3, 0, 0]), "forget": bytes([0, 3, 5, 0, 0]), "rng": bytes([0, 2, 5, 1, 1]),
        "disk": bytes([1, 2, 6, 0, 1]) + b"format=raw,readonly=on", "two": bytes([2, 2, 6, 0, 1]) + b"format=raw",
        "find": bytes([1, 4, 0, 0, 0]), "beside": bytes([1, 6, 0, 0, 8]), "beside-none": bytes([1, 6, 0, 0, 0]), "larger": bytes([0, 5, 3, 0, 0]), "find-a-part": bytes([1, 4, 3, 0, 0]),
        "behind": bytes([1, 7, 9, 1, 0]) + b"format=raw,parser=apart", "behind-dials": bytes([1, 7, 9, 1, 0]) + b"nbd://host/x,format=raw", "behind-none": bytes([0, 7, 9, 1, 0]) + b"format=raw",
        "card": bytes([1, 2, 6, 3, 1]) + b"fd=3,mac=52:54:00:12:34:56", "card-of-nothing": bytes([0, 2, 6, 3, 1]) + b"fd=3",
        "card-tap": bytes([1, 2, 6, 3, 2]) + b"tap=tap0,mtu=9000", "card-relay": bytes([1, 7, 9, 3, 1]) + b"fd=3,guard=on",
        "card-user": bytes([1, 7, 9, 3, 1]) + b"user,allow=10.0.0.0/8:443,packets-out=100",
        "again-with-text": bytes([0, 1, 3, 0, 0]) + b"x", "long": bytes([1, 2, 6, 0, 1]) + b"x" * 361,
    }


def control():
    def message(kind, payload=b""):
        return struct.pack("<HHI", kind, 0, len(payload)) + payload

    info = struct.pack("<64sIIQQIIII128s128s", b"vm1", 1234, 2, 1 << 30, 60, 8, 4, 1, 2, b"disk-2,rng-2", b"gone")
    return {
        "ready": message(1), "log": message(2, struct.pack("<I", 2) + b"text"),
        "event": message(3, struct.pack("<I", 2)), "denied": message(4, struct.pack("<I", 57)),
        "failed": message(5, b"why"), "plugged": message(7, struct.pack("<I", 24)), "not-plugged": message(8, b"why"),
        "unplugged": message(9, struct.pack("<I", 24)),
        "plug": message(20, struct.pack("<I", 17) + b"disk:2:0x10000:1:1:60:0x7e77"),
        "unplug": message(21, struct.pack("<I", 24)), "power-button": message(16), "console": message(17),
        "query": message(32), "stop": message(33, struct.pack("<I", 1)), "attach": message(34),
        "release": message(35), "add": message(37, b"rng,rate=2M"), "add-file": message(38, b"disk,format=raw"),
        "add-card": message(38, b"net,fd=3,guard=on"), "add-user": message(38, b"net,user,allow=10.0.0.0/8:443"),
        "added-card": message(55, struct.pack("<I", 25) + b"net-2"), "remove-card": message(39, b"net-2"),
        "remove": message(39, b"disk-2"), "added": message(55, struct.pack("<I", 24) + b"disk-2"), "ending": message(54),
        "pause": message(23, struct.pack("<I", 1)), "pause-without-a-number": message(23), "away": message(13, b"gone"), "back": message(14), "continue": message(24),
        "add-beside": message(43, struct.pack("<I", 8)), "resize": message(41), "resized": message(42, struct.pack("<I", 1)), "resizing": message(56, b"raw"),
        "resume": message(40), "resume-with-a-number": message(40, struct.pack("<I", 0)),
        "link": message(25, struct.pack("<I", 3)), "announced": message(15), "set-link": message(44, struct.pack("<I", 1) + b"net-1"),
        "goes-on": message(45),
        "channel": message(19, struct.pack("<I", 3)),
        "config-changed": message(10), "config": message(22, struct.pack("<I", 3)),
        "console-size": message(18, struct.pack("<HH", 80, 24)),
        "size": message(36, struct.pack("<HH", 65535, 65535)),
        "size-without-rows": message(36, struct.pack("<HH", 80, 0)),
        "info": message(48, info), "attached": message(49), "refused": message(50, b"no"),
        "done": message(51), "started": message(52),
        "ended": message(53, struct.pack("<I", 5) + b"gone"),
        "text-longest": message(5, b"x" * 400), "text-too-long": message(5, b"x" * 401),
    }


def vhost_user():
    def message(request, payload=b"", flags=1):
        return struct.pack("<III", request, flags, len(payload)) + payload

    u64 = struct.Struct("<Q").pack
    state = struct.pack("<II", 1, 256)
    addr = struct.pack("<IIQQQQ", 0, 0, 0x10000, 0x12000, 0x11000, 0)
    region = struct.pack("<QQQQ", 0, 1 << 20, 0x7f0000000000, 0)
    config = struct.pack("<III", 0, 60, 0) + bytes(60)
    inflight = struct.pack("<QQHHI", 8256, 0, 2, 256, 0)
    return {
        "get-features": message(1), "set-features": message(2, u64(1 << 32), 9),
        "set-owner": message(3), "mem-table": message(5, struct.pack("<II", 2, 0) + region * 2),
        "vring-num": message(8, state), "vring-addr": message(9, addr),
        "vring-base": message(10, state), "get-base": message(11, state),
        "get-base-reply": message(11, state, 5), "kick": message(12, u64(1)),
        "call-nofd": message(13, u64(0x100)), "enable": message(18, state, 9),
        "get-config": message(24, config), "get-config-reply": message(24, config, 5),
        "get-config-refused": message(24, b"", 5), "set-config": message(25, config),
        "add-region": message(37, u64(0) + region), "remove-region": message(38, u64(0) + region),
        "set-status": message(39, u64(15)), "status-reply": message(40, u64(15), 5),
        "ack": message(5, u64(0), 5), "unknown": message(33, u64(0)),
        "log-base": message(6, u64(4096) + u64(0)), "log-base-reply": message(6, u64(0), 5),
        "log-fd": message(7), "get-inflight": message(31, inflight),
        "get-inflight-reply": message(31, inflight, 5), "set-inflight": message(32, inflight),
        "inflight-unpadded": message(32, inflight[:20]),
        "regions-most": message(5, struct.pack("<II", 8, 0) + region * 8),
        "regions-too-many": message(5, struct.pack("<II", 9, 0) + region * 9),
        "config-longest": message(25, struct.pack("<III", 0, 256, 1) + bytes(256)),
        "config-too-long": message(25, struct.pack("<III", 0, 257, 1) + bytes(257)),
        "state-fd": message(42, struct.pack("<II", 1, 0)), "state-fd-reply": message(42, u64(0x100), 5),
        "state-fd-reply-bits": message(42, u64(0x300), 5), "check-state": message(43),
        "check-state-reply": message(43, u64(1), 5),
    }


def schema_hash(name, fields):
    h = 2166136261
    parts = name.encode() + b"\0"
    for field, width, count in fields:
        parts += field.encode() + b"\0" + struct.pack("<II", width, count)
    for byte in parts:
        h = (h ^ byte) * 16777619 & 0xffffffff
    return h


def vu_state():
    """The first byte: how many come at a time (0: all)."""
    header = struct.pack("<IIHHI", 0x54534842, schema_hash("dev-rng", [("tokens", 8, 1)]), 1, 0, 8)
    good = header + struct.pack("<Q", 1234)
    return {
        "good": b"\0" + good, "in-pieces": b"\3" + good, "full": b"\0" + header + struct.pack("<Q", 5000),
        "too-many": b"\0" + header + struct.pack("<Q", 5001), "cut": b"\1" + good[:-1],
        "longer": b"\7" + good + b"\0", "empty": b"\0", "version": b"\0" + good[:8] + b"\2" + good[9:],
    }


def vfio_user():
    def message(command, payload=b"", flags=0, error=0):
        return struct.pack("<HHIII", 7, command, 16 + len(payload), flags, error) + payload

    json = b'{"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576}}\0'

    def sparse(n):
        areas = struct.pack("<QQ", 4096, 4096) * n
        return struct.pack("<IIIIQQ", 48 + 16 * n, 15, 0, 32, 8192, 0) + struct.pack(
            "<HHIII", 1, 1, 0, n, 0) + areas

    def data(n):
        return struct.pack("<QII", 0, 0, n) + bytes(n)

    return {
        "version": message(1, struct.pack("<HH", 0, 1) + json),
        "version-bare": message(1, struct.pack("<HH", 0, 1), 1),
        "dma-map": message(2, struct.pack("<IIQQQ", 32, 3, 0, 0, 1 << 20)),
        "dma-unmap": message(3, struct.pack("<IIQQ", 24, 0, 0, 1 << 20)),
        "info": message(4, struct.pack("<IIII", 16, 0, 0, 0)),
        "info-reply": message(4, struct.pack("<IIII", 16, 2, 9, 5), 1),
        "region": message(5, struct.pack("<IIIIQQ", 512, 0, 1, 0, 0, 0)),
        "region-reply": message(5, sparse(1), 1), "areas-most": message(5, sparse(4), 1),
        "areas-too-many": message(5, sparse(5), 1),
        "io-fds": message(6, struct.pack("<IIII", 16, 0, 0, 0)),
        "irq": message(7, struct.pack("<IIII", 16, 0, 1, 0)),
        "set-irqs": message(8, struct.pack("<IIIII", 20, 36, 0, 0, 1)),
        "read": message(9, struct.pack("<QII", 5, 0, 4)),
        "read-reply": message(9, struct.pack("<QII", 5, 0, 4) + b"data", 1),
        "write": message(10, struct.pack("<QII", 0, 0, 1) + b"x", 0x10),
        "write-longest": message(10, data(256)), "write-too-long": message(10, data(257)),
        "write-reply": message(10, struct.pack("<QII", 0, 0, 1), 1),
        "reset": message(13), "error": message(5, b"", 0x21, 22), "unknown": message(15, b"1234"),
    }


def guestmem():
    # operations: 0 add(gpa, uaddr, shape) 1 remove(which) 2 read 3 write 4 zero (address, length)
    # 5 word(store, address) 6 iov(address, length, max, start) 7 uaddr(address, length)
    two = bytes([0, 1, 4, 2, 0, 3, 9, 0x11])  # pages 1, 2 and 3, that touch
    high = bytes([0, 0x80 | 4, 0x80 | 2, 3])
    return {
        "read": two + bytes([2, 1, 0, 0x82, 31]) + bytes([2, 2, 0x82, 8]),
        "write": two + bytes([3, 2, 0x83, 16, 5]) + bytes([4, 2, 0x81, 4]),
        "words": two + bytes([5, 1, 3, 0, 0xab, 0xcd, 5, 0, 3, 0]),
        "iov": two + bytes([6, 1, 8, 0x82, 4, 4, 0]),
        "uaddr": two + bytes([7, 4, 0, 0x82, 0]),
        "high": high + bytes([2, 0x84, 0, 0x83, 1]) + bytes([2, 0x8f, 0x80, 2]),
        "remove": two + bytes([1, 0, 2, 1, 0, 4]),
        "overlap": two + bytes([0, 2, 8, 1, 0, 8, 4, 1, 0, 8, 8, 0x44]),
    }


def vhost_front():
    """All answers of one back end's life, behind the byte that says where a descriptor is."""
    def reply(request, payload):
        return struct.pack("<III", request, 5, len(payload)) + payload

    u64 = struct.Struct("<Q").pack
    ok = u64(0)

    def life(features, protocol):
        ack = protocol >> 3 & 1
        out = reply(1, u64(features))
        if features >> 30 & 1:
            out += reply(15, u64(protocol))
            if protocol & 1:
                out += reply(17, u64(2))
            if protocol >> 9 & 1:
                out += reply(24, struct.pack("<III", 0, 60, 0) + bytes(60))
        out += reply(2, ok) * ack
        if protocol >> 9 & 1:
            out += reply(25, ok) * ack
        status = ack and protocol >> 16 & 1
        out += reply(39, ok) * status + reply(5, ok) * ack + reply(18, ok) * 2 * ack
        out += reply(39, ok) * status
        if protocol >> 16 & 1:
            out += reply(40, u64(15))
        for ring in range(2):
            out += reply(11, struct.pack("<II", ring, 7))
        return out + (reply(39, ok) if status else reply(34, ok) * ack)

    features = 1 << 32 | 1 << 30
    return {
        "everything": b"\0" + life(features, 0x12209),
        "no-status": b"\0" + life(features, 0x02209),
        "acks-only": b"\0" + life(features, 8),
        "no-protocol": b"\0" + life(1 << 32, 0),
        "with-descriptor": b"\5" + life(features, 0x12209),
        "refused-config": b"\0" + life(features, 0x12201).replace(
            struct.pack("<III", 24, 5, 72) + struct.pack("<III", 0, 60, 0) + bytes(60),
            struct.pack("<III", 24, 5, 0)),
    }


def vfio_client():
    """All answers of one server's life, and of its successor's, behind what says where a descriptor is and
    where the successor's begin."""
    def reply(ident, command, payload=b""):
        return struct.pack("<HHIII", ident, command, 16 + len(payload), 1, 0) + payload

    def hello(start, version, sparse, done):
        areas = b"".join(struct.pack("<QQ", *a) for a in sparse)
        caps = struct.pack("<HHIII", 1, 1, 0, len(sparse), 0) + areas if sparse else b""
        all_ = [(1, struct.pack("<HH", 0, version) + b"{}\0"),
                (4, struct.pack("<IIII", 16, 0, 1 + done, 1)),
                (5, struct.pack("<IIIIQQ", 32 + len(caps), 15 if sparse else 3, 0,
                                32 if sparse else 0, 4096, 0) + caps)]
        all_ += [(5, struct.pack("<IIIIQQ", 32, 3, 1, 0, 4, 0))] * done
        all_ += [(7, struct.pack("<IIII", 16, 1, 0, 1))]
        return b"".join(reply(start + i, *r) for i, r in enumerate(all_)), start + len(all_)

    write, read = (10, struct.pack("<QII", 1, 0, 1)), (9, struct.pack("<QII", 3, 0, 1) + b"r")

    def life(where, version=1, sparse=((5, 1),)):
        out, i = hello(0, version, sparse, False)
        out += reply(i, *write) + reply(i + 2, *read) + reply(i + 3, 8) + reply(i + 4, 13)
        return bytes([where]) + struct.pack("<H", len(out)) + out

    def two(where, done, more=b"", sparse=((5, 1),)):
        """The first ends before it answers the read, whose id is 7; a posted write is before it."""
        out, i = hello(0, 1, sparse, True)
        out += reply(i, *write)
        first = len(out)
        after, i = hello(8, 1, ((5, 1),), True)
        out += after + reply(i, 9, struct.pack("<QIII", 0, 1, 4, done)) + more
        return bytes([where]) + struct.pack("<H", first) + out

    at = 56 // 8 << 2  # in the region's answer, in steps of 8
    any_ = 1 << 24
    return {
        "page": life(at), "shrinks": life(at | 1), "event": life(at | 2), "sealed": life(at | 3),
        "no-page": life(0xfc, sparse=()), "old": life(0xfc, version=0),
        "outside": life(at, sparse=((4095, 2),)),
        "areas": life(at, sparse=((0, 1), (2, 2), (5, 1), (4095, 1))),
        "successor": two(at, 0, reply(7, *read)), "successor-posted": two(at, any_ | 6, reply(7, *read)),
        "successor-done": two(at, any_ | 0x720000 | 7), "successor-lies": two(at, any_ | 0x9000),
        "successor-another": two(at, 0, reply(7, *read), sparse=((4, 1),)),
    }


def hotplug():
    def op(what, register=0, value=0):
        return struct.pack("<BBI", what, register, value)

    def ask(slot):
        return op(1, 0, slot)

    plug, main, reset, up, down = op(0), op(2), op(3), op(4, 2), op(4, 4 << 2 | 2)
    eject = op(4, 8 << 2 | 2, 0xff000000)
    return {
        "life": plug + up + ask(24) + down + eject + main + plug,
        "full": plug * 9 + eject + plug + main + plug * 9,
        "reset": plug * 3 + ask(25) + reset + up + down + eject + reset,
        "unasked": plug * 2 + eject + reset + plug + main,
        "not-there": ask(0) + ask(1) + ask(23) + ask(32) + ask(0xffffffff) + eject + main,
        "lost": plug * 2 + op(6, 0, 24) + eject + op(6, 0, 25) + main + op(6, 0, 24),
        "widths": plug + ask(24) + b"".join(op(4, r, 0xffffffff) for r in range(64) if r != 34),
    }


def virtio_pci():
    def write(target, offset, width, value):
        return struct.pack("<BBHI", target | {1: 0, 2: 4, 4: 8, 8: 12}[width], 0, offset, value)

    def status(value):
        return write(1, 0x14, 1, value)

    def queue(index, size, desc):
        return (write(1, 0x16, 2, index) + write(1, 0x18, 2, size) + write(1, 0x1a, 2, index + 1) +
                write(1, 0x20, 4, desc) + write(1, 0x28, 4, desc + 0x1000) +
                write(1, 0x30, 4, desc + 0x2000) + write(1, 0x1c, 2, 1))

    live = (write(2, 4, 2, 6) + status(3) + write(1, 8, 4, 1) + write(1, 12, 4, 1) + status(11) +
            queue(0, 128, 0x10000) + queue(2, 64, 0x20000) + status(15))
    irq = (write(0, 0x4010, 4, 0xfee00000) + write(0, 0x4018, 4, 0x41) + write(0, 0x401c, 4, 0) +
           write(2, 0x42, 2, 0x8000))
    return {
        "live": live, "irq": live + irq, "notify": live + write(0, 0x3000, 2, 0) +
        write(0, 0x3008, 2, 2), "reset": live + irq + status(0) + live,
        "move": live + irq + write(2, 0x10, 4, 0xd0000000) + write(2, 0x10, 4, 0xffffffff),
        "resize": live + queue(0, 256, 0x30000), "config": live + write(0, 0x2020, 1, 1),
        "bad-ring": live.replace(struct.pack("<I", 0x20000), struct.pack("<I", 0xe0000000)),
        "bits": status(1) + status(0x83) + status(0) + status(0xff),
    }


def virtqueue():
    data, table, ring_n = 0x80000, 0x40000, 16
    NEXT, WRITE, INDIRECT = 1, 2, 4

    def desc(addr, length, flags, following=0):
        return struct.pack("<QIHH", addr, length, flags, following)

    def ring(flags, heads, descs, indirect=b"", idx=None):
        avail = struct.pack("<HH", 0, len(heads) if idx is None else idx)
        avail += struct.pack("<16H", *(heads + [0] * (ring_n - len(heads)))) + bytes(2)
        return (bytes([flags]) + avail + bytes(6) + b"".join(descs).ljust(16 * ring_n, b"\0") +
                indirect.ljust(256, b"\0") + bytes([0]) + bytes([0, 4, 4, 8, 2, 1]) * 20)

    two = [desc(data, 16, NEXT, 1), desc(data + 4096, 512, WRITE)]
    return {
        "two": ring(0, [0], two), "event-idx": ring(1, [0], two),
        "indirect": ring(2, [3], [bytes(16)] * 3 + [desc(table, 32, INDIRECT)], b"".join(two)),
        "loop": ring(0, [0], [desc(data, 16, NEXT, 1), desc(data, 16, NEXT, 0)]),
        "zero": ring(0, [0], [desc(data, 0, NEXT, 1), desc(data, 16, 0)]),
        "twice": ring(0, [0, 0], two), "head": ring(0, [16], two), "next": ring(
            0, [0], [desc(data, 1, NEXT, 16)]),
        "order": ring(0, [0], [desc(data, 1, WRITE | NEXT, 1), desc(data, 1, 0)]),
        "nested": ring(2, [0], [desc(table, 16, INDIRECT)], desc(table, 16, INDIRECT)),
        "jump": ring(0, [0], two, idx=17), "full": ring(0, list(range(ring_n)), [
            desc(data + 64 * i, 64, WRITE) for i in range(ring_n)]),
    }


def blk():
    def request(d, kind, sector, write, sectors, page):
        return bytes([0, d, kind, sector, write, 1, sectors, page])

    begin, kick, done = bytes([7]), bytes([8]), bytes([6, 0, 0])
    restart = bytes([9, 0, 1])
    return {
        "read": begin + request(0, 0, 1, 1, 2, 0) + kick + done,
        "write": begin + request(0, 1, 1, 0, 2, 0) + kick + done,
        "flush-id": begin + request(0, 2, 0, 1, 1, 0) + request(3, 3, 0, 1, 1, 3) + kick + done,
        "discard": begin + bytes([2, 4, 8, 0, 0]) + request(0, 4, 0, 0, 0, 0) + kick + done,
        "failure": begin + request(0, 0, 1, 1, 1, 0) + kick + bytes([6, 0, 3]),
        "outside": begin + bytes([0, 0, 0, 0x81, 1, 1, 1, 0]) + kick,
        "restart": begin + request(0, 0, 1, 1, 2, 0) + kick + restart + request(
            3, 1, 2, 0, 1, 9) + kick,
        "twice": begin + request(0, 0, 1, 1, 2, 0) + bytes([9, 1, 0]) + kick + done + done,
        "many": begin + b"".join(request(3 * i, i & 1, i, 1 - (i & 1), 1, 4 * i)
                                 for i in range(10)) + kick + bytes([6, 5, 0]) * 10,
    }


def scsi():
    def command(d, how, blocks, cdb):
        """how: 1 the disk, 2 data is sent, 4 whole sectors, 128 a head that is cut."""
        return bytes([0, d, how | 4, blocks, 0, d & 3]) + cdb.ljust(16, b"\0")

    def manage(kind, function, lun, tag, room=1):
        return bytes([3, 0, kind, function, lun, tag, 0, room])

    kick, done, held, restart = bytes([7]), bytes([5, 0, 0, 0]), bytes([5, 1, 1, 0]), bytes([8])
    read, write = b"\x28\0\0\0\0\1\0\0\1", b"\x2a\0\0\0\0\1\0\0\1"
    return {
        "read": command(0, 0, 4, read) + command(3, 1, 1, read) + kick + done,
        "write": command(0, 3, 1, write) + command(3, 2, 4, write) + kick + done,
        "inquiry": b"".join(command(3 * i, 1, 2, bytes([0x12, 1, page, 0, 255]))
                            for i, page in enumerate((0, 0x80, 0x83, 0xb0, 0xb1, 0xb2))) + kick,
        "modes": b"".join(command(3 * i, i & 1, 2, b"\x5a\0\x3f" + bytes(4) + b"\2\0") for i in range(4)) + kick,
        "disc": b"".join(command(3 * i, 0, 2, bytes([code, code == 0x4a, 0, 0, 0x10, 0, 0, 2, 0]))
                         for i, code in enumerate((0x43, 0x46, 0x4a, 0x51, 0x52))) + kick,
        "tray": command(0, 0, 0, b"\x1b\0\0\0\2") + kick + command(3, 0, 4, read) + kick,
        "unmap": bytes([2, 0, 0, 22, 0, 16]) + bytes(12) + bytes([0, 0, 0, 8, 0, 0, 0, 0, 0, 0])[:8] +
        command(0, 3, 1, b"\x42" + bytes(6) + b"\0\x18") + kick + done,
        "zeroes": command(0, 1, 0, b"\x93\1" + bytes(11) + b"\2") + kick + done,
        "abort": held + command(0, 3, 1, write) + kick + manage(0, 0, 1, 0) + manage(0, 6, 1, 0) + done,
        "reset": held + command(0, 1, 1, read) + kick + manage(0, 5, 1, 0) + restart + command(0, 1, 1, read) + kick,
        "event": b"".join(bytes([10, i, i & 1, 16 + i]) for i in range(4)) + bytes([10, 4, 3, 15]) + restart + bytes([10, 0, 2, 16]),
        "notify": manage(1, 0, 0, 0, 5) + manage(2, 0, 0, 0, 5) + restart,
        "cut": command(0, 128, 4, read) + kick + restart + command(0, 0, 4, read) + kick,
        "sizes": bytes([6, 18, 0, 1, 20]) + bytes([6, 64, 0, 1, 24]) + command(0, 0, 4, read) + kick + done,
        "fails": command(0, 1, 1, read) + kick + bytes([5, 0, 0, 1]),
    }


def bzimage():
    def kernel(**fields):
        f = dict(sects=1, syssize=64, jump=0x6aeb, version=0x20f, loadflags=1, initrd_max=0x7fffffff,
                 align=0x200000, relocatable=1, xload=1, cmdline=2047, pref=0x1000000, init=0x100000)
        f.update(fields)
        header = struct.pack("<BHIHHHHH4sHIHHBBHIIIIHBBIIIBBHIIQIIQQIII", f["sects"], 0, f["syssize"], 0,
                             0, 0, 0xaa55, f["jump"], b"HdrS", f["version"], 0, 0, 0, 0, f["loadflags"],
                             0, 0, 0, 0, 0, 0, 0, 0, 0, f["initrd_max"], f["align"], f["relocatable"], 0,
                             f["xload"], f["cmdline"], 0, 0, 0, 0, 0, f["pref"], f["init"], 0, 0)
        return (bytes(0x1f1) + header).ljust(1024, b"\0") + bytes(1024)

    return {
        "right": kernel(), "fixed": kernel(relocatable=0, align=0, pref=0x123456),
        "old": kernel(version=0x20b), "large": kernel(init=0x3000000), "cut-off": kernel()[:1500],
        "initrd-low": kernel(initrd_max=0x1100fff), "no-cmdline": kernel(cmdline=0),
        "alignment": kernel(align=3), "high": kernel(pref=1 << 40),
    }


def elf_pvh():
    def kernel(text=(0x400, 0x100000, 0x200, 0x1000), data=(0x800, 0x200000, 0x400, 0x400),
               entry=0x100010, namesz=4):
        header = struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0, 64, 0, 0, 64, 56, 3,
                             0, 0, 0)
        for at, address, filesz, memsz in (text, data):
            header += struct.pack("<IIQQQQQQ", 1, 7, at, 0, address, filesz, memsz, 4096)
        header += struct.pack("<IIQQQQQQ", 4, 4, 0xc00, 0, 0, 40, 40, 4)
        notes = struct.pack("<III4sIIII4sI", namesz, 4, 3, b"GNU", 0, 4, 4, 18, b"Xen", entry)
        return header.ljust(0xc00, b"\xcc") + notes

    return {
        "right": kernel(), "overlap": kernel(data=(0x800, 0x100800, 0x400, 0x400)),
        "low": kernel(text=(0x400, 0x1000, 0x200, 0x1000)), "entry-outside": kernel(entry=0x300000),
        "wraps": kernel(data=(0x800, 2**64 - 0x400, 0x400, 0x400)),
        "past-ram": kernel(data=(0x800, 0x3ffff00, 0x400, 0x400)), "name": kernel(namesz=2**32 - 1),
        "only-zeroes": kernel(data=(0, 0x200000, 0, 0x400)),
    }


def net():
    """The queue (0 receives, 2 into merged buffers), then operations, as fuzz_net.c takes them."""
    def chain(at=0, header=1, length=25):  # flip, clear, header whole, where, how long
        return bytes([0, at, 1, 1, header, 2, 1, length])

    def frame(eighths):
        return bytes([4, 1, eighths])

    run, turn, kill = b"\6", b"\7", b"\5\1"
    return {
        "send": b"\1" + chain() + run + turn, "send-short": b"\1" + chain(length=1) + run,
        "send-and-die": b"\1" + chain() + run + kill + chain(2) + run + turn,
        "receive": b"\0" + chain() + run + frame(20) + turn,
        "receive-then-buffer": b"\0" + frame(20) + turn + chain() + run,
        "receive-and-die": b"\0" + frame(20) + turn + kill + chain() + run + turn,
        "buffer-too-small": b"\0" + chain(length=2) + run + frame(20) + turn,
        "no-frame": b"\0" + chain() + run + frame(1) + frame(20) + turn,
        "merge": b"\2" + chain(length=2) + chain(2, length=2) + chain(4) + run + frame(60) + turn,
        "merge-too-few": b"\2" + chain(length=2) + run + frame(60) + turn + chain(2) + run + kill + chain(4) + run + turn,
        "half": b"\0" + chain() + run + bytes([3, 6, 0, 0, 0, 16, 1, 2]) + turn + kill + bytes([3, 14]) + bytes(14) + turn,
        "broken": b"\0" + chain() + run + bytes([3, 4, 0, 1, 0, 0x12]) + turn + kill + frame(20) + turn,
        "control": b"\4" + bytes([0, 0, 1, 0, 0, 7, 1, 1]) + run + turn + kill + run,
        "lie": b"\0" + bytes([5, 0, 8, 0, 0, 0, 1, 255]) + chain() + run + turn,
    }


def bpf():
    """A call number, then instructions: load, masks, comparisons, memory, arithmetic."""
    load, ret, allow, kill = 0x20, 0x06, 0x7fff0000, 0x80000000

    def program(*code, nr=257):
        return struct.pack("<H", nr) + b"".join(struct.pack("<HBBI", *i) for i in code)

    def stop(action):
        return (ret, 0, 0, action)

    return {
        "allow": program(stop(allow)), "no-end": program((load, 0, 0, 0)),
        "list": program((load, 0, 0, 4), (0x15, 0, 3, 0xc000003e), (load, 0, 0, 0),
                        (0x15, 0, 1, 257), stop(allow), stop(kill)),
        "value": program((load, 0, 0, 24), (0x15, 0, 2, 0xdeadbeef), (load, 0, 0, 28),
                         (0x15, 1, 0, 0x1234), stop(kill), stop(allow)),
        "mask": program((load, 0, 0, 16), (0x54, 0, 0, 0xff0), (0x15, 0, 1, 0x120), stop(allow),
                        stop(kill)),
        "bits": program((load, 0, 0, 32), (0x45, 0, 1, 4), stop(kill), stop(allow)),
        "memory": program((load, 0, 0, 48), (0x02, 0, 0, 5), (0x61, 0, 0, 5), (0x00, 0, 0, 77),
                          (0x1d, 0, 1, 0), stop(allow), stop(kill)),
        "arithmetic": program((load, 0, 0, 16), (0x04, 0, 0, 7), (0x3c, 0, 0, 0), (0x84, 0, 0, 0),
                              (0x25, 0, 1, 9), stop(allow), stop(kill)),
        "past-end": program((0x05, 0, 0, 1), stop(allow)),
        "unset-memory": program((0x60, 0, 0, 3), stop(allow)),
        "computed": program((load, 0, 0, 16), (0x16, 0, 0, 0)),
    }


def soft():
    """Code in each mode (fuzz_soft.c), by what it does: SSE, x87 and their images at a page's end,
    strings, LOCK, self-modifying code, system registers, changes of privilege, the LAPIC, devices,
    ports, the ends of RAM, 32-bit and 16-bit code."""
    real, protected, paging, pae, compat, long, user, strict = range(8)

    def code(hexes, at=0, cpu=0):
        data = bytes.fromhex(hexes)
        return struct.pack("<BBB", cpu << 6, at // 16, len(data)) + data

    def start(mode, *records, cpus=1):
        return bytes([mode | (cpus - 1) << 3]) + b"".join(records)

    def register(n, v):
        return struct.pack("<BBQ", 1, n, v & (1 << 64) - 1)

    def control(n, v):
        return struct.pack("<BBQ", 2, n, v)

    def segment(n, base, limit, attr):
        return struct.pack("<BBIIH", 3, n, base, limit, attr)

    def entry(at, v):
        return struct.pack("<BHQ", 5, at, v)

    def interrupt(address, data):
        return struct.pack("<BHH", 7, address, data)

    codes = {
        "sse":
            "bbf89f01000f10030f584b08f30f7f43fcf30f5a13f20f59d0c743c0809f00000fae53c0"
            "0f5ec3660f3800c1660f3a63c11a660fe76308660ff7c1",
        "x87":
            "bbf09f0100d9e8d9ebd913db7b08df23df7306d973f8d963f8dd73d8dd63d8dbe3d9eed8"
            "f066c7034003d92bd9e8d9fa9bd9f4d9fb",
        "fxsave":
            "bb109e01000fae03480fae4310834b181f0fae0b48c7c3f0ff5f00480fae030f770f6f03"
            "0ffcc10fe743f8",
        "strings":
            "be00800100bff79f0100b940000000f3a4fdb909000000f348abfcbff0ff4000b9200000"
            "00f3aabf00800100b900000100f2afb94000000066f3a7b900010000bffd8f0100f3ab48"
            "ad48c7c1fffffffff3ac",
        "locked":
            "bbfe8f0100f0ff03f0480fc103f00fb14bfff0480fab03bb08800100f0480fc70b83c308"
            "f0480fc70bf00fc78bf60f0000860367f0480fc70b",
        "smc":
            "bf20000100b8ffc0c3f4b903000000abc70500000000909090900f0b0f0bbf1e000100b9"
            "28000000f3aaebee",
        "system":
            "b91b0000000f320d000c00000f30b93008000031d2b840000c000f30b9770200000f320f"
            "300f20e04835800010000f22e00f20d80f22d80f01380f010425008001000f0114250080"
            "010066b810008ed0660f00c80fa20f01f90f01f8fbf4",
        "flow":
            "b9820000c0b88000010031d20f30b9810000c0ba080023000f30b96000010049c7c30202"
            "00006a336800f0010068020200006a3b686000010048cf9090cccd800f050f0b",
        "lapic":
            "bb00002000c783f0000000ff010000c7832003000040000200c783e00300000b000000c7"
            "838003000064000000fbf4c7830003000000454c00c7830003000010460c008b83900300"
            "00c783b000000000000000488b43200f104318f4f4f4",
        "mmio":
            "bbf80f60008a03668943018b4306488943040f10030f1103db2bdd33f0010389debf0080"
            "0100b910000000f348a589dfb90900000066f3abff338f03",
        "ports":
            "66baf803ecef66e560bffe8f0100b904000000f36dbefd8f0100b90500000066f36f48c7"
            "c1fffffffff36e",
        "edge":
            "bbf8ff4000488b03488b4301668943070f1043f80f1043f9bbf8ff0100488b4301488943"
            "046a00bc0a004100ff13ffe3",
        "protected":
            "606203c810001fc9610617c53363039a40000100180027d400ce0f02c00f00e80f0003d7"
            "c44424fe",
        "real":
            "b8ffff8ed8a1ffff8ec0bffeffabcd100f20c00c010f22c0ea00012000",
    }
    seeds = {name: start({"protected": protected, "real": real}.get(name, long), code(text))
             for name, text in codes.items()}
    for name in ("sse", "x87", "strings", "locked", "flow", "ports"):
        seeds["user-" + name] = start(user, code(codes[name]))
    seeds.update({
        "paging": start(paging, code(codes["protected"])), "pae": start(pae, code(codes["protected"])),
        "compat": start(compat, code(codes["protected"])), "strict": start(strict, code(codes["edge"])),
        "three": start(long, *(code(codes[name], cpu=cpu)
                               for cpu, name in enumerate(("lapic", "smc", "locked"))), cpus=3),
        "tables-outside": start(long, code(codes["sse"]), entry(0x2000, 0x7fffff0067),
                                entry(0x30c0, 0xfffffffff067), entry(0x30c8, 0x8007)),
        "tables-are-code": start(long, entry(0x3080, 0x1007), code(codes["smc"])),
        "tables-at-end": start(long, control(1, 0x1f000), code(codes["edge"])),
        # a base of DS that 64-bit code does not see
        "misaligned": start(long, segment(3, 8, 0xffffffff, 0xc093),
                            code("bb0880010067f0480fc70bbb0080010067f0480fc70b")),
        "no-tables": start(long, control(4, 0x1fff8), control(5, 0x1fff8), code(codes["flow"])),
        "interrupts": start(long, code("fbf4f4f4"), interrupt(0, 0x40), interrupt(0, 0x4400)),
        "registers": start(long, register(4, -8), register(1, -1), code(codes["strings"])),
    })
    return seeds


def procfs():
    status = "".join(f"{key}:\t{value}\n" for key, value in (
        ("Name", "a\\nb"), ("Tgid", 7), ("PPid", 1), ("Uid", "1\t2\t3\t4"), ("Gid", "1\t2\t3\t4"),
        ("Groups", "4 24 "), ("NSpid", "7\t1"), ("CapInh", "0" * 16), ("CapPrm", "0" * 16),
        ("CapEff", "1ffffffffff"), ("CapBnd", "0" * 16), ("CapAmb", "0" * 16), ("NoNewPrivs", 1),
        ("Seccomp", 2), ("Seccomp_filters", 1)))
    return {name: text.encode() for name, text in {
        "status": status, "stat": "7 (a) (b)) S 1 7 7 0 -1 4194304 1 2 3",
        "limits": "Max file size             0    unlimited    bytes\nMax processes   5 6 x\n",
        "map": "7f00-7f01 rw-s 00000000 00:01 22      /memfd:guest-ram (deleted)",
        "cgroup": "9:name=systemd:/\n2:cpu,memory:/a:b\n0::/c\n",
        "unix": "00000000de50be17: 00000003 00000000 00000000 0005 03 1411709 @x",
        "tcp": "   0: 00000000:07E8 00000000:0000 0A 0:0 00:0 0     0        0 1129 1",
    }.items()}


def subid():
    return {name: text.encode() for name, text in {
        "names": "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n",
        "by-name": "bob:100000:65536\nalice:165536:65536\n", "by-number": "1000:100000:15",
        "several": "alice:100005:100\n1000:200000:47\nalice:7000:3\n",
        "malformed": "alice:1:\nalice::2\nalice:1:2:3\n:4:5\nalice:-1:9\nalice:99999999999:16\n",
        "ends": "alice:0:4294967295\nalice:4294967280:16\nalice:4294967280:15\nalice:999:2\n",
        "own": "alice:1000:10\n1000:1001:64535\n",
    }.items()}


def names():
    head = "0000000000000000: 00000002 00000000 00010000 0005 01 12345 "
    return {name: (head + path).encode() for name, path in {
        "plain": "@bulkhead/1000/vm1\n", "random": "@bulkhead/0/a.b_c-d#0123456789abcdef\n",
    }.items()}


def nbd():
    """Which side hears it, then what the other one says; 2: single messages."""
    client, server, single = b"\0", b"\1", b"\2"
    hello = b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3)

    def reply(kind, data=b"", option=7):
        return struct.pack(">QIII", 0x3e889045565a9, option, kind, len(data)) + data

    def option(kind, data=b""):
        return b"IHAVEOPT" + struct.pack(">II", kind, len(data)) + data

    def go(name=b"", infos=(3,)):
        return (struct.pack(">I", len(name)) + name + struct.pack(">H", len(infos)) +
                b"".join(struct.pack(">H", i) for i in infos))

    export = reply(3, struct.pack(">HQH", 0, 1 << 20, 0x6d))
    sizes = reply(3, struct.pack(">HIII", 3, 1, 4096, 1 << 25))
    flags = struct.pack(">I", 3)
    request = struct.pack(">IHHQQI", 0x25609513, 1, 1, 7, 4096, 512)
    return {
        "client": client + hello + export + sizes + reply(1),
        "client-no-export": client + hello + reply(1),
        "client-refused": client + hello + reply(0x80000006, b"no such export"),
        "client-unknown-info": client + hello + reply(3, struct.pack(">H", 9)) + export + reply(1),
        "client-bad-sizes": client + hello + reply(3, struct.pack(">HIII", 3, 3, 1, 0)),
        "client-tls": b"\x42" + hello + reply(1, option=5) + export + sizes + reply(1),
        "client-tls-refused": b"\x42" + hello + reply(0x80000002, b"no", 5),
        "client-long": client + hello + struct.pack(">QIII", 0x3e889045565a9, 7, 3, 1 << 31),
        "server-go": server + flags + option(7, go()),
        "server-list-info-go": server + flags + option(3) + option(6, go()) + option(7, go()),
        "server-name": server + struct.pack(">I", 1) + option(1),
        "server-other": server + flags + option(7, go(b"other")) + option(8) + option(2),
        "server-long": server + flags + b"IHAVEOPT" + struct.pack(">II", 7, 1 << 31),
        "request": single + request, "request-short": single + request[:-1],
        "reply": single + struct.pack(">IIQ", 0x67446698, 5, 7),
    }


def nbd_client():
    """Bit 0: the handshake is over; from bit 1 on: requests in flight. Then what the server says."""
    def reply(index, error=0, generation=0, data=b""):
        return struct.pack(">IIQ", 0x67446698, error, generation << 16 | index) + data

    kilobyte = b"d" * 1024
    seeds = {"hello-" + name: b"\0" + data[1:] for name, data in nbd().items() if name[0] == "c"}
    seeds.update({
        "read": b"\3" + reply(0, data=kilobyte), "write": b"\5" + reply(1),
        "all": b"\x0f" + reply(2, data=kilobyte) + reply(3) + reply(1) + reply(0, data=kilobyte),
        "error": b"\3" + reply(0, 5), "twice": b"\3" + reply(0, 5) + reply(0, 5),
        "generation": b"\3" + reply(0, 0, 1, kilobyte), "nobody": b"\3" + reply(9),
        "cut": b"\3" + reply(0, data=kilobyte[:500]), "not-asked": b"\1" + reply(0),
    })
    return seeds


def iscsi_client():
    """Bit 0: CHAP of both sides; bit 1: login and looking are over; bits 2 to 4: requests in flight. Then what the target
    says."""
    def pdu(opcode, tag=0, data=b"", flags=0x80, status=0, ttt=0xffffffff, tail=bytes(12), more=0):
        head = struct.pack(">BBBBB3sQIIIII", opcode, flags, 0, status, more, len(data).to_bytes(3, "big"), 0, tag, ttt,
                           1, 2, 40)
        return head + tail + data + bytes(-len(data) % 4)

    def login(flags, *pairs):
        return pdu(0x23, 0, b"".join(p + b"\0" for p in pairs), flags)

    def data(tag, offset, payload, flags=0x81):
        return pdu(0x25, tag, payload, flags, tail=struct.pack(">III", 0, offset, 0))

    def r2t(tag, offset, length):
        return pdu(0x31, tag, ttt=5, tail=struct.pack(">III", 0, offset, length))

    sense = struct.pack(">H", 18) + bytes((0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29)) + bytes(5)
    up, full = login(0x81), login(0x87, b"MaxBurstLength=4096", b"ImmediateData=No", b"X-what=1")
    tag, kilobyte = 1 << 16, b"d" * 512
    looks = (data(1 << 16 | 64, 0, bytes(36)) + pdu(0x21, 2 << 16 | 64) +
             data(3 << 16 | 64, 0, struct.pack(">QI20x", 2047, 512)) + data(4 << 16 | 64, 0, bytes((3, 0, 16, 0))) +
             data(5 << 16 | 64, 0, bytes((23, 0, 16, 0, 8, 18, 4)) + bytes(17)) +
             data(6 << 16 | 64, 0, bytes((0, 0x80, 0, 4)) + b"1234") +
             data(7 << 16 | 64, 0, bytes((0, 0x83, 0, 8, 1, 3, 0, 4)) + b"abcd"))
    return {
        "login": b"\0" + up + full, "look": b"\0" + up + full + looks,
        "chap": b"\1" + login(0, b"AuthMethod=CHAP") + login(0, b"CHAP_A=5", b"CHAP_I=1", b"CHAP_C=0bAQIDBA==") +
                login(0x81, b"CHAP_N=host", b"CHAP_R=0x" + b"00" * 16),
        "refused": b"\0" + pdu(0x23, tail=b"\2\1" + bytes(10)), "long": b"\0" + login(0x40, b"x=" + b"y" * 500) + full,
        "read": b"\6" + data(tag, 0, kilobyte), "read-in-two": b"\6" + data(tag, 0, kilobyte, 0) + pdu(0x21, tag),
        "r2t": b"\x0a" + r2t(tag | 1, 512, 512) + pdu(0x21, tag | 1), "r2t-far": b"\x0a" + r2t(tag | 1, 4096, 512),
        "reset": b"\x12" + pdu(0x21, tag | 3, sense, status=2), "full": b"\x1e" + pdu(0x21, tag, status=0x28),
        "ping": b"\2" + pdu(0x20, 0xffffffff, ttt=7), "reject": b"\2" + pdu(0x3f, 0xffffffff),
        "logout": b"\2" + pdu(0x32, 0xffffffff, tail=b"\1" + bytes(11)), "headers": b"\2" + pdu(0x20, more=1),
        "announced": b"\2" + pdu(0x21, 0, b"x" * 600)[:60],
    }


def storage():
    """Bit 0: the handshake is over; 1: the image holds back; 2: read-only. Then what the client says."""
    def request(command, flags=0, offset=0, length=512, data=b""):
        return struct.pack(">IHHQQI", 0x25609513, flags, command, 7, offset, length) + data

    seeds = {"hello-" + name: b"\0" + data[1:] for name, data in nbd().items() if name[0] == "s"}
    write = request(1, 1, 4096, 512, b"w" * 512)
    seeds.update({
        "read": b"\1" + request(0), "write": b"\1" + write, "held": b"\3" + write + request(3, 0, 0, 0),
        "readonly": b"\5" + write + request(4) + request(6), "trim": b"\1" + request(4),
        "zeroes": b"\1" + request(6, 2, 0, 1 << 20), "disc": b"\1" + request(2) + request(0),
        "outside": b"\1" + request(0, 0, 1 << 40), "long": b"\1" + request(1, 0, 0, 1 << 30),
        "unknown": b"\1" + request(99), "many": b"\3" + request(0) * 40, "cut": b"\1" + write[:100],
    })
    return seeds


def console_page():
    def page(uart=bytes(27), virtio=bytes(20), tail=0, out_head=0, in_tail=0, moved=(0, 0)):
        body = uart + virtio + struct.pack("<IQQB", 0x1410007, tail, 0, 1)
        moves = b"".join(struct.pack("<Q56xI4x", at, n)
                         for at, n in zip((out_head, in_tail), moved, strict=True))
        return (b"\1" + struct.pack("<Q", 2) + (bytes(16) + body).ljust(256, b"\0") + bytes(256) +
                struct.pack("<QQ", out_head, in_tail) + moves)

    uart = bytes((5, 0x81, 3, 11, 0, 1, 2, 3, 0, 1, 3)) + b"abc".ljust(16, b"\0")
    return {
        "fresh": b"\1", "empty": page(), "uart": page(uart), "no-header": b"\0" + page(uart)[1:],
        "virtio": page(virtio=struct.pack("<BBHHHIQ", 1, 1, 7, 9, 3, 50, 100), in_tail=4096),
        "rings": page(uart, tail=98304 + 70000, out_head=70000, in_tail=100),
        "moved": page(uart, tail=9000, moved=(8192, 40)),
        "moved-too-much": page(uart, tail=9000, moved=(8193, 40)),
        "wild": page(uart, tail=5, out_head=6),
    }


def firmware():
    def access(what, offset, width=1, value=0, region=0):
        return bytes(((what << 3) | (width.bit_length() - 1) << 1 | offset >> 8 | region << 7, offset & 255)) + \
            struct.pack("<H", value)

    def row(number, offset, length):
        return struct.pack("<HHII", number, 0, offset, length)

    write, read, run, reset = range(4)
    select = access(write, 0xfe, 2, 0x20)
    kept = struct.pack("<Q", 2) + (struct.pack("<IIHHI", 0x54534842, 0, 1, 0, 142) + bytes(142)).ljust(256, b"\0") + bytes(256)
    return {
        "items": b"\0" + select + access(run, 0xff, value=255) * 4, "past-the-end": b"\0" + select + access(run, 0xff) * 30,
        "timer": b"\0" + access(read, 0, 4) * 3, "reset": b"\0" + select + access(reset, 0) + access(run, 0xff),
        "clock": b"\0" + b"".join(access(write, 0x10, 1, n) + access(read, 0x11) for n in (0, 4, 9, 10, 11, 50)),
        "cmos": b"\0" + b"".join(access(write, 0x10, 1, n) + access(write, 0x11, 1, 0xff) for n in range(16)),
        "done": b"\0" + access(read, 0, 4, region=1), "widths": b"\0" + access(read, 0, 8) + access(write, 0xfe, 4, 3),
        "long-item": b"\1" + row(0, 328, 65208) + bytes(52) + access(run, 0xff, value=255) * 3,
        "outside": b"\1" + row(0, 0xffffffff, 2) + row(0, 328, 0xffffffff) + bytes(40) + access(run, 0xff, value=255),
        "kept": b"\2" + kept + access(run, 0xff, value=99) * 3,
    }


def flash():
    def write(offset, value):
        return bytes((offset >> 8, offset & 255, value, 0))

    def record(*pieces):
        body = b"".join(struct.pack("<II", at, len(data)) + data for at, data in pieces)
        return struct.pack("<III", 0x56464842, len(body), zlib.crc32(body)) + body

    def kept(mode, status=0x80, under=7, done=1, at=9):
        fields = struct.pack("<BBBBHI", mode, status, under, 1, done, at)
        names = [("mode", 1, 1), ("status", 1, 1), ("under", 1, 1), ("has_done", 1, 1), ("done", 2, 1), ("at", 4, 1)]
        head = struct.pack("<IIHHI", 0x54534842, schema_hash("dev-flash", names), 1, 0, len(fields))
        return struct.pack("<Q", 2) + (head + fields).ljust(256, b"\0") + bytes(256)

    settle, reset, read = bytes((0x80, 0, 0, 0)), bytes((0xc0, 0, 1, 0)), bytes((0xc0, 9, 0, 0))
    array = write(0, 0xff)
    program = b"".join(write(at, 0x10) + write(at, value) for at, value in ((1, 2), (2, 3), (4095, 4), (4096, 5))) + array
    erase = write(4096, 0x20) + write(4096, 0xd0) + array
    return {
        "look": b"\0" + write(5, 0x50) + write(5, 0x70) + array, "program": b"\0" + program + settle, "erase": b"\0" + erase + read,
        "not-confirmed": b"\0" + write(9, 0x20) + write(9, 0xff), "reset": b"\0" + write(9, 0x10) + reset + program,
        "often": b"\0" + (program + erase) * 12 + settle, "full": b"\0" + b"".join(write(s, 0x20) + write(s, 0xd0) + array +
            write(s, 0x10) + write(s, 1) + array for s in (0, 4096)) * 6 + settle + program,
        "log": b"\1" + (record((1, b"abc"), (4095, b"xy")) + record((0, b"z"))).ljust(512, b"\0") + program,
        "log-outside": b"\1" + record((8191, b"ab")).ljust(512, b"\0") + program, "log-torn": b"\1" + record((1, b"abc"))[:-1].ljust(
            512, b"\xff") + program, "kept": b"\2" + kept(2) + write(9, 0x33) + array, "kept-wild": b"\2" + kept(4, at=8192) + program,
    }


def tpm():
    write, read, say, reset, started, command, again = 0, 2, 3, 4, 5, 6, 7

    def step(what, a=0, b=0, c=0):
        return bytes((what, a, b, c))

    def put(register, value):
        return step(write | 8, register, 0, value)

    on = step(reset) + step(started, 1)
    by_hand = put(0, 1) + put(1, 1) + put(4, 0x80) + put(5, 0) + put(2, 1)
    image = struct.pack("<IHBBBBBBBBBI", 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0)
    flags = [(name, 1, 1) for name in ("just_reset", "open", "failed", "stale", "stage", "crb", "assigned", "cancel", "request")]
    names = schema_hash("dev-tpm", [("resets", 4, 1), ("id", 2, 1), *flags, ("taken", 4, 1)])
    kept = struct.pack("<Q", 2) + (struct.pack("<IIHHI", 0x54534842, names, 1, 0, len(image)) + image).ljust(256, b"\0") + bytes(256)
    return {
        "commands": b"\0" + on + (step(command, 12) + step(say, 9)) * 3, "by-hand": b"\0" + on + by_hand,
        "too-early": b"\0" + step(reset) + step(command, 12) + step(started, 1) + step(say, 4),
        "reset-in-between": b"\0" + on + step(command, 12) + step(reset) + step(command, 14) + step(say) + step(started, 1),
        "lies": b"\0" + on + step(command, 12) + step(say, 1, 1, 7) + step(reset) + step(started, 1) + step(command, 12),
        "longer": b"\0" + on + step(command, 12) + step(say, 3, 2, 99) + step(command, 12),
        "pieces": b"\0" + on + step(command, 12) + step(say, 90, 2, 40) + step(read, 128),
        "successors": b"\0" + on + step(again) + step(command, 12) + step(again) + step(say, 5) + step(again),
        "failed": b"\0" + step(reset) + step(started) + step(command, 12), "sizes": b"\0" + on + step(command, 9) + step(command, 0, 255),
        "kept": b"\1" + kept + step(command, 12) + step(say, 9),
        "asks-early": b"\0" + on + step(command, 12) + put(1, 2) + step(again) + put(1, 1) + step(say, 9) + step(command, 14) + step(say, 9),
    }


def inflight():
    data, n = 0x80000, 16

    def shm(version=1, last=0, used=0, descs=()):
        body = b"".join(struct.pack("<B5xHQ", *d) for d in descs)
        return struct.pack("<QHHHH", 0, version, n, last, used) + body.ljust(16 * n, b"\0")

    def ring(avail, used=0):
        descs = b"".join(struct.pack("<QIHH", data + 64 * i, 64, 2, 0) for i in range(n))
        return (struct.pack("<HH16H2x", 0, avail, *range(n)) + struct.pack("<HH2x", 0, used) + descs +
                bytes([0]) + bytes([0, 3, 9]) * 40)

    four = [(1, 0, i) for i in range(4)]
    return {
        "fresh": shm(0) + ring(4), "four": shm(descs=four) + ring(6),
        "in-another-order": shm(descs=[(1, 0, 9 - i) for i in range(4)]) + ring(4),
        "repair": shm(last=1, descs=[(0, 0, 0), (1, 0, 1), (1, 0, 2)]) + ring(5, 1),
        "circle": shm(used=0x8000, descs=[(1, 0, 0)] * n) + ring(4),
        "out": shm(last=n, used=0xffff) + ring(4), "jump": shm(used=0xffff, descs=[(1, n, 0)]) + ring(4),
        "all": shm(descs=[(255, 0, 7)] * n) + ring(n), "too-many": shm(descs=four) + ring(2),
        "another-version": shm(2) + ring(1), "ones": b"\xff" * (16 + 16 * n) + ring(4),
    }


def qcow2():
    """Flags, requests, then the image; see fuzz_qcow2.c. With SPREAD, 512 bytes per cluster."""
    readonly, tool, spread, small, base, data, log, any_log = 1, 2, 4, 8, 16, 32, 64, 128
    copied = 1 << 63

    def header(bits, size, l1_size, incompatible=0, version=3, order=4, compression=0, **more):
        c = 1 << bits
        fixed = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", version, more.get("name_at", 0),
                            more.get("name_len", 0), bits, size, 0, l1_size, 3 * c, c, 1,
                            more.get("snapshots", 0), 6 * c if "snapshots" in more else 0)
        if version == 3:
            fixed += struct.pack(">QQQIIB7x", incompatible, more.get("compatible", 0),
                                 more.get("autoclear", 0), order, 112, compression)
        return fixed + more.get("extensions", b"")

    def image(bits, head, l2, used, order=4, rest=()):
        """Clusters: header, refcount table, block, L1, L2, one of data, what follows."""
        c = 1 << bits
        counts = struct.pack(">%dH" % used, *[1] * used) if order == 4 else b"\xff" * (used // 8 + 1)
        parts = [head, struct.pack(">Q", 2 * c), counts, struct.pack(">Q", 4 * c | copied), l2,
                 b"d" * 512, *rest]
        return b"".join(part.ljust(512, b"\0") for part in parts)

    def case(flags, requests, what):
        ops = b"".join(struct.pack(">BHBB", *r) for r in requests)
        return bytes([flags, len(requests)]) + ops + what

    def entries(*values):
        return struct.pack(">%dQ" % len(values), *values)

    mixed = [(0, 0, 3, 7), (0, 9, 60, 1), (5, 0, 0, 0), (4, 0, 2, 0), (3, 1, 9, 1), (6, 0, 127, 0), (2, 0, 127, 0),
             (0x41, 3, 20, 9), (5, 0, 0, 0), (0, 0, 127, 2)]
    tools = [(0, 0, 9, 5), (7, 0, 0, 64), (0, 2, 30, 6), (7, 0, 0, 72), (0, 1, 9, 7), (7, 0, 0, 65), (7, 0, 0, 67),
             (7, 0, 0, 68), (7, 0, 0, 66), (6, 0, 127, 0), (7, 0, 0, 21)]
    settling = [(5, 0, 0, 1), (0, 0, 3, 7), (0, 20, 60, 1), (5, 0, 0, 1), (4, 0, 2, 0), (0, 1, 9, 1), (5, 0, 0, 1),
                (7, 0, 0, 64), (0, 40, 9, 3), (5, 0, 0, 1), (7, 0, 0, 4), (0, 50, 9, 4), (5, 0, 0, 0), (6, 0, 127, 0)]
    killing = [(5, 0, 0, 1), (0, 0, 3, 7), (5, 0, 0, 2), (0, 20, 60, 1), (5, 0, 0, 1), (4, 0, 2, 0), (5, 0, 0, 2), (0, 1, 9, 1),
               (0, 30, 70, 5), (5, 0, 0, 2), (5, 0, 0, 0), (3, 2, 9, 1), (5, 0, 0, 2), (7, 0, 0, 64), (0, 40, 9, 3), (5, 0, 0, 2)]

    def left(*records, settled=None, flags=0, image=None):
        """A log of 16 records that a process has left."""
        words = [len(records) if settled is None else settled] + [w for r in records for w in r]
        log = struct.pack("<%dQ" % len(words), *words).ljust(33 * 8, b"\0")
        return case(any_log | flags, killing, log + (image or plain))

    def said(value):
        """A word of a log: its bytes are those of the file."""
        return struct.unpack("<Q", struct.pack(">Q", value))[0]
    plain = image(9, header(9, 32768, 1), entries(5 * 512 | copied), 6)
    snap_row = struct.pack(">QIHHIIQII", 7 * 512, 1, 1, 1, 0, 0, 0, 0, 0) + b"1a"
    deflated = zlib.compressobj(9, zlib.DEFLATED, -12)
    deflated = deflated.compress(b"z" * 512) + deflated.flush()
    zstd = bytes.fromhex("28b52ffd600001") + bytes.fromhex("031000") + b"a"
    at = entries(1 << 62 | 5 * 512)
    packed = image(9, header(9, 32768, 1), at, 6)
    packed = packed[:5 * 512] + deflated.ljust(512, b"\0")
    frame = image(9, header(9, 32768, 1, incompatible=8, compression=1), at, 6)[:5 * 512] + zstd.ljust(512, b"\0")
    backed = image(9, header(9, 32768, 1, name_at=200, name_len=4, extensions=bytes(88) + b"base"),
                   entries(5 * 512 | copied, 1), 6)
    shared = image(9, header(9, 32768, 1, snapshots=1), entries(5 * 512), 6, rest=(snap_row, entries(4 * 512)))
    with_snapshot = shared[:1024] + struct.pack(">8H", 1, 1, 1, 1, 2, 2, 1, 1).ljust(512, b"\0") + \
        entries(4 * 512).ljust(512, b"\0") + shared[2048:]
    return {
        "plain": case(0, mixed, plain), "tools": case(0, tools, plain), "small-cache": case(small, mixed, plain),
        "readonly": case(readonly, mixed, plain), "as-tool": case(tool, tools, plain),
        "settling": case(0, settling, plain), "settling-dirty": case(0, settling, image(
            9, header(9, 32768, 1, incompatible=1), entries(5 * 512 | copied, 7 * 512 | copied), 9)),
        "killed": case(0, killing, plain), "log": case(log, killing, plain), "log-mixed": case(log, mixed, plain),
        "log-small-cache": case(log | small, killing, plain), "log-backed": case(log | base, killing, backed),
        "log-64k": case(log | spread, killing, image(16, header(16, 1 << 20, 1), entries(5 << 16 | copied), 6)),
        "log-extended": case(log | spread, killing, image(14, header(14, 1 << 20, 1, incompatible=16),
                                                          entries(5 << 14 | copied, 3 << 32 | 0xf0), 6)),
        "log-data-file": case(log | data, killing, image(9, header(9, 32768, 1, incompatible=4), entries(copied), 5)),
        "left": left((4 * 512 + 8, said(5 * 512)), (3 * 512, said(4 * 512 | copied))),
        "left-pairs": left((4 * 512, said(1)), (4 * 512 + 8, said(0)), (4 * 512 + 24, said(1))),
        "left-header": left((0, said(0)), (16, said(1 << 60))),
        "left-refcounts": left((2 * 512, 0), (512, said(3 * 512))),
        "left-outside": left((4 * 512, 0), (1 << 40, 0)), "left-at-the-end": left((6 * 512 - 8, 1), (6 * 512, 1)),
        "left-odd": left((4 * 512 + 4, 0)), "left-half": left((6 * 512 - 16, 1), (6 * 512 - 8, 2), settled=1),
        "left-too-many": left((4 * 512, 0), settled=17), "left-far-too-many": left((4 * 512, 0), settled=(1 << 64) - 1),
        "left-full": left(*[(4 * 512 + 8 * n, said(0)) for n in range(16)]),
        "left-overflow": left(((1 << 64) - 8, 0)),
        "left-data-file": left((4 * 512 + 8, said(512 | copied)), flags=data,
                               image=image(9, header(9, 32768, 1, incompatible=4), entries(copied), 5)),
        "version-2": case(0, mixed, image(9, header(9, 32768, 1, version=2), entries(5 * 512 | copied), 6)),
        "64k": case(spread, mixed, image(16, header(16, 1 << 20, 1), entries(5 << 16 | copied), 6)),
        "2m": case(spread, mixed, image(21, header(21, 1 << 22, 1), entries(5 << 21 | copied), 6)),
        "4k-tools": case(spread, tools, image(12, header(12, 1 << 20, 1), entries(5 << 12 | copied), 6)),
        "extended": case(spread, mixed, image(14, header(14, 1 << 20, 1, incompatible=16),
                                              entries(5 << 14 | copied, 3 << 32 | 0xf0), 6)),
        "extended-tools": case(spread, tools, image(14, header(14, 1 << 20, 1, incompatible=16),
                                                    entries(5 << 14 | copied, 0xff), 6)),
        "narrow": case(0, tools, image(9, header(9, 32768, 1, order=0), entries(5 * 512 | copied), 6, order=0)),
        "deflate": case(0, [(2, 0, 3, 0), *mixed], packed), "zstd": case(0, [(2, 0, 3, 0), *mixed], frame),
        "backed": case(base, mixed, backed), "snapshot": case(0, tools, with_snapshot),
        "data-file": case(data, mixed, image(9, header(9, 32768, 1, incompatible=4), entries(copied), 5)),
        "raw-data-file": case(data, mixed, image(9, header(9, 32768, 1, incompatible=4, autoclear=2),
                                                 entries(copied), 5)),
        "dirty": case(0, mixed, image(9, header(9, 32768, 1, incompatible=1), entries(5 * 512 | copied), 4)),
        "corrupt": case(tool, [(7, 0, 0, 64 + 4), *mixed],
                        image(9, header(9, 32768, 1, incompatible=2), entries(5 * 512), 5)),
        "on-itself": case(0, mixed, image(9, header(9, 32768, 1), entries(4 * 512 | copied), 6)),
        "leak": case(tool, [(7, 0, 0, 4)], image(9, header(9, 32768, 1), entries(5 * 512 | copied), 20)),
        "unknown-feature": case(0, [], image(9, header(9, 32768, 1, incompatible=1 << 40), b"", 6)),
    }
def places(kind, *spots):
    """Of an image that is imported: which, then places and what is put there."""
    return bytes([kind]) + b"".join(
        struct.pack("<I", at)[:3] + bytes([len(data)]) + data for at, data in spots)
def vhd():
    return {"fixed": places(0), "dynamic": places(1),
            "size": places(0, (196608 + 48, struct.pack(">Q", 1 << 40))),
            "differencing": places(1, (262144 + 60, struct.pack(">I", 4))),
            "block": places(1, (512 + 32, struct.pack(">I", 4096))),
            "table": places(1, (1536, struct.pack(">III", 8, 0, 0xfffffffe)))}
def vhdx():
    u32, u64 = struct.Struct("<I").pack, struct.Struct("<Q").pack
    return {"whole": places(0), "log": places(0, (131072 + 48, b"\1")),
            "regions": places(0, (196608 + 8, u32(2047))),
            "items": places(0, ((1 << 20) + 131072 + 10, b"\xff\7")),
            "size": places(0, ((1 << 20) + 196608 + 16, u64(64 << 40))),
            "states": places(0, (1 << 20, u64(1) + u64(3 << 20 | 6) + u64(7)))}
def vmdk():
    u32, u64 = struct.Struct("<I").pack, struct.Struct("<Q").pack
    return {"sparse": places(0), "stream": places(1),
            "grains": places(0, (20, u64(8)), (12, u64(1 << 37))),
            "one-entry": places(0, (44, u32(1))), "at-end": places(1, (56, b"\xff" * 8)),
            "zeroed": places(0, (22 * 512, u32(1) + u32(2))),
            "marker": places(1, (256 * 512, u64(0) + u32(1 << 22)))}
def image_map():
    def record(kind, length, offset=0, stored=0):
        return struct.pack("<IIQQ", kind, stored, length, offset)

    size, end = record(1, 16384), record(5, 0)
    return {
        "whole": b"\0" + size + record(2, 8192) + record(3, 8192, 4096) + end,
        "packed": b"\0" + size + record(4, 4096, 512, 19) + record(4, 12288, 512, 19) + end,
        "large-steps": b"\xff" + size + record(4, 16384, 512, 600) + end,
        "cut": b"\1" + size + record(2, 4096)[:-1], "no-size": b"\0" + record(2, 16384) + end,
        "too-long": b"\0" + size + record(3, 16385, 0) + end, "two-sizes": b"\0" + size + size + end,
        "end-early": b"\0" + size + record(2, 4096) + end,
        "far": b"\0" + record(1, (1 << 63) - 1) + record(3, 1 << 62, 1 << 62) + end,
        "far-packed": b"\0" + size + record(4, 16384, (1 << 63) - 20000, 4 << 20) + end,
    }


def fetched():
    a, b = "a" * 64, "b" * 64
    texts = {
        0: {"https": "https://a.example:8443/d/disk.img?x#y", "v6": "http://[::ffff:1.2.3.4]:1/", "user": "http://u@a/",
            "file": "file:///etc/passwd", "backslash": "http://a\\@b/", "port": "http://a:65536/"},
        1: {"plain": f"{b}  x\n{a}  ./disk.img\r\n", "binary": f"{a} *disk.img", "two": f"{a}  disk.img\n{b}  disk.img\n",
            "tagged": f"SHA256 (disk.img) = {a}\nSHA512 (d/disk.img) = {a}{b}\n", "signed": f"-----BEGIN\n\n{a}  disk.img\n-----"},
        2: {"validator": 'validator "one"', "redirect": "redirect http://a/", "again": "again ", "digest": f"digest {a}",
            "weak": 'validator W/"a"'},
        3: {"note": 'bulkhead image import 1\nhttp://a/\n"one"\n', "no-validator": "bulkhead image import 1\nhttp://a/\n\n"},
        4: {"part": "bytes 5-9/10", "none": "bytes */10", "large": "bytes 0-9/18446744073709551616", "star": "bytes 0-9/*"},
        5: {"private": "\x0a\0\0\1", "host": "\x7f\0\0\1"},
    }
    return {name: bytes([kind]) + text.encode("latin-1") for kind, rows in texts.items() for name, text in rows.items()}


def progress():
    def said(since, done, total):
        return struct.pack("<QQQ", since, done, total)
    return {"half": said(10**9, 1 << 29, 1 << 30), "none": said(5, 0, 0), "done": said(10**10, 7, 7),
            "most": said(1, 2**64 - 1, 2**64 - 1), "slow": said(2**64 - 1, 1, 2**64 - 1), "at-once": said(0, 1, 2),
            "more-than-all": said(1, 2, 1), "cut": said(1, 1, 2)[:-1]}


def smbios():
    """Which machine, then an identity; see fuzz_smbios.c."""
    uuid = bytes(range(1, 17))
    return {"none": b"\0" + bytes(17), "serial": b"\x8f" + uuid + b"SN 1\0",
            "strings": b"\x41" + uuid + b"\0one\0io.systemd.credential.binary:a=AAAA\0",
            "empty-string": b"\0" + uuid + b"s\0\0", "no-end": b"\0" + uuid + b"s\0one",
            "many": b"\0" + bytes(17) + b"a\0" * 65, "uuid": b"\x0001234567-89ab-cdef-fedc-ba9876543210"}


def seed():
    """Which input, its length and its bytes; see fuzz_seed.c."""
    def said(i, data, user=False):
        return struct.pack("<BH", i | 0x80 * user, len(data)) + data
    body = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + bytes(32)
    key = b"ssh-ed25519 " + base64.b64encode(body)
    hashed = b"$6$salt$" + b"a" * 86
    return {"key": said(4, key), "keys": said(4, key + b" a\n# b\n" + key + b" \"x\": \xc3\xa9") + said(19, key),
            "user": said(3, hashed + b"\n", True) + said(4, key), "hash": said(3, hashed),
            "private": said(4, b"-----BEGIN OPENSSH PRIVATE KEY-----\n"), "password": said(3, b"hunter2", True),
            "files": said(0, b"#cloud-config\n") + said(1, b"instance-id: a\n") + said(2, b"version: 2\n"),
            "script": said(0, b"#!/bin/sh\n\xff"), "mime": said(0, b"From: a\nMIME-Version: 1.0\n\n"),
            "bad": said(0, b"users:\n"), "utf-16": said(1, b"\xff\xfea\0") + said(0, b"#!")}


def lasting():
    """Flags, then steps: what, where, how much or which way; see fuzz_lasting.c."""
    large, uncached, records = 1, 2, 0xf0
    late, fails, no_discard, readonly, half = 8, 1, 1, 2, 8

    def ask(op, at=0, units=1, how=0):
        return bytes([op + how, at, units - 1])

    def answer(which=0, how=0, when=0):
        return bytes([5 + when, which, how])

    def lost(how=0):
        return bytes([6, 0, how])

    def found(server=0):
        return bytes([6, 1, server])

    def many(n):
        return bytes([7, n // 16, 0])
    read, write, flush, discard, zero = range(5)  # as image_op has them
    sync, done, give_up = 8, answer(), bytes([6, 2, 0])
    written = ask(write, 3, 2) + done
    full = (ask(write, 0, 32) + answer(255)) * 80
    return {
        "lost": bytes([0]) + written + lost() + ask(read, 3, 2) + found() + done * 2,
        "flushed": bytes([0]) + written + ask(flush) + done + lost() + found() + ask(read, 3) + done,
        "flush-fails": bytes([0]) + written + ask(flush) + answer(0, fails) + lost() + found() + done + ask(read, 3) + done,
        "flush-and-write": bytes([0]) + written + ask(flush) + ask(write, 4) + answer(1) + done + lost() + found() + done,
        "overlaps": bytes([0]) + b"".join(ask(write, n, 3) for n in range(4)) + done * 2 + lost(1) + found() + done * 6,
        "stable-over-lost": bytes([0]) + written + ask(write, 3, 1, sync) + done + lost() + found() + done * 2,
        "again-and-again": bytes([0]) + b"".join(ask(write, n) + done for n in range(20)) +
        (lost() + found() + done * 3) * 4,
        "refused": bytes([0]) + written + lost() + found() + answer(0, fails) + ask(write, 3) + give_up + found(readonly) + found(),
        "smaller": bytes([0]) + ask(write, 30) + done + lost() + ask(read, 31) + found(half) + found() + done,
        "discards": bytes([0]) + ask(discard, 1, 4) + done + ask(zero, 2, 1) + done + lost() + ask(discard, 5) + found(no_discard),
        "uncached": bytes([uncached]) + written + lost() + found() + ask(read, 3) + lost(3) + found(),
        "cut-writes": bytes([0]) + ask(write, 0, 9) + ask(write, 12, 9) + lost(3) + found() + done * 3 + lost(6) + found(),
        "at-once": bytes([0]) + ask(write, 0) * 3 + ask(write, 9) + answer(0, 0, late) * 2 + bytes([6, 3, 0x10]) + done,
        "slots": bytes([0]) + lost() + b"".join(ask(read, n % 32) for n in range(34)) + found() + done * 9,
        "round": bytes([large]) + full + lost() + ask(write, 5) + found() + done * 20,
        "round-cannot-flush": bytes([large]) + (ask(write, 0, 31) + answer(255) + answer(0, fails)) * 70 + lost() + found(),
        "flush-of-its-own": bytes([large]) + (ask(write, 0, 32) + done) * 32 + ask(write, 7) + answer(1) + done + lost() +
        ask(read, 7) + found() + done * 20,
        "records": bytes([records]) + many(4080) * 3 + ask(write, 7) + done * 2 + lost() + ask(read, 0) + found() + done * 60,
    }


# Others append here: the name of the target and what makes its seeds.
def guard():
    """Rules; then frames: to the guest or from it, which, whose, how many bytes are spoiled, whether it is cut."""
    def frame(to_guest, what, which=0):
        return bytes([to_guest, what, which, 0, 1])

    lease, router = frame(0, 1) + frame(1, 2), frame(1, 3, 9)
    tcp, udp6, back = frame(0, 6), frame(0, 7), frame(1, 6 | 128)
    return {
        "lease": b"\0" + lease + tcp, "fixed": b"\3" + tcp + udp6, "router": b"\0" + router + udp6,
        "named": b"\x90" + lease + router + tcp + udp6, "restricted": b"\4" + lease + back + tcp,
        "renewal": b"\4" + lease + frame(0, 1, 9), "link-local": b"\x08" + lease + frame(0, 6, 2),
        "arp": b"\0" + lease + frame(0, 5, 2) + frame(0, 5, 4),
        "neighbours": b"\0" + router + frame(0, 4, 0x11) + frame(0, 4, 0x21) + frame(1, 4 | 128, 0x21) + udp6,
        "headers": b"\0" + router + bytes([0, 8, 0, 58, 0, 1, 0, 8, 1, 17, 0, 1]),
        "raw": b"\0" + bytes([0, 0, 0, 8]) + bytes(12) + b"\x86\xdd" + bytes(50) + b"\0\1",
        "spoiled": b"\0" + lease + bytes([0, 6, 0, 1, 14, 0, 0x46, 1]),
    }


def segment():
    """A header as virtio-net has it, and a frame of TCP."""
    def frame(v6, size, payload, tag=b""):
        tcp = struct.pack(">HHIIBBHHH", 1000, 2000, 7, 9, 5 << 4, 0x19, 512, 0x1234, 0) + bytes(payload)
        if v6:
            ip = struct.pack(">IHBB", 6 << 28, len(tcp), 6, 64) + bytes(range(32))
        else:
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 77, 0x4000, 64, 6, 0) + bytes(range(8))
        start = 14 + len(tag) + len(ip)
        header = struct.pack("<BBHHHHH", 1, 4 if v6 else 1, start + 20, size, start, 16, 0)
        return header + bytes(12) + tag + (b"\x86\xdd" if v6 else b"\x08\0") + ip + tcp

    def train(v6, size, payload):
        udp = struct.pack(">HHHH", 1000, 2000, 8 + payload, 0x1234) + bytes(payload)
        ip = struct.pack(">IHBB", 6 << 28, len(udp), 17, 64) + bytes(32) if v6 else \
            struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 77, 0x4000, 64, 17, 0) + bytes(8)
        start = 14 + len(ip)
        return struct.pack("<BBHHHHH", 1, 5, start + 8, size, start, 6, 0) + bytes(12) + (b"\x86\xdd" if v6 else b"\x08\0") + ip + udp

    return {
        "v4": frame(False, 100, 450),
        "v6": frame(True, 77, 300),
        "udp4": train(False, 100, 450),
        "udp6": train(True, 7, 20),
        "tagged": frame(False, 1, 9, b"\x81\0\0\x07"),
        "checksum": struct.pack("<BBHHHHH", 1, 0, 0, 0, 34, 6, 0) + bytes(60),
    }


def net_control():
    """Whether it has no tap; then steps: a command of some length and its bytes, a frame's head, the next process."""
    def command(class_, number, data=b"", cut=2, how=0):
        whole = bytes([class_, number]) + data
        far = len(data) >= 512
        return bytes([0, len(data) - 512 * far, far, cut, how]) + whole

    def frame(to, tag=b""):
        return bytes([5, len(tag)]) + to + bytes(6) + (b"\x81\0" if tag else b"\x88\xb5") + tag + b"\1"

    own, group, other = bytes.fromhex("525400123456"), bytes.fromhex("01005e000001"), bytes.fromhex("020000000001")
    quiet, following, lie = command(0, 0, b"\0"), b"\7\0", b"\7\1"
    table = command(1, 0, struct.pack("<I", 1) + other + struct.pack("<I", 1) + group)
    return {
        "modes": b"\1" + b"".join(command(0, n, b"\1") for n in range(6)) + frame(own) + following,
        "table": b"\1" + quiet + table + frame(other) + frame(group) + following + frame(own),
        "large": b"\1" + command(1, 0, struct.pack("<I", 100) + other * 100 + bytes(4)) + following,
        "count-lies": b"\1" + command(1, 0, struct.pack("<I", 0x2aaaaaab) + other + bytes(4)) + table,
        "address": b"\1" + quiet + command(1, 1, other) + frame(own) + frame(other) + following,
        "vlan": b"\1" + quiet + command(2, 0, b"\7\0") + frame(own, b"\0\7\0\0") + command(2, 1, b"\7\0"),
        "offloads": b"\0" + command(5, 0, struct.pack("<Q", 0x82)) + command(5, 0, struct.pack("<Q", 0x80)) + following,
        "pairs": b"\0" + b"".join(command(4, 0, struct.pack("<H", n)) for n in (0, 4, 5, 2)) + command(4, 1) + following,
        "pieces": b"\1" + quiet + table[:3] + b"\7" + table[4:] + command(0, 1, b"\1", cut=1),
        "no-answer": b"\1" + command(0, 0, b"\1", how=1) + command(0, 0, b"\1", how=2) + command(0, 0, b"\1", how=8),
        "lies": b"\1" + table + lie + bytes([0, 5, 255]) + frame(own) + lie + bytes([0, 20, 200]) + frame(other),
    }


def net_relay():
    """What the relay is told; then steps: which side, what is done, and with what."""
    turn = bytes([0, 5])
    lease = bytes([1, 1, 2]) + turn + bytes([0, 1, 2]) + turn
    out, back, kill, lie = bytes([1, 1, 1]), bytes([0, 1, 1]), bytes([0, 4, 1]), bytes([0, 4, 8, 0, 3, 0, 0, 0, 255])
    return {
        "lease": b"\0" + lease + out + turn + back + turn, "fixed": b"\4" + (out + back + turn) * 4,
        "restricted": b"\5" + out + turn + back + turn + out + turn, "rate": b"\6" + out * 4 + turn * 3,
        "killed": b"\4" + (out + back + kill + turn) * 3, "lied": b"\4" + out + lie + out + turn * 2,
        "no-frame": b"\0" + bytes([1, 0, 4]) + b"\xff" * 4 + turn + bytes([0, 0, 5]) + b"\0\0\0\1x" + turn,
        "halves": b"\4" + bytes([1, 0, 2, 0, 0]) + kill + bytes([1, 0, 2, 0, 20]) + turn,
        "spoiled": b"\4" + bytes([1, 1, 5, 20, 9]) + bytes([1, 1, 9, 40]) + turn,
    }


def nftables():
    """Which way round the interface is; then words as a card's options say them."""
    def said(*words, first="0"):
        return "\n".join((first, "mac=52:54:00:12:34:56", *words)).encode()

    return {
        "plain": said(), "macvtap": said("guard=on", first="1"), "fixed": said("ip=10.0.0.5", "ip=2001:db8::5"),
        "restricted": said("restrict=on", "link-local=on"),
        "named": said(*(f"allow={d}" for d in ("10.0.0.0/8:443", "[2001:db8::/32]:80-90", "0.0.0.0/0", "::/0", "::/80:1"))),
        "all": said("ip=10.0.0.5", *("allow=[2001:db8:ffff:ffff:ffff:ffff:ffff:ff00/120]:10000-20000",) * 16),
        "rates": said("packets-in=1", "packets-out=1000000", "bytes-in=1M", "bytes-out=1T", "burst=60"),
        "wrong": said("allow=10.1.2.3/8", "ip=::", "burst=0", "x=y", "guard", "mac=1:2:3", "allow=10.0.0.0/8:9-8"),
    }


def net_switch():
    """Steps: which card, what is done, and with what."""
    turn = bytes([0, 9])
    to_all, to_one, neighbour = bytes([4, 0, 0x80]), bytes([4, 1, 1]), bytes([4, 2, 0x80])
    member = b"mac=52:54:00:12:34:09,ip=10.0.0.9,isolated=on"
    return {
        "everybody": (b"\0" + to_all + turn) * 3, "one": b"\0" + to_one + turn + b"\1" + bytes([4, 0x41, 0]) + turn,
        "isolated": b"\2" + bytes([4, 1, 3]) + b"\2" + to_all + b"\3" + bytes([4, 0x41, 2]) + turn * 2,
        "neighbours": b"\0" + neighbour + b"\1" + neighbour + turn * 2, "another's": b"\0" + to_one + b"\1" + to_one + turn,
        "hang-up": b"\0" + to_one + b"\0\1" + turn + b"\0\0" + b"\0" + to_one + turn,
        "no-frame": b"\0" + bytes([2, 4]) + b"\xff" * 4 + turn + b"\1" + bytes([2, 5]) + b"\0\0\0\1x" + turn,
        "member": b"\0\3" + bytes([len(member)]) + member, "no-member": b"\0\3" + bytes([12]) + b"mac=52:54:00" + b"\1" + turn,
        "halves": b"\0" + bytes([4, 8, 0x80, 20]) + turn + b"\1" + to_one + turn,
        "spoiled": b"\0" + bytes([4, 5, 1, 6, 9]) + turn + b"\0" + bytes([4, 4, 0x80, 24, 9]) + turn,
    }


TARGETS = {
    "ask": ask,
    "answer": answer,
    "control": control,
    "vhost_user": vhost_user,
    "vfio_user": vfio_user,
    "guard": guard,
    "guestmem": guestmem,
    "virtqueue": virtqueue,
    "inflight": inflight,
    "vu_state": vu_state,
    "vsock": vsock,
    "blk": blk,
    "scsi": scsi,
    "net": net,
    "net_control": net_control,
    "segment": segment,
    "nftables": nftables,
    "net_relay": net_relay,
    "net_switch": net_switch,
    "bpf": bpf,
    "bzimage": bzimage,
    "procfs": procfs,
    "elf_pvh": elf_pvh,
    "vhost_front": vhost_front,
    "vfio_client": vfio_client,
    "hotplug": hotplug,
    "virtio_pci": virtio_pci,
    "soft": soft,
    "subid": subid,
    "names": names,
    "nbd": nbd,
    "storage": storage,
    "nbd_client": nbd_client,
    "iscsi_client": iscsi_client,
    "lasting": lasting,
    "console_page": console_page,
    "firmware": firmware,
    "flash": flash,
    "tpm": tpm,
    "qcow2": qcow2,
    "vhd": vhd,
    "vhdx": vhdx,
    "vmdk": vmdk,
    "image_map": image_map,
    "progress": progress,
    "seed": seed,
    "smbios": smbios,
    "fetched": fetched,
}


def main():
    for target, make in TARGETS.items():
        folder = HERE / target
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, data in make().items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
