# SPDX-License-Identifier: Apache-2.0
"""A hostile guest: whatever it writes into a ring, the device refuses that (NEEDS_RESET, or the
request's error status), stays within its bounds, and serves again after a reset.

The virtio core's rows of the table of known escapes (docs/cve-table.md), as data."""

import struct

import pytest

from bh import blk, guest, vhost_user as vu, wait
from bh.guest import Buf, DESC_INDIRECT, DESC_NEXT, DESC_WRITE, Queue
from bh.hostile import case

N = 64            # of the ring
TOP = 1 << 64
RAM_END = 8 << 20  # of the first region
HOLE = 64 << 20    # no RAM here


class Rings:
    """What a recipe works with."""

    def __init__(self, device, session):
        self.device, self.session = device, session
        self.memory, self.queue = session.memory, session.queue()
        self.reads = device.name == "dev-blk"  # chains start with a readable part
        self.buffer = self.memory.alloc(4096, 4096)

    def lead(self, at=0):
        """A readable header in descriptor `at` if the device wants one, linked to at + 1. Returns
        where the rest of the chain goes."""
        if not self.reads:
            return at
        header = self.memory.put(blk.header(blk.T_IN))
        self.queue.write_desc(at, header, 16, DESC_NEXT, at + 1)
        return at + 1

    def behind_the_table(self, index):
        """A descriptor that would do, where an index too large points, as far as that is not in
        the rings themselves."""
        if index > 4 * N:
            self.queue.write_desc(index, self.buffer, 513, DESC_WRITE)

    def table(self, entries):
        return self.memory.put(b"".join(Queue.pack(*e) for e in entries))

    def go(self, head=0):
        self.queue.put_avail(head)
        self.queue.publish()
        self.queue.kick()


RECIPES = {}


def recipe(name, broken=True):
    """broken: the ring must be found broken; "in flight": by a device that works on several requests
    at once. Otherwise the device may also serve the request, or answer it with an error."""
    def add(f):
        RECIPES[name] = (f, broken)
        return f
    return add


# ---- descriptors ----

@recipe("zero-length descriptor alone (CVE-2016-6490)")
def _(r):
    r.queue.write_desc(0, r.buffer, 0, DESC_WRITE)
    r.go()


@recipe("zero-length descriptor within a chain")
def _(r):
    at = r.lead()
    r.queue.write_desc(at, r.buffer, 0, DESC_WRITE | DESC_NEXT, at + 1)
    r.queue.write_desc(at + 1, r.buffer, 512, DESC_WRITE)
    r.go()


@recipe("cycle of one")
def _(r):
    at = r.lead()
    r.queue.write_desc(at, r.buffer, 16, DESC_WRITE | DESC_NEXT, at)
    r.go()


@recipe("cycle of two")
def _(r):
    at = r.lead()
    r.queue.write_desc(at, r.buffer, 16, DESC_WRITE | DESC_NEXT, at + 1)
    r.queue.write_desc(at + 1, r.buffer, 16, DESC_WRITE | DESC_NEXT, at)
    r.go()


@recipe("cycle through the whole table")
def _(r):
    for i in range(N):
        r.queue.write_desc(i, r.buffer, 16, DESC_WRITE | DESC_NEXT, (i + 1) % N)
    r.go()


@recipe("cycle of zero-length descriptors")
def _(r):
    r.queue.write_desc(0, r.buffer, 0, DESC_NEXT, 1)
    r.queue.write_desc(1, r.buffer, 0, DESC_NEXT, 0)
    r.go()


for _next in (N, N + 1, 0x7fff, 0x8000, 0xffff):
    @recipe(f"next is {_next:#x}")
    def _(r, next_=_next):
        at = r.lead()
        r.queue.write_desc(at, r.buffer, 16, DESC_WRITE | DESC_NEXT, next_)
        r.behind_the_table(next_)
        r.go()

    @recipe(f"head is {_next:#x}")
    def _(r, next_=_next):
        r.behind_the_table(next_)
        r.go(next_)


@recipe("readable after writable")
def _(r):
    at = r.lead()
    r.queue.write_desc(at, r.buffer, 16, DESC_WRITE | DESC_NEXT, at + 1)
    r.queue.write_desc(at + 1, r.buffer, 16, 0)
    r.go()


