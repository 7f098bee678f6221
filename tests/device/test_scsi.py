# SPDX-License-Identifier: Apache-2.0
"""dev-scsi: a disk's commands behind virtio-scsi, hostile first, then as drivers use them, on raw and qcow2 images. What an
adapter does with chains, whatever is behind it, is in test_cdrom.py and, for all devices, in test_virtqueue_hostile.py."""

import os
import random
import struct

import pytest

import test_blk_qcow2 as qcow2
from bh import guest, scsi
from bh.devices import Scsi
from bh.guest import Buf
from test_inflight import Kept

BLOCKS, BLOCK = 2048, 512
MAX64 = (1 << 64) - 1
READY = bytes(6)


def pattern(n, seed=1):
    return random.Random(seed).randbytes(n).replace(bytes([guest.CANARY]), b"\0")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(pattern(BLOCKS * BLOCK))
    return path


def open_disk(start, image, session=(), **options):
    device = start(Scsi, image=image, **options)
    d = scsi.Disk(device.open(**dict(session)))
    d.block = options.get("logical_block_size", BLOCK)
    d.device = device
    return d


@pytest.fixture
def disk(start, image):
    return open_disk(start, image)


# ---- hostile ----

OUTSIDE = [(BLOCKS, 1), (BLOCKS - 1, 2), (0xffffffff, 0xffff), (0, BLOCKS + 1)]
FAR = [*OUTSIDE, (MAX64, 1), (1 << 63, 2), (MAX64 >> 9, 1), (MAX64 - 7, 8), (0, 0xffffffff), (1 << 55, 1)]
COMMANDS = [*((c, w) for c in (scsi.read_10, scsi.write_10, scsi.verify_10, scsi.write_same_10) for w in OUTSIDE),
            *((c, w) for c in (scsi.read_16, scsi.write_16) for w in FAR),
            *((c, (b, n)) for c in (scsi.read_12, scsi.write_12) for b, n in [*OUTSIDE, (0, 0xffffffff), (0xffffffff, 0xffffffff)]),
            *((scsi.write_same_16, (b, n)) for b, n in FAR if n < 1 << 22),
            (scsi.read_6, (0x1fffff, 1)), (scsi.write_6, (0x1fffff, 0)), (scsi.write_6, (BLOCKS - 255, 0))]


def test_outside_of_the_disk(disk, image):
    """CVE-2020-29443 on a disk: every command with a place, numbers past the end, sums and products that overflow."""
    before = image.read_bytes()
    for command, (block, n) in COMMANDS:
        reads = command in (scsi.read_6, scsi.read_10, scsi.read_12, scsi.read_16)
        how = {"room": 4096} if reads else {} if command is scsi.verify_10 else {"data": bytes(4096)}
        assert disk.sense_of(command(block, n), **how) == scsi.OUT_OF_RANGE, (command, block, n)
    for block, n in FAR:
        if n < 1 << 22:
            data = scsi.unmap_list((block, n))
            assert disk.sense_of(scsi.unmap(), data=data) == scsi.OUT_OF_RANGE, (block, n)
    assert image.read_bytes() == before
    disk.device.assert_bounded()


@pytest.mark.parametrize("n", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1])
def test_two_lengths_of_a_write_differ(disk, image, n):
    """CVE-2023-3180: the driver sends less than the command says: nothing is written."""
    before = image.read_bytes()
    for command in scsi.write_10(0, 2), scsi.write_12(0, 2), scsi.write_16(0, 2), scsi.write_6(0, 2):
        r = disk.do(command, data=b"x" * n)
        assert r.response == scsi.OVERRUN and r.residual == n
    assert image.read_bytes() == before


def test_more_than_the_command_says(disk, image):
    """CVE-2024-8612: what is left over is the residual, in both directions, and no other byte is touched."""
    before = image.read_bytes()
    r = disk.good(scsi.write_10(8, 1), data=b"y" * BLOCK * 3)
    assert r.residual == 2 * BLOCK
    assert image.read_bytes() == before[:8 * BLOCK] + b"y" * BLOCK + before[9 * BLOCK:]
    r = disk.good(scsi.read_10(8, 1), room=3 * BLOCK)
    assert r.residual == 2 * BLOCK and r.written == scsi.RESPONSE + scsi.SENSE_SIZE + BLOCK
    assert r.buffer == b"y" * BLOCK + bytes([guest.CANARY]) * 2 * BLOCK


