# SPDX-License-Identifier: Apache-2.0
"""The kernel's rules for a card that is an interface of the host's: what whoever has its descriptor can send, and what
reaches it. The same frames as test_net_relay.py has."""

import os
import shutil
import subprocess
import time

import pytest

from bh import bridge, frames, net
from bh.tap import apart

pytestmark = [pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK) or os.geteuid() != 0,
                                 reason="a tap is made by root, by /dev/net/tun"),
              pytest.mark.skipif(not shutil.which("nft"), reason="no nftables: tools/deps check")]

NONE_MORE = frames.udp(port=9, data=b"the last one")
NONE_MORE_BACK = frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR, data=b"the last one"))
# a rule cannot compare a packet's length with its frame's
NOT_SAID = ("a frame longer than its packet",)
FIXED = (f"ip={frames.OWN}", f"ip={frames.OWN6}")
FRAGMENT6 = b"\x06\0\0\1\0\0\0\5"


class Ruled:
    """A place's guest is held to the rules of those options."""

    def __init__(self, build, place, *options):
        self.place = place
        text = subprocess.run([build / "tests/device/nft-tool", "bulkhead_7", place.interface, str(place.lower),
                               f"mac={net.MAC.hex(':')}", *options], stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["nft", "-f", "-"], input=text, check=True)

    @staticmethod
    def through(sent, marker, from_, to):
        for frame in (*sent, marker):
            from_.send(frame)
        came = []
        while (frame := to.recv()) != marker:
            came.append(frame)
        return came

    def passed(self, *sent, marker=NONE_MORE):
        """What comes out of these and of one that passes for certain."""
        return self.through(sent, marker, self.place.guest, self.place.other)

    def reached(self, *sent):
        """What of these from outside the guest gets."""
        return self.through(sent, NONE_MORE_BACK, self.place.other, self.place.guest)

    def settle_addresses(self):
        """The guest has a lease and a router."""
        asked, answer = frames.lease()
        assert self.passed(asked, marker=frames.dhcp(1)) == [asked]
        assert self.reached(answer) == [answer]
        self.place.other.send(frames.router())  # a macvtap has what is for all a little later
        assert self.place.guest.recv() == frames.router()


@pytest.fixture(params=["bridge", "macvtap"])
def ruled(build, request):
    """Runs a body with a Ruled in a network namespace of its own."""
    places = {"bridge": bridge.Bridged, "macvtap": bridge.Macvtapped}

    def run(body, *options):
        def inside():
            place = places[request.param]()
            try:
                return body(Ruled(build, place, *options))
            finally:
                place.close()
        return apart(inside)

    return run


# ---- from the guest ----

RIGHT = [frames.tcp(), frames.tcp(frames.FAR6), frames.udp(data=os.urandom(1400)),
         frames.arp(1, frames.OWN, frames.SERVER), frames.arp(2, frames.OWN, frames.SERVER),
         frames.arp(1, "0.0.0.0", frames.OWN),
         frames.neighbour(135, frames.ROUTER6, b"\1\1" + net.MAC),
         frames.neighbour(135, frames.OWN6, bytes.fromhex("0e01010203040506"), from_address="::"),
         frames.neighbour(136, frames.OWN6, b"\2\1" + net.MAC),
         frames.icmpv6(133, b"\1\1" + net.MAC, to="ff02::2", from_address="fe80::5054:ff:fe12:3456"),
         frames.ipv4(1, b"\x08" + bytes(63)), frames.icmpv6(128, bytes(50), to=frames.FAR6, hops=64),
         frames.ipv4(6, frames.tcp()[34:], fragment=0x2000), frames.ipv4(6, bytes(64), fragment=100),
         frames.ipv6(44, FRAGMENT6[:2] + b"\0\1" + FRAGMENT6[4:] + frames.tcp(frames.FAR6)[54:] + bytes(4)),
         frames.ipv4(2, bytes(8), to="224.0.0.22", options=bytes([148, 4, 0, 0]))]


