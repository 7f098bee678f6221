# SPDX-License-Identifier: Apache-2.0
"""dev-cdrom: SCSI commands behind virtio-scsi, hostile first, then as installers and firmware use them."""

import os
import random
import struct

import pytest

from bh import guest, scsi, vhost_user as vu
from bh.devices import Cdrom
from bh.guest import Buf

BLOCKS, BLOCK = 512, 2048
MAX64 = (1 << 64) - 1


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    path = tmp_path_factory.mktemp("cd") / "cd.iso"
    path.write_bytes(random.Random(7).randbytes(BLOCKS * BLOCK).replace(bytes([guest.CANARY]), b"\0"))
    return path


def open_cd(start, image, **how):
    device = start(Cdrom, image=image, queues=how.pop("queues", 1), **({"page": how.pop("page")} if "page" in how else {}))
    a = scsi.Adapter(device.open(**how))
    a.device = device
    return a


@pytest.fixture
def cd(start, image):
    return open_cd(start, image)


def breaks(cd, bufs, queue=scsi.REQUESTQ):
    """The guest's error, which a reset mends."""
    cd.session.submit(bufs, queue)
    cd.session.settle()
    assert cd.session.needs_reset()
    cd.session.restart()
    cd.device.probe(cd.session)


# ---- hostile ----

OUTSIDE = [(scsi.read_10, BLOCKS, 1), (scsi.read_10, BLOCKS - 1, 2), (scsi.read_10, 0xffffffff, 0xffff),
           (scsi.read_12, 0, 0xffffffff), (scsi.read_12, 0xffffffff, 0xffffffff), (scsi.read_16, MAX64, 1),
           (scsi.read_16, MAX64, 0xffffffff), (scsi.read_16, 1 << 63, 2), (scsi.read_16, MAX64 >> 11, 1),
           (scsi.read_6, 0x1fffff, 1), (scsi.read_6, BLOCKS - 255, 0)]


@pytest.mark.parametrize("command, block, n", OUTSIDE)
def test_outside_of_the_medium(cd, command, block, n):
    """CVE-2020-29443, of every length: numbers past the end, and sums and products that overflow."""
    assert cd.sense_of(command(block, n), room=4 * BLOCK) == scsi.OUT_OF_RANGE
    cd.device.assert_bounded()


@pytest.mark.parametrize("room", [0, 1, BLOCK - 1, BLOCK, 2 * BLOCK - 1])
def test_room_that_is_smaller_than_the_command(cd, room):
    """CVE-2023-3180: two lengths of one request; nothing is moved, and no byte is said to be."""
    r = cd.do(scsi.read_10(0, 2), room=room)
    assert r.response == scsi.OVERRUN and r.residual == room
    assert r.written == scsi.RESPONSE + scsi.SENSE_SIZE
    assert r.buffer == bytes([guest.CANARY]) * room


def test_used_length_and_residual(cd, image):
    """CVE-2024-8612: written is what was, and the rest is untouched."""
    r = cd.good(scsi.read_10(3, 1), room=3 * BLOCK)
    assert r.written == scsi.RESPONSE + scsi.SENSE_SIZE + BLOCK and r.residual == 2 * BLOCK
    assert r.buffer == image.read_bytes()[3 * BLOCK:4 * BLOCK] + bytes([guest.CANARY]) * 2 * BLOCK


@pytest.mark.parametrize("cdb", [b"\x15\x10\0\0\x0c", b"\x55\x10" + bytes(5) + b"\0\x10\0"], ids=["6", "10"])
def test_mode_select_is_refused(cd, cdb):
    """CVE-2023-42467: a block size of the guest's, below 512."""
    blocks = bytes([0, 0, 0, 8]) + struct.pack(">II", 0, 1)
    assert cd.sense_of(cdb, data=blocks) == scsi.INVALID_OPCODE
    assert cd.good(b"\x25" + bytes(9), room=8).data == struct.pack(">II", BLOCKS - 1, BLOCK)


def test_every_code_with_every_byte_set(cd):
    """No command of all ones, or with all zeroes behind its code, ends or blocks the device."""
    for code in range(256):
        for fill in b"\xff", b"\0", b"\x01":
            r = cd.do(bytes([code]) + fill * 31, data=b"" if code % 2 else bytes(64), room=4096 if code % 2 else 0)
            assert r.response in (scsi.OK, scsi.OVERRUN) and r.status in (scsi.GOOD, scsi.CHECK_CONDITION)
    cd.device.assert_bounded()