@pytest.mark.parametrize("cdb", [b"\x15\x10\0\0\x0c", b"\x55\x10" + bytes(5) + b"\0\x10\0"], ids=["6", "10"])
def test_mode_select_is_refused(disk, cdb):
    """CVE-2023-42467: a block size of the guest's, below 512."""
    assert disk.sense_of(cdb, data=bytes([0, 0, 0, 8]) + struct.pack(">II", 0, 1)) == scsi.INVALID_OPCODE
    assert disk.good(scsi.CAPACITY_10, room=8).data == struct.pack(">II", BLOCKS - 1, BLOCK)


@pytest.mark.parametrize("bad", ["short", "no-response", "small-response"])
def test_chains_that_are_no_requests(disk, bad):
    """CVE-2016-4439: a CDB that is not there in full, and a response that has no room: the guest's error."""
    m, request = disk.memory, scsi.head(scsi.write_10(0, 1))
    n = len(request) - 1 if bad == "short" else len(request)
    room = {"no-response": 0, "small-response": scsi.RESPONSE + scsi.SENSE_SIZE - 1}.get(bad, 4096)
    disk.session.submit([Buf(m.put(request), n)] + ([Buf(m.alloc(room), room, True)] if room else []), scsi.REQUESTQ)
    disk.session.settle()
    assert disk.session.needs_reset()
    disk.session.restart()
    disk.device.probe(disk.session)


def test_more_segments_than_are_offered(disk, image):
    """CVE-2025-41238: more than there is room for is a failed request, and nothing of it is written."""
    before = image.read_bytes()
    assert disk.do(scsi.write_10(0, 1), data=b"z" * BLOCK, sizes=(1,) * 300, indirect=True).response == scsi.FAILURE
    assert disk.do(scsi.write_10(0, 1), data=b"z" * BLOCK, response_sizes=(1,) * 40).response == scsi.FAILURE
    assert image.read_bytes() == before


@pytest.mark.parametrize("cdb, write", [(scsi.read_10(0, 8), True), (scsi.write_10(0, 8), False)], ids=["read", "write"])
@pytest.mark.parametrize("at", [0xdead0000, MAX64 - 4095, 0xfee00000], ids=["nowhere", "the end", "registers"])
def test_data_outside_of_ram(disk, image, cdb, write, at):
    """CVE-2023-0330: what is moved to or from where there is no RAM, a device's own registers say, is a failed request."""
    before = image.read_bytes()
    m = disk.memory
    r = scsi.Request(m, cdb)
    good = Buf(m.put(bytes(2048)), 2048, write)
    bad = Buf(at, 2048, write)
    r.bufs = [*r.bufs, good, bad] if write else [r.bufs[0], good, bad, *r.bufs[1:]]
    disk.session.submit(r.bufs, scsi.REQUESTQ)
    [(_, written)] = disk.session.wait(1, scsi.REQUESTQ)
    assert r.finish(written).response == scsi.FAILURE
    assert image.read_bytes() == before
    disk.device.probe(disk.session)


LISTS = [(b"", 0, None), (b"\0" * 7, 7, scsi.PARAMETER_LENGTH), (scsi.unmap_list(), 8, None),
         (scsi.unmap_list((0, 1))[:23], 23, scsi.INVALID_PARAMETER),
         (scsi.unmap_list((0, 1), (2, 1)), 40, scsi.INVALID_PARAMETER),
         (scsi.unmap_list((0, 1), blocks_len=0xffff), 24, scsi.INVALID_PARAMETER),
         (scsi.unmap_list((0, 1), blocks_len=17), 24, scsi.INVALID_PARAMETER),
         (scsi.unmap_list((0, 0xffffffff)), 24, scsi.INVALID_PARAMETER),
         (scsi.unmap_list((0, 1), data_len=0xffff, blocks_len=15), 24, None)]


