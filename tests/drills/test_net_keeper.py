# SPDX-License-Identifier: Apache-2.0
"""Who removes what root made of the host's network for a VM, with the capability to change all of it: what whoever takes
it over has not. Nobody speaks to it; what it tells the kernel was written before the VM ran."""

import os
import shutil
import socket
import struct

import pytest

from bh import bridge, vm, wait
from bh.tap import apart
from conftest import BUILD
from taken import Died, Thread, maps_of
from test_behind import links
from test_first_step import SIGSYS_ENDED, Intruder

pytestmark = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or not shutil.which("nft"),
                                reason="no /dev/net/tun, or nftables: tools/deps check")
GUEST = "enter,ready,event:1,power,event:2"  # a played vmm's
WRITE, SENDTO, MMAP, MPROTECT, MUNMAP, MREMAP = 1, 44, 9, 10, 11, 25
VM, ROUTE, NFTABLES = 3, 5, 6  # its descriptors
PAGE, PAGE_LEN, LEN = 0x10000000000, 4096, 128  # lib/declared/declared.h
NFT_PAGE = PAGE + PAGE_LEN
OTHER, OTHERS_TABLE = "other0", "others"


def delete_interface(name):
    """<linux/rtnetlink.h>, with zeros behind it."""
    return struct.pack("=IHHIIBBHiII", 32, 17, 1, 1, 0, 0, 0, 0, socket.if_nametoindex(name), 0, 0).ljust(LEN, b"\0")


def delete_table(name):
    """<linux/netfilter/nf_tables.h>: in a batch."""
    attribute = struct.pack("=HH", 5 + len(name), 1) + name.encode() + b"\0"
    message = struct.pack("=IHHIIBBH", 20 + len(attribute), 10 << 8 | 2, 1, 0, 0, 5, 0, 0) + attribute
    begin, end = (struct.pack("=IHHIIBBH", 20, kind, 1, 0, 0, 0, 0, socket.htons(10)) for kind in (16, 17))
    return (begin + message.ljust(len(message) + 3 & ~3, b"\0") + end).ljust(LEN, b"\0")


class Keepers:
    """VMs of played processes on a bridge, each with a net-keeper; beside them somebody else's interface and table."""

    def __init__(self):
        self.place = vm.Place(BUILD)
        self.process = None
        bridge.sh(bridge.QUIET, "ip link add br0 type bridge", "ip link set br0 up")
        self.before = bridge.names()
        bridge.sh(f"ip tuntap add {OTHER} mode tap", f"nft add table netdev {OTHERS_TABLE}")

    def start(self):
        """A net-keeper's process."""
        self.finish()
        former = bridge.net_keepers()
        self.process = self.place.start("run", "--kernel", self.place.kernel, "--cmdline", GUEST, "--net=bridge=br0",
                                        "--allow", "virtio-net")
        (keeper,) = wait.until(lambda: [p for p in bridge.net_keepers() if p not in former], "there is a keeper")
        wait.until(lambda: filtered(keeper), "it is confined")
        return keeper

    def finish(self):
        if self.process:
            self.process.terminate()
            self.process.communicate(timeout=60)
            self.process = None

    def others(self):
        """What somebody else has lost."""
        lost = [OTHER] * (OTHER not in bridge.names())
        return lost + [OTHERS_TABLE] * (OTHERS_TABLE not in bridge.sh("nft list tables netdev").split())

    def close(self):
        self.finish()
        assert self.place.end() == []


