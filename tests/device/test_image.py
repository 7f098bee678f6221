# SPDX-License-Identifier: Apache-2.0
"""bulkhead image, beside qemu-img: what one makes the other reads, and what is wrong is one clear line."""

import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="needs qemu-img")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MIB = 1 << 20
CREATED = ["compat=0.10", "compression_type=zstd", "cluster_size=512", "cluster_size=2M", "refcount_bits=1",
           "refcount_bits=64,lazy_refcounts=on", "extended_l2=on,cluster_size=16k"]
IMPORTED = [("vmdk", "subformat=monolithicSparse"), ("vmdk", "subformat=streamOptimized"),
            ("vhdx", "subformat=dynamic,block_size=1M"), ("vhdx", "subformat=fixed"),
            ("vpc", "subformat=dynamic,force_size=on"), ("vpc", "subformat=fixed"), ("vpc", "subformat=dynamic")]


def qemu(*words):
    done = subprocess.run(["qemu-img", *map(str, words)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Images:
    """A place with the programs and a disk of 3 MiB of which half is zeroes."""

    def __init__(self, build, who):
        self.place = vm.place_of(build, who)
        for name in ("image-tool", "image-import"):
            self.place.install(build / "cmd" / name / name, name)
        self.dir = self.place.dir / "images"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.raw = self.dir / "a.raw"
        self.make()

    def make(self):
        noise = random.Random(7)
        content = bytearray(3 * MIB)
        for at in range(0, len(content), 2 * 65536):
            content[at:at + 4096] = noise.randbytes(4096)
            content[at + 30000:at + 65536] = b"words and words " * 2221
        self.raw.write_bytes(content)
        self.raw.chmod(0o666)

    def call(self, *words):
        return self.place.call("image", *words)

    def ok(self, *words):
        status, out, err = self.call(*words)
        assert (status, err) == (0, ""), err
        return out

    def refused(self, text, *words, status=1):
        code, out, err = self.call(*words)
        assert code == status and out == "", (code, out, err)
        assert err.startswith("bulkhead: image") and err.count("\n") == 1 and text in err, err

    def same(self, form_a, a, form_b, b):
        qemu("compare", "-q", "-f", form_a, "-F", form_b, a, b)

    def left(self):
        """Names that no user has made."""
        return [p.name for p in self.dir.iterdir() if p.name.startswith(".")]


@pytest.fixture(params=["root", "user", "subids"] if os.geteuid() == 0 else ["who runs the tests"])
def anyone(request, build):
    yield from images_of(build, request.param)


@pytest.fixture(scope="module")
def shared(build):
    yield from images_of(build, "root")


@pytest.fixture
def images(shared):
    """Of who runs the tests, whose directory has the disk and nothing else."""
    for path in shared.dir.iterdir():
        path.rmdir() if path.is_dir() else path.unlink()
    shared.make()
    yield shared
    assert shared.left() == []
    assert shared.place.processes() == []


def images_of(build, who):
    images_ = Images(build, who)
    yield images_
    assert images_.left() == []
    assert images_.place.end() == []


def test_for_anyone(anyone):
    """Root, a user, and a user with subordinate ids."""
    q, r = anyone.dir / "b.qcow2", anyone.dir / "c.raw"
    anyone.ok("convert", "-f", "raw", "-O", "qcow2", anyone.raw, q)
    anyone.ok("convert", "-f", "qcow2", "-O", "raw", q, r)
    anyone.same("raw", anyone.raw, "raw", r)
    assert q.stat().st_uid == anyone.place.uid
    assert "No errors" in anyone.ok("check", "-f", "qcow2", q)
    v = anyone.dir / "d.vmdk"
    qemu("convert", "-f", "raw", "-O", "vmdk", anyone.raw, v)
    v.chmod(0o666)
    anyone.ok("convert", "-f", "vmdk", "-O", "raw", v, r)
    anyone.same("raw", anyone.raw, "raw", r)


@pytest.mark.parametrize("options", CREATED)
@pytest.mark.parametrize("compress", [[], ["-c"]], ids=["plain", "compressed"])
def test_convert_qcow2(images, options, compress):
    ours, theirs, back = images.dir / "ours", images.dir / "theirs", images.dir / "back"
    if compress and options == "refcount_bits=1":
        images.refused("needs 16 at least", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", options,
                       images.raw, ours)
        return
    images.ok("convert", *compress, "-f", "raw", "-O", "qcow2", "-o", options, images.raw, ours)
    qemu("check", ours)
    images.same("raw", images.raw, "qcow2", ours)
    qemu("convert", *compress, "-f", "raw", "-O", "qcow2", "-o", options, images.raw, theirs)
    images.ok("convert", "-f", "qcow2", "-O", "raw", theirs, back)
    images.same("raw", images.raw, "raw", back)
    assert images.ok("compare", "-f", "qcow2", "-F", "qcow2", ours, theirs) == "Images are identical.\n"
    if compress and options != "cluster_size=2M":
        assert ours.stat().st_size < images.raw.stat().st_size // 2


@pytest.mark.parametrize("form,options", IMPORTED)
def test_import(images, form, options):
    source, raw, q = images.dir / "source", images.dir / "raw", images.dir / "qcow2"
    qemu("convert", "-f", "raw", "-O", form, "-o", options, images.raw, source)
    images.ok("convert", "-f", form, "-O", "raw", source, raw)
    images.same(form, source, "raw", raw)
    images.ok("convert", "-f", form, "-O", "qcow2", source, q)
    images.same(form, source, "qcow2", q)
    qemu("check", q)
    assert images.ok("compare", "-f", form, "-F", "raw", source, raw) == "Images are identical.\n"
    ours, theirs = (json.loads(text) for text in (images.ok("info", "--json", source),
                                                  qemu("info", "--output=json", "-f", form, source)))
    for key in ("format", "virtual-size", "filename"):
        assert ours[key] == theirs[key]


@pytest.mark.parametrize("form,options,text", [
    ("vmdk", "subformat=monolithicFlat", "monolithicFlat"),
    ("vmdk", "subformat=twoGbMaxExtentSparse", "twoGbMaxExtentSparse"),
    ("vmdk", "subformat=twoGbMaxExtentFlat", "twoGbMaxExtentFlat"),
])
def test_not_imported(images, form, options, text):
    source = images.dir / "source"
    qemu("convert", "-f", "raw", "-O", form, "-o", options, images.raw, source)
    images.refused(text, "convert", "-f", form, source, images.dir / "x")
    assert not (images.dir / "x").exists()


def test_sparse(images):
    """Holes stay holes, and zeroes become some, whatever stands between."""
    big, to = images.dir / "big", images.dir / "to"
    with open(big, "wb") as f:
        f.truncate(1 << 36)
        f.seek(1 << 35)
        f.write(b"x" * 4096 + bytes(MIB) + b"y" * 4096)
    images.ok("convert", "-f", "raw", "-O", "raw", big, to)
    assert to.stat().st_size == 1 << 36 and to.stat().st_blocks * 512 <= 64 << 10
    images.ok("convert", "-f", "raw", "-O", "qcow2", big, to)
    assert to.stat().st_blocks * 512 < 2 * MIB
    images.same("raw", big, "qcow2", to)


def test_chain(images):
    """What backs an image is opened only if it is named, in order."""
    base, mid, top = (images.dir / n for n in ("base", "mid", "top"))
    shutil.copy(images.raw, base)
    images.ok("create", "-f", "qcow2", "-b", "base", "-F", "raw", mid)
    images.ok("create", "-f", "qcow2", "--backing", "mid", "--backing-format", "qcow2", top, "4M")
    info = json.loads(qemu("info", "--output=json", top))
    assert info["backing-filename"] == "mid" and info["virtual-size"] == 4 * MIB
    none = images.dir / "none"
    images.ok("create", "-f", "qcow2", "-b", "base", "-F", "raw", none, "0")  # which is a size
    assert json.loads(qemu("info", "--output=json", none))["virtual-size"] == 0
    for image, at in ((mid, 1), (top, 2)):
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", f"write -P {at} {at}M 64k", image], check=True,
                       capture_output=True, timeout=60)
    chain = ["-b", mid, "-F", "qcow2", "-b", base, "-F", "raw"]
    images.ok("convert", "-f", "qcow2", *chain, "-O", "raw", top, images.dir / "flat")
    images.same("qcow2", top, "raw", images.dir / "flat")
    images.refused("--backing FILE --backing-format qcow2", "convert", "-f", "qcow2", top, images.dir / "x")
    images.refused("nothing that backs it", "convert", "-f", "qcow2", *chain, "-b", base, "-F", "raw", top,
                   images.dir / "x")
    ours, theirs = (json.loads(text) for text in (
        images.ok("map", "--json", "-f", "qcow2", *chain, top), qemu("map", "--output=json", top)))
    assert spread(ours) == spread(theirs)


def spread(ranges):
    """What each 4 KiB are, however the ranges are cut."""
    return [(r["zero"], r["data"], r["depth"] if r["data"] else None, r.get("offset", 0) + at if r["data"] else None)
            for r in ranges for at in range(0, r["length"], 4096)]


def test_info(images):
    q = images.dir / "q"
    qemu("create", "-f", "qcow2", "-o", "compat=1.1,lazy_refcounts=on,extended_l2=on,compression_type=zstd", q, "1G")
    qemu("snapshot", "-c", "one", q)
    ours, theirs = (json.loads(text) for text in (images.ok("info", "--json", "-f", "qcow2", q),
                                                  qemu("info", "--output=json", q)))
    del theirs["snapshots"][0]["icount"]
    theirs.pop("children", None)
    assert ours == theirs
    ours, theirs = (json.loads(text) for text in (images.ok("info", "--output=json", "-f", "raw", images.raw),
                                                  qemu("info", "--output=json", "-f", "raw", images.raw)))
    assert ours == theirs
    assert "virtual size: 1 GiB (1073741824 bytes)" in images.ok("info", q)


def test_names_from_images(images):
    """A snapshot's name is any bytes: no control of the terminal comes out of it."""
    q = images.dir / "q"
    qemu("create", "-f", "qcow2", q, "1M")
    qemu("snapshot", "-c", "N\x1b]0;owned\x07N\x9bx", q)
    out = images.ok("info", "-f", "qcow2", q)
    assert "N?]0;owned?N" in out and "\x1b" not in out
    assert json.loads(images.ok("info", "--json", "-f", "qcow2", q))["snapshots"][0]["name"].startswith("N")


def test_snapshots(images):
    q = images.dir / "q"
    images.ok("convert", "-f", "raw", "-O", "qcow2", images.raw, q)
    images.ok("snapshot", "create", q, "one", "-f", "qcow2")
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 9 0 1M", q], check=True, capture_output=True,
                   timeout=60)
    assert images.call("compare", "-f", "raw", "-F", "qcow2", images.raw, q)[0] == 3
    images.ok("snapshot", "-f", "qcow2", "-a", "one", q)
    images.same("raw", images.raw, "qcow2", q)
    listed = json.loads(images.ok("snapshot", "list", q, "-f", "qcow2", "--json"))
    assert [s["name"] for s in listed] == ["one"]
    images.ok("snapshot", "delete", q, "one", "-f", "qcow2")
    images.refused("one", "snapshot", "delete", q, "one", "-f", "qcow2")
    assert qemu("snapshot", "-l", q) == ""
    qemu("check", q)


