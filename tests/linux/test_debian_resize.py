# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian kernel shows the new size of a disk that becomes larger under it, without a reboot, and no
request of it fails meanwhile. BULKHEAD_ACCEL names the accelerator, kvm by default."""

import subprocess

import pytest

import vm

pytestmark = pytest.mark.skipif(not (vm.GUEST / "initrd.cpio.gz").exists(), reason="no guest: tools/guest/build")

MIB = 1 << 20
SIZES = (24, 40)  # MiB, from 16 on


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert vm.processes() == []


def call(*words):
    done = subprocess.run([vm.BULKHEAD, *map(str, words)], capture_output=True, text=True, timeout=vm.HANGS,
                          check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@pytest.mark.parametrize("form, guest", [("raw", vm.GUEST), ("qcow2", vm.NEWER), pytest.param("raw", vm.NEWER, marks=vm.LONG),
                                         pytest.param("qcow2", vm.GUEST, marks=vm.LONG)],
                         ids=lambda value: getattr(value, "name", value))
def test_a_disk_becomes_larger(tmp_path, form, guest):
    path = tmp_path / f"disk.{form}"
    call("image", "create", "-f", form, path, "16M")
    flags = ["--allow", "qcow2", "--disk", f"{path},format={form},queues=2"]
    with vm.Guest("grow", guest=guest, cpus=2, words=f"bh.disk=vda bh.sizes={len(SIZES)}", flags=flags) as g:
        before = 16
        for size in SIZES:
            g.wait_for(f"grow ready {before * MIB // 512}".encode())
            call("resize", f"vm{g.process.pid}", path, f"{size}M")
            g.wait_for(f"grow sectors {size * MIB // 512}".encode())
            before = size
        assert g.end() == 0, g.err
        g.said("grow cost nothing")
        g.said("test grow status 0")
    call("image", "check" if form == "qcow2" else "info", "-f", form, path)