@recipe("reserved flags", broken=False)
def _(r):
    at = r.lead()
    r.queue.write_desc(at, r.buffer, 513, DESC_WRITE | 0xfff8)
    r.go()


@recipe("chain longer than 2^32 bytes")
def _(r):
    at = r.lead()
    for i in range(at, at + 8):
        r.queue.write_desc(i, r.buffer, 0xffffffff, DESC_WRITE | (DESC_NEXT if i < at + 7 else 0),
                           i + 1)
    r.go()


for _name, _gpa, _len in (
        ("no RAM there", HOLE, 513), ("the RAM ends within", RAM_END - 256, 513),
        ("starts at the RAM's end", RAM_END, 513), ("wraps", TOP - 256, 513), ("-1", TOP - 1, 1),
        ("length -1", 0x1000, 0xffffffff), ("length 2^31", 0x1000, 0x80000000),
        ("sign of the address", 1 << 63, 513), ("behind all RAM", (1 << 32) + (2 << 20), 513)):
    @recipe(f"buffer: {_name}", broken=False)
    def _(r, gpa=_gpa, length=_len):
        at = r.lead()
        r.queue.write_desc(at, gpa, length, DESC_WRITE)
        r.go()

    @recipe(f"readable buffer: {_name}", broken=False)
    def _(r, gpa=_gpa, length=_len):
        r.queue.write_desc(0, gpa, length, DESC_NEXT, 1)
        r.queue.write_desc(1, r.buffer, 513, DESC_WRITE)
        r.go()

    @recipe(f"indirect table: {_name}")
    def _(r, gpa=_gpa, length=_len):
        r.queue.write_desc(0, gpa, max(length & ~15, 16), DESC_INDIRECT)
        r.go()


@recipe("nothing to write into", broken=False)
def _(r):
    r.queue.write_desc(0, r.buffer, 16, 0)
    r.go()


@recipe("the whole table as one chain", broken=False)
def _(r):
    at = r.lead()
    for i in range(at, N):
        r.queue.write_desc(i, r.buffer + i, 1, DESC_WRITE | (DESC_NEXT if i < N - 1 else 0), i + 1)
    r.go()


# ---- indirect ----

@recipe("indirect within indirect")
def _(r):
    inner = r.table([(r.buffer, 513, DESC_WRITE, 0)])
    outer = r.table([(inner, 16, DESC_INDIRECT, 0)])
    r.queue.write_desc(0, outer, 16, DESC_INDIRECT)
    r.go()


@recipe("indirect table that is its own entry")
def _(r):
    table = r.memory.alloc(16)
    r.memory.write(table, Queue.pack(table, 16, DESC_INDIRECT))
    r.queue.write_desc(0, table, 16, DESC_INDIRECT)
    r.go()


@recipe("indirect and next")
def _(r):
    table = r.table([(r.buffer, 513, DESC_WRITE, 0)])
    r.queue.write_desc(0, table, 16, DESC_INDIRECT | DESC_NEXT, 1)
    r.queue.write_desc(1, r.buffer, 513, DESC_WRITE)
    r.go()


for _len in (0, 1, 15, 17, 31):
    @recipe(f"indirect table of {_len} bytes")
    def _(r, length=_len):
        table = r.table([(r.buffer, 513, DESC_WRITE, 0)] * 4)
        r.queue.write_desc(0, table, length, DESC_INDIRECT)
        r.go()


@recipe("cycle in an indirect table")
def _(r):
    table = r.table([(r.buffer, 16, DESC_WRITE | DESC_NEXT, 1),
                     (r.buffer, 16, DESC_WRITE | DESC_NEXT, 0)])
    r.queue.write_desc(0, table, 32, DESC_INDIRECT)
    r.go()


@recipe("next behind the indirect table")
def _(r):
    table = r.table([(r.buffer, 16, DESC_WRITE | DESC_NEXT, 2)] * 4)
    r.queue.write_desc(0, table, 32, DESC_INDIRECT)
    r.go()


