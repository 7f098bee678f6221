# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian kernel on a disk of an iSCSI target (tgt), with CHAP of both sides and two ways to it.
BULKHEAD_ACCEL names the accelerator, kvm by default."""

import random
import subprocess
import sys

import pytest

import test_debian as debian
import vm

sys.path.insert(0, str(vm.TOP / "tests/device"))
from bh import tgt  # noqa: E402

pytestmark = [pytest.mark.skipif(not (vm.GUEST / "initrd.cpio.gz").exists(), reason="no guest: tools/guest/build"),
              pytest.mark.skipif(tgt.MISSING, reason="no tgt: tools/deps check")]

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path):
    """A target and what --disk says of it."""
    file, guest, host = (tmp_path / name for name in ("unit.img", "guest", "host"))
    file.write_bytes(random.Random(1).randbytes(4 * MIB))
    guest.write_text(tgt.GUEST + "\n")
    host.write_text(f"host:{tgt.HOST}\n")
    target = tgt.Target(tmp_path, [(file, 512, False)], ports=2)
    yield target, ["--allow", "storage-iscsi", "--secret", f"guest={guest}", "--secret", f"host={host}", "--disk",
                   f"{target.uri('chap', user='guest@')},format=raw,chap=guest,chap-target=host"]
    target.kill()


def test_work_on_it(disk):
    """What the guest read at the end is what the target has."""
    target, flags = disk
    g = vm.run("disk", words="bh.disk=vda bh.mib=1", flags=flags)
    assert g.said(r"disk sha256 (\w{64})")[1] == debian.sha256(target.units[0][0])


def test_the_target_and_dev_blk_are_killed_under_load(disk):
    """The target comes again at its other way alone; the guest sees nothing of it."""
    target, flags = disk
    chance, gone = random.Random(2), []
    with vm.Guest("kills", words="bh.disk=vda", flags=flags, stdin=subprocess.PIPE) as g:
        g.wait_for(b"kills ready")
        for way in (target.ports[1:], target.ports[:1]):
            target.kill()
            target.start(way)
            debian.kill_one(g, chance, gone, "dev-blk")
        g.process.stdin.write(b"enough\n")
        g.process.stdin.flush()
        assert g.end() == 0, g.err
        g.said("kills cost nothing")