def test_resize(images):
    q = images.dir / "q"
    images.ok("convert", "-f", "raw", "-O", "qcow2", images.raw, q)
    for image, form in ((q, "qcow2"), (images.raw, "raw")):
        images.ok("resize", "-f", form, image, "+1G")
        assert json.loads(qemu("info", "--output=json", image))["virtual-size"] == (1 << 30) + 3 * MIB
        images.refused("--shrink", "resize", "-f", form, image, "1G")
        images.ok("resize", "-f", form, "--shrink", image, "-1G")
        assert json.loads(qemu("info", "--output=json", image))["virtual-size"] == 3 * MIB
    images.same("raw", images.raw, "qcow2", q)
    qemu("check", q)


def test_check(images):
    """The statuses, and that leaks are repaired and nothing else."""
    q = images.dir / "q"
    images.ok("convert", "-f", "raw", "-O", "qcow2", images.raw, q)
    with open(q, "r+b") as f:
        header = f.read(64)
        table, = struct.unpack_from(">Q", header, 48)
        f.seek(table)
        block, = struct.unpack(">Q", f.read(8))
        f.seek(block)
        counts = f.read(65536)
        free = counts.index(b"\0\0") & ~1
        f.seek(block + free)
        f.write(b"\0\1")
    status, out, _ = images.call("check", "-f", "qcow2", q)
    assert status == 3 and "1 leaked clusters" in out
    assert json.loads(images.call("check", "-f", "qcow2", "--json", q)[1])["leaks"] == 1
    status, out, _ = images.call("check", "-f", "qcow2", "--repair", "leaks", q)
    assert status == 0 and "repaired" in out
    assert "No errors" in qemu("check", q)
    with open(q, "r+b") as f:
        l1, = struct.unpack_from(">Q", f.read(64), 40)
        f.seek(l1)
        f.write(struct.pack(">Q", 1 << 63 | 1 << 40))
    status, out, _ = images.call("check", "-f", "qcow2", q)
    assert status == 4 and "errors were found" in out