def test_right_frames_pass_as_they_are(ruled):
    def body(r):
        r.settle_addresses()
        for frame in RIGHT:
            assert r.passed(frame) == [frame]
    ruled(body)


def test_right_frames_of_addresses_that_are_said(ruled):
    def body(r):
        for frame in RIGHT[:8]:
            assert r.passed(frame) == [frame]
        assert r.passed(frames.tcp(from_address="10.0.2.16"), frames.tcp(frames.FAR6, from_address=frames.NET6 + "16"),
                        frames.arp(2, "10.0.2.16", frames.SERVER)) == []
    ruled(body, *FIXED)


def test_nothing_that_is_spoofed_passes(ruled):
    def body(r):
        r.settle_addresses()
        for what, frame in frames.SPOOFED.items():
            assert what in NOT_SAID or r.passed(frame) == [], what
    ruled(body)


FRAGMENTS = {
    "a neighbour's address in the first": frames.ipv4(17, frames.udp()[34:] + bytes(8), from_address="10.0.2.16", fragment=0x2000),
    "a neighbour's address in a later one": frames.ipv4(17, bytes(64), from_address="10.0.2.16", fragment=100),
    "a DHCP server in the first": frames.ipv4(17, frames.udp(port=68, from_port=67, data=bytes(64))[34:], fragment=0x2000),
    "a DHCP request in the first": frames.ipv4(17, frames.dhcp(3)[34:], "255.255.255.255", "0.0.0.0", fragment=0x2000),
    "the reserved bit": frames.ipv4(6, frames.tcp()[34:], fragment=0x8000),
    "a foreign address over IPv6": frames.ipv6(44, FRAGMENT6 + bytes(64), from_address="2001:db8:0:3::15"),
    "a router's advertisement in the first": frames.ipv6(44, b"\x3a\0\0\1\0\0\0\5" + frames.icmpv6(134, bytes(40))[54:],
                                                         from_address="fe80::15", to="ff02::1"),
    "a neighbour's advertisement in the first": frames.ipv6(44, b"\x3a\0\0\1\0\0\0\5" + frames.neighbour(136, frames.OWN6)[54:]),
    "a routing header behind one": frames.ipv6(44, b"\x2b\0\0\0\0\0\0\5" + bytes([6, 2, 0, 1]) + bytes(20) + frames.tcp(frames.FAR6)[54:]),
    "one behind one": frames.ipv6(44, b"\x2c\0\0\0\0\0\0\5" + FRAGMENT6 + bytes(64)),
    "no next header": frames.ipv6(59, bytes(64)),
    "options for each hop": frames.ipv6(0, b"\x06\0\1\4\0\0\0\0" + frames.tcp(frames.FAR6)[54:]),
    "an advertisement behind options": frames.ipv6(0, b"\x3a\0\5\2\0\0\1\0" + frames.neighbour(136, frames.ROUTER6)[54:], to="ff02::1"),
}


def test_fragments_and_headers_that_hide_what_they_carry(ruled):
    def body(r):
        r.settle_addresses()
        for what, frame in FRAGMENTS.items():
            assert r.passed(frame) == [], what
    ruled(body)


NEIGHBOURS = {
    "a second MAC address": frames.neighbour(135, frames.ROUTER6, b"\1\1" + net.MAC + b"\1\1" + frames.ROUTER_MAC),
    "a long option": frames.neighbour(136, frames.OWN6, b"\2\2" + net.MAC + bytes(8)),
    "an option without a length": frames.neighbour(136, frames.OWN6, b"\2\0" + net.MAC),
    "an unknown option": frames.neighbour(136, frames.OWN6, b"\3\1" + net.MAC),
    "half an option": frames.neighbour(136, frames.OWN6, b"\2\1" + net.MAC[:2]),
    "fewer hops": frames.neighbour(136, frames.OWN6, b"\2\1" + net.MAC, hops=64),
    "beyond the link": frames.neighbour(136, frames.OWN6, b"\2\1" + net.MAC, to=frames.FAR6),
    "a router solicits with another MAC": frames.icmpv6(133, b"\1\1" + frames.ROUTER_MAC, to="ff02::2"),
    "a query of listeners": frames.icmpv6(130, bytes(16), to="ff02::1", hops=1),
    "an advertisement of nobody": frames.neighbour(136, frames.OWN6, b"\2\1" + net.MAC, from_address="::"),
    "an address of all routers": frames.tcp(frames.FAR6, from_address=frames.NET6),
}


