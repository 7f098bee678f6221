# SPDX-License-Identifier: Apache-2.0
"""A hostile vmm against each device: after every wrong byte, order, number or descriptor the device
serves on or ends cleanly, with one line that says why; no signal, no spin, no growth."""

import contextlib
import os
import random
import signal
import socket

import pytest

from bh import guest, hostile, vhost_user as vu
from bh.hostile import REQUEST_NAMES, STATES, Stage, case


def each(start, kind, state, rows):
    """Runs send(stage) of every row (name, send) in a device of its own; the verdicts by name."""
    verdicts = {}
    for name, send in rows:
        with case(name):
            device = start(kind)
            stage = Stage(device).go(state)
            try:
                sent = send(stage)
            except vu.Closed:
                sent = None
            verdicts[name] = stage.verdict(sent)
            if verdicts[name] == "serves" and not stage.recover():
                verdicts[name] = "ended"
            device.assert_bounded()
            device.close()
    return verdicts


# ---- bytes ----

@pytest.mark.parametrize("name", REQUEST_NAMES)
def test_message_cut_at_every_byte(start, kind, name):
    """The connection ends in the middle of a message."""
    length = None
    cut = 1
    while length is None or cut < length:
        with case(f"cut at {cut}"):
            device = start(kind)
            stage = Stage(device)
            request, payload, fds = hostile.requests(stage)[name]
            wire = vu.message(request, payload)
            length = len(wire)
            stage.front.send_bytes(wire[:cut], fds)
            device.sock.shutdown(socket.SHUT_WR)
            device.process.assert_clean_end()
            device.assert_bounded()
            device.close()
        cut += 1 if kind.name == "dev-rng" else 5


@pytest.mark.parametrize("name", REQUEST_NAMES)
def test_size_field_that_is_not_the_requests(start, kind, name):
    def sender(size):
        def send(stage):
            request, payload, fds = hostile.requests(stage)[name]
            stage.front.send(request, (payload + bytes(size))[:size], fds)
            return request
        return send

    device = start(kind)
    right = len(hostile.requests(Stage(device))[name][1])
    device.close()
    sizes = sorted({0, 1, 4, 7, 8, 9, right - 1, right + 1, right + 8, 512} - {right, -1})
    verdicts = each(start, kind, "negotiated", [(f"size {s}", sender(s)) for s in sizes])
    # VHOST_USER_SET_MEM_TABLE and the configuration's requests are variable in length, but not so.
    assert set(verdicts.values()) == {"ended"}, f"taken for a right message: {verdicts}"


def test_size_field_above_every_bound(start, kind):
    def sender(size):
        def send(stage):
            stage.front.send(vu.GET_FEATURES, b"", size=size)
        return send

    sizes = [513, 4096, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff]
    verdicts = each(start, kind, "fresh", [(f"size {s:#x}", sender(s)) for s in sizes])
    assert set(verdicts.values()) == {"ended"}, verdicts


def test_header_flags(start, kind):
    """Versions other than 1, reserved bits, and a reply where a request belongs."""
    def sender(flags):
        return lambda stage: stage.front.send(vu.GET_QUEUE_NUM, flags=flags)

    rows = [(f"flags {f:#x}", sender(f)) for f in (0, 2, 3, 5, 0x11, 0x80000001, 0xffffffff)]
    verdicts = each(start, kind, "negotiated", rows)
    assert set(verdicts.values()) == {"ended"}, verdicts


def test_unknown_requests(start, kind):
    numbers = [0, 6, 7, 19, 20, 21, 23, 26, 27, 28, 29, 30, 31, 32, 33, 35, 41, 42, 43, 100,
               0x7fffffff, 0x80000000, 0xffffffff]

    def sender(number, payload, flags):
        return lambda stage: stage.front.send(number, payload, flags=flags)

    rows = []
    for n in numbers:
        rows.append((f"request {n:#x}", sender(n, b"", vu.VERSION)))
        rows.append((f"request {n:#x} with payload and need_reply",
                     sender(n, bytes(64), vu.VERSION | vu.FLAG_NEED_REPLY)))
    each(start, kind, "negotiated", rows)