def test_compare(images):
    other = images.dir / "other"
    shutil.copy(images.raw, other)
    with open(other, "r+b") as f:
        f.seek(2 * MIB + 5)
        f.write(b"!")
    for threads in ([], ["-m", "1"], ["--threads=3"]):
        status, out, _ = images.call("compare", *threads, "-f", "raw", "-F", "raw", images.raw, other)
        assert status == 3 and out == f"Content mismatch at offset {2 * MIB + 5}!\n"
    shutil.copy(images.raw, other)
    os.truncate(other, 4 * MIB)
    status, out, err = images.call("compare", "-f", "raw", "-F", "raw", images.raw, other)
    assert status == 0 and "sizes differ" in err
    status, out, _ = images.call("compare", "--strict", "-f", "raw", "-F", "raw", images.raw, other)
    assert status == 3 and "size mismatch" in out


BAD_WORDS = [
    ([], 2, "say create"), (["frob"], 2, "say create"), (["create"], 2, "FILE SIZE"), (["create", "N"], 2, "its size"),
    (["create", "-f", "qcow2", "N", "1Q"], 2, "say a size"), (["create", "-f", "qcow2", "N", "99999999E"], 2, "too large"),
    (["create", "-f", "vmdk", "N", "1G"], 2, "only read"), (["create", "-f", "cow", "N", "1G"], 2, "say raw, qcow2"),
    (["create", "-f", "qcow2", "-o", "colour=red", "N", "1G"], 2, "no such option"),
    (["create", "-f", "qcow2", "-o", "cluster_size=3000", "N", "1G"], 1, "power of two"),
    (["create", "-f", "qcow2", "-o", "cluster_size=1", "N", "1G"], 2, "512"),
    (["create", "-f", "raw", "NO/N", "1G"], 1, "No such file"),
    (["info", "NO"], 1, "No such file"), (["info", "/dev/null"], 1, "is a character device: a file or"), (["info", "/tmp"], 1, "directory"),
    (["info", "--size", "RAW"], 2, "no such option"), (["info", "--", "--json", "RAW"], 2, "one FILE"),
    (["compare", "-m", "0x", "-f", "raw", "RAW", "RAW"], 2, "0 to 16"), (["convert", "RAW", "N", "-O"], 2, "FORMAT is missing"),
    (["convert", "-f", "raw", "RAW", "N", "N"], 2, "SOURCE TARGET"), (["convert", "-f", "raw", "", "N"], 1, "No such file"),
    (["convert", "-f", "raw", "RAW", ""], 1, "say the name of a file"), (["info", "RAW", "RAW"], 2, "one FILE"),
    (["info", "-f"], 2, "FORMAT is missing"), (["info", "--json=yes", "RAW"], 2, "takes no value"),
    (["map", "RAW"], 2, "never guessed"), (["check", "-f", "raw", "RAW"], 1, "nothing to be checked"),
    (["check", "-f", "qcow2", "--repair", "all", "RAW"], 2, "none or leaks"),
    (["check", "-f", "vhdx", "RAW"], 2, "only read"), (["check", "-f", "qcow2", "RAW"], 1, "not a qcow2"),
    (["convert", "-f", "raw", "RAW"], 2, "SOURCE TARGET"), (["convert", "-f", "raw", "RAW", "RAW"], 1, "is the source"),
    (["convert", "-f", "vmdk", "RAW", "N"], 1, "no VMDK image"), (["convert", "-f", "vhdx", "RAW", "N"], 1, "no VHDX image"),
    (["convert", "-f", "vpc", "RAW", "N"], 1, "no VHD image"), (["convert", "-c", "-f", "raw", "RAW", "N"], 2, "compressed"),
    (["convert", "-f", "raw", "-F", "raw", "RAW", "N"], 2, "belongs behind"),
    (["resize", "-f", "raw", "RAW"], 2, "SIZE"), (["resize", "-f", "raw", "RAW", "-3M"], 1, "would have none"),
    (["snapshot", "list", "RAW", "-f", "raw"], 1, "has no snapshots"), (["snapshot", "create", "RAW", "-f", "raw"], 2, "NAME"),
]


