# SPDX-License-Identifier: Apache-2.0
"""dev-blk on qcow2 images that qemu-img made: hostile first, then against a model, killed in the middle, and
how far the image may grow. qemu-img judges what is left behind."""

import fcntl
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from bh import blk
from bh.blk import SECTOR
from bh.devices import Blk
from bh.process import CTL_DENIED, CTL_FAILED, Ended

IMG = shutil.which("qemu-img")
pytestmark = pytest.mark.skipif(IMG is None, reason="needs qemu-img")

MIB = 1 << 20
SIZE = 2 * MIB
SECTORS = SIZE // SECTOR
LEAKS = 3  # qemu-img check: leaks only

OPTIONS = {
    "default": (),
    "old": ("-o", "compat=0.10"),
    "small-clusters": ("-o", "cluster_size=512"),
    "large-clusters": ("-o", "cluster_size=2M"),
    "wide-refcounts": ("-o", "refcount_bits=64"),
    "lazy": ("-o", "lazy_refcounts=on"),
    "extended": ("-o", "extended_l2=on,cluster_size=32k"),
    "preallocated": ("-o", "preallocation=metadata"),
}


def img(*words, ok=(0,)):
    done = subprocess.run([IMG, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode in ok, (words, done.stdout, done.stderr)
    return done.stdout


def pattern(n, seed=1):
    return random.Random(seed).randbytes(n)


def create(path, *options, size=SIZE):
    img("create", "-q", "-f", "qcow2", *options, path, size)
    return path


def convert(path, data, *options):
    raw = path.with_suffix(".src")
    raw.write_bytes(data)
    img("convert", "-f", "raw", "-O", "qcow2", *options, raw, path)
    return path


def content(path):
    """What qemu-img reads there."""
    out = path.with_suffix(".out")
    img("convert", "-f", "qcow2", "-O", "raw", path, out)
    return out.read_bytes()


def bound():
    return os.memfd_create("image-bound", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)


def redo_log():
    fd = os.memfd_create("image-redo", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 1 << 20)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def open_disk(start, image, **how):
    device = start(Blk, image=image, format="qcow2", queues=2, **how)
    disk = blk.Disk(device.open(n_queues=2))
    disk.device = device
    return disk


def end(disk, status=0):
    """As the supervisor ends it: what is in memory is written."""
    disk.device.session.close()
    disk.device.session = None
    disk.device.process.control.shutdown(socket.SHUT_WR)
    disk.device.process.assert_clean_end(status)


def kill(disk):
    os.kill(disk.device.process.pid, signal.SIGKILL)
    disk.device.process.wait_end()
    assert not disk.device.process.said(CTL_DENIED)


def refusal(start, image, **how):
    """The line that it ends with instead of serving."""
    made = []

    class Refused(Blk):
        def __init__(self, *args, **options):
            made.append(self)
            super().__init__(*args, **options)

    with pytest.raises(Ended):
        start(Refused, image=image, format="qcow2", **how)
    [device] = made
    device.sock.close()
    device.process.kill()
    device.close_fds()
    [said] = [m.text for m in device.process.messages if m.type == CTL_FAILED]
    assert said.startswith("dev-blk: image: ") and "\n" not in said
    return said


# ---- wrong ----

def test_images_that_are_none(start, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"no image".ljust(4096, b"\0"))
    assert "not a qcow2 image" in refusal(start, path) or "magic" in refusal(start, path)
    image = create(tmp_path / "b.qcow2")
    image.write_bytes(image.read_bytes()[:40])
    refusal(start, image)


def test_a_backing_file_is_said(start, tmp_path):
    base, top = tmp_path / "base.raw", tmp_path / "top.qcow2"
    base.write_bytes(pattern(SIZE))
    create(top, "-b", base, "-F", "raw")
    assert "base.raw" in refusal(start, top), "it is named, never opened"
    alone = create(tmp_path / "alone.qcow2")
    assert "backing" in refusal(start, alone, backing=[(base, "raw")])
    assert "backing file 1: " in refusal(start, top, backing=[(base, "qcow2")])


def test_a_data_file_is_said(start, tmp_path):
    top = create(tmp_path / "top.qcow2", "-o", f"data_file={tmp_path}/data.raw")
    assert "data" in refusal(start, top)
    alone = create(tmp_path / "alone.qcow2")
    assert "data" in refusal(start, alone, data_file=tmp_path / "data.raw")


def test_unknown_features_and_encryption(start, tmp_path):
    image = create(tmp_path / "a.qcow2")
    header = bytearray(image.read_bytes())
    header[72] |= 0x80  # an incompatible feature
    image.write_bytes(header)
    assert "feature" in refusal(start, image)
    secret = create(tmp_path / "b.qcow2")
    header = bytearray(secret.read_bytes())
    header[35] = 2  # LUKS
    secret.write_bytes(header)
    assert "encrypt" in refusal(start, secret)
    broken = create(tmp_path / "c.qcow2")
    header = bytearray(broken.read_bytes())
    header[79] |= 2  # corrupt
    broken.write_bytes(header)
    assert "corrupt" in refusal(start, broken)


def l2_entry(image, cluster=0):
    """Where the entry of a cluster is in the file."""
    data = image.read_bytes()
    (l1,) = struct.unpack_from(">Q", data, 40)
    (l2,) = struct.unpack_from(">Q", data, l1)
    return (l2 & 0x00fffffffffffe00) + 8 * cluster


@pytest.mark.parametrize("where", ["l1", "l2", "refcounts", "beyond"])
def test_a_guest_never_writes_metadata(start, tmp_path, where):
    """The image says that the disk's first cluster lies where its own tables do."""
    image = convert(tmp_path / "a.qcow2", pattern(SIZE))
    data = image.read_bytes()
    at = {"l1": struct.unpack_from(">Q", data, 40)[0],
          "l2": l2_entry(image) & ~0xffff, "refcounts": struct.unpack_from(">Q", data, 48)[0], "beyond": 1 << 50}[where]
    with open(image, "r+b") as f:
        f.seek(l2_entry(image))
        f.write(struct.pack(">Q", at | 1 << 63))
    before = image.read_bytes()
    disk = open_disk(start, image)
    disk.do(blk.T_IN, 0, in_len=SECTOR)
    assert disk.do(blk.T_OUT, 0, pattern(SECTOR, 2))[0] == blk.S_IOERR
    end(disk, where != "beyond")
    after = bytearray(image.read_bytes())
    after[72:80] = before[72:80]  # marked dirty or corrupt
    assert after[:len(before)] == before[:len(after)]


def test_a_guest_s_header_stays_its_data(start, tmp_path):
    """A raw disk into which a guest wrote a qcow2 header is raw ever after; the format is said."""
    raw = tmp_path / "disk.raw"
    raw.write_bytes(bytes(SIZE))
    header = create(tmp_path / "a.qcow2", size=1 << 40).read_bytes()[:4096]
    for _ in range(2):
        device = start(Blk, image=raw)
        disk = blk.Disk(device.open())
        assert blk.Config(device.session.front.get_config(0, blk.Config.SIZE)).capacity == SECTORS
        disk.write(0, header)
        assert disk.read(0, 8) == header
        device.close()


# ---- against a model ----

def play(disk, model, steps, rand):
    """Random requests, several at a time; what is in the model is on the disk."""
    for _ in range(steps):
        n = rand.choice((1, 1, 3, 8, 64, 130))
        sector = rand.randint(0, SECTORS - n)
        span = slice(sector * SECTOR, (sector + n) * SECTOR)
        kind = rand.random()
        if kind < 0.45:
            data = rand.randbytes(n * SECTOR)
            disk.write(sector, data, queue=rand.randrange(2))
            model[span] = data
        elif kind < 0.85:
            assert disk.read(sector, n, queue=rand.randrange(2)) == model[span]
        elif kind < 0.93:
            flag = rand.choice((0, blk.WRITE_ZEROES_UNMAP))
            assert disk.do(blk.T_WRITE_ZEROES, 0, blk.range_(sector, n, flag))[0] == blk.S_OK
            model[span] = bytes(n * SECTOR)
        elif kind < 0.96:
            assert disk.do(blk.T_DISCARD, 0, blk.range_(sector, n))[0] == blk.S_OK
            model[span] = disk.read(sector, n)
        else:
            disk.flush()


@pytest.mark.parametrize("kind", OPTIONS)
def test_random_operations(start, tmp_path, kind):
    image = create(tmp_path / "a.qcow2", *OPTIONS[kind])
    disk = open_disk(start, image)
    model = bytearray(SIZE)
    play(disk, model, 400, random.Random(kind))
    disk.device.assert_bounded()
    end(disk)
    assert content(image) == model
    img("check", "-f", "qcow2", image)


@pytest.mark.parametrize("compression", ["zlib", "zstd"])
def test_compressed(start, tmp_path, compression):
    model = bytearray((b"compresses well " * 64 + pattern(1024)) * (SIZE // 2048))
    image = convert(tmp_path / "a.qcow2", model, "-c", "-o", f"compression_type={compression}")
    disk = open_disk(start, image)
    play(disk, model, 300, random.Random(compression))
    end(disk)
    assert content(image) == model
    img("check", "-f", "qcow2", image)


def test_chain(start, tmp_path):
    """Two qcow2 on a raw file that is shorter than the disk; those behind stay as they are."""
    base, middle, top = (tmp_path / n for n in ("base.raw", "middle.qcow2", "top.qcow2"))
    base.write_bytes(pattern(SIZE // 2))
    create(middle, "-b", base, "-F", "raw")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 100k 300k", str(middle)], check=True,
                   capture_output=True)
    model = bytearray(content(middle))
    create(top, "-b", middle, "-F", "qcow2")
    below = base.read_bytes(), middle.read_bytes()
    disk = open_disk(start, top, backing=[(middle, "qcow2"), (base, "raw")])
    play(disk, model, 400, random.Random(1))
    end(disk)
    assert content(top) == model
    assert (base.read_bytes(), middle.read_bytes()) == below
    img("check", "-f", "qcow2", top)


def test_data_file(start, tmp_path):
    data = tmp_path / "data.raw"
    top = create(tmp_path / "top.qcow2", "-o", f"data_file={data},data_file_raw=on")
    model = bytearray(SIZE)
    disk = open_disk(start, top, data_file=data)
    play(disk, model, 300, random.Random(2))
    end(disk)
    assert content(top) == model
    assert data.read_bytes() == model


def test_read_only(start, tmp_path):
    model = pattern(SIZE)
    image = convert(tmp_path / "a.qcow2", model)
    before = image.read_bytes()
    disk = open_disk(start, image, readonly=True)
    assert disk.session.front.offered & blk.F_RO
    assert disk.read(5, 100) == model[5 * SECTOR:105 * SECTOR]
    assert disk.do(blk.T_OUT, 0, bytes(SECTOR))[0] == blk.S_IOERR
    disk.flush()
    end(disk)
    assert image.read_bytes() == before


# ---- killed ----

def is_dirty(image):
    with image.open("rb") as f:
        return bool(f.read(80)[79] & 1)


@pytest.mark.parametrize("kind", ["default", "small-clusters", "lazy", "old"])
def test_killed_in_the_middle(start, tmp_path, kind):
    """What a guest was told is on the disk that the next process opens; it never needs a flush for that."""
    image = create(tmp_path / "a.qcow2", *OPTIONS[kind])
    model = bytearray(SIZE)
    note = bound()
    rand = random.Random(kind)
    for i in range(5):
        disk = open_disk(start, image, bound=note)
        play(disk, model, 60, rand)
        flying = [(sector, blk.Request(disk.memory, blk.T_OUT, sector, rand.randbytes(8 * SECTOR)))
                  for sector in range(0, 160, 8)]
        for _, request in flying:
            disk.session.queues[0].add(request.bufs)
        disk.session.queues[0].notify()
        kill(disk)
        assert i > 0 or is_dirty(image) == (kind != "old")  # later ones may find no cluster to take
        img("check", "-f", "qcow2", image, ok=(0, LEAKS))
        disk = open_disk(start, image, bound=note)
        # each of those in flight was done whole, in part or not at all
        model[:160 * SECTOR] = disk.read(0, 160)
        assert disk.read(160, SECTORS - 160) == model[160 * SECTOR:]
        end(disk)
        assert not is_dirty(image)
    assert content(image) == model
    img("check", "-f", "qcow2", image, ok=(0, LEAKS) if kind == "old" else (0,))
    os.close(note)


def overlay(tmp_path):
    base, top = tmp_path / "base.raw", tmp_path / "top.qcow2"
    base.write_bytes(pattern(SIZE))
    return create(top, "-b", base, "-F", "raw"), {"backing": [(base, "raw")]}


def snapshots(tmp_path):
    """Of version 2, which has no dirty bit."""
    image = convert(tmp_path / "a.qcow2", pattern(SIZE), "-o", "compat=0.10")
    img("snapshot", "-c", "s", image)
    return image, {}


@pytest.mark.parametrize("make", [overlay, snapshots])
def test_what_a_killed_process_had_in_its_log(start, tmp_path, make):
    """No flush: the next process finds all that the guest was told, each time; the image is sound meanwhile."""
    image, how = make(tmp_path)
    log = redo_log()
    model = bytearray(pattern(SIZE))
    choice = random.Random(3)
    for _ in range(4):
        disk = open_disk(start, image, redo=log, **how)
        for _ in range(20):
            sector, n = choice.randrange(SIZE // SECTOR - 8), choice.randrange(1, 9)
            new = choice.randbytes(n * SECTOR)
            disk.write(sector, new)
            disk.rewind()
            model[sector * SECTOR:(sector + n) * SECTOR] = new
        assert disk.read(0, 128) == model[:128 * SECTOR]
        kill(disk)
        assert int.from_bytes(os.pread(log, 8, 0), "little"), "there is something to be redone"
        img("check", "-f", "qcow2", image, ok=(0, LEAKS))
    disk = open_disk(start, image, redo=log, **how)
    end(disk)
    assert os.pread(log, 8, 0) == bytes(8)
    assert content(image) == model
    img("check", "-f", "qcow2", image, ok=(0, LEAKS))
    os.close(log)


def test_a_log_that_cannot_be(start, tmp_path):
    image = create(tmp_path / "a.qcow2")
    log = redo_log()
    before = image.read_bytes()
    for count, offset in ((1 << 60, 0), (1, 1 << 60), (1, 4)):
        os.pwrite(log, struct.pack("<3Q", count, offset, 0), 0)
        assert "the process before this one left" in refusal(start, image, redo=log)
    assert image.read_bytes() == before
    os.close(log)


# ---- growth ----

def fsize(disk):
    with open(f"/proc/{disk.device.process.pid}/limits", encoding="ascii") as f:
        soft, hard = re.search(r"^Max file size +(\S+) +(\S+)", f.read(), re.M).groups()
    assert soft == hard
    return int(hard)


def test_growth_is_bounded_and_suffices(start, tmp_path):
    """By what the disk's size and its metadata come to; a guest can fill its disk."""
    image = create(tmp_path / "a.qcow2", size=8 * MIB)
    disk = open_disk(start, image, bound=bound())
    assert 8 * MIB < fsize(disk) < 12 * MIB
    for sector in range(0, 8 * MIB // SECTOR, 256):
        disk.write(sector, pattern(256 * SECTOR, sector))
        disk.rewind()
    end(disk)
    assert image.stat().st_size <= 12 * MIB
    img("check", "-f", "qcow2", image)


def test_a_header_does_not_raise_the_bound(start, tmp_path):
    """Who takes dev-blk over can write any header, and is started again."""
    image = create(tmp_path / "a.qcow2")
    note = bound()
    disk = open_disk(start, image, bound=note)
    first = fsize(disk)
    kill(disk)
    img("resize", "-q", "-f", "qcow2", image, 1 << 40)
    disk = open_disk(start, image, bound=note)
    assert fsize(disk) == first
    seals = fcntl.fcntl(note, fcntl.F_GET_SEALS)
    assert seals & fcntl.F_SEAL_WRITE and seals & fcntl.F_SEAL_SEAL
    with pytest.raises(PermissionError):
        os.pwrite(note, bytes(8), 0)
    kill(disk)
    os.close(note)


def test_few_threads_and_calls(start, tmp_path):
    """What the opening took is given up: two filters on the thread that has the metadata, one on the main."""
    disk = open_disk(start, create(tmp_path / "a.qcow2"))
    pid = disk.device.process.pid
    filters = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/status", encoding="ascii") as f:
            status = f.read()
        if "iou-" not in status:
            filters[int(tid) == pid] = re.search(r"Seccomp_filters:\t(\d+)", status).group(1)
    assert filters == {True: "1", False: "2"}