def test_garbage_streams(start, kind):
    """Bytes that are no messages at all."""
    def sender(data):
        def send(stage):
            stage.front.send_bytes(data)
            stage.device.sock.shutdown(socket.SHUT_WR)
        return send

    rows = [("zeroes", sender(bytes(4096))), ("ones", sender(b"\xff" * 4096)),
            ("text", sender(b"GET / HTTP/1.1\r\n\r\n" * 40)),
            ("random", sender(random.Random(1).randbytes(4096)))]
    verdicts = each(start, kind, "fresh", rows)
    assert set(verdicts.values()) == {"ended"}, verdicts


# ---- descriptors ----

@pytest.mark.parametrize("n", [0, 1, 2, 8, 200])
def test_wrong_number_of_descriptors(start, kind, n):
    extra = os.eventfd(0)

    def sender(name):
        def send(stage):
            request, payload, fds = hostile.requests(stage)[name]
            if n == len(fds):
                fds = []
                payload = payload if request == vu.GET_FEATURES else payload + b"\0"
            stage.front.send(request, payload, [extra] * n)
            return request
        return send

    each(start, kind, "negotiated", [(name, sender(name)) for name in REQUEST_NAMES])
    os.close(extra)


def test_descriptors_do_not_pile_up(start, kind):
    """Refused or replaced descriptors are closed."""
    device = start(kind)
    stage = Stage(device).go("serving")
    before = device.process.n_fds()
    for _ in range(300):
        stage.front.tell(vu.SET_VRING_CALL, vu.u64(stage.index), [stage.queue.call_fd])
        stage.front.tell(vu.SET_VRING_ERR, vu.u64(stage.index), [stage.queue.err_fd])
        stage.front.set_mem_table(stage.memory)
    stage.verdict()  # the last message's descriptors are closed behind its answer
    assert device.process.n_fds() == before
    device.probe(stage.session)
    device.process.assert_idle()
    device.assert_bounded()


def test_memory_of_the_wrong_kind(start, kind, tmp_path):
    wrong = hostile.WrongFds(tmp_path)

    def sender(fd, request):
        def send(stage):
            r = stage.memory.regions[0].wire()
            if request == vu.SET_MEM_TABLE:
                assert not stage.front.try_tell(request, vu.mem_table([r]), [fd])
            else:
                assert not stage.front.try_tell(request, vu.mem_reg(*r), [fd])
        return send

    # QEMU's default, for the devices serve other monitors too; and huge pages' way
    allowed = {"unsealed memory file"} | ({"regular file"} if hostile.is_tmpfs(tmp_path) else set())
    for request in (vu.SET_MEM_TABLE, vu.ADD_MEM_REG):
        each(start, kind, "negotiated",
             [(f"{vu.NAMES[request]} with a {name}", sender(fd, request))
              for name, fd in wrong.fds.items() if name not in allowed])
    wrong.close()


@pytest.mark.parametrize("request_name", ["SET_VRING_KICK", "SET_VRING_CALL", "SET_VRING_ERR"])
@pytest.mark.parametrize("state", ["addr", "serving"])
def test_events_of_the_wrong_kind(start, kind, tmp_path, request_name, state):
    """Refused, or taken without a signal, a spin or a wait that never ends."""
    wrong = hostile.WrongFds(tmp_path)
    request = vars(vu)[request_name]

    def sender(fd):
        def send(stage):
            stage.front.send(request, vu.u64(stage.index), [fd])
            if state != "serving" and request != vu.SET_VRING_KICK:
                stage.front.send(vu.SET_VRING_KICK, vu.u64(stage.index), [stage.queue.kick_fd])
            stage.front.send(vu.SET_VRING_ENABLE, vu.vring_state(stage.index, 1))
            # A request, so that the device has reason to use what it was given.
            stage.queue.add(stage.device.chain(stage.memory))
            stage.queue.kick()
            for _ in range(3):
                stage.front.send(vu.SET_VRING_ENABLE, vu.vring_state(stage.index, 1))
            if stage.verdict() == "serves":
                stage.device.process.assert_idle()
        return send

    each(start, kind, state, [(name, sender(fd)) for name, fd in wrong.fds.items()])
    wrong.close()


# ---- order ----

