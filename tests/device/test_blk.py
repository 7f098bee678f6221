# SPDX-License-Identifier: Apache-2.0
"""dev-blk: what a guest's driver may ask for, at every edge, and what it must not get."""

import ctypes
import mmap
import os
import random
import re
import struct

import pytest

from bh import blk, guest, process
from bh.blk import SECTOR
from bh.devices import Blk
from bh.guest import Buf, CANARY
from bh.hostile import case

SECTORS = 2048
MAX64 = (1 << 64) - 1


def pattern(n, seed=1):
    """Bytes without the canary, so that a byte that nobody wrote is told from one that was."""
    return random.Random(seed).randbytes(n).replace(bytes([CANARY]), b"\0")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(pattern(SECTORS * SECTOR))
    return path


@pytest.fixture
def disk(start, image):
    """A running device on the image, and its driver."""
    return open_disk(start, image)


def open_disk(start, image, queues=1, readonly=False, serial="bulkhead-test", **how):
    device = start(Blk, image=image, queues=queues, readonly=readonly, serial=serial)
    how.setdefault("n_queues", queues)
    d = blk.Disk(device.open(**how))
    d.device = device
    d.config = blk.Config(d.session.front.get_config(0, blk.Config.SIZE))
    return d


# ---- right use ----

def test_configuration(disk):
    assert disk.config.capacity == SECTORS
    assert disk.config.seg_max >= 1
    assert disk.config.blk_size in (0, 512)
    assert disk.session.front.features & blk.F_FLUSH
    assert not disk.session.front.offered & blk.F_RO


@pytest.mark.parametrize("event_idx", [False, True], ids=["flags", "event-idx"])
@pytest.mark.parametrize("indirect", [False, True], ids=["direct", "indirect"])
@pytest.mark.parametrize("queues", [1, 4])
def test_random_operations_against_a_model(start, image, event_idx, indirect, queues):
    """10 000 operations over the eight kinds of ring; the image equals the model at the end."""
    disk = open_disk(start, image, queues, event_idx=event_idx, indirect=indirect)
    model = bytearray(image.read_bytes())
    rand = random.Random(queues * 4 + event_idx * 2 + indirect)
    for step in range(1250):
        n = rand.randint(1, 24)
        sector = rand.randint(0, SECTORS - n)
        span = slice(sector * SECTOR, (sector + n) * SECTOR)
        how = {"queue": rand.randrange(queues), "indirect": indirect and rand.random() < 0.7,
               "sizes": [rand.choice((1, 7, 511, 512, 513, 4096))
                         for _ in range(rand.randint(0, 12))]}
        kind = rand.random()
        if kind < 0.45:
            data = pattern(n * SECTOR, rand.random())
            disk.write(sector, data, **how)
            model[span] = data
        elif kind < 0.9:
            assert disk.read(sector, n, **how) == model[span], f"step {step}"
        elif kind < 0.95:
            assert disk.do(blk.T_WRITE_ZEROES, 0, blk.range_(sector, n))[0] == blk.S_OK
            model[span] = bytes(n * SECTOR)
        else:
            disk.flush()
    assert image.read_bytes() == model
    disk.device.assert_bounded()


def test_idle_after_holes(disk):
    """What told of a hole that is punched is taken, too: nothing keeps the loop awake."""
    for i in range(3):
        assert disk.do(blk.T_DISCARD, 0, blk.range_(i * 8, 8))[0] == blk.S_OK
        disk.device.process.assert_idle()


def takes_direct(image, block):
    """Whether its file system has O_DIRECT for blocks of this size."""
    try:
        fd = os.open(image, os.O_RDONLY | os.O_DIRECT)
    except OSError:
        return False
    try:
        os.preadv(fd, [mmap.mmap(-1, block)], 0)
        return True
    except OSError:
        return False
    finally:
        os.close(fd)


