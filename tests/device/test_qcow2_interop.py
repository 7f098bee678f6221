# SPDX-License-Identifier: Apache-2.0
"""qcow2 images against qemu-img: what either makes the other reads; after random requests of ours
qemu-img finds nothing wrong and reads the same bytes."""

import json
import random
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.skipif(not shutil.which("qemu-img"), reason="no qemu-img: tools/deps check installs it")

SIZE = 2 << 20
REQUESTS = 100

# Options of qemu-img create, one of each kind at least.
OPTIONS = [
    "cluster_size=64k", "compat=0.10", "compat=0.10,cluster_size=512", "cluster_size=512", "cluster_size=2M",
    "refcount_bits=1", "refcount_bits=2,cluster_size=4k", "refcount_bits=4", "refcount_bits=8,cluster_size=1k",
    "refcount_bits=32", "refcount_bits=64,cluster_size=512", "lazy_refcounts=on", "extended_l2=on",
    "extended_l2=on,cluster_size=16k", "extended_l2=on,cluster_size=2M", "compression_type=zstd",
    "preallocation=metadata", "preallocation=falloc,cluster_size=4k", "preallocation=full",
    "preallocation=metadata,extended_l2=on",
]
# Of ours, which are those of qemu-img by other names.
OURS = [
    "", "version=2", "cluster_size=512", "cluster_size=2097152", "refcount_bits=1", "refcount_bits=64 cluster_size=512",
    "extended_l2", "extended_l2 cluster_size=16384 lazy", "zstd", "metadata", "metadata cluster_size=512",
]
COMPRESSED = ["cluster_size=64k", "cluster_size=512", "cluster_size=2M", "compression_type=zstd",
              "compression_type=zstd,cluster_size=2M", "compression_type=zstd,extended_l2=on", "compat=0.10"]