def test_bad_words(images):
    names = {"RAW": images.raw, "N": images.dir / "n", "NO": images.dir / "no", "NO/N": images.dir / "no/n"}
    for words, status, text in BAD_WORDS:
        images.refused(text, *(names.get(w, w) for w in words), status=status)
        assert not (images.dir / "n").exists()


def test_truncated(images):
    """Whatever is cut off is an error of this format, and the target is not made."""
    for form in ("qcow2", "vmdk", "vhdx", "vpc"):
        source, to = images.dir / form, images.dir / "to"
        qemu("convert", "-f", "raw", "-O", form, images.raw, source)
        os.truncate(source, source.stat().st_size // 2)
        status, _, err = images.call("convert", "-f", form, source, to)
        if form != "qcow2":  # of which QEMU takes what is missing for zeroes, too
            assert status == 1 and err.count("\n") == 1 and str(source) in err, err
            assert not to.exists()
        to.unlink(missing_ok=True)


def test_broken_compression(images):
    q, to = images.dir / "q", images.dir / "to"
    images.ok("convert", "-c", "-f", "raw", "-O", "qcow2", images.raw, q)
    data = bytearray(q.read_bytes())
    data[262144 + 100:262144 + 6000] = b"\xff" * 5900
    q.write_bytes(data)
    images.refused("compressed there is broken", "convert", "-f", "qcow2", q, to)
    assert not to.exists()


# ---- images in use ----

def test_in_use(images):
    """As a VM has it, by whom it is read and by whom written."""
    with open(images.raw, "r+b") as f:
        lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, 0, 100, 0)
        fcntl.fcntl(f, fcntl.F_OFD_SETLK, lock)
        images.refused("--force-share", "info", "-f", "raw", images.raw)
        images.ok("info", "-f", "raw", "--force-share", images.raw)
        images.ok("convert", "-U", "-f", "raw", images.raw, images.dir / "copy")
        images.refused("in use", "resize", "-f", "raw", images.raw, "+1M")
        images.refused("in use", "convert", "-f", "raw", images.dir / "copy", images.raw)
    images.ok("info", "-f", "raw", images.raw)
    with open(images.raw, "rb") as f:
        lock = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 0, 100, 0)
        fcntl.fcntl(f, fcntl.F_OFD_SETLK, lock)
        images.ok("info", "-f", "raw", images.raw)
        images.refused("in use", "resize", "-f", "raw", images.raw, "+1M")