@pytest.mark.parametrize("data, length, sense", LISTS)
def test_lists_of_ranges_that_are_wrong(disk, image, data, length, sense):
    """Lengths in what came with the command that say more than came."""
    before = image.read_bytes()
    if sense:
        assert disk.sense_of(scsi.unmap(length), data=data) == sense
    else:
        disk.good(scsi.unmap(length), data=data)
    if data:
        r = disk.do(scsi.unmap(0xffff), data=data)
        assert r.response == scsi.OVERRUN and r.residual == len(data)
    assert image.read_bytes() == before


@pytest.mark.parametrize("cdb, data, sense", [
    (scsi.write_same_10(0, 0), bytes(BLOCK), scsi.INVALID_FIELD),  # "to the end" is refused
    (scsi.write_same_16(0, 1 << 31), bytes(BLOCK), scsi.INVALID_FIELD),
    (scsi.write_same_16(0, 1), b"\1" + bytes(BLOCK - 1), scsi.INVALID_PARAMETER),
    (scsi.write_same_16(0, 1), bytes(BLOCK - 1) + b"\1", scsi.INVALID_PARAMETER),
    (b"\x41\1" + scsi.write_same_10(0, 1)[2:], bytes(BLOCK), scsi.INVALID_FIELD),
    (b"\x2a\x20" + scsi.write_10(0, 1)[2:], bytes(BLOCK), scsi.INVALID_FIELD),  # protection information
    (scsi.write_10(0, 1)[:9] + b"\4", bytes(BLOCK), scsi.INVALID_FIELD),  # NACA
    (b"\x9e\x11" + bytes(14), b"", scsi.INVALID_OPCODE)])
def test_what_is_refused(disk, image, cdb, data, sense):
    before = image.read_bytes()
    assert disk.sense_of(cdb, data=data) == sense
    assert image.read_bytes() == before


def test_random_commands(disk, image):
    """Whatever is asked: answers fit, and the image has its size."""
    rand = random.Random(13)
    codes = [0, 3, 8, 0x0a, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2a, 0x2f, 0x35, 0x41, 0x42, 0x5a, 0x88, 0x8a, 0x8f, 0x91,
             0x93, 0x9e, 0xa0, 0xa8, 0xaa, *range(0x5e, 0x60), 0x04, 0x15, 0x55, 0x7f, 0xa3]
    for _ in range(4000):
        cdb = bytes([rand.choice(codes)]) + bytes(rand.choice((0, 0, 0, 1, 2, 8, 0x10, 0x3f, 0xb0, 0xff, rand.randrange(256)))
                                                  for _ in range(15))
        out = rand.random() < 0.5
        n = rand.choice((0, 1, 8, 24, 36, 512, 4096))
        r = disk.do(cdb, **({"data": scsi.unmap_list((rand.randrange(BLOCKS), rand.randrange(64))).ljust(n, b"\0")} if out
                            else {"room": n}))
        assert r.response in (scsi.OK, scsi.OVERRUN, scsi.FAILURE)
        assert r.buffer[len(r.data):] == bytes([guest.CANARY]) * (len(r.buffer) - len(r.data))
    assert image.stat().st_size == BLOCKS * BLOCK
    disk.device.assert_bounded()
    disk.device.probe(disk.session)


def test_read_only(start, image):
    """Every command that writes is told so; the mode says it before."""
    disk, before = open_disk(start, image, readonly=True), image.read_bytes()
    for cdb in (scsi.write_6(0, 1), scsi.write_10(0, 1), scsi.write_12(0, 1), scsi.write_16(0, 1), scsi.write_same_10(0, 1),
                scsi.write_same_16(0, 1), scsi.unmap()):
        assert disk.sense_of(cdb, data=bytes(BLOCK)) == scsi.WRITE_PROTECTED
    assert disk.good(b"\x1a\0\x3f\0\xff\0", room=255).data[2] == 0x90
    disk.flush()
    assert disk.good(scsi.inquiry(0xb2), room=64).data[4:] == bytes(4)
    assert disk.read(0, 4) == before[:4 * BLOCK] and image.read_bytes() == before