@pytest.mark.parametrize("state", STATES)
def test_every_request_in_every_state(start, kind, state):
    def sender(name):
        def send(stage):
            request, payload, fds = hostile.requests(stage)[name]
            stage.front.send(request, payload, fds)
            return request
        return send

    each(start, kind, state, [(name, sender(name)) for name in REQUEST_NAMES])


def test_every_request_twice_with_an_answer_asked_for(start, kind):
    """NEED_REPLY on everything: one answer each, never two."""
    def sender(name):
        def send(stage):
            for _ in range(2):
                request, payload, fds = hostile.requests(stage)[name]
                stage.front.ask(request, payload, fds, vu.VERSION | vu.FLAG_NEED_REPLY)
            return request
        return send

    each(start, kind, "serving", [(name, sender(name)) for name in REQUEST_NAMES])


class _Cut(Exception):
    pass


def test_disconnect_after_every_message(start, kind):
    n = 0
    finished = False
    while not finished:
        with case(f"after {n} messages"):
            device = start(kind)
            stage = Stage(device)
            left = n
            send_bytes = stage.front.send_bytes

            def send_some(data, fds=()):
                nonlocal left
                if left == 0:
                    raise _Cut
                left -= 1
                send_bytes(data, fds)

            stage.front.send_bytes = send_some
            try:
                stage.go("serving")
                finished = True
            except _Cut:
                pass
            device.sock.shutdown(socket.SHUT_RDWR)
            device.process.assert_clean_end()
            device.assert_bounded()
            device.close()
        n += 1
    assert n > 10


def test_vmm_that_never_reads_its_answers(start, kind):
    """The device may wait or end, but keeps nothing in memory for it."""
    device = start(kind)
    device.sock.setblocking(False)
    wire = vu.message(vu.GET_FEATURES) * 1000
    sent = 0
    try:
        for _ in range(100):
            sent += device.sock.send(wire)
    except OSError:
        pass
    assert sent
    device.assert_bounded()
    device.sock.setblocking(True)
    device.sock.close()
    device.process.assert_clean_end()


def test_supervisor_goes_away(start, kind):
    """In any state, the end of the control channel ends the device."""
    for state in STATES:
        with case(state):
            device = start(kind)
            Stage(device).go(state)
            device.process.control.shutdown(socket.SHUT_RDWR)
            device.process.wait_end()
            assert device.process.status in (0, 1)
            device.close()


# ---- numbers ----

BAD_INDICES = [2, 3, 4, 16, 0x7f, 0x80, 0xfe, 0xff]
BAD_INDICES_32 = [0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff]


def test_queue_indices_that_are_not_there(start, kind):
    """CVE-2011-2512: a queue's number is an index."""
    def sender(request, payload, fd):
        def send(stage):
            fds = {None: [], "call": [stage.queue.call_fd]}[fd]
            stage.front.send(request, payload(stage), fds)
            if request == vu.GET_VRING_BASE:
                return request
            return None
        return send

    rows = []
    for i in BAD_INDICES + BAD_INDICES_32:
        for request in (vu.SET_VRING_NUM, vu.SET_VRING_BASE, vu.GET_VRING_BASE,
                        vu.SET_VRING_ENABLE):
            rows.append((f"{vu.NAMES[request]} {i:#x}",
                         sender(request, lambda s, i=i: vu.vring_state(i, 1), None)))
        rows.append((f"SET_VRING_ADDR {i:#x}", sender(
            vu.SET_VRING_ADDR, lambda s, i=i: vu.vring_addr(i, 0, *s.queue.uaddrs()), None)))
    for i in BAD_INDICES:
        for request in (vu.SET_VRING_KICK, vu.SET_VRING_CALL, vu.SET_VRING_ERR):
            rows.append((f"{vu.NAMES[request]} {i:#x}",
                         sender(request, lambda s, i=i: vu.u64(i), "call")))
    verdicts = each(start, kind, "serving", rows)
    assert "ended" in verdicts.values()


@pytest.mark.parametrize("num", [0, 3, 65, 0x7fff, 0x8001, 0x10000, 0x10040, 0x80000000,
                                 0xffffffff])
def test_queue_sizes(start, kind, num):
    def send(stage):
        assert not stage.front.try_tell(vu.SET_VRING_NUM, vu.vring_state(stage.index, num))

    each(start, kind, "memory", [(f"num {num:#x}", send)])