def test_random_commands(cd):
    """Answers fit what was asked for and what there is room for, whatever is asked."""
    rand = random.Random(11)
    codes = [0, 3, 8, 0x12, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2f, 0x35, 0x43, 0x46, 0x4a, 0x51, 0x52, 0x5a, 0x88,
             0x9e, 0xa0, 0xa8, 0xbd, 0x5e, 0x5f]
    for _ in range(3000):
        cdb = bytes([rand.choice(codes)]) + bytes(rand.choice((0, 0, 0, 1, 2, 3, 0x3f, 0xff, rand.randrange(256)))
                                                  for _ in range(15))
        room = rand.choice((0, 1, 4, 8, 36, 96, 512, 4096))
        r = cd.do(cdb, room=room)
        assert r.response in (scsi.OK, scsi.OVERRUN)
        assert r.buffer[len(r.data):] == bytes([guest.CANARY]) * (room - len(r.data))
        if r.response == scsi.OK and r.status == scsi.GOOD:
            assert r.residual == room - len(r.data)
    cd.device.assert_bounded()


def test_writes_are_none(cd, image):
    before = image.read_bytes()
    for cdb in (b"\x2a" + bytes(7) + b"\1\0", b"\x8a" + bytes(12) + b"\1\0\0", b"\x0a\0\0\0\1\0", b"\xaa" + bytes(8) + b"\1",
                b"\x42" + bytes(7) + b"\x18\0", b"\x93\1" + bytes(11) + b"\1\0\0", b"\x04" + bytes(5)):
        assert cd.sense_of(cdb, data=bytes(BLOCK)) == scsi.INVALID_OPCODE
    assert image.read_bytes() == before


@pytest.mark.parametrize("sizes", [(1,) * 12, (12, 1, 95), (5, 60), (108,)])
def test_a_response_in_pieces(cd, image, sizes):
    r = cd.good(scsi.read_10(1, 1), room=BLOCK, response_sizes=sizes, sizes=(1, 7, 511))
    assert r.data == image.read_bytes()[BLOCK:2 * BLOCK]


def test_a_response_in_too_many_pieces(cd):
    """As CVE-2025-41238: more than there is room for is said, and nothing is done."""
    r = cd.do(scsi.read_10(1, 1), room=BLOCK, response_sizes=(1,) * 40)
    assert r.response == scsi.FAILURE and not r.data


def test_more_segments_than_are_offered(cd):
    r = cd.do(scsi.read_10(0, 1), room=BLOCK, sizes=(1,) * 300, indirect=True)
    assert r.response == scsi.FAILURE and not r.data


def test_data_in_both_directions(cd):
    assert cd.do(scsi.read_10(0, 1), data=b"x", room=BLOCK).response == scsi.FAILURE


@pytest.mark.parametrize("bad", ["short", "no-response", "small-response", "empty"])
def test_chains_that_are_no_requests(cd, bad):
    """CVE-2016-4439: a CDB that is not there in full, and a response that has no room: the guest's error."""
    m = cd.memory
    request = scsi.head(scsi.read_10(0, 1))
    n = {"short": len(request) - 1, "empty": 1}.get(bad, len(request))
    room = {"no-response": 0, "small-response": scsi.RESPONSE + scsi.SENSE_SIZE - 1}.get(bad, 4096)
    bufs = [Buf(m.put(request), n)] + ([Buf(m.alloc(room), room, True)] if room else [])
    breaks(cd, bufs)


@pytest.mark.parametrize("where", ["response", "request"])
def test_buffers_outside_of_ram(cd, where):
    m = cd.memory
    request = scsi.head(scsi.inquiry())
    head_at = MAX64 - 200 if where == "request" else m.put(request)
    response_at = 0xdead0000 if where == "response" else m.alloc(4096)
    bufs = [Buf(head_at, len(request)), Buf(response_at, 200, True)]
    breaks(cd, bufs)


def test_data_outside_of_ram(cd):
    r = scsi.Request(cd.memory, scsi.read_10(0, 1), room=BLOCK)
    r.bufs[-1] = Buf(0xdead0000, BLOCK, True)
    cd.session.submit(r.bufs, scsi.REQUESTQ)
    [(_, written)] = cd.session.wait(1, scsi.REQUESTQ)
    assert r.finish(written).response == scsi.FAILURE
    assert cd.good(scsi.read_10(0, 1), room=BLOCK).residual == 0