@recipe("indirect table of 4 GiB")
def _(r):
    table = r.table([(r.buffer, 513, DESC_WRITE, 0)])
    r.queue.write_desc(0, table, 0xfffffff0, DESC_INDIRECT)
    r.go()


@recipe("indirect table of 65536 linked entries")
def _(r):
    count = 65536
    table = r.memory.alloc(16 * count)
    data = b"".join(Queue.pack(r.buffer, 1, DESC_WRITE | DESC_NEXT, i + 1 & 0xffff)
                    for i in range(count))
    r.memory.write(table, data)
    r.queue.write_desc(0, table, 16 * count, DESC_INDIRECT)
    r.go()


@recipe("indirect after another descriptor", broken=False)
def _(r):
    r.queue.write_desc(0, r.buffer, 16, DESC_NEXT, 1)
    table = r.table([(r.buffer, 513, DESC_WRITE, 0)])
    r.queue.write_desc(1, table, 16, DESC_INDIRECT)
    r.go()


@recipe("indirect table that is the descriptor table", broken=True)
def _(r):
    r.queue.write_desc(0, r.queue.desc, 16 * N, DESC_INDIRECT)
    r.go()


# ---- ring indices ----

for _jump in (N + 1, N + 2, 0x7fff, 0x8000, 0xffff):
    @recipe(f"available index {_jump:#x} ahead")
    def _(r, jump=_jump):
        r.queue.write_chain(r.device.chain(r.memory), range(3))
        r.queue.publish(r.queue.avail_idx + jump)
        r.queue.kick()


@recipe("the ring full of one head (CVE-2016-5403, CVE-2026-45782)", broken="in flight")
def _(r):
    bufs = r.device.chain(r.memory)
    r.queue.write_chain(bufs, range(len(bufs)))
    for _ in range(N):
        r.queue.put_avail(0)
    r.queue.publish()
    r.queue.kick()


@recipe("chains that share their descriptors", broken=False)
def _(r):
    bufs = r.device.chain(r.memory)
    r.queue.write_chain(bufs, range(len(bufs)))
    for head in range(len(bufs)):
        r.queue.put_avail(head)
    r.queue.publish()
    r.queue.kick()


@recipe("index wraps many times without awaiting completion", broken=False)
def _(r):
    bufs = r.device.chain(r.memory)
    r.queue.write_chain(bufs, range(len(bufs)))
    for _ in range(50):
        for _ in range(N):
            r.queue.put_avail(0)
        r.queue.publish()
        r.queue.kick()


# ---- rings pointing at themselves ----

for _name, _at in (("descriptor table", "desc"), ("available ring", "avail"),
                   ("used ring", "used")):
    @recipe(f"device writes its {_name}", broken=False)
    def _(r, at=_at):
        where = getattr(r.queue, at)
        k = r.lead()
        if r.reads:
            r.queue.write_desc(k, where, 512, DESC_WRITE | DESC_NEXT, k + 1)
            r.queue.write_desc(k + 1, r.buffer, 1, DESC_WRITE)
        else:
            r.queue.write_desc(k, where, 16 * N, DESC_WRITE)
        r.go()
        r.session.settle()
        for head in range(8):  # and what it makes of what is there now
            r.queue.put_avail(head)
        r.queue.publish()
        r.queue.kick()

    @recipe(f"device reads its {_name}", broken=False)
    def _(r, at=_at):
        r.queue.write_desc(0, getattr(r.queue, at), 16, DESC_NEXT, 1)
        r.queue.write_desc(1, r.buffer, 513, DESC_WRITE)
        r.go()

    @recipe(f"indirect table in the {_name}", broken=False)
    def _(r, at=_at):
        r.queue.write_desc(0, getattr(r.queue, at) & ~15, 64, DESC_INDIRECT)
        r.go()


@recipe("status over the header", broken=False)
def _(r):
    r.queue.write_desc(0, r.buffer, 16, DESC_NEXT, 1)
    r.queue.write_desc(1, r.buffer, 16, DESC_WRITE)
    r.go()


# ---- event index ----

@recipe("event index far away", broken=False)
def _(r):
    r.queue.set_used_event(0x8000)
    bufs = r.device.chain(r.memory)
    r.queue.write_chain(bufs, range(len(bufs)))
    r.go()