def filtered(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return "Seccomp:\t2" in f.read()


def with_keepers(body):
    def inside():
        keepers = Keepers()
        try:
            return body(keepers)
        finally:
            keepers.close()
    return apart(inside)


def test_the_first_step_of_net_keeper(ground, neighbour, count):
    def body(keepers):
        intruder = Intruder(lambda: Thread(keepers.start())).try_all(ground, neighbour)
        intruder.thread.release()
        return intruder.tried, intruder.gains + [("net-keeper", "others lost", name) for name in keepers.others()]
    count("net-keeper", *with_keepers(body))


def test_what_net_keeper_holds(count):
    """The VM's end and two sockets of the kernel's; its pages cannot be written."""
    def body(keepers):
        pid = keepers.start()
        gains = [("held", name, "") for name in links(pid) if name not in ("anon_inode:[pidfd]", "socket")]
        gains += [("mapped", f"{m[0]:x}", m[2]) for m in maps_of(pid)
                  if PAGE <= m[0] < NFT_PAGE + PAGE_LEN and m[2] != "r--p"]
        assert any(m[0] == PAGE for m in maps_of(pid))
        return 2, gains
    count("net-keeper", *with_keepers(body))


def messages(t):
    """How it might tell the kernel something else: (what, call, arguments)."""
    interface, table = t.put(delete_interface(OTHER)), t.put(delete_table(OTHERS_TABLE))
    iov = t.put(struct.pack("<2Q", interface, LEN))
    yield "somebody else's interface", WRITE, (ROUTE, interface, LEN)
    yield "somebody else's table", WRITE, (NFTABLES, table, LEN)
    yield "over the other socket", WRITE, (ROUTE, NFT_PAGE, LEN)
    yield "over the first socket", WRITE, (NFTABLES, PAGE, LEN)
    yield "a part of a message", WRITE, (ROUTE, PAGE + 16, LEN)
    yield "a message's beginning", WRITE, (NFTABLES, NFT_PAGE, 64)
    yield "a whole page", WRITE, (NFTABLES, NFT_PAGE, PAGE_LEN)
    yield "a page behind", WRITE, (NFTABLES, NFT_PAGE + PAGE_LEN, LEN)
    yield "a page before", WRITE, (ROUTE, PAGE - LEN, LEN)
    yield "bytes in parts", 20, (ROUTE, iov, 1)
    yield "a message to an address", SENDTO, (ROUTE, interface, LEN, 0, 0, 0)
    yield "its pages made writable", MPROTECT, (PAGE, 2 * PAGE_LEN, 3)
    yield "other pages there", MMAP, (PAGE, PAGE_LEN, 3, 0x32, -1, 0)
    yield "none there", MUNMAP, (PAGE, PAGE_LEN)
    yield "a page moved there", MREMAP, (interface & ~4095, 4096, 4096, 3, PAGE)
    yield "code over its pages", 0, (VM, PAGE, LEN)


def try_message(keepers, at):
    """(what, gains) of one; None: there is none."""
    t = Thread(keepers.start())
    ways = list(messages(t))
    if at == len(ways):
        t.release()
        return None
    what, nr, args = ways[at]
    try:
        result = t.call(nr, *args)
        gained = not result.refused
        t.release()
    except Died as death:
        gained, result = death.status != SIGSYS_ENDED, death
    lost = keepers.others()
    return [("net-keeper", what, str(result))] * (gained or bool(lost))


def test_a_taken_net_keeper_tells_the_kernel_nothing_else(ground, neighbour, count):
    def body(keepers):
        tried, gains = 0, []
        while (gained := try_message(keepers, tried)) is not None:
            tried, gains = tried + 1, gains + gained
        # what was tried would do it, said by root
        for protocol, message in ((0, delete_interface(OTHER)), (12, delete_table(OTHERS_TABLE))):
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as s:
                s.send(message)
        assert keepers.others() == [OTHER, OTHERS_TABLE]
        return tried, gains
    count("net-keeper", *with_keepers(body))


def test_what_it_may_say_is_its_own_vms_end(ground, neighbour, count):
    """Every message of its pages, before the VM's end: what root made for the VM has gone, and nothing else."""
    def body(keepers):
        t = Thread(keepers.start())
        assert len(bridge.tables()) == 1
        for at in range(0, PAGE_LEN, LEN):
            assert t.call(WRITE, ROUTE, PAGE + at, LEN).value == LEN
            assert t.call(WRITE, NFTABLES, NFT_PAGE + at, LEN).value == LEN
        t.release()
        assert bridge.tables() == [] and set(bridge.names()) == {*keepers.before, OTHER}
        return 2 * PAGE_LEN // LEN, [("net-keeper", "others lost", name) for name in keepers.others()]
    count("net-keeper", *with_keepers(body))
