# SPDX-License-Identifier: Apache-2.0
"""Every size of VM starts: its processes' limits are the sum of what they need, on any host."""

import itertools
import os
import socket
import subprocess

import pytest

import test_guests as guests

CPUS = (1, 2, 4, 8, 12, 16)
DISKS = (0, 1, 4, 8)
MOST_DISKS = 64
MOST_NETS = 16

pytestmark = guests.pytestmark


def failure(paths, cpus, wrapper=(), flags=(), fds=()):
    """What a VM with these CPUs and disks says when it does not start and power off; or None."""
    allow = ["--allow", "soft-many-cpus"] if guests.ACCEL == "soft" and cpus > 8 else []
    words = guests.words("poweroff", flags=["--cpus", str(cpus), *allow, *flags])
    for path in paths:
        words += guests.disk_flags(path)
    r = subprocess.run([*wrapper, *words], stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=guests.HANGS, check=False, pass_fds=fds)
    if r.returncode == guests.POWERED_OFF and b"off" in r.stdout:
        return None
    return f"{cpus} CPUs, {len(paths)} disks: {r.returncode}: {r.stderr.decode(errors='replace')}"


@pytest.fixture
def disks(tmp_path):
    paths = [tmp_path / f"{i}.raw" for i in range(MOST_DISKS)]
    for path in paths:
        path.write_bytes(bytes(1 << 20))
    return paths


@pytest.mark.skipif(os.geteuid() != 0, reason="hostcpus is for root")
@pytest.mark.parametrize("host_cpus", [2, 8, 64])
def test_every_machine_starts(disks, host_cpus):
    """The C library makes more heaps where it counts more CPUs."""
    hostcpus = [guests.BUILD / "tests/device/hostcpus", str(host_cpus)]
    assert subprocess.run([*hostcpus, "nproc"], capture_output=True,
                          check=True).stdout == b"%d\n" % host_cpus
    failures = [failure(disks[:n], cpus, hostcpus) for cpus, n in itertools.product(CPUS, DISKS)]
    assert not [f for f in failures if f], "\n".join(f for f in failures if f)


def test_the_largest_memory_starts(disks):
    """The software CPU notes something of each page."""
    assert failure(disks, max(CPUS), flags=["--memory", "64G"]) is None


@pytest.mark.parametrize("cpus", [1, max(CPUS)])
def test_most_disks_start(disks, cpus):
    assert failure(disks, cpus) is None
    assert failure([f"{path},queues=16" for path in disks], cpus) is None


def test_a_disk_too_many_is_refused(disks):
    more = failure([*disks, disks[0]], 1)
    assert more.endswith("will not do: at most 64 disks\n"), more


@pytest.fixture
def links():
    """Descriptors for network cards, one more than a VM may have."""
    pairs = [socket.socketpair() for _ in range(MOST_NETS + 1)]
    yield [ours.fileno() for ours, _ in pairs]
    for sock in itertools.chain(*pairs):
        sock.close()


def net_flags(links, more=""):
    return ["--allow", "virtio-net,net-relay", *(f"--net=fd={fd}{more}" for fd in links)]


@pytest.mark.parametrize("more", ["", ",guard=on"])
def test_most_networks_start(links, more):
    assert failure([], 1, flags=net_flags(links[:MOST_NETS], more), fds=links) is None


def test_most_networks_start_beside_most_disks(disks, links):
    assert failure(disks, 1, flags=net_flags(links[:MOST_NETS]), fds=links) is None


def test_a_network_too_many_is_refused(links):
    more = failure([], 1, flags=net_flags(links), fds=links)
    assert more.endswith("will not do: at most 16 nets\n"), more