ELSEWHERE = [(b"\1\1\x40\0\0\0\0\0", scsi.BAD_TARGET), (b"\0\0\x40\0\0\0\0\0", scsi.BAD_TARGET),
             (b"\1\0\x40\1\0\0\0\0", scsi.INCORRECT_LUN), (b"\1\0\x7f\xff\0\0\0\0", scsi.INCORRECT_LUN)]


@pytest.mark.parametrize("where, answer", ELSEWHERE)
def test_a_unit_or_target_that_is_not_there(disk, image, where, answer):
    before = image.read_bytes()
    for function in range(scsi.QUERY_TASK_SET + 1):
        assert disk.manage(function, where) == answer
    r = disk.do(scsi.write_10(0, 1), data=bytes(BLOCK), where=where)
    if answer == scsi.BAD_TARGET:
        assert r.response == scsi.BAD_TARGET
    else:
        assert r.response == scsi.OK and r.sense == scsi.NO_SUCH_LUN
    assert image.read_bytes() == before


def test_an_image_that_is_too_small(build, tmp_path):
    """A disk that has no block is none; a rest that is no block is not seen."""
    path = tmp_path / "small"
    path.write_bytes(bytes(4096 + BLOCK))
    with Scsi(build, image=path, logical_block_size=4096) as device:
        disk = scsi.Disk(device.open())
        assert disk.good(scsi.CAPACITY_10, room=8).data == struct.pack(">II", 0, 4096)
    path.write_bytes(bytes(BLOCK))
    with pytest.raises(Exception, match="a SCSI disk has a block of 4096 bytes at least"):
        Scsi(build, image=path, logical_block_size=4096)


# ---- right use ----

def test_what_it_is(disk):
    data = disk.good(scsi.inquiry(), room=96).data
    assert data[0] == 0 and data[1] == 0 and data[8:32] == b"BULKHEADDISK            "
    assert disk.good(scsi.inquiry(0), room=96).data == bytes([0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2])
    assert disk.good(scsi.inquiry(0x80), room=96).data[4:] == b"bulkhead-test"
    assert disk.good(scsi.inquiry(0x83), room=96).data[8:] == b"BULKHEADbulkhead-test"
    limits = disk.good(scsi.inquiry(0xb0), room=96).data
    assert struct.unpack_from(">III", limits, 20) == (1 << 22, 1, 8) and struct.unpack_from(">Q", limits, 36) == (1 << 22,)
    assert disk.good(scsi.inquiry(0xb1), room=96).data[4:6] == b"\0\1"
    assert disk.good(scsi.inquiry(0xb2), room=96).data[5:7] == b"\xe0\2"
    assert disk.good(b"\x1a\x08\x08\0\xff\0", room=255).data[4:7] == b"\x08\x12\4"  # a cache that writes back
    assert disk.good(b"\xa0" + bytes(8) + b"\xff\0\0", room=64).data == struct.pack(">IIQ", 8, 0, 0)


