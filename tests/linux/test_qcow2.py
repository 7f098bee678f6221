# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian kernel on qcow2 disks: works on a chain, loses nothing when dev-blk is killed under it.
qemu-img judges what is left. BULKHEAD_ACCEL names the accelerator, kvm by default."""

import hashlib
import random
import shutil
import subprocess

import pytest

import test_debian as debian
import vm

IMG = shutil.which("qemu-img")
pytestmark = [pytest.mark.skipif(not (vm.GUEST / "initrd.cpio.gz").exists(), reason="no guest: tools/guest/build"),
              pytest.mark.skipif(IMG is None, reason="needs qemu-img")]

MIB = 1 << 20
LEAKS = 3  # qemu-img check: clusters that nobody uses, nothing worse


def img(*words, ok=(0,)):
    done = subprocess.run([IMG, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode in ok, (words, done.stdout, done.stderr)


def content(image):
    out = image.with_suffix(".out")
    img("convert", "-U", "-f", "qcow2", "-O", "raw", image, out)  # the kernel may not have let go of the lock yet
    return out.read_bytes()


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base.raw"
    path.write_bytes(random.Random(1).randbytes(16 * MIB))
    return path


@pytest.fixture
def chain(base, tmp_path):
    """A qcow2 image on another, on a raw file; what --disk says of it."""
    middle, top = tmp_path / "middle.qcow2", tmp_path / "top.qcow2"
    img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", middle)
    img("create", "-q", "-f", "qcow2", "-b", middle, "-F", "qcow2", top)
    return top, ["--allow", "qcow2", "--disk", f"{top},format=qcow2,queues=2,backing={middle},backing-format=qcow2,"
                 f"backing={base},backing-format=raw"]


def test_work_on_a_chain(chain, base):
    """What the guest read is what qemu-img reads; what is behind stays as it is."""
    top, flags = chain
    before = debian.sha256(base)
    g = vm.run("disk", cpus=2, words="bh.disk=vda", flags=flags)
    assert g.said(r"disk sha256 (\w{64})")[1] == hashlib.sha256(content(top)).hexdigest()
    assert debian.sha256(base) == before
    img("check", "-U", "-f", "qcow2", top)  # the kernel may not have let go of the lock yet


def test_killed_under_load(tmp_path):
    """dev-blk alone, again and again; each time another one opens the image and goes on."""
    image = tmp_path / "a.qcow2"
    img("create", "-q", "-f", "qcow2", image, 16 * MIB)
    chance, gone = random.Random(2), []
    with vm.Guest("kills", words="bh.disk=vda", flags=["--allow", "qcow2", "--disk", f"{image},format=qcow2"],
                  stdin=subprocess.PIPE) as g:
        g.wait_for(b"kills ready")
        for _ in range(6):
            debian.kill_one(g, chance, gone, "dev-blk")
        g.process.stdin.write(b"enough\n")
        g.process.stdin.flush()
        assert g.end() == 0, g.err
        g.said("kills cost nothing")
    img("check", "-U", "-f", "qcow2", image, ok=(0, LEAKS))  # likewise


def type_line(g, line):
    g.process.stdin.write(line.encode() + b"\n")
    g.process.stdin.flush()


def log_in(g):
    """As /etc/issue says."""
    for prompt, line in ((b"login: ", "root"), (b"Password: ", "bulkhead")):
        g.wait_for(prompt)
        g.out = b""
        type_line(g, line)
    g.wait_for(b"# ")
    g.out = b""


@vm.LONG
def test_root_file_system(tmp_path):
    """Its root is a qcow2 image on a raw one: what it wrote is there after a reboot, and e2fsck finds it clean."""
    base, top = vm.GUEST / "root.ext4", tmp_path / "root.qcow2"
    img("create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top)
    before = debian.sha256(base)
    with vm.Guest("", stdin=subprocess.PIPE, flags=[
            "--allow", "qcow2", "--disk", f"{top},format=qcow2,backing={base},backing-format=raw"]) as g:
        log_in(g)
        type_line(g, "seq 1 200000 >/root/new; sync; md5sum </root/new; reboot")
        log_in(g)
        type_line(g, "md5sum </root/new; poweroff")
        assert g.end() == 0, g.err
    assert hashlib.md5(b"".join(b"%d\n" % n for n in range(1, 200001))).hexdigest() in g.text()
    assert debian.sha256(base) == before
    raw = tmp_path / "root.raw"
    raw.write_bytes(content(top))
    subprocess.run(["/usr/sbin/e2fsck", "-fn", raw], check=True, capture_output=True)
    img("check", "-U", "-f", "qcow2", top)  # the kernel may not have let go of the lock yet