class Images:
    def __init__(self, build, folder):
        self.program = build / "tests/device/qcow2-tool"
        self.folder = folder

    def tool(self, command, name, *arguments):
        done = subprocess.run([self.program, command, name, *map(str, arguments)], cwd=self.folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
        assert done.returncode == 0, f"{command} {name} {arguments}: {done.stdout}"
        return done.stdout

    def qemu(self, command, *arguments):
        for _ in range(20):
            done = subprocess.run(["qemu-img", command, *map(str, arguments)], cwd=self.folder, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
            if "Unable to get accurate CPU usage" not in done.stdout:  # with LUKS it times itself, and may fail at that
                break
        assert done.returncode == 0, f"qemu-img {command} {arguments}: {done.stdout}"
        return done.stdout

    def create(self, name, options="", size=SIZE):
        self.qemu("create", "-q", "-f", "qcow2", *(["-o", options] if options else []), name, size)

    def sound(self, name, *below):
        """Nothing is wrong with it, and both read the same."""
        self.qemu("check", "-q", "-f", "qcow2", name)
        assert "corruptions=0 leaks=0 " in self.tool("check", name)
        self.tool("dump", name, "out=dump.raw", *below)
        self.qemu("compare", "-q", "-f", "qcow2", "-F", "raw", name, "dump.raw")

    def work(self, name, seed, *below):
        self.tool("ops", name, f"seed={seed}", f"n={REQUESTS}", *below)
        self.sound(name, *below)


@pytest.fixture
def images(build, tmp_path):
    return Images(build, tmp_path)


@pytest.fixture
def source(images):
    """Something to compress: noise, patterns, holes."""
    some = random.Random(5)
    with open(images.folder / "source.raw", "wb") as f:
        for i in range(SIZE >> 16):
            f.write((some.randbytes(1 << 16), bytes([i]) * (1 << 16), bytes(1 << 16))[i % 3])
    return "source.raw"


@pytest.mark.parametrize("options", OPTIONS)
def test_images_of_qemu(images, options):
    images.create("a.qcow2", options)
    images.work("a.qcow2", 1)


@pytest.mark.parametrize("options", OURS)
def test_images_of_ours(images, options):
    images.tool("create", "a.qcow2", f"size={SIZE}", *options.split())
    images.sound("a.qcow2")
    images.work("a.qcow2", 2)


@pytest.mark.parametrize("options", COMPRESSED)
def test_compressed(images, source, options):
    images.qemu("convert", "-q", "-c", "-O", "qcow2", "-o", options, source, "a.qcow2")
    images.sound("a.qcow2")
    assert (images.folder / "dump.raw").read_bytes() == (images.folder / source).read_bytes()
    images.work("a.qcow2", 3)


@pytest.mark.parametrize("options", ["cluster_size=64k", "cluster_size=4k", "extended_l2=on", "compat=0.10"])
def test_backing(images, source, options):
    """A disk that is longer than its backing, which is compressed; and one on top of that."""
    images.qemu("convert", "-q", "-c", "-O", "qcow2", source, "base.qcow2")
    images.create("a.qcow2", f"{options},backing_file=base.qcow2,backing_fmt=qcow2", SIZE + (1 << 20))
    images.work("a.qcow2", 4, "base=base.qcow2")
    images.create("b.qcow2", f"{options},backing_file={source},backing_fmt=raw", SIZE + (1 << 20))
    images.work("b.qcow2", 5, f"base_raw={source}")
    # growing does not show what the backing has behind the old end
    images.create("c.qcow2", f"{options},backing_file={source},backing_fmt=raw", 1 << 20)
    images.tool("resize", "c.qcow2", "size=3000320", f"base_raw={source}")
    images.sound("c.qcow2", f"base_raw={source}")
    assert not any((images.folder / "dump.raw").read_bytes()[1 << 20:])


@pytest.mark.parametrize("raw", ["off", "on"])
def test_data_file(images, raw):
    images.create("a.qcow2", f"data_file=a.data,data_file_raw={raw}")
    images.work("a.qcow2", 6, "data=a.data")
    if raw == "on":
        images.qemu("compare", "-q", "-f", "qcow2", "-F", "raw", "a.qcow2", "a.data")
    images.tool("create", "b.qcow2", f"size={SIZE}", "data_file=b.data", *(["raw", "metadata"] if raw == "on" else []))
    (images.folder / "b.data").touch()
    subprocess.run(["truncate", "-s", str(SIZE), images.folder / "b.data"], check=True)
    images.work("b.qcow2", 7, "data=b.data")


@pytest.mark.parametrize("options", ["off", "on", "on,cluster_size=512"])
def test_resize_with_a_data_file(images, options):
    """The data file has the disk's size, as after qemu-img resize; what was behind the disk in it is no byte of it."""
    data = images.folder / "a.data"
    images.create("a.qcow2", f"data_file=a.data,data_file_raw={options}", 1 << 20)
    images.tool("ops", "a.qcow2", "seed=35", "n=100", "data=a.data")
    images.sound("a.qcow2", "data=a.data")
    for size, how in ((2 << 20, []), ((2 << 20) + 512, []), ((1 << 20) + 512, ["shrink"]), (8 << 20, [])):
        before = (images.folder / "dump.raw").read_bytes()
        images.tool("resize", "a.qcow2", f"size={size}", "data=a.data", *how)
        assert data.stat().st_size == size
        images.sound("a.qcow2", "data=a.data")
        assert (images.folder / "dump.raw").read_bytes() == before[:size] + bytes(max(0, size - len(before)))
        if options.startswith("on"):
            images.qemu("compare", "-q", "-f", "qcow2", "-F", "raw", "a.qcow2", "a.data")
        images.tool("ops", "a.qcow2", f"seed={size}", "n=30", "data=a.data")
        images.sound("a.qcow2", "data=a.data")
    before = (images.folder / "dump.raw").read_bytes()
    with open(data, "ab") as f:
        f.write(b"\xa5" * (1 << 20))
    images.tool("resize", "a.qcow2", f"size={(9 << 20) - 512}", "data=a.data")
    images.sound("a.qcow2", "data=a.data")
    assert (images.folder / "dump.raw").read_bytes() == before + bytes((1 << 20) - 512)
    images.qemu("resize", "a.qcow2", 10 << 20)
    images.sound("a.qcow2", "data=a.data")


@pytest.mark.parametrize("options", ["cluster_size=64k", "cluster_size=512", "extended_l2=on", "compat=0.10"])
def test_snapshots(images, options):
    """Made by both, applied and deleted by both; each keeps its bytes."""
    contents = {}

    def snapshot(name, by_qemu):
        images.tool("dump", "a.qcow2", "out=dump.raw")
        contents[name] = (images.folder / "dump.raw").read_bytes()
        if by_qemu:
            images.qemu("snapshot", "-c", name, "a.qcow2")
        else:
            images.tool("snapshot", "a.qcow2", f"create={name}")
        images.sound("a.qcow2")
        assert (images.folder / "dump.raw").read_bytes() == contents[name]

    def reads(name):
        assert (images.folder / "dump.raw").read_bytes() == contents[name]

    images.create("a.qcow2", options)
    images.work("a.qcow2", 8)
    for i, by_qemu in enumerate([True, False, True, False]):
        snapshot(f"s{i}", by_qemu)
        images.work("a.qcow2", 9 + i)
    assert images.tool("list", "a.qcow2").split()[1::3] == ["s0", "s1", "s2", "s3"]
    listed = json.loads(images.qemu("info", "--output=json", "a.qcow2"))["snapshots"]
    assert [s["name"] for s in listed] == ["s0", "s1", "s2", "s3"]
    for name in ("s0", "s3", "s2"):
        images.tool("snapshot", "a.qcow2", f"apply={name}")
        images.sound("a.qcow2")
        reads(name)
        images.work("a.qcow2", 20)
    images.qemu("snapshot", "-a", "s1", "a.qcow2")
    images.sound("a.qcow2")
    reads("s1")
    images.tool("snapshot", "a.qcow2", "delete=s0")
    images.sound("a.qcow2")
    images.qemu("snapshot", "-d", "s3", "a.qcow2")
    images.sound("a.qcow2")
    images.tool("snapshot", "a.qcow2", "delete=s1")
    images.tool("snapshot", "a.qcow2", "delete=s2")
    images.sound("a.qcow2")
    reads("s1")


def test_resize(images):
    images.create("a.qcow2", "cluster_size=4k")
    images.work("a.qcow2", 30)
    for size, how in ((16 << 20, []), (3 << 20, ["shrink"]), (1 << 20, ["shrink"]), (48 << 20, [])):
        before = (images.folder / "dump.raw").read_bytes()
        images.tool("resize", "a.qcow2", f"size={size}", *how)
        images.sound("a.qcow2")
        after = (images.folder / "dump.raw").read_bytes()
        assert after == before[:size] + bytes(max(0, size - len(before)))
        if size < 32 << 20:
            images.work("a.qcow2", 31)
    images.qemu("resize", "--shrink", "a.qcow2", 2 << 20)
    images.work("a.qcow2", 32)


def test_a_smaller_disk_has_to_be_asked_for(images):
    images.create("a.qcow2")
    with pytest.raises(AssertionError, match="cut the disk's end off"):
        images.tool("resize", "a.qcow2", "size=1048576")
    images.sound("a.qcow2")


def test_bitmaps_are_not_vouched_for(images):
    """A program that does not keep them in step clears their bit, after which their clusters are leaks."""
    images.create("a.qcow2")
    images.qemu("bitmap", "--add", "a.qcow2", "b0")
    assert "bitmaps=1" in images.tool("info", "a.qcow2")
    assert "corruptions=0 leaks=0 " in images.tool("check", "a.qcow2")
    images.tool("ops", "a.qcow2", "seed=33", "n=100")
    assert "bitmaps=0" in images.tool("info", "a.qcow2")
    assert "corruptions=0 leaks=2 corruptions_fixed=0 leaks_fixed=2 " in images.tool("check", "a.qcow2", "leaks")
    images.sound("a.qcow2")


def test_repair(images):
    """Refcounts and flags that qemu-img calls wrong are found, and right afterwards."""
    images.create("a.qcow2", "cluster_size=4k")
    images.work("a.qcow2", 34)
    with open(images.folder / "a.qcow2", "r+b") as f:
        f.seek(48)
        table = int.from_bytes(f.read(8), "big")
        f.seek(table)
        block = int.from_bytes(f.read(8), "big")
        f.seek(block + 2 * 10)
        f.write(bytes([0, 0, 0, 3, 0, 1, 0, 0]))
    theirs = subprocess.run(["qemu-img", "check", "--output=json", "a.qcow2"], cwd=images.folder, text=True,
                            stdout=subprocess.PIPE, timeout=300)
    theirs = json.loads(theirs.stdout)
    ours = images.tool("check", "a.qcow2").splitlines()[-1].split()
    assert ours[:2] == [f"corruptions={theirs['corruptions']}", f"leaks={theirs['leaks']}"]
    last = images.tool("check", "a.qcow2", "all").splitlines()[-1]
    assert f"corruptions_fixed={theirs['corruptions']} leaks_fixed={theirs['leaks']} " in last
    images.sound("a.qcow2")


def test_statistics(images, source):
    images.qemu("convert", "-q", "-c", "-O", "qcow2", source, "a.qcow2")
    theirs = json.loads(images.qemu("check", "--output=json", "a.qcow2"))
    ours = dict(word.split("=") for word in images.tool("check", "a.qcow2").split())
    assert int(ours["allocated"]) == theirs["allocated-clusters"]
    assert int(ours["compressed"]) == theirs["compressed-clusters"]
    assert int(ours["total"]) == theirs["total-clusters"]
    assert int(ours["end"]) == theirs["image-end-offset"]


@pytest.mark.parametrize("how", [[], ["settles"]])
def test_what_a_crash_leaves(images, how):
    """qemu-img finds no corruption in a sample of what test_qcow2_crash checks by our own checker."""
    (images.folder / "cuts").mkdir()
    images.tool("cuts", "cuts", "every=150", "seed=35", *how)
    samples = sorted((images.folder / "cuts").iterdir())
    assert len(samples) >= 20
    for sample in samples:
        done = subprocess.run(["qemu-img", "check", "--output=json", sample], text=True, stdout=subprocess.PIPE,
                              timeout=300)
        found = json.loads(done.stdout)
        assert "corruptions" not in found, (sample.name, found)


@pytest.mark.parametrize("options, words", [
    ("encryption=on,encrypt.key-secret=s", "encrypted (AES)"),
    ("encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s", "encrypted (LUKS)"),
])
def test_encrypted_images_are_refused_by_name(images, options, words):
    images.qemu("create", "-q", "--object", "secret,id=s,data=abc123", "-f", "qcow2", "-o", options, "a.qcow2", "1M")
    with pytest.raises(AssertionError) as refused:
        images.tool("info", "a.qcow2")
    assert words in str(refused.value)