def serve_again(device, session):
    with case("after a reset"):
        session.restart()
        assert not session.needs_reset()
        device.probe(session)


def run(device, session, name):
    """One recipe on fresh rings; then the device must serve again after a reset."""
    build_rings, broken = RECIPES[name]
    session.memory.next = guest.PAGE
    session.restart()
    q = session.queue()
    build_rings(Rings(device, session))
    session.settle()
    if broken == "in flight":
        if device.name == "dev-blk":
            wait.until(session.needs_reset, "the device needs a reset")
    elif broken:
        wait.until(session.needs_reset, "the device needs a reset")
        assert session.memory.load16(q.used + 2) == 0, "completed what it must refuse"
    assert device.process.alive, device.process.describe()
    device.process.assert_idle(0.01)
    device.assert_bounded()
    serve_again(device, session)


@pytest.mark.parametrize("indirect", [True, False], ids=["indirect", "direct"])
@pytest.mark.parametrize("event_idx", [True, False], ids=["event-idx", "flags"])
def test_recipes(start, kind, event_idx, indirect):
    """All in a row on one device: what one leaves behind must not help the next."""
    device = start(kind)
    session = device.open(num=N, event_idx=event_idx, indirect=indirect)
    for name in RECIPES:
        with case(name):
            run(device, session, name)
    assert len(device.process.messages) < len(RECIPES) + 10, "a line for every one of them"


@pytest.mark.parametrize("name", ["cycle of two", "indirect within indirect", "head is 0xffff",
                                  f"available index {N + 1:#x} ahead"])
def test_error_is_signalled_once(start, kind, name):
    """The queue stands still: no completion, no more errors, however often it is kicked."""
    device = start(kind)
    session = device.open(num=N)
    q = session.queue()
    RECIPES[name][0](Rings(device, session))
    wait.until(session.needs_reset, "the device needs a reset")
    lines = len(device.process.said(2))
    for _ in range(1000):
        q.kick()
    session.front.ask_u64(vu.GET_FEATURES)
    device.process.assert_idle()
    device.process.drain()
    assert len(device.process.said(2)) == lines
    assert session.memory.load16(q.used + 2) == 0
    serve_again(device, session)


@pytest.mark.parametrize("how", ["status", "reset_device", "vring_base"])
def test_ways_out_of_needs_reset(start, kind, how):
    device = start(kind)
    session = device.open(num=N)
    RECIPES["cycle of two"][0](Rings(device, session))
    wait.until(session.needs_reset, "the device needs a reset")
    if how == "status":
        session.front.set_status(0)
    elif how == "reset_device":
        session.front.tell(vu.RESET_DEVICE)
    else:
        for i in range(session.n_queues):
            session.front.stop_queue(i)
    for q in session.queues:
        q.close()
    session.front.tell(vu.SET_FEATURES, vu.u64(session.front.features))
    session.start_queues()
    assert not session.needs_reset()
    device.probe(session)


def test_recipes_without_the_features(start, kind):
    """Indirect descriptors that were not negotiated are refused."""
    device = start(kind)
    session = device.open(num=N, indirect=False)
    rings = Rings(device, session)
    table = rings.table([(rings.buffer, 513, DESC_WRITE, 0)])
    rings.queue.write_desc(0, table, 16, DESC_INDIRECT)
    rings.go()
    wait.until(session.needs_reset, "the device needs a reset")
    serve_again(device, session)


def test_ring_that_changes_while_it_is_read(start, kind):
    """A second CPU of the guest rewrites the descriptors all the time: any outcome but harm."""
    device = start(kind)
    session = device.open(num=N)
    q = session.queue()
    bufs = device.chain(session.memory)
    good, bad = bytearray(), bytearray()
    for i, buf in enumerate(bufs):
        last = i == len(bufs) - 1
        flags = (DESC_WRITE if buf.write else 0) | (0 if last else DESC_NEXT)
        good += Queue.pack(buf.gpa, buf.length, flags, i + 1)
        bad += Queue.pack(HOLE, 0xffffffff, flags ^ DESC_INDIRECT, 0xffff)
    for _ in range(300):
        session.memory.write(q.desc, bytes(good))
        q.put_avail(0)
        q.publish()
        q.kick()
        for _ in range(20):
            session.memory.write(q.desc, bytes(bad))
            session.memory.write(q.desc, bytes(good))
        if session.needs_reset():
            session.restart()
            q = session.queue()
            session.memory.next = q.used + 8192
    device.assert_bounded()
    serve_again(device, session)