@pytest.mark.parametrize("what", ["num", "base", "addr"])
def test_queue_changed_while_it_runs(start, kind, what):
    """CVE-2026-5747: a larger size after the start lets indices through that were checked against
    the smaller one. What a ring is, is frozen from its start to its stop."""
    device = start(kind)
    stage = Stage(device).go("serving")
    request, payload = {
        "num": (vu.SET_VRING_NUM, vu.vring_state(stage.index, 128)),
        "base": (vu.SET_VRING_BASE, vu.vring_state(stage.index, 7)),
        "addr": (vu.SET_VRING_ADDR,
                 vu.vring_addr(stage.index, 0, *(a + 64 for a in stage.queue.uaddrs())))}[what]
    assert not stage.front.try_tell(request, payload)
    stage.verdict()
    device.assert_bounded()


def test_queue_addresses(start, kind):
    high = 1 << 64

    def rows():
        for part, name in enumerate(("desc", "used", "avail")):
            for what, change in (
                    ("outside", lambda r, a: 0x1000), ("zero", lambda r, a: 0),
                    ("the guest's, not the front end's", lambda r, a: r.gpa + a - r.uaddr),
                    ("last byte of RAM", lambda r, a: r.uaddr + r.size - 1),
                    ("straddling the end", lambda r, a: r.uaddr + r.size - 16),
                    ("at the end", lambda r, a: r.uaddr + r.size),
                    ("below the start", lambda r, a: r.uaddr - 16),
                    ("unaligned", lambda r, a: a + 1),
                    ("wrapping", lambda r, a: high - 16), ("-1", lambda r, a: high - 1),
                    ("sign", lambda r, a: 1 << 63)):
                yield f"{name} {what}", part, change

    def sender(part, change):
        def send(stage):
            addresses = stage.queue.uaddrs()
            addresses[part] = change(stage.memory.regions[0], addresses[part])
            if stage.front.try_tell(vu.SET_VRING_ADDR, vu.vring_addr(stage.index, 0, *addresses)):
                stage.front.tell(vu.SET_VRING_KICK, vu.u64(stage.index), [stage.queue.kick_fd])
                stage.front.tell(vu.SET_VRING_ENABLE, vu.vring_state(stage.index, 1))
                stage.queue.kick()
                assert stage.session.needs_reset()
        return send

    each(start, kind, "num", [(name, sender(part, change)) for name, part, change in rows()])


def test_start_without_what_it_takes(start, kind):
    """A kick descriptor before addresses, a size, memory; then a kick."""
    def sender(skip):
        def send(stage):
            f, q = stage.front, stage.queue
            steps = [
                ("memory", lambda: f.send(
                    vu.SET_MEM_TABLE, vu.mem_table([r.wire() for r in stage.memory.regions]),
                    [r.fd for r in stage.memory.regions])),
                ("num", lambda: f.send(vu.SET_VRING_NUM, vu.vring_state(stage.index, q.num))),
                ("addr", lambda: f.send(vu.SET_VRING_ADDR, vu.vring_addr(stage.index, 0, *q.uaddrs()))),
                ("call", lambda: f.send(vu.SET_VRING_CALL, vu.u64(stage.index), [q.call_fd])),
                ("kick", lambda: f.send(vu.SET_VRING_KICK, vu.u64(stage.index), [q.kick_fd])),
                ("enable", lambda: f.send(vu.SET_VRING_ENABLE, vu.vring_state(stage.index, 1))),
                ("status", lambda: f.send(vu.SET_STATUS, vu.u64(15)))]
            q.add(stage.device.chain(stage.memory))
            for name, step in steps:
                if name not in skip:
                    step()
            q.kick()
        return send

    names = ["memory", "num", "addr", "call", "kick", "enable", "status"]
    rows = [(f"without {n}", sender({n})) for n in names]
    rows += [(f"only {n}", sender(set(names) - {n})) for n in names]
    each(start, kind, "negotiated", rows)