@pytest.mark.parametrize("bad", ["short", "no-answer", "notification-short"])
def test_control_chains_that_are_no_requests(cd, bad):
    m = cd.memory
    request = struct.pack("<II8sQ", 1 if bad == "notification-short" else 0, 0, scsi.lun(), 0)
    n = {"short": 23, "notification-short": 15}.get(bad, 24)
    bufs = [Buf(m.put(request), n)] + ([] if bad == "no-answer" else [Buf(m.alloc(8), 8, True)])
    breaks(cd, bufs, scsi.CONTROLQ)


# ---- units and targets ----

ELSEWHERE = [(b"\1\1\x40\0\0\0\0\0", True), (b"\0\0\x40\0\0\0\0\0", True), (b"\1\0\x40\1\0\0\0\0", False),
             (b"\1\0\x40\0\0\0\0\1", False), (b"\1\0\x80\0\0\0\0\0", False), (b"\1\0\1\0\0\0\0\0", False),
             (b"\xc1\1\0\0\0\0\0\0", True), (b"\1\0\x7f\xff\0\0\0\0", False)]


@pytest.mark.parametrize("where, target", ELSEWHERE)
def test_who_is_not_there(cd, where, target):
    if target:
        assert cd.do(scsi.inquiry(), room=96, where=where).response == scsi.BAD_TARGET
        assert cd.manage(scsi.LUN_RESET, where) == scsi.BAD_TARGET
        return
    assert cd.sense_of(scsi.read_10(0, 1), room=BLOCK, where=where) == scsi.NO_SUCH_LUN
    assert cd.good(scsi.inquiry(), room=96, where=where).data[0] == 0x7f
    assert cd.sense_of(scsi.inquiry(0x80), room=96, where=where) == scsi.INVALID_FIELD
    assert cd.good(b"\x03\0\0\0\xff\0", room=255, where=where).data[12] == 0x25
    assert cd.good(b"\xa0" + bytes(8) + b"\xff\0\0", room=64, where=where).data == struct.pack(">II8x", 8, 0)
    assert cd.manage(scsi.LUN_RESET, where) == scsi.INCORRECT_LUN


def test_peripheral_addressing(cd):
    assert cd.good(scsi.inquiry(), room=96, where=b"\1\0\0\0\0\0\0\0").data[0] == 5


# ---- right use ----

def test_configuration(cd):
    c = struct.unpack("<IIIIIIIHHI", cd.session.front.get_config(0, 36))
    assert c[0] == 1 and c[4:7] == (16, 96, 32) and c[7:] == (0, 0, 0)


@pytest.mark.parametrize("sense, cdb", [(0, 16), (18, 32), (255, 255), (5, 64)])
def test_sizes_that_the_driver_chooses(cd, sense, cdb):
    cd.session.front.tell(vu.SET_CONFIG, vu.config(20, 8, data=struct.pack("<II", sense, cdb)))
    r = cd.do(b"\xff", room=4, sense_size=sense, cdb_size=cdb)
    assert (r.response, r.status, r.written) == (scsi.OK, scsi.CHECK_CONDITION, scsi.RESPONSE + sense)
    n = min(18, sense)
    assert cd.memory.read(r.response_at, 4) == struct.pack("<I", n)
    assert cd.memory.read(r.response_at + scsi.RESPONSE, sense)[n:] == bytes(sense - n)
    assert cd.good(scsi.read_10(0, 1), room=BLOCK, sense_size=sense, cdb_size=cdb).residual == 0


@pytest.mark.parametrize("offset, data", [(20, struct.pack("<I", 256)), (20, b"\xff\xff\xff\xff"), (24, b"\x0f"),
                                          (24, struct.pack("<I", 1 << 31)), (0, b"\2"), (16, b"\1"), (32, b"\1")])
def test_sizes_that_it_may_not(cd, offset, data):
    before = cd.session.front.get_config(0, 36)
    assert not cd.session.front.try_tell(vu.SET_CONFIG, vu.config(offset, len(data), data=data))
    assert cd.session.front.get_config(0, 36) == before


@pytest.mark.parametrize("queues", [1, 4])
@pytest.mark.parametrize("indirect", [False, True], ids=["direct", "indirect"])
def test_random_reads(start, image, queues, indirect):
    cd = open_cd(start, image, queues=queues, indirect=indirect)
    rand, bytes_ = random.Random(queues), image.read_bytes()
    for _ in range(400):
        n = rand.randint(1, 16)
        block = rand.randint(0, BLOCKS - n)
        command = rand.choice((scsi.read_6, scsi.read_10, scsi.read_12, scsi.read_16))
        r = cd.good(command(block, n), room=n * BLOCK, queue=scsi.REQUESTQ + rand.randrange(queues), indirect=indirect,
                    sizes=[rand.choice((1, 7, 512, 2048, 4096)) for _ in range(rand.randint(0, 8))])
        assert r.data == bytes_[block * BLOCK:(block + n) * BLOCK]
    cd.device.assert_bounded()