@pytest.mark.parametrize("base", [0, 1, 0x7fff, 0xfff0, 0xffff])
def test_start_index(start, kind, base):
    """The indices may start anywhere and wrap at 2^16."""
    device = start(kind)
    session = device.open(num=N)
    session.stop_queues()
    q = Queue(session.memory, N, session.event_idx)
    q.avail_idx = q.kicked_idx = q.used_idx = base
    session.memory.store16(q.avail + 2, base)
    session.memory.store16(q.used + 2, base)
    session.queues = [q] * (session.main + 1)
    session.front.start_queue(q, session.main, base)
    for _ in range(40):
        device.probe(session)
    assert session.front.stop_queue(session.main) == q.avail_idx


@pytest.mark.parametrize("num", [1, 2, 4, 8, 256, 1024])
def test_ring_sizes(start, kind, num):
    """Every size serves, also those below a request's chain (by indirect descriptors)."""
    device = start(kind)
    num = min(num, device.num_max)
    session = device.open(num=num, event_idx=False)
    memory = session.memory
    for _ in range(2 * num + 3):
        mark = memory.next
        bufs = device.chain(memory)
        session.submit(bufs, indirect=len(bufs) > num)
        [(_, written)] = session.wait()
        assert written == 64 if kind.name == "dev-rng" else written <= sum(b.length for b in bufs if b.write)
        memory.next = mark
    device.assert_bounded()


def test_long_chains(start, kind):
    """CVE-2025-41238: more segments than a fixed array has room for. As many as the ring has are
    right; the longest indirect table too, whatever the device says to it."""
    device = start(kind)
    session = device.open(num=device.num_max)
    rings = Rings(device, session)
    q, memory = rings.queue, rings.memory
    for count in (device.num_max // 2, device.num_max - 1, device.num_max):
        with case(f"{count} segments"):
            lead = [Buf(memory.put(blk.header(blk.T_IN)), 16)] if rings.reads else []
            data = [Buf(rings.buffer + i, 1, True) for i in range(count - len(lead))]
            q.add(lead + data, indirect=count == device.num_max)
            q.kick()
            session.settle()
            if session.needs_reset():
                session.restart()
                q = session.queue()
            else:
                session.wait()
    device.assert_bounded()
    serve_again(device, session)


def test_used_entries_name_their_chains(start, kind):
    """A full ring: every head comes back once, with a length that fits its chain."""
    device = start(kind)
    session = device.open(num=N)
    q, memory = session.queue(), session.memory
    heads = {}
    while len(q.free) >= 3:
        bufs = device.chain(memory)
        heads[q.add(bufs)] = sum(b.length for b in bufs if b.write)
    q.kick()
    done = session.wait(len(heads))
    assert sorted(h for h, _ in done) == sorted(heads)
    assert all(written <= heads[h] for h, written in done)


def test_nothing_but_the_buffers_is_written(start, kind):
    """Guest RAM around buffers and rings is as it was."""
    memory = guest.Memory(sizes=((0, 1 << 20), (1 << 32, 1 << 20)), fill=guest.CANARY)
    device = start(kind)
    session = device.open(num=N, memory=memory)
    for name in ("cycle of two", "chain longer than 2^32 bytes", "readable after writable"):
        RECIPES[name][0](Rings(device, session))
        session.settle()
        session.restart()
    device.probe(session)
    for region in memory.regions:
        used = memory.high - region.gpa if region.gpa == 0 else 0
        tail = region.map[used:]
        assert tail.count(bytes([guest.CANARY])) == len(tail)
    assert struct.unpack("<Q", memory.read(0, 8))[0] == int.from_bytes(b"\xa5" * 8, "little")
    session.close()
    device.session = None
    memory.close()