def test_neighbours_that_lie(ruled):
    def body(r):
        r.settle_addresses()
        for what, frame in NEIGHBOURS.items():
            assert r.passed(frame) == [], what
    ruled(body)


def test_before_there_is_an_address(ruled):
    def body(r):
        asked = frames.dhcp(1)
        assert r.passed(frames.tcp(), frames.arp(1, frames.OWN, frames.SERVER), asked, marker=frames.dhcp(3)) == [asked]
    ruled(body)


def test_a_lease_that_is_not_the_guests(ruled):
    """Of another MAC address, of a number that was not asked, no acknowledgement, an address of nobody's; and one that the guest gives itself."""
    def body(r):
        asked, _ = frames.lease()
        r.passed(asked, marker=frames.dhcp(3))
        lies = [frames.lease(number=8)[1],
                frames.to_guest(frames.udp(frames.OWN, 68, 67, frames.dhcp_body(2, 5, 7, frames.OWN, frames.ROUTER_MAC),
                                           from_address=frames.SERVER)),
                frames.to_guest(frames.udp(frames.OWN, 68, 67, frames.dhcp_body(2, 2, 7, frames.OWN), from_address=frames.SERVER)),
                frames.lease(given="127.0.0.1")[1], frames.lease(given="224.0.0.1")[1], frames.lease(given="0.0.0.0")[1]]
        for lie in lies:
            assert r.reached(lie) == [lie]
            r.place.guest.send(frames.lease()[1])
            assert r.passed(frames.tcp(), frames.tcp(from_address="127.0.0.1"), marker=frames.dhcp(3)) == []
    ruled(body)


def test_an_address_that_somebody_else_has(ruled):
    def body(r):
        r.settle_addresses()
        other = frames.NET6 + "77"
        assert r.passed(frames.tcp(frames.FAR6, from_address=other)) != []
        r.reached(frames.to_guest(frames.neighbour(136, other, b"\2\1" + frames.ROUTER_MAC, from_address=other)))
        assert r.passed(frames.tcp(frames.FAR6, from_address=other), frames.neighbour(136, other, b"\2\1" + net.MAC)) == []
    ruled(body)


# ---- to the guest ----

def test_frames_of_others_do_not_reach_the_guest(ruled):
    def body(r):
        r.settle_addresses()
        mine = frames.to_guest(frames.tcp(frames.OWN, from_address=frames.FAR))
        broken = [frames.ROUTER_MAC + mine[6:], mine[:12] + b"\x81\0\0\1" + mine[12:],
                  mine[:20], mine[:12] + b"\x88\xcc" + mine[14:],
                  frames.to_guest(frames.ipv4(6, frames.tcp()[34:], options=bytes(4)))]
        assert r.reached(*broken, mine) == [mine]
        r.place.other.send(mine[:6] + net.MAC + mine[12:])
        assert r.passed() == []  # the bridge knows again where the guest is
        assert r.reached(mine) == [mine]
    ruled(body)


# ---- destinations ----

def test_destinations(ruled):
    right = [frames.tcp(port=443), frames.udp(frames.FAR6, 53), frames.tcp("192.0.2.200", 1), frames.ipv4(1, bytes(40), to="192.0.2.9")]
    wrong = [frames.tcp(port=80), frames.tcp("192.0.3.1", 443), frames.udp(frames.FAR6, 54), frames.ipv4(1, bytes(40)),
             frames.ipv4(6, frames.tcp(port=443)[34:54] + bytes(4), fragment=0x2000),
             frames.ipv4(6, bytes(64), fragment=100), frames.ipv6(44, FRAGMENT6 + bytes(64))]

    def body(r):
        assert r.passed(*wrong, *right, *wrong) == right
    ruled(body, "allow=198.51.100.0/24:443", "allow=[2001:db8::/32]:53", "allow=198.51.100.7:9", "allow=192.0.2.0/24", *FIXED)