def test_what_it_is(cd):
    data = cd.good(scsi.inquiry(), room=96).data
    assert data[0] == 5 and data[1] == 0x80 and data[8:32] == b"BULKHEADCD-ROM          "
    assert len(data) == data[4] + 5
    assert cd.good(scsi.inquiry(room=5), room=96).data == data[:5]
    assert cd.good(scsi.inquiry(0), room=96).data == bytes([5, 0, 0, 3, 0, 0x80, 0x83])
    assert cd.good(scsi.inquiry(0x80), room=96).data[4:] == b"bulkhead-test"
    assert cd.good(scsi.inquiry(0x83), room=96).data[8:] == b"BULKHEADbulkhead-test"
    assert cd.sense_of(scsi.inquiry(0xb0), room=96) == scsi.INVALID_FIELD
    assert cd.sense_of(b"\x12\0\x80\0\xff\0", room=96) == scsi.INVALID_FIELD


def test_what_is_on_it(cd):
    toc = cd.good(b"\x43\0\0\0\0\0\0\0\xff\0", room=64).data
    assert toc == struct.pack(">HBB", 18, 1, 1) + bytes([0, 0x14, 1, 0]) + bytes(4) + \
        bytes([0, 0x14, 0xaa, 0]) + struct.pack(">I", BLOCKS)
    assert cd.good(b"\x43\2\0\0\0\0\xaa\0\xff\0", room=64).data[8:] == bytes([0, 0, 8, (BLOCKS + 150) % 75])
    assert cd.good(b"\x43\0\1\0\0\0\0\0\xff\0", room=64).data == bytes([0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0])
    assert cd.sense_of(b"\x43\0\0\0\0\0\2\0\xff\0", room=64) == scsi.INVALID_FIELD
    assert cd.good(b"\x51" + bytes(6) + b"\0\xff\0", room=64).data[2] == 0x0e
    track = cd.good(b"\x52\1\0\0\0\1\0\0\xff\0", room=64).data
    assert struct.unpack_from(">I", track, 24) == (BLOCKS,)
    assert cd.good(b"\xbd" + bytes(7) + b"\0\x08\0\0", room=8).data == bytes(8)


def test_configuration_of_features(cd):
    data = cd.good(b"\x46\0\0\0\0\0\0\1\0\0", room=256).data
    length, current = struct.unpack(">IxxH", data[:8])
    assert length == len(data) - 4 and current == 8
    at, codes = 8, []
    while at < len(data):
        codes.append(struct.unpack_from(">H", data, at)[0])
        at += 4 + data[at + 3]
    assert codes == [0, 1, 2, 3, 0x10, 0x1e, 0x1f] and at == len(data)
    assert cd.good(b"\x46\2\0\x10\0\0\0\1\0\0", room=256).data[8:14] == bytes([0, 0x10, 1, 8, 0, 0])
    assert cd.good(b"\x46\0\xff\xff\0\0\0\1\0\0", room=256).data[:4] == b"\0\0\0\4"


@pytest.mark.parametrize("length", [0, 1, 4, 7, 8, 9, 28, 65535])
def test_as_much_as_was_asked_for(cd, length):
    whole = cd.good(b"\x5a\0\x3f" + bytes(4) + b"\xff\xff\0", room=512).data
    assert cd.good(b"\x5a\0\x3f" + bytes(4) + struct.pack(">H", length) + b"\0", room=512).data == whole[:length]


def test_modes(cd):
    assert cd.good(b"\x1a\0\x2a\0\xff\0", room=255).data[4:6] == bytes([0x2a, 20])
    assert cd.good(b"\x1a\0\x6a\0\xff\0", room=255).data[4:] == bytes([0x2a, 20]) + bytes(20)
    assert cd.sense_of(b"\x1a\0\xea\0\xff\0", room=255) == scsi.NOT_SAVED
    assert cd.sense_of(b"\x1a\0\x08\0\xff\0", room=255) == scsi.INVALID_FIELD