def test_memory_tables(start, kind):
    size = 1 << 20
    top = 1 << 64
    good = (0, size, 0x7f0000000000, 0)
    tables = {
        "overlapping in guest addresses": [good, (size - 4096, size, 0x7e0000000000, 0)],
        "overlapping in front-end addresses": [good, (1 << 32, size, 0x7f0000000000 + 4096, 0)],
        "the same twice": [good, good],
        "size 0": [(0, 0, 0x7f0000000000, 0)],
        "size 1": [(0, 1, 0x7f0000000000, 0)],
        "size not of pages": [(0, size + 512, 0x7f0000000000, 0)],
        "guest address not of pages": [(512, size, 0x7f0000000000, 0)],
        "offset not of pages": [(0, size, 0x7f0000000000, 512)],
        "larger than the file": [(0, 1 << 40, 0x7f0000000000, 0)],
        "offset behind the file": [(0, size, 0x7f0000000000, 1 << 40)],
        "offset and size wrap": [(0, size, 0x7f0000000000, top - size)],
        "offset negative": [(0, size, 0x7f0000000000, 1 << 63)],
        "size 2^63": [(0, 1 << 63, 0, 0)],
        "size 2^64 - 4096": [(0, top - 4096, 0, 0)],
        "guest address wraps": [(top - 4096, size, 0x7f0000000000, 0)],
        "front-end address wraps": [(0, size, top - 4096, 0)],
    }

    def sender(regions):
        def send(stage):
            assert not stage.front.try_tell(vu.SET_MEM_TABLE, vu.mem_table(regions),
                                            [stage.memory.fd] * len(regions))
        return send

    each(start, kind, "negotiated", [(n, sender(t)) for n, t in tables.items()])

    def add(regions):
        def send(stage):
            done = [stage.front.try_tell(vu.ADD_MEM_REG, vu.mem_reg(*r), [stage.memory.fd])
                    for r in regions]
            assert not all(done)
        return send

    each(start, kind, "negotiated", [(f"ADD_MEM_REG, {n}", add(t)) for n, t in tables.items()])


def test_memory_table_counts(start, kind):
    def sender(said, given, fds):
        def send(stage):
            regions = [(i << 30, 1 << 20, 0x7e0000000000 + (i << 30), 0) for i in range(given)]
            assert not stage.front.try_tell(vu.SET_MEM_TABLE, vu.mem_table(regions, said),
                                            [stage.memory.fd] * fds)
        return send

    rows = [(f"says {s}, gives {g}, {f} descriptors", sender(s, g, f)) for s, g, f in (
        (0, 0, 0), (0, 1, 1), (2, 1, 1), (1, 2, 2), (2, 2, 1), (1, 1, 2), (9, 9, 9), (8, 8, 7),
        (9, 8, 8), (0xffffffff, 1, 1), (0x80000000, 1, 1), (0x08000001, 1, 1))]
    each(start, kind, "negotiated", rows)


def test_memory_slots_run_out(start, kind):
    """ADD_MEM_REG without end is refused; nothing piles up."""
    device = start(kind)
    stage = Stage(device).go("negotiated")
    slots = stage.front.ask_u64(vu.GET_MAX_MEM_SLOTS)
    assert 1 <= slots <= 512
    added = 0
    while added <= slots:
        region = (added << 30, 1 << 20, 0x7e0000000000 + (added << 30), 0)
        if not stage.front.try_tell(vu.ADD_MEM_REG, vu.mem_reg(*region), [stage.memory.fd]):
            break
        added += 1
    assert added == slots
    if device.process.alive and stage.verdict() == "serves":
        stage.recover()
    device.assert_bounded()


@pytest.mark.parametrize("how", ["SET_MEM_TABLE", "REM_MEM_REG", "smaller"])
def test_memory_taken_away_while_it_runs(start, kind, how):
    """The rings are no longer in RAM when the next kick comes."""
    device = start(kind)
    stage = Stage(device).go("serving")
    region = stage.memory.regions[0].wire()
    other = guest.sealed_memfd(1 << 20)
    if how == "SET_MEM_TABLE":
        stage.front.send(vu.SET_MEM_TABLE, vu.mem_table([(1 << 40, 1 << 20, 0x1000000, 0)]), [other])
    elif how == "smaller":
        stage.front.send(vu.SET_MEM_TABLE, vu.mem_table([(0, 4096, region[2], 0)]), [other])
    else:
        stage.front.send(vu.REM_MEM_REG, vu.mem_reg(*region))
    stage.queue.add(device.chain(stage.memory))
    stage.queue.kick()
    if stage.verdict() == "serves":
        device.process.assert_idle()
        stage.recover()
    device.assert_bounded()
    os.close(other)