@pytest.mark.parametrize("block", [512, 4096])
def test_past_the_hosts_cache(start, image, block):
    """cache=none: the same, also for memory that is laid out as O_DIRECT does not take it."""
    if not takes_direct(image, block):
        pytest.skip("no O_DIRECT of this size here")
    device = start(Blk, image=image, cache="none", logical_block_size=block,
                   physical_block_size=4096)
    disk = blk.Disk(device.open(num=128))
    config = blk.Config(disk.session.front.get_config(0, blk.Config.SIZE))
    assert config.blk_size == block
    with open(f"/proc/{device.process.pid}/fdinfo/5", encoding="ascii") as f:
        assert int(re.search(r"flags:\s*(\d+)", f.read())[1], 8) & os.O_DIRECT
    model = bytearray(image.read_bytes())
    rand = random.Random(block)
    per_block = block // SECTOR
    for step in range(200):
        n = rand.randint(1, 5) * per_block
        sector = rand.randint(0, (SECTORS - n) // per_block) * per_block
        span = slice(sector * SECTOR, (sector + n) * SECTOR)
        sizes = [rand.choice((1, 7, 512, 4096)) for _ in range(rand.randint(0, 12))]
        disk.memory.alloc(rand.choice((1, 512)), 1)
        if rand.random() < 0.5:
            data = pattern(n * SECTOR, rand.random())
            disk.write(sector, data, sizes=sizes)
            model[span] = data
        else:
            assert disk.read(sector, n, sizes=sizes) == model[span], f"step {step}"
    disk.flush()
    assert disk.do(blk.T_IN, 1, in_len=512)[0] == (blk.S_OK if block == 512 else blk.S_IOERR)
    assert image.read_bytes() == model
    device.assert_bounded()


def test_many_in_flight_on_four_queues(start, image):
    disk = open_disk(start, image, queues=4, num=128)
    model = image.read_bytes()
    rand = random.Random(3)
    for _ in range(10):
        flying = [{} for _ in range(4)]
        for q in range(4):
            for _ in range(30):
                n = rand.randint(1, 8)
                sector = rand.randint(0, SECTORS - n)
                request = blk.Request(disk.memory, blk.T_IN, sector, in_len=n * SECTOR)
                flying[q][disk.session.queues[q].add(request.bufs)] = request, sector, n
            disk.session.queues[q].notify()
        for q in range(4):
            for head, written in disk.session.wait(len(flying[q]), q):
                request, sector, n = flying[q].pop(head)
                assert (request.status, written) == (blk.S_OK, n * SECTOR + 1)
                assert request.result() == model[sector * SECTOR:(sector + n) * SECTOR]
        disk.rewind()


@pytest.mark.parametrize("segments", [1, 2, 3, 31, 62])
def test_segments(disk, segments):
    data = pattern(segments * SECTOR, segments)
    sizes = [SECTOR] * segments
    disk.write(5, data, sizes=sizes)
    assert disk.read(5, segments, sizes=sizes) == data


def test_largest_request_that_is_offered(start, image):
    """seg_max segments at once."""
    disk = open_disk(start, image, num=1024)
    segments = min(disk.config.seg_max, 1000)
    size = SECTORS * SECTOR // 2 // segments & ~511 or SECTOR
    n = min(segments * size // SECTOR, SECTORS)
    data = pattern(n * SECTOR, 9)
    disk.write(0, data, sizes=[size] * segments, indirect=True)
    assert disk.read(0, n, sizes=[size] * segments, indirect=True) == data


def test_any_layout_of_a_request(disk):
    """2.7.4.1: how header, data and status are cut into descriptors says nothing."""
    rand = random.Random(4)
    memory = disk.memory
    expected = disk.read(9, 2)
    for step in range(60):
        with case(f"step {step}"):
            readable = memory.put(blk.header(blk.T_IN, 9))
            writable = memory.put(bytes([CANARY]) * 1025)
            cuts = [rand.choice((1, 3, 8, 15, 100)) for _ in range(rand.randint(0, 6))]
            bufs = blk.spread(readable, 16, cuts, False)
            bufs += blk.spread(writable, 1025, rand.choice((cuts, [1024], [1023], [])), True)
            disk.session.submit(bufs, indirect=step % 2 == 0)
            [(_, written)] = disk.session.wait()
            assert written == 1025
            assert memory.read(writable, 1025) == expected + b"\0"
            disk.rewind()
    one = memory.put(blk.header(blk.T_OUT, 20) + pattern(1024, 5))
    status = memory.put(b"\xee")
    disk.session.submit([Buf(one, 16 + 1024), Buf(status, 1, True)])
    disk.session.wait()
    assert memory.read(status, 1) == b"\0"
    assert disk.read(20, 2) == pattern(1024, 5)


def test_writes_reach_the_image(disk, image):
    data = pattern(SECTOR, 6)
    disk.write(SECTORS - 1, data)
    disk.flush()
    assert image.read_bytes()[-SECTOR:] == data


@pytest.mark.parametrize("unmap", [0, blk.WRITE_ZEROES_UNMAP])
def test_write_zeroes(disk, image, unmap):
    before = image.read_bytes()
    assert disk.do(blk.T_WRITE_ZEROES, 0, blk.range_(3, 9, unmap))[0] == blk.S_OK
    expected = before[:3 * SECTOR] + bytes(9 * SECTOR) + before[12 * SECTOR:]
    assert image.read_bytes() == expected


def test_discard(disk, image):
    """The range is given back to the host; its neighbours are as they were."""
    before, blocks = image.read_bytes(), image.stat().st_blocks
    assert disk.do(blk.T_DISCARD, 0, blk.range_(512, 1024))[0] == blk.S_OK
    after = image.read_bytes()
    assert len(after) == len(before)
    assert after[:512 * SECTOR] == before[:512 * SECTOR]
    assert after[1536 * SECTOR:] == before[1536 * SECTOR:]
    assert image.stat().st_blocks < blocks


def test_get_id(start, image):
    disk = open_disk(start, image, serial="ABC-123")
    for length in (20, 21, 512):
        status, written, data = disk.do(blk.T_GET_ID, 0, in_len=length)
        assert status == blk.S_OK
        assert data[:20] == b"ABC-123".ljust(20, b"\0")
        assert data[20:] in (bytes(length - 20), bytes([CANARY]) * (length - 20))
    assert open_disk(start, image, serial="x" * 20).do(blk.T_GET_ID, 0, in_len=20)[2] == b"x" * 20


# ---- wrong use ----

@pytest.fixture
def refused(disk, image):
    """refused(...) asserts that a request fails, changes nothing and says no lie about what it
    wrote; then the device must serve."""
    before = image.read_bytes()

    def check(kind, sector=0, data=b"", in_len=0, status=(blk.S_IOERR,), **how):
        request = blk.Request(disk.memory, kind, sector, data, in_len, **how)
        disk.session.submit(request.bufs)
        [(_, written)] = disk.session.wait()
        assert request.status in status, f"status {request.status}"
        result = request.result() if in_len else b""
        really = len(result) - len(result.lstrip(bytes(set(range(256)) - {CANARY})))
        if really == in_len:
            really += 1
        assert written <= really, f"{written} bytes said to be written, {really} were"
        assert result.strip(b"\0").strip(bytes([CANARY])) == b"", "somebody's bytes"
        disk.rewind()

    yield check
    assert image.read_bytes() == before
    assert disk.read(0, 4) == before[:4 * SECTOR]
    disk.device.assert_bounded()


OUTSIDE = [(SECTORS, 1), (SECTORS - 1, 2), (SECTORS + 1, 1), (SECTORS - 7, 8), (1 << 32, 1),
           (MAX64, 1), (MAX64, 2), (MAX64 - 1, 8), (1 << 55, 1), (1 << 55, 8), ((1 << 55) - 1, 2),
           (1 << 63, 1), ((1 << 63) - 1, 1), (1 << 54, 1)]


@pytest.mark.parametrize("sector,n", OUTSIDE)
def test_outside_of_the_disk(refused, sector, n):
    refused(blk.T_IN, sector, in_len=n * SECTOR)
    refused(blk.T_OUT, sector, pattern(n * SECTOR))


def test_last_sector(disk):
    assert len(disk.read(SECTORS - 1, 1)) == SECTOR
    assert len(disk.read(SECTORS - 8, 8)) == 8 * SECTOR
    disk.write(SECTORS - 1, pattern(SECTOR))


@pytest.mark.parametrize("length", [1, 2, 511, 513, 1023, 4095])
def test_lengths_that_are_no_sectors(refused, length):
    refused(blk.T_IN, 0, in_len=length)
    refused(blk.T_OUT, 0, pattern(length))


def test_nothing_to_transfer(disk):
    """No data at all: an answer, whichever, and no write of it (CVE-2026-48914)."""
    for kind in (blk.T_IN, blk.T_OUT, blk.T_GET_ID, blk.T_DISCARD, blk.T_WRITE_ZEROES):
        with case(kind):
            status, written, _ = disk.do(kind)
            assert status in (blk.S_OK, blk.S_IOERR, blk.S_UNSUPP) and written <= 1


@pytest.mark.parametrize("kind", [2, 3, 5, 6, 7, 9, 10, 12, 14, 16, 0x80000000, 0xffffffff])
def test_unknown_request_types(refused, kind):
    refused(kind, 0, in_len=512, status=(blk.S_UNSUPP,))
    refused(kind, 0, pattern(512), status=(blk.S_UNSUPP,))


@pytest.mark.parametrize("kind", [blk.T_DISCARD, blk.T_WRITE_ZEROES])
@pytest.mark.parametrize("sector,n", OUTSIDE + [(0, 0xffffffff), (1, 0x80000000), (0, SECTORS + 1),
                                               (MAX64, 0xffffffff)])
def test_ranges_outside_of_the_disk(refused, kind, sector, n):
    refused(kind, 0, blk.range_(sector, n))


@pytest.mark.parametrize("kind", [blk.T_DISCARD, blk.T_WRITE_ZEROES])
def test_malformed_ranges(refused, disk, kind):
    good = blk.range_(0, 8)
    for length in (1, 8, 15, 17, 31):
        with case(f"{length} bytes"):
            refused(kind, 0, (good * 2)[:length])
    most = disk.config.max_discard_seg if kind == blk.T_DISCARD else disk.config.max_write_zeroes_seg
    with case("more ranges than offered"):
        refused(kind, 0, blk.range_(SECTORS, 1) * (most + 1))
    with case("flags"):
        refused(kind, 0, blk.range_(0, 8, 0xfffffffe), status=(blk.S_IOERR, blk.S_UNSUPP))
    if kind == blk.T_DISCARD:
        refused(kind, 0, blk.range_(0, 8, blk.WRITE_ZEROES_UNMAP),
                status=(blk.S_UNSUPP, blk.S_IOERR))


def test_get_id_with_too_little_room(disk):
    """Cut or refused; never more than there is room for."""
    for length in (1, 19):
        status, written, data = disk.do(blk.T_GET_ID, 0, in_len=length)
        assert status in (blk.S_OK, blk.S_IOERR)
        assert written <= length + 1


def test_requests_without_a_header_or_a_status(start, image):
    """The chain is no request; the ring is broken, or it comes back without a byte written."""
    before = image.read_bytes()
    device = start(Blk, image=image)
    session = device.open()
    memory = session.memory
    header = memory.put(blk.header(blk.T_OUT, 0))
    out = memory.put(pattern(512))
    room = memory.put(bytes([CANARY]) * 1024)
    chains = {
        "header of 1 byte": [Buf(header, 1), Buf(room, 1, True)],
        "header of 15 bytes": [Buf(header, 15), Buf(room, 1, True)],
        "no header": [Buf(room, 513, True)],
        "no status": [Buf(header, 16), Buf(out, 512)],
        "only a header": [Buf(header, 16)],
    }
    for name, bufs in chains.items():
        with case(name):
            session.submit(bufs)
            session.settle()
            if not session.needs_reset():
                [(_, written)] = session.wait()
                assert written <= 1
            session.restart()
            session.memory.next = max(memory.next, 65536)
    assert image.read_bytes() == before
    device.probe(session)


def test_buffers_outside_of_ram(disk, image):
    """Any part of the data that is no RAM: an error, or the ring is broken; nothing is written."""
    before = image.read_bytes()
    memory, session = disk.memory, disk.session
    good = memory.put(bytes(4096))
    for bad in (64 << 20, (8 << 20) - 256, (1 << 64) - 512):
        for kind in (blk.T_IN, blk.T_OUT):
            for order in (0, 1):
                with case(f"{bad:#x} type {kind} order {order}"):
                    write = kind == blk.T_IN
                    pieces = [Buf(good, 512, write), Buf(bad, 512, write)]
                    if order:
                        pieces.reverse()
                    head = memory.put(blk.header(kind, 0))
                    status = memory.put(b"\xee")
                    session.submit([Buf(head, 16), *pieces, Buf(status, 1, True)])
                    session.settle()
                    if session.needs_reset():
                        session.restart()
                    else:
                        session.wait()
                        assert memory.read(status, 1)[0] == blk.S_IOERR
    assert image.read_bytes() == before
    disk.device.probe(session)


# ---- read-only ----

def test_read_only(start, image):
    disk = open_disk(start, image, readonly=True)
    before = image.read_bytes()
    assert disk.session.front.offered & blk.F_RO
    assert disk.read(0, 8) == before[:8 * SECTOR]
    assert disk.do(blk.T_OUT, 0, pattern(512, 7))[0] in (blk.S_IOERR, blk.S_UNSUPP)
    for kind in (blk.T_DISCARD, blk.T_WRITE_ZEROES):
        assert disk.do(kind, 0, blk.range_(0, 8))[0] in (blk.S_IOERR, blk.S_UNSUPP)
    assert disk.do(blk.T_FLUSH)[0] in (blk.S_OK, blk.S_UNSUPP)
    assert image.read_bytes() == before


def test_read_only_on_a_descriptor_that_could_write(build, image):
    """--readonly=on is the device's own word, whatever the descriptor allows."""
    class Writable(Blk):
        def make_fds(self):
            self.image_fd = os.open(image, os.O_RDWR)
            return {5: self.image_fd}

    before = image.read_bytes()
    with Writable(build, image=image, readonly=True) as device:
        disk = blk.Disk(device.open())
        assert disk.do(blk.T_OUT, 0, pattern(512, 8))[0] != blk.S_OK
        assert disk.do(blk.T_WRITE_ZEROES, 0, blk.range_(0, 8))[0] != blk.S_OK
    assert image.read_bytes() == before


# ---- the host's errors ----

def test_image_that_shrinks(disk, image):
    """A host that cuts the image: errors for what is gone, service for what is there."""
    before = image.read_bytes()
    os.truncate(image, SECTORS * SECTOR // 2)
    for sector in (SECTORS // 2, SECTORS - 1, SECTORS // 2 - 1):
        status, written, data = disk.do(blk.T_IN, sector, in_len=2 * SECTOR if sector < SECTORS - 1
                                        else SECTOR)
        assert status == blk.S_IOERR
        assert written <= len(data) + 1
    assert disk.read(3, 5) == before[3 * SECTOR:8 * SECTOR]
    disk.device.assert_bounded()


def test_image_that_grows(disk, image):
    """The disk is as large as it was at the start, whatever the host adds."""
    os.truncate(image, 2 * SECTORS * SECTOR)
    for sector, n in ((SECTORS, 1), (SECTORS - 1, 2), (SECTORS + 8, 8)):
        status, written, _ = disk.do(blk.T_IN, sector, in_len=n * SECTOR)
        assert (status, written) == (blk.S_IOERR, 0)
        assert disk.do(blk.T_OUT, sector, pattern(n * SECTOR))[0] == blk.S_IOERR
    assert image.read_bytes()[SECTORS * SECTOR:] == bytes(SECTORS * SECTOR)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a file system takes root")
def test_host_that_is_full(start, tmp_path):
    """ENOSPC is an I/O error for the guest; the device lives, and goes on when there is room."""
    libc = ctypes.CDLL(None, use_errno=True)
    where = str(tmp_path / "small")
    os.mkdir(where)
    assert libc.mount(b"tmpfs", where.encode(), b"tmpfs", 0, b"size=1m") == 0, \
        os.strerror(ctypes.get_errno())
    device = None
    try:
        path = os.path.join(where, "disk.raw")
        with open(path, "wb") as f:
            f.truncate(4 << 20)
        with open(os.path.join(where, "ballast"), "wb") as f:
            f.write(bytes(512 << 10))
        disk = open_disk(start, path)
        device = disk.device
        statuses = [disk.do(blk.T_OUT, i * 128, pattern(128 * SECTOR, i))[0] for i in range(16)]
        assert statuses[0] == blk.S_OK
        assert statuses[-1] == blk.S_IOERR
        assert disk.read(0, 128) == pattern(128 * SECTOR, 0)
        os.unlink(os.path.join(where, "ballast"))
        disk.write(15 * 128, pattern(128 * SECTOR, 15))
        assert disk.read(15 * 128, 128) == pattern(128 * SECTOR, 15)
    finally:
        if device:
            device.close()
        libc.umount2(where.encode(), 2)


def test_image_that_is_none(build, tmp_path):
    """A descriptor that is no image: one line, status 1, before anything hostile is read."""
    r, w = os.pipe()
    directory = os.open(tmp_path, os.O_RDONLY)
    event = os.eventfd(0)
    null = os.open("/dev/null", os.O_RDWR)

    for name, fd in (("pipe", r), ("directory", directory), ("eventfd", event), ("null", null)):
        class Wrong(Blk):
            def make_fds(self, fd=fd):
                self.image_fd = os.dup(fd)
                return {5: self.image_fd}

        with case(name), pytest.raises(process.Ended) as ended:
            Wrong(build)
        assert "FAILED" in str(ended.value) and "status 1" in str(ended.value)
    for fd in (r, w, directory, event, null):
        os.close(fd)


@pytest.mark.parametrize("extra", [1, 511])
def test_image_of_no_whole_sectors(start, tmp_path, extra):
    """What is no whole sector is not there."""
    path = tmp_path / "odd.raw"
    path.write_bytes(pattern(8 * SECTOR + extra))
    disk = open_disk(start, path)
    assert disk.config.capacity == 8
    assert disk.do(blk.T_IN, 8, in_len=SECTOR)[0] == blk.S_IOERR
    disk.write(7, pattern(SECTOR, 2))
    assert path.read_bytes()[8 * SECTOR:] == pattern(8 * SECTOR + extra)[8 * SECTOR:]


# ---- the guest's headers in a raw disk ----

HEADERS = {
    "qcow2": struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 104, 11, 16, 1 << 40).ljust(104, b"\0") +
             b"/etc/shadow",
    "vmdk": struct.pack("<4sIIQ", b"KDMV", 1, 3, 1 << 31),
    "vmdk descriptor": b"# Disk DescriptorFile\nversion=1\ncreateType=\"monolithicFlat\"\n"
                       b"RW 2048 FLAT \"/etc/shadow\" 0\n",
    "vhdx": b"vhdxfile" + "bulkhead".encode("utf-16-le"),
    "vpc": b"conectix".ljust(512, b"\0"),
    "luks": b"LUKS\xba\xbe\0\2",
}


@pytest.mark.parametrize("name", HEADERS)
def test_header_of_another_format_stays_data(start, image, name):
    """CVE-2008-2004, CVE-2026-27211: a raw image is raw, whatever the guest wrote into it."""
    data = HEADERS[name].ljust(SECTOR, b"\0")[:SECTOR]
    disk = open_disk(start, image)
    disk.write(0, data)
    disk.write(SECTORS - 1, data)  # some formats have a footer
    disk.flush()
    disk.device.close()
    for _ in range(2):
        disk = open_disk(start, image)
        assert disk.config.capacity == SECTORS
        assert disk.read(0, 1) == data
        assert disk.read(1, 1) == pattern(SECTORS * SECTOR)[SECTOR:2 * SECTOR]
        disk.device.close()
    assert image.stat().st_size == SECTORS * SECTOR


# ---- reset ----

@pytest.mark.parametrize("how", ["status", "reset_device", "vring_base"])
def test_reset_in_the_middle_of_io(start, image, how):
    """After the reset's answer nothing refers to the ring or its buffers any more."""
    disk = open_disk(start, image, num=64)
    session, memory = disk.session, disk.memory
    front = session.front
    mark = memory.next
    rand = random.Random(11)
    from bh import vhost_user as vu
    for _ in range(60):
        requests = []
        for _ in range(rand.randint(1, 20)):
            request = blk.Request(memory, blk.T_IN, rand.randrange(SECTORS - 128),
                                  in_len=128 * SECTOR)
            session.queues[0].add(request.bufs)
            requests.append(request)
        session.queues[0].kick()
        if how == "status":
            front.set_status(0)
        elif how == "reset_device":
            front.tell(vu.RESET_DEVICE)
        else:
            base = front.stop_queue(0)
            done = memory.load16(session.queues[0].used + 2)
            assert base == done, f"{base - done & 0xffff} requests lost"
        used = memory.read(session.queues[0].used, 8)
        for request in requests:
            memory.write(request.data, bytes([CANARY]) * request.in_len)
        front.ask_u64(vu.GET_FEATURES)
        for request in requests:
            assert request.result().count(CANARY) == request.in_len, "written after the reset"
        assert memory.read(session.queues[0].used, 8) == used
        for q in session.queues:
            q.close()
        memory.next = mark
        front.tell(vu.SET_FEATURES, vu.u64(front.features))
        session.start_queues()
    disk.mark = memory.next
    assert len(disk.read(0, 4)) == 4 * SECTOR
    disk.device.assert_bounded()


def test_writes_before_a_stop_are_not_torn(start, image):
    """What completed before GET_VRING_BASE is in the image; what did not is the base's to tell."""
    disk = open_disk(start, image, num=64)
    session, memory = disk.session, disk.memory
    before = image.read_bytes()
    for i in range(16):
        request = blk.Request(memory, blk.T_OUT, i * 64, pattern(64 * SECTOR, i + 100))
        session.queues[0].add(request.bufs)
    session.queues[0].kick()
    session.front.stop_queue(0)
    heads = {head for head, _ in session.queues[0].take_used()}
    after = image.read_bytes()
    for i in range(16):
        span = slice(i * 64 * SECTOR, (i + 1) * 64 * SECTOR)
        if 3 * i in heads:
            assert after[span] == pattern(64 * SECTOR, i + 100)
        else:
            assert after[span] == before[span]


def test_the_driver_starts_over_many_times(start, image):
    disk = open_disk(start, image)
    mark = disk.session.memory.next = guest.PAGE
    fds = disk.device.process.n_fds()
    expected = image.read_bytes()[:SECTOR]
    for _ in range(100):
        disk.session.restart()
        disk.mark = disk.memory.next
        assert disk.read(0, 1) == expected
        disk.memory.next = mark
    assert disk.device.process.n_fds() == fds
    disk.device.assert_bounded()
