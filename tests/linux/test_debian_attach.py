# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian kernel, without an option for it, takes devices that come and lets go of devices that go:
it mounts a disk, writes it and finds it again, whatever is killed or busy meanwhile."""

import os
import random
import signal
import socket
import subprocess

import pytest
import test_debian
import vm

BUSY_CPUS = int(os.environ.get("BULKHEAD_BUSY_CPUS", "2"))
BUSY_ROUNDS = 2


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert vm.processes() == []


@pytest.fixture
def image(tmp_path):
    """An ext4 file system of 32 MiB."""
    path = tmp_path / "hot.raw"
    with open(path, "wb") as f:
        f.truncate(32 << 20)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-F", path], check=True)
    return path


def call(*words, fds=()):
    return subprocess.run([vm.BULKHEAD, *words], capture_output=True, text=True, timeout=vm.HANGS, check=False, pass_fds=fds)


class Host:
    """What attaches devices to a guest."""

    def __init__(self, guest):
        self.guest, self.name = guest, f"vm{guest.process.pid}"

    def attach(self, *words, fds=()):
        done = call("attach", self.name, *words, fds=fds)
        assert done.returncode == 0, done.stderr + self.guest.text()
        return done.stdout.split()[0]

    def detach(self, device):
        done = call("detach", self.name, device, "--timeout", "240")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), done.stderr + self.guest.text()

    def kill(self, program):
        """The last one that was started."""
        pids = [pid for pid, name in test_debian.devices_of(self.guest.process.pid).items() if name == program]
        os.kill(max(pids), signal.SIGKILL)


def kill_a_disk(host):
    if os.geteuid() == 0:
        host.kill("dev-blk")


@pytest.mark.parametrize("guest,words", [(vm.GUEST, "bh.reboot=1"), (vm.NEWER, "")],
                         ids=["a reboot", "the newer kernel"])
def test_a_disk_and_random_numbers_come_and_go(image, guest, words):
    with vm.Guest("hotplug", guest=guest, words=words, flags=["--rng", "off"]) as g:
        host = Host(g)
        g.wait_for(b"hotplug waits: disk to come\r")
        disk = host.attach("disk", f"{image},format=raw,queues=2")
        assert disk == "disk-1"
        kill_a_disk(host)
        if words:
            g.wait_for(b"hotplug reboots")
        g.wait_for(b"hotplug disk bytes")
        kill_a_disk(host)
        g.wait_for(b"hotplug waits: disk to go\r")
        host.detach(disk)
        g.wait_for(b"hotplug waits: disk to come back")
        disk = host.attach("disk", f"{image},format=raw")
        g.wait_for(b"hotplug waits: rng to come")
        rng = host.attach("rng", "rate=10M")
        g.wait_for(b"hotplug waits: rng to go")
        host.detach(rng)
        g.wait_for(b"hotplug waits: disk to go again")
        host.detach(disk)
        assert g.end() == 0, g.err
        g.said(r"hotplug disk bytes 33554432 serial bulkhead-0\r?$")
        for line in ("data kept", "random numbers", "all gone"):
            g.said(f"hotplug {line}")
        g.said("test hotplug status 0")


def test_while_cpus_work_three_disks(image, tmp_path):
    """The guest's own disk keeps all that it writes while others come and go. BULKHEAD_BUSY_CPUS=8 has as many."""
    disks = []
    for i in range(3):
        path = tmp_path / f"cold-{i}.raw"
        path.write_bytes(random.Random(1).randbytes(16 << 20))
        disks += ["--disk", f"{path},format=raw"]
    flags = [*disks, "--net=none", "--allow", "virtio-net,net-relay"]
    with vm.Guest("kills", cpus=BUSY_CPUS, words="bh.disk=vda", flags=flags, stdin=subprocess.PIPE) as g:
        host = Host(g)
        g.wait_for(b"kills ready")
        for _ in range(BUSY_ROUNDS):
            ours, theirs = socket.socketpair()
            names = [host.attach("rng"), host.attach("disk", f"{image},format=raw"),
                     host.attach("net", f"fd={theirs.fileno()},guard=on", fds=(theirs.fileno(),)), host.attach("rng")]
            theirs.close()
            assert names == ["rng-2", "disk-4", "net-1", "rng-3"]
            before = g.text().count(" 0123456789abcdefghijklmnopqrstuvwxyz")
            g.wait_for(f"round {before} 0123456789abcdefghijklmnopqrstuvwxyz".encode())
            for name in names:
                host.detach(name)
            ours.settimeout(vm.HANGS)
            while ours.recv(65536):  # what the guest sends of itself; and the end, as nobody has the link
                pass
            ours.close()
        g.process.stdin.write(b"enough\n")
        g.process.stdin.flush()
        assert g.end() == 0, g.err
        g.said("kills cost nothing")