def test_all_of_ipv6_is_all(ruled):
    def body(r):
        right = [frames.tcp(port=443), frames.tcp(frames.FAR6, port=443)]
        assert r.passed(frames.tcp(port=80), *right, frames.tcp(frames.FAR6, port=80)) == right
    ruled(body, "allow=[::/0]:443", "allow=198.51.100.7:9", *FIXED)


def test_link_local_is_asked_for(ruled):
    def body(r):
        right = [frames.tcp("169.254.169.254"), frames.tcp("fd00:ec2::254")]
        assert r.passed(*right, frames.tcp("127.0.0.1"), frames.tcp("::1")) == right
    ruled(body, "link-local=on", *FIXED)


def test_answers_alone(ruled):
    def body(r):
        echo = frames.ipv4(1, b"\0\0\0\0\0\7" + bytes(34), to="203.0.113.5")
        answers = [frames.tcp("203.0.113.5", 5000, 22), frames.tcp(frames.FAR6, 5000, 22), echo]
        assert r.passed(*answers) == []
        asked = [frames.to_guest(frames.tcp(frames.OWN, 22, 5000, from_address="203.0.113.5")),
                 frames.to_guest(frames.tcp(frames.OWN6, 22, 5000, from_address=frames.FAR6)),
                 frames.to_guest(frames.ipv4(1, b"\x08\0\0\0\0\7" + bytes(34), to=frames.OWN, from_address="203.0.113.5"))]
        assert r.reached(*asked) == asked
        assert r.passed(frames.tcp("203.0.113.5", 5001, 22), *answers, frames.tcp("203.0.113.6", 5000, 22)) == answers
    ruled(body, "restrict=on", "allow=198.51.100.7:9", *FIXED)


# ---- how much ----

def most(rate, began, burst):
    """That may have come since; the clock of a limit may have begun before ours did."""
    return rate * (time.monotonic() - began + 0.01) + burst


@pytest.mark.parametrize("way", ["out", "in"])
@pytest.mark.parametrize("burst", [1, 3])
def test_packets_a_second(ruled, way, burst):
    """As many as the burst at once, and after that their share of the time."""
    frame = frames.udp(data=b"x" * 100) if way == "out" else frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR))

    def body(r):
        ends = [r.place.guest, r.place.other]
        from_, to = ends if way == "out" else ends[::-1]
        began, came = time.monotonic(), 0
        for _ in range(100):
            for _ in range(20):
                from_.send(frame)
            came += len(to.drain())
            assert came <= most(300, began, 300 * burst)
        assert came >= min(2000, 300 * burst)
    ruled(body, f"packets-{way}=300", f"burst={burst}", *FIXED)


@pytest.mark.parametrize("way", ["out", "in"])
def test_bytes_a_second(ruled, way):
    frame = frames.udp(data=bytes(1400)) if way == "out" else \
        frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR, data=bytes(1400)))

    def body(r):
        ends = [r.place.guest, r.place.other]
        from_, to = ends if way == "out" else ends[::-1]
        began, came = time.monotonic(), 0
        for _ in range(60):
            for _ in range(10):
                from_.send(frame)
            came += sum(map(len, to.drain()))
            # the kernel does not count the Ethernet header of what comes in
            assert came <= most(200 << 10, began, 200 << 10) * 1.02 + len(frame)
        assert came >= (200 << 10) - len(frame)
    ruled(body, f"bytes-{way}=200K", *FIXED)


def test_rates_that_no_interface_has(ruled):
    """The kernel computes in 64 bits: the largest that can be said is none that wraps round."""
    def body(r):
        assert r.passed(*[frames.tcp()] * 50) == [frames.tcp()] * 50
    ruled(body, *(f"{what}-{way}={1 << 40}" for what in ("packets", "bytes") for way in ("in", "out")), "burst=3600", *FIXED)
