# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian kernel on an image of a Ceph cluster, through a gateway (qemu-nbd) that alone is the cluster's
client. The cluster is a stand-in on loopback. A release test (make long): BULKHEAD_LONG=1, and packages that nothing else
needs. BULKHEAD_ACCEL names the accelerator, kvm by default."""

import base64
import os
import pathlib
import random
import subprocess
import sys

import pytest

import test_debian as debian
import vm

sys.path.insert(0, str(vm.TOP / "tests/device"))
from bh import ceph  # noqa: E402

pytestmark = [vm.LONG,
              pytest.mark.skipif(not (vm.GUEST / "initrd.cpio.gz").exists(), reason="no guest: tools/guest/build"),
              pytest.mark.skipif(ceph.MISSING, reason=f"no Ceph cluster and gateway: apt install {ceph.PACKAGES}")]

MIB = 1 << 20
SIZE = 8 * MIB


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    c = ceph.Cluster(tmp_path_factory.mktemp("ceph"))
    yield c
    c.close()


@pytest.fixture
def gateway(cluster, tmp_path):
    """gateway(image, snapshot) -> one, and what `run` says of the disk."""
    running = []

    def start(image, snapshot=None):
        cluster.user("vm")
        running.append(ceph.Gateway(cluster, tmp_path / str(len(running)), "vm", image, snapshot))
        g = running[-1]
        return g, ["--allow", "storage-nbd", "--secret", f"psk={g.psk}", "--disk",
                   f"{g.uri},format=raw,tls-psk=psk,readonly={'on' if snapshot else 'off'}"]

    yield start
    for g in running:
        g.kill()


def filled(cluster, name):
    """An image that has random bytes everywhere."""
    file = cluster.at / f"{name}.img"
    file.write_bytes(random.Random(name).randbytes(SIZE))
    cluster.rbd("import", file, f"{ceph.POOL}/{ceph.SPACE}/{name}")
    return name


def exported(cluster, name):
    file = cluster.at / f"{name}.export"
    file.unlink(missing_ok=True)
    cluster.rbd("export", f"{ceph.POOL}/{ceph.SPACE}/{name}", file)
    return file


def digest(cluster, name):
    return debian.sha256(exported(cluster, name))


def memory(pid):
    """What a process has mapped and can be read."""
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            place, rights = line.split()[:2]
            first, end = (int(x, 16) for x in place.split("-"))
            if rights[0] != "r" or line.endswith(("[vvar]", "[vsyscall]")):
                continue
            for at in range(first, end, 8 * MIB):
                try:
                    yield os.pread(mem.fileno(), min(8 * MIB + 64, end - at), at)
                except OSError:
                    pass  # beyond a file's end


def copies(pid, needles):
    return sum(piece.count(n) for piece in memory(pid) for n in needles)


def words(pid):
    return b"".join(pathlib.Path(f"/proc/{pid}/{file}").read_bytes() for file in ("cmdline", "environ"))


def test_work_on_it(cluster, gateway):
    """What the guest read at the end is what the cluster has."""
    _, flags = gateway(filled(cluster, "work"))
    g = vm.run("disk", words="bh.disk=vda bh.mib=4", flags=flags)
    assert g.said(r"disk sha256 (\w{64})")[1] == digest(cluster, "work")


@pytest.mark.skipif(os.geteuid() != 0, reason="reads the memory of processes that have other ids: needs root")
def test_the_key_is_the_gateways_alone(cluster, gateway):
    """In no process of the VM, whose own key is the one that it shares with the gateway; and in nobody's words."""
    gate, flags = gateway(filled(cluster, "key"))
    text = cluster.key("vm")
    needles = [text.encode(), base64.b64decode(text)[12:]]  # behind type, date and length: the key itself
    with vm.Guest("kills", words="bh.disk=vda", flags=flags, stdin=subprocess.PIPE) as g:
        g.wait_for(b"kills ready")
        g.wait_for(b"round 3 ")
        found = debian.devices_of(g.process.pid, also=("",))
        assert {"supervisor", "launcher", "dialer", "vmm", "dev-blk", "storage-nbd"} <= set(found.values())
        assert [name for pid, name in found.items() if copies(pid, needles)] == []
        assert copies(gate.process.pid, needles) > 0  # so they would be found
        assert not any(text.encode() in words(pid) for pid in (*found, gate.process.pid))


def test_gateway_and_stores_die_under_load(cluster, gateway):
    """The guest sees nothing of it. A gateway that comes again takes the image's lock of the one that was killed, which the
    cluster then hears no more."""
    gate, flags = gateway(filled(cluster, "load"))
    with vm.Guest("kills", words="bh.disk=vda", flags=flags, stdin=subprocess.PIPE) as g:
        g.wait_for(b"round 2 ")  # it has written: the gateway has the lock
        for _ in range(2):
            gate.kill()
            before = rounds(g)
            gate.start()
            further_rounds(g, before)
        for number in (0, 1):
            cluster.stop("osd", number)
            before = rounds(g)
            cluster.start("osd", number)
            further_rounds(g, before)
        g.process.stdin.write(b"enough\n")
        g.process.stdin.flush()
        assert g.end() == 0, g.err
        g.said("kills cost nothing")
    assert rest_of(exported(cluster, "load").read_bytes()) == rest_of((cluster.at / "load.img").read_bytes())
    fenced = cluster.ceph("osd", "blocklist", "ls").splitlines()
    assert len([line for line in fenced if line.startswith("127.0.0.1:")]) >= 2


def rest_of(disk):
    """What the guest does not write to."""
    return disk[4 * MIB:]


def rounds(g):
    """How many it has said by now."""
    os.set_blocking(g.process.stdout.fileno(), False)
    g.out += g.process.stdout.read() or b""
    return len(debian.rounds_of(g.text()))


def further_rounds(g, before):
    """Some that began after that many: of the first ones an answer or a line may have been under way."""
    g.wait_for(f"round {before + 3} 0123456789abcdefghijklmnopqrstuvwxyz".encode())


def test_a_snapshot_stays_as_it_is(cluster, gateway):
    """The guest reads what the image was."""
    before = digest(cluster, filled(cluster, "read"))
    cluster.rbd("snap", "create", f"{ceph.POOL}/{ceph.SPACE}/read@then")
    cluster.rbd("resize", "--size", f"{SIZE // 2}B", "--allow-shrink", f"{ceph.POOL}/{ceph.SPACE}/read")
    _, flags = gateway("read", "then")
    with vm.Guest("disk", words="bh.disk=vda bh.mib=1", flags=flags) as g:
        assert g.end() == 0, g.err
        g.said("read-only 1")
        g.said(r"bulkhead-guest: test disk status [^0]")
        assert g.said(r"disk sha256 (\w{64})")[1] == before