def test_the_tray(cd):
    """It opens when nobody prevents it, and what is in it is told to be another when it closes."""
    ready, eject, load = bytes(6), b"\x1b\0\0\0\2\0", b"\x1b\0\0\0\3\0"
    cd.good(b"\x1e\0\0\0\1\0")
    assert cd.sense_of(eject) == scsi.PREVENTED
    cd.good(ready)
    cd.good(b"\x1e\0\0\0\0\0")
    cd.good(eject)
    assert cd.sense_of(ready) == scsi.NO_MEDIUM
    assert cd.sense_of(scsi.read_10(0, 1), room=BLOCK) == scsi.NO_MEDIUM
    assert cd.good(b"\x4a\1\0\0\x10\0\0\0\xff\0", room=64).data == bytes([0, 6, 4, 0x10, 0, 1, 0, 0])
    assert cd.good(b"\x03\0\0\0\x12\0", room=18).data[12] == 0x3a
    cd.good(load)
    assert cd.sense_of(ready) == scsi.MEDIUM_CHANGED
    cd.good(ready)
    assert cd.good(b"\x4a\1\0\0\x10\0\0\0\xff\0", room=64).data[5] == 2
    cd.good(eject)
    cd.session.restart()
    cd.good(ready)


def test_attention_is_told_once(cd):
    assert cd.manage(scsi.LUN_RESET) == scsi.OK
    assert cd.good(scsi.inquiry(), room=96).data[0] == 5  # it may, and tells nothing
    assert cd.sense_of(bytes(6)) == scsi.WAS_RESET
    cd.good(bytes(6))
    cd.manage(scsi.LUN_RESET)
    assert cd.good(b"\x03\0\0\0\x12\0", room=18).data[2] == 6
    cd.good(bytes(6))


@pytest.mark.parametrize("function, answer", [
    (scsi.ABORT_TASK, scsi.OK), (scsi.ABORT_TASK_SET, scsi.OK), (scsi.CLEAR_ACA, scsi.REJECTED),
    (scsi.CLEAR_TASK_SET, scsi.OK), (scsi.NEXUS_RESET, scsi.OK), (scsi.QUERY_TASK, scsi.OK),
    (scsi.QUERY_TASK_SET, scsi.OK), (8, scsi.REJECTED), (0xffffffff, scsi.REJECTED)])
def test_task_management_of_nothing(cd, function, answer):
    assert cd.manage(function, tag=MAX64) == answer


@pytest.mark.parametrize("kind", [1, 2])
def test_notifications_there_are_none(cd, kind):
    m = cd.memory
    at = m.put(bytes([scsi.UNTOUCHED]) * 5)
    request = struct.pack("<I8sI", kind, scsi.lun(), 0xffffffff)
    cd.session.submit([Buf(m.put(request), 16), Buf(at, 5, True)], scsi.CONTROLQ)
    assert cd.session.wait(1, scsi.CONTROLQ)[0][1] == 5
    assert m.read(at, 5) == bytes(5)


def test_an_image_that_became_smaller(start, tmp_path):
    """Blocks that are gone are errors of the medium, and the others are there."""
    path = tmp_path / "cd.iso"
    path.write_bytes(bytes(64 * BLOCK))
    cd = open_cd(start, path)
    os.truncate(path, 32 * BLOCK)
    assert cd.sense_of(scsi.read_10(32, 1), room=BLOCK) == scsi.READ_ERROR
    cd.good(scsi.read_10(31, 1), room=BLOCK)


def test_it_is_idle(cd):
    cd.good(scsi.read_10(0, 1), room=BLOCK)
    cd.device.process.assert_idle()


# ---- one process after the other ----

def successor(start, cd, image):
    cd.device.process.kill()
    return open_cd(start, image, page=cd.device.page)


def test_a_successor_has_tray_lock_and_sizes(start, cd, image):
    cd.good(b"\x1e\0\0\0\1\0")
    cd = successor(start, cd, image)
    assert cd.sense_of(b"\x1b\0\0\0\2\0") == scsi.PREVENTED
    cd.good(b"\x1e" + bytes(5))
    cd.good(b"\x1b\0\0\0\2\0")
    cd = successor(start, cd, image)
    assert cd.sense_of(scsi.read_10(0, 1), room=BLOCK) == scsi.NO_MEDIUM
    cd.session.restart()  # of its driver: the tray closes, also for who comes next
    cd = successor(start, cd, image)
    cd.device.probe(cd.session)


@pytest.mark.parametrize("fill", [b"\xff" * 4096, b"\1" + bytes(4095), random.Random(5).randbytes(4096)],
                         ids=["ones", "first", "random"])
def test_what_a_predecessor_left_is_hostile(start, cd, image, fill):
    os.pwrite(cd.device.page, fill, 0)
    cd = successor(start, cd, image)
    cd.device.probe(cd.session)