def test_memory_file_cut_under_the_device(start, kind):
    """A vmm that shares a file without F_SEAL_SHRINK and then cuts it: the one signal by design.
    SIGBUS ends the device, which is all that such a vmm gets."""
    device = start(kind)
    stage = Stage(device).go("negotiated")
    memory = guest.sealed_memfd(10 << 20, 0)
    regions = [r.wire() for r in stage.memory.regions]
    if stage.front.try_tell(vu.SET_MEM_TABLE, vu.mem_table(regions), [memory] * len(regions)):
        for step in ("_num", "_addr", "_call"):
            getattr(stage, step)()
        os.ftruncate(memory, 0)
        with contextlib.suppress(vu.Closed):  # whichever of these it looks at the ring for first
            stage.front.send(vu.SET_VRING_KICK, vu.u64(stage.index), [stage.queue.kick_fd])
            stage.front.send(vu.SET_VRING_ENABLE, vu.vring_state(stage.index, 1))
            stage.queue.kick()
        assert device.process.wait_end() == 128 + signal.SIGBUS
    else:
        stage.verdict()
    os.close(memory)


def test_memory_table_again_while_it_runs(start, kind):
    """A table that holds the rings still, as when the guest plugs memory: nothing is lost."""
    device = start(kind)
    stage = Stage(device).go("serving")
    for _ in range(20):
        stage.front.set_mem_table(stage.memory)
        device.probe(stage.session)
    device.assert_bounded()


def test_interrupt_replaced_while_it_runs(start, kind):
    """As when the guest masks a vector: the new descriptor is used, the old one is dead."""
    device = start(kind)
    stage = Stage(device).go("serving")
    q = stage.queue
    for _ in range(20):
        old, q.call_fd = q.call_fd, os.eventfd(0, os.EFD_NONBLOCK)
        stage.front.tell(vu.SET_VRING_CALL, vu.u64(stage.index), [q.call_fd])
        try:
            os.eventfd_read(old)  # an interrupt behind the completion that was already taken
        except BlockingIOError:
            pass
        device.probe(stage.session)
        with pytest.raises(BlockingIOError):
            os.eventfd_read(old)
        os.close(old)
    device.assert_bounded()


def test_kick_replaced_while_it_runs(start, kind):
    """Refused, or the new one is used and the old one is no longer read."""
    device = start(kind)
    stage = Stage(device).go("serving")
    q = stage.queue
    old, q.kick_fd = q.kick_fd, os.eventfd(0, os.EFD_NONBLOCK)
    if stage.front.try_tell(vu.SET_VRING_KICK, vu.u64(stage.index), [q.kick_fd]):
        device.probe(stage.session)
        os.eventfd_write(old, 1)
        device.probe(stage.session)
        assert os.eventfd_read(old) == 1, "the old kick descriptor is still read"
    else:
        stage.verdict()
    os.close(old)
    device.assert_bounded()


def test_configuration_space(start, kind):
    def sender(request, offset, size, data):
        def send(stage):
            stage.front.send(request, vu.config(offset, size, data=bytes(data)))
            return request
        return send

    rows = []
    for request in (vu.GET_CONFIG, vu.SET_CONFIG):
        for offset, size, data in ((0, 0, 0), (0, 256, 256), (0, 257, 257), (0, 500, 500),
                                   (255, 2, 2), (256, 1, 1), (0xffffffff, 1, 1),
                                   (0xffffffff, 256, 256), (0x80000000, 8, 8), (0, 8, 7),
                                   (0, 7, 8), (0, 0xffffffff, 8), (0xfffffff8, 16, 16)):
            rows.append((f"{vu.NAMES[request]} {offset:#x}+{size:#x}, {data} bytes",
                         sender(request, offset, size, data)))
    each(start, kind, "serving", rows)


def test_kick_storm(start, kind):
    """Kicks with nothing in the ring cost little and leave nothing."""
    device = start(kind)
    stage = Stage(device).go("serving")
    for _ in range(20000):
        os.eventfd_write(stage.queue.kick_fd, 1)
    device.probe(stage.session)
    device.assert_bounded()