# ---- no half file ----

def test_interrupted(images, slow):
    """Nothing under the final name; what was there before stays."""
    to = images.dir / "to"
    for before in (None, b"old"):
        if before:
            to.write_bytes(before)
        slow.hold_reads = True
        process = images.place.start("image", "convert", "-f", "raw", "-O", "qcow2", slow.place, to)
        slow.wait_held(1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        slow.release()
        assert process.returncode == 6 and "interrupted" in err, err
        assert ("what it was before" if before else "was not made") in err
        assert images.left() == []
        assert to.read_bytes() == before if before else not to.exists()
        images.place.wait_until_empty()


def test_killed(images, slow):
    """Who kills the command ends everything."""
    slow.hold_reads = True
    process = images.place.start("image", "convert", "-f", "raw", "-O", "raw", slow.place, images.dir / "to")
    slow.wait_held(1)
    process.kill()
    process.communicate(timeout=60)
    slow.release()
    images.place.wait_until_empty()
    assert not (images.dir / "to").exists()
    for name in images.left():
        (images.dir / name).unlink()


@needs_root
def test_full_disk(images):
    """Whatever is made; and what was there before stays."""
    small = images.dir / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", small], check=True)
    try:
        for words in (["-O", "raw"], ["-O", "qcow2"], ["-O", "qcow2", "-o", "preallocation=falloc"]):
            images.refused("no space is left", "convert", "-f", "raw", *words, images.raw, small / "to")
            assert list(small.iterdir()) == []
        (small / "to").write_bytes(b"old")
        images.refused("no space is left", "convert", "-f", "raw", "-O", "raw", images.raw, small / "to")
        images.refused("no space is left", "create", "-f", "raw", "-o", "preallocation=full", small / "to", "2M")
        assert [(p.name, p.read_bytes()) for p in small.iterdir()] == [("to", b"old")]
    finally:
        subprocess.run(["umount", small], check=True)


def test_read_only_directory(images):
    with open(images.raw, "rb"):
        images.refused("No such file", "convert", "-f", "raw", images.raw, pathlib.Path("/proc/no/to"))


def test_progress_on_a_terminal(images):
    """None into a pipe (all other tests); on a terminal a line that ends with all of it."""
    master, slave = os.openpty()
    process = images.place.start("image", "convert", "-f", "raw", "-O", "qcow2", images.raw, images.dir / "to",
                                 stderr=slave)
    os.close(slave)
    process.communicate(timeout=60)
    text = os.read(master, 65536).decode()
    os.close(master)
    assert process.returncode == 0 and "100.0%" in text and "MiB/s" in text


def test_reader_that_is_gone(images):
    """A map of many pieces into a pipe that nobody reads any more."""
    q = images.dir / "q"
    with open(images.dir / "many", "wb") as f:
        for at in range(0, 64 * MIB, 16384):
            f.seek(at)
            f.write(b"x")
        f.truncate(64 * MIB)
    qemu("convert", "-f", "raw", "-O", "qcow2", "-o", "cluster_size=4k", images.dir / "many", q)
    process = images.place.start("image", "map", "--json", "-f", "qcow2", q)
    process.stdout.read(10)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode == 7 and "cannot be written" in err
    images.place.wait_until_empty()


def test_output_into_a_file(images):
    """As into a pipe, byte for byte; and one that takes nothing is said."""
    for words in (["info", "-f", "raw", images.raw], ["map", "--json", "-f", "raw", images.raw]):
        with open(images.dir / "out", "w+b") as f:
            process = images.place.start("image", *words, stdout=f)
            assert (process.communicate(timeout=60)[1], process.returncode) == ("", 0)
        assert (images.dir / "out").read_text() == images.ok(*words)
        with open("/dev/full", "wb") as f:
            process = images.place.start("image", *words, stdout=f)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 7 and err == f"bulkhead: image {words[0]}: its output cannot be written any more\n"


def test_nobody_hears_that_it_was_done(images):
    """What is changed is changed, and what is made is there."""
    q = images.dir / "q"
    images.ok("convert", "-f", "raw", "-O", "qcow2", images.raw, q)
    for words, status in ((["resize", "-f", "qcow2", q, "+1M"], 7), (["convert", "-f", "qcow2", q, images.dir / "to"], 0)):
        reader, writer = os.pipe()
        os.close(reader)
        process = images.place.start("image", *words, stdout=writer)
        os.close(writer)
        process.communicate(timeout=60)
        assert process.returncode == status
    assert json.loads(qemu("info", "--output=json", q))["virtual-size"] == 4 * MIB
    qemu("check", q)
    images.same("qcow2", q, "raw", images.dir / "to")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_standard_descriptors_that_are_closed(images, closed):
    """No image is opened in their place, and nothing waits for what will not come."""
    q, to = images.dir / "q", images.dir / "to"
    before = images.raw.read_bytes()
    told = ">&-" not in closed.split()
    for words, status in (
            (["info", "-f", "raw", images.raw], 0 if told else 7), (["info", images.dir / "no"], 1),
            (["create", "-f", "qcow2", q, "1M"], 0), (["resize", "-f", "qcow2", q, "+1M"], 0 if told else 7),
            (["convert", "-f", "raw", "-O", "raw", images.raw, to], 0), (["frob"], 2)):
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *images.place.command("image", *words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False,
                              env=images.place.environment())
        assert done.returncode == status, (words, done)
        assert (done.stdout != "") == (told and words[0] in ("info", "resize") and status == 0)
        assert (done.stderr != "") == (status != 0 and "2>&-" not in closed)
    assert images.raw.read_bytes() == before == to.read_bytes()
    assert json.loads(qemu("info", "--output=json", q))["virtual-size"] == 2 * MIB
    qemu("check", q)


def test_what_is_no_file(images):
    """Every place where a file is said, and nothing is waited for."""
    pipe, q, to = images.dir / "pipe", images.dir / "q", images.dir / "to"
    os.mkfifo(pipe)
    images.ok("create", "-f", "qcow2", "-b", images.raw, "-F", "raw", q)
    for bad, text in ((pipe, "is a pipe: a file or a block device is right"), (images.dir, "s a directory"),
                      (images.dir / "no", "No such file or directory")):
        for words in (["info", bad], ["map", "-f", "raw", bad], ["check", "-f", "qcow2", bad],
                      ["convert", "-f", "raw", bad, to], ["convert", "-f", "vmdk", bad, to],
                      ["convert", "-f", "qcow2", "-b", bad, "-F", "raw", q, to],
                      ["convert", "-f", "qcow2", "--data-file", bad, q, to],
                      ["compare", "-f", "raw", "-F", "raw", images.raw, bad], ["resize", "-f", "raw", bad, "+1M"],
                      ["snapshot", "list", bad, "-f", "qcow2"]):
            images.refused(text, *words)
        if bad.exists():
            images.refused(text, "convert", "-f", "raw", images.raw, bad)
            images.refused(text, "create", "-f", "raw", bad, "1M")
        images.refused(text, "create", "-f", "qcow2", "-b", bad, "-F", "raw", to)
        assert not to.exists()


def test_options_in_any_order(images):
    """Behind what they are of, too; and -- ends them."""
    q, odd = images.dir / "q", images.dir / "-f"
    shutil.copy(images.raw, odd)
    for words in (["-O", "qcow2", "-f", "raw", images.raw, q], [images.raw, q, "-f", "raw", "-O", "qcow2"],
                  [images.raw, "-fraw", q, "-Oqcow2"], ["--format=raw", images.raw, "--output-format", "qcow2", q],
                  ["-f", "raw", "-O", "qcow2", "--", images.raw, q], [images.raw, "-f", "raw", "-O", "qcow2", "--", q]):
        images.ok("convert", *words)
        images.same("raw", images.raw, "qcow2", q)
        q.unlink()
    process = images.place.start("image", "info", "-f", "raw", "--", "-f", cwd=images.dir)
    assert "image: -f\n" in process.communicate(timeout=60)[0] and process.returncode == 0
    images.ok("resize", "-f", "raw", "--shrink", images.raw, "--", "-1M")
    assert images.raw.stat().st_size == 2 * MIB


# ---- the walls ----

def test_walls(images, slow):
    """While it copies: namespaces, no capabilities, a filter in every thread, an empty root, an id of its own."""
    slow.hold_reads = True
    process = images.place.start("image", "convert", "-f", "raw", "-O", "raw", slow.place, images.dir / "to")
    slow.wait_held(1)
    found = {pathlib.Path(exe).name: pid for pid, exe in images.place.processes()}
    pid = found["image-tool"]
    own = os.readlink("/proc/self/ns/net")
    for task in os.listdir(f"/proc/{pid}/task"):
        status = dict(line.split(":\t", 1) for line in
                      pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text(encoding="ascii").splitlines()
                      if ":\t" in line)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == 0
        assert int(status["CapBnd"], 16) == 0 and status["Uid"].split()[0] != "0"
    for space in ("net", "pid", "mnt", "user", "ipc", "uts", "cgroup"):
        assert os.readlink(f"/proc/{pid}/ns/{space}") != own.replace("net", space)
    assert os.listdir(f"/proc/{pid}/root/") == []
    command = process.pid
    assert "Seccomp:\t2" in pathlib.Path(f"/proc/{command}/status").read_text(encoding="ascii")
    slow.release()
    process.communicate(timeout=60)
    assert process.returncode == 0
    wait.until(lambda: not images.place.processes(), "all end")


def test_parsers_are_apart(build):
    """Names of the import parsers' functions are in image-import alone."""
    for path in (build / "cmd").glob("*/*"):
        if path.is_file() and os.access(path, os.X_OK) and path.name == path.parent.name:
            symbols = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
            for name in ("vmdk_open", "vhdx_open", "vhd_open"):
                assert (f" {name}\n" in symbols) == (path.name == "image-import"), path