@pytest.mark.parametrize("logical, physical", [(512, 512), (512, 4096), (4096, 4096)])
def test_sizes_of_blocks(start, image, logical, physical):
    disk = open_disk(start, image, logical_block_size=logical, physical_block_size=physical)
    data = disk.good(scsi.CAPACITY_16, room=32).data
    assert struct.unpack_from(">QI", data) == (BLOCKS * BLOCK // logical - 1, logical)
    assert data[13] == (physical // logical).bit_length() - 1 and data[14] == 0x80
    assert disk.read(1, 1) == image.read_bytes()[logical:2 * logical]


def play(disk, model, steps, rand, queues=1):
    """Reads, writes, zeroes and discards by every command for them, against what there should be."""
    for step in range(steps):
        n = rand.randint(1, 24)
        block = rand.randrange(len(model) // BLOCK - n)
        at = slice(block * BLOCK, (block + n) * BLOCK)
        how = {"queue": scsi.REQUESTQ + rand.randrange(queues), "indirect": rand.random() < 0.5}
        sizes = [rand.choice((1, 7, 511, 512, 4096)) for _ in range(rand.randint(0, 6))]
        kind = rand.random()
        if kind < 0.4:
            command = rand.choice((scsi.write_6, scsi.write_10, scsi.write_12, scsi.write_16))
            disk.write(block, pattern(n * BLOCK, step), command, sizes=sizes, **how)
            model[at] = pattern(n * BLOCK, step)
        elif kind < 0.8:
            command = rand.choice((scsi.read_6, scsi.read_10, scsi.read_12, scsi.read_16))
            assert disk.read(block, n, command, sizes=sizes, **how) == model[at]
        elif kind < 0.9:
            same = rand.choice((scsi.write_same_10(block, n, rand.random() < 0.5), scsi.write_same_16(block, n, rand.random() < 0.5)))
            disk.good(same, data=bytes(BLOCK), **how)
            model[at] = bytes(n * BLOCK)
        elif kind < 0.95:
            disk.good(scsi.write_same_16(block, n, True, no_data=True), **how)
            model[at] = bytes(n * BLOCK)
        else:
            disk.good(scsi.unmap(), data=scsi.unmap_list((block, n)), **how)
            model[at] = disk.read(block, n)  # anything of this disk
            disk.good(rand.choice((scsi.sync_10(), scsi.sync_16())), **how)


@pytest.mark.parametrize("queues", [1, 16])
def test_random_operations_against_a_model(start, image, queues):
    disk, model = open_disk(start, image, queues=queues), bytearray(image.read_bytes())
    play(disk, model, 1200, random.Random(queues), queues)
    assert disk.read(0, BLOCKS) == model
    disk.device.close()
    assert image.read_bytes() == model


@pytest.mark.skipif(qcow2.IMG is None, reason="needs qemu-img")
@pytest.mark.parametrize("kind", ["default", "small-clusters"])
def test_qcow2(start, tmp_path, kind):
    path = qcow2.create(tmp_path / "a.qcow2", *qcow2.OPTIONS[kind])
    disk, model = open_disk(start, path, format="qcow2", bound=qcow2.bound()), bytearray(qcow2.SIZE)
    play(disk, model, 300, random.Random(kind))
    disk.device.close()
    qcow2.img("check", "-q", path)
    assert qcow2.content(path) == model


def test_many_in_flight(start, image):
    """Several queues full of requests at once, which end in whatever order."""
    disk = open_disk(start, image, queues=4)
    requests, data = {}, image.read_bytes()
    for i in range(80):
        queue = scsi.REQUESTQ + i % 4
        block = 16 * (i % 100)
        r = scsi.Request(disk.memory, scsi.read_10(block, 16), room=16 * BLOCK, tag=i)
        requests[queue, disk.session.submit(r.bufs, queue)] = r, block
    for queue in range(scsi.REQUESTQ, scsi.REQUESTQ + 4):
        for head, written in disk.session.wait(20, queue):
            r, block = requests.pop((queue, head))
            assert r.finish(written).data == data[block * BLOCK:(block + 16) * BLOCK]
    assert not requests


def test_aborted_while_the_host_writes(slow, start):
    """What has begun cannot be called back: who ends it waits for it, and what comes behind it is served."""
    disk = open_disk(start, slow.place)
    slow.hold = True
    r = scsi.Request(disk.memory, scsi.write_10(0, 8), data=b"a" * 4096, tag=5)
    disk.session.submit(r.bufs, scsi.REQUESTQ)
    slow.wait_held(1)
    bufs, at = scsi.management(disk.memory, scsi.QUERY_TASK, tag=5)
    disk.session.submit(bufs, scsi.CONTROLQ)
    disk.session.wait(1, scsi.CONTROLQ)
    assert disk.memory.read(at, 1)[0] == scsi.SUCCEEDED
    bufs, at = scsi.management(disk.memory, scsi.ABORT_TASK, tag=5)
    disk.session.submit(bufs, scsi.CONTROLQ)
    disk.session.settle()
    assert not disk.session.queue(scsi.CONTROLQ).pending()
    slow.release()
    [(_, written)] = disk.session.wait(1, scsi.REQUESTQ)
    assert r.finish(written).response == scsi.ABORTED
    disk.session.wait(1, scsi.CONTROLQ)
    assert disk.memory.read(at, 1)[0] == scsi.OK
    disk.good(READY)


def test_killed_at_any_time(start, image):
    """The next process finishes what was in flight, each command once, and a function that waited for one of them."""
    page = guest.sealed_memfd(4096, name="scsi-state")
    k = Kept(start(Scsi, image=image, page=page), None).start()
    k.own_memory, mark, data = False, k.memory.next, pattern(4096)
    for i in range(12):
        k.memory.next = mark
        made = [scsi.Request(k.memory, scsi.write_10(8 * (i + n), 8), data=data, tag=n) for n in range(16)]
        heads = {k.submit(r.bufs): r for r in made}
        bufs, at = scsi.management(k.memory, scsi.CLEAR_TASK_SET)
        k.submit(bufs, scsi.CONTROLQ)
        for _ in range(i % 4 * 3):  # it comes to more or less of them
            k.front.get_status()
        k.die()
        k = Kept(start(Scsi, image=image, page=page), k.shm, k).start()
        done = k.wait(16)
        assert sorted(head for head, _ in done) == sorted(heads)
        for head, written in done:
            assert heads[head].finish(written).response in (scsi.OK, scsi.ABORTED)
        k.wait(1, scsi.CONTROLQ)
        assert k.memory.read(at, 1)[0] == scsi.OK
        assert not k.queue().pending() and not k.queue(scsi.CONTROLQ).pending()
    assert image.read_bytes()[:4096 * 27] == data * 27
    k.memory.close()
    os.close(k.shm)


def test_a_disk_that_became_larger(start, image):
    """The next process tells it: by an event, to who asked for events, and by the next command."""
    disk = open_disk(start, image)
    disk.good(READY)
    for size, wants in (2, True), (3, False), (3, True):
        os.truncate(image, size * BLOCKS * BLOCK)
        before = disk.good(scsi.CAPACITY_10, room=8).data
        disk.device.process.kill()
        page, features = disk.device.page, Scsi.features
        device = start(Scsi, image=image, page=page)
        device.features = features if wants else 0
        disk = scsi.Disk(device.open())
        disk.device = device
        at = disk.memory.put(bytes(16))
        disk.mark = disk.memory.next
        disk.session.submit([Buf(at, 16, True)], scsi.EVENTQ)
        if before == struct.pack(">II", size * BLOCKS - 1, BLOCK):
            disk.session.settle()
            assert not disk.session.queue(scsi.EVENTQ).pending()
            disk.good(READY)
            continue
        if wants:
            [(_, written)] = disk.session.wait(1, scsi.EVENTQ)
            assert written == 16 and disk.memory.read(at, 16) == struct.pack("<I8sI", 3, b"\1" + bytes(7), 0x092a)
        assert disk.sense_of(READY) == scsi.CAPACITY_CHANGED
        disk.good(READY)
        assert disk.good(scsi.CAPACITY_10, room=8).data == struct.pack(">II", size * BLOCKS - 1, BLOCK)
        assert disk.session.queue(scsi.EVENTQ).pending() == 0


def test_an_event_without_room_is_the_guests_error(start, image):
    disk = open_disk(start, image)
    os.truncate(image, 2 * BLOCKS * BLOCK)
    disk.device.process.kill()
    disk = open_disk(start, image, page=disk.device.page)
    disk.session.submit([Buf(disk.memory.alloc(15), 15, True)], scsi.EVENTQ)
    disk.session.settle()
    assert disk.session.needs_reset()


@pytest.mark.parametrize("fill", [b"\xff" * 4096, b"\1" + bytes(4095), random.Random(5).randbytes(4096)],
                         ids=["ones", "first", "random"])
def test_what_a_predecessor_left_is_hostile(start, disk, image, fill):
    os.pwrite(disk.device.page, fill, 0)
    disk.device.process.kill()
    disk = open_disk(start, image, page=disk.device.page)
    disk.device.probe(disk.session)


def test_it_is_idle(disk):
    disk.read(0, 1)
    disk.device.process.assert_idle()
