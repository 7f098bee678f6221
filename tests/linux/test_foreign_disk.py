# SPDX-License-Identifier: Apache-2.0
"""A disk that QEMU's storage daemon serves to the vmm: Debian works on it, and its end is the VM's."""

import hashlib
import random
import shutil
import subprocess
import time

import pytest
import vm

pytestmark = pytest.mark.skipif(not shutil.which("qemu-storage-daemon"), reason="no qemu-storage-daemon")


@pytest.fixture
def served(tmp_path):
    """(image, socket, the daemon)"""
    image, sock = tmp_path / "disk.raw", tmp_path / "disk.sock"
    image.write_bytes(random.Random(1).randbytes(16 << 20))
    with subprocess.Popen(
            ["qemu-storage-daemon",
             "--blockdev", f"driver=file,node-name=file,filename={image},discard=unmap",
             "--blockdev", "driver=raw,node-name=disk,file=file,discard=unmap", "--export",
             f"type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,addr.path={sock},writable=on"]) as p:
        for _ in range(600):
            if sock.exists():
                break
            assert p.poll() is None
            time.sleep(0.1)
        yield image, sock, p
        p.kill()


def test_disk_work_reaches_the_image(served):
    image, sock, _ = served
    g = vm.run("disk", words="bh.disk=vda", flags=["--disk", f"vhost-user={sock}"])
    assert "nothing here confines that program" in g.err
    assert g.said(r"disk sha256 (\w{64})")[1] == hashlib.sha256(image.read_bytes()).hexdigest()


def test_its_end_is_the_vms(served):
    _, sock, daemon = served
    with vm.Guest("idle", words="bh.seconds=300", flags=["--disk", f"vhost-user={sock}"]) as g:
        g.wait_for(b"idle for")
        daemon.kill()
        assert g.end() == 5
        assert f"--disk vhost-user={sock}: what served it is gone" in g.err


def test_nobody_listens(tmp_path):
    with vm.Guest("poweroff", flags=["--disk", f"vhost-user={tmp_path}/none"]) as g:
        assert g.end() == 1
        assert "a vhost-user back end that listens there is right" in g.err
