# SPDX-License-Identifier: Apache-2.0
"""Frames of a guest and of its network: right ones, and what an intruder would make of them."""

import ipaddress
import struct

from .net import MAC

ROUTER_MAC = bytes.fromhex("52550a000202")
OWN, SERVER, FAR = "10.0.2.15", "10.0.2.2", "198.51.100.7"
NET6, OWN6, ROUTER6, FAR6 = "2001:db8:0:2::", "2001:db8:0:2::15", "fe80::1", "2001:db8::7"
EVERYBODY = b"\xff" * 6


def packed(address):
    return ipaddress.ip_address(address).packed


def ether(kind, payload, to_mac=ROUTER_MAC, from_mac=MAC):
    return to_mac + from_mac + struct.pack(">H", kind) + payload


def arp(op, sender, target, mac=MAC, **ends):
    return ether(0x0806, struct.pack(">HHBBH", 1, 0x800, 6, 4, op) + mac + packed(sender) + bytes(6) + packed(target),
                 **ends)


def ipv4(protocol, payload, to=FAR, from_address=OWN, fragment=0, options=b"", **ends):
    header = struct.pack(">BBHHHBBH", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), 1, fragment, 64,
                         protocol, 0)
    return ether(0x0800, header + packed(from_address) + packed(to) + options + payload, **ends)


def ipv6(protocol, payload, to=FAR6, from_address=OWN6, hops=64, **ends):
    header = struct.pack(">IHBB", 6 << 28, len(payload), protocol, hops)
    return ether(0x86dd, header + packed(from_address) + packed(to) + payload, **ends)


def ip(protocol, payload, to=FAR, from_address=None, **more):
    if ":" in to:
        return ipv6(protocol, payload, to, from_address or OWN6, **more)
    return ipv4(protocol, payload, to, from_address or OWN, **more)


def udp(to=FAR, port=53, from_port=1000, data=b"", **more):
    return ip(17, struct.pack(">HHHH", from_port, port, 8 + len(data), 0) + data, to, **more)


def tcp(to=FAR, port=80, from_port=40000, **more):
    return ip(6, struct.pack(">HHIIBBHHH", from_port, port, 1, 0, 0x50, 2, 1000, 0, 0), to, **more)


def tcp_data(data, to=FAR, port=80, from_port=40000):
    """A segment of these bytes whose checksum is left to be done."""
    return ip(6, struct.pack(">HHIIBBHHH", from_port, port, 1, 0, 0x50, 0x18, 1000, 0, 0) + data, to)


def icmpv6(kind, body, **more):
    return ipv6(58, struct.pack(">BBHI", kind, 0, 0, 0) + body, **{"hops": 255, **more})


def neighbour(kind, target, option=b"", to="ff02::1", **more):
    return icmpv6(kind, packed(target) + option, to=to, **more)


def dhcp_body(op, kind, number, given="0.0.0.0", mac=MAC):
    return (struct.pack(">BBBBI", op, 1, 6, 0, number) + bytes(8) + packed(given) + bytes(8) + mac + bytes(10 + 192)
            + bytes.fromhex("63825363") + bytes([53, 1, kind, 255]) + bytes(60))


def dhcp(kind, number=7, mac=MAC):
    """What the guest asks."""
    return udp("255.255.255.255", 67, 68, dhcp_body(1, kind, number, mac=mac), from_address="0.0.0.0", to_mac=EVERYBODY)


def to_guest(frame):
    """One from the network."""
    return MAC + ROUTER_MAC + frame[12:]


def router():
    prefix = struct.pack(">BBBBIII", 3, 4, 64, 0xc0, 3600, 3600, 0) + packed(NET6)
    body = bytes(8) + prefix
    frame = icmpv6(134, body, from_address=ROUTER6, to="ff02::1")
    return b"\x33\x33\0\0\0\1" + ROUTER_MAC + frame[12:]


def lease(number=7, given=OWN):
    """What the guest asks, and what comes back."""
    return dhcp(3, number), to_guest(udp(given, 68, 67, dhcp_body(2, 5, number, given), from_address=SERVER))


# Addresses that are nobody's on the Internet, and ways in which IPv6 says them: under public=on a guest reaches none.
PRIVATE = ["10.0.2.2", "10.9.0.254", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.0.8", "198.18.0.1", "192.88.99.1", "169.254.1.1",
           "127.0.0.1", "0.0.0.0", "224.0.0.251", "239.255.255.250", "255.255.255.255", "fd00::1", "fe80::99", "fec0::1", "ff02::fb", "::1",
           "::10.0.0.1", "::ffff:0:a00:1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
           "2001:db8::5efe:a00:1", "2001:db8::200:5efe:c0a8:101", "100::1", "5f00::1",
           "2001:db8:0:2::99"]  # the last one is of its own network (router())


def mapped(address, payload):
    """A packet of IPv6 to one of IPv4, as no wire has it."""
    frame = ipv6(6, payload)
    return frame[:38] + bytes(10) + b"\xff\xff" + packed(address) + frame[54:]


def to_private(own=OWN):
    """In each protocol and in pieces, from a guest that has that address."""
    found = [mapped(a, tcp()[34:]) for a in ("10.0.0.1", "127.0.0.1")]
    for a in PRIVATE:
        more = {} if ":" in a else {"from_address": own}
        found += [tcp(a, 443, **more), tcp(a, 80, **more), udp(a, 53, **more), udp(a, 1900, **more)]
        if not more:
            found += [ipv6(58, struct.pack(">BBHI", 128, 0, 0, 1) + bytes(8), to=a),
                      ipv6(44, bytes([17, 0, 0, 0, 0, 0, 0, 1]) + bytes(64), to=a)]
        else:
            found += [ipv4(1, struct.pack(">BBHI", 8, 0, 0, 1) + bytes(8), to=a, **more), ipv4(17, bytes(64), to=a, fragment=0x2000, **more),
                      ipv4(17, bytes(64), to=a, fragment=9, **more), ipv4(41, bytes(64), to=a, **more)]
    return found


# What whoever has taken dev-net over might send once its guest has its addresses: none of it may pass. Each with what
# it is.
SPOOFED = {
    "a foreign MAC address": tcp(from_mac=bytes.fromhex("525400aaaaaa")),
    "the router's MAC address": tcp(from_mac=ROUTER_MAC),
    "a neighbour's IPv4 address": tcp(from_address="10.0.2.16"),
    "the server's IPv4 address": udp(from_address=SERVER),
    "no IPv4 address": tcp(from_address="0.0.0.0"),
    "ARP for the router": arp(2, SERVER, "10.0.2.16"),
    "ARP for a neighbour, unasked": arp(1, "10.0.2.16", "10.0.2.16", to_mac=EVERYBODY),
    "ARP with another MAC address": arp(2, OWN, SERVER, mac=ROUTER_MAC),
    "a foreign IPv6 address": tcp(FAR6, from_address="2001:db8:0:3::15"),
    "the router's IPv6 address": udp(FAR6, from_address=ROUTER6),
    "an advertisement for the router": neighbour(136, ROUTER6, b"\2\1" + MAC),
    "an advertisement with another MAC address": neighbour(136, OWN6, b"\2\1" + ROUTER_MAC),
    "a router's advertisement": icmpv6(134, bytes(40), to="ff02::1", from_address="fe80::15"),
    "a redirect": icmpv6(137, bytes(32), to="ff02::1", from_address="fe80::15"),
    "a DHCP server": udp("255.255.255.255", 68, 67, bytes(300)),
    "a DHCPv6 server": udp("ff02::1", 546, 547, bytes(100), from_address="fe80::15"),
    "DHCP for another MAC address": dhcp(3, mac=ROUTER_MAC),
    "a VLAN tag": ether(0x8100, b"\0\5" + tcp()[12:]),
    "two VLAN tags": ether(0x88a8, b"\0\5\x81\0\0\6" + tcp()[12:]),
    "no IP": ether(0x88cc, bytes(50)),
    "a bridge's message": ether(0x0026, b"\x42\x42\3" + bytes(50)),
    "a source route": ipv4(6, tcp()[34:], options=bytes([131, 7, 4]) + packed("127.0.0.1") + b"\0"),
    "a routing header": ipv6(43, bytes([6, 2, 0, 1]) + bytes(20) + tcp(FAR6)[54:]),
    "the host itself": tcp("127.0.0.1"),
    "the host itself, over IPv6": tcp("::1"),
    "the host itself, as IPv6 has IPv4": ether(0x86dd, tcp(FAR6)[14:38] + bytes(10) + b"\xff\xff\x7f\0\0\1" +
                                               tcp(FAR6)[54:]),
    "metadata": tcp("169.254.169.254"),
    "metadata over IPv6": tcp("fd00:ec2::254"),
    "metadata by a translator": tcp("64:ff9b::a9fe:a9fe"),
    **{f"metadata by {how}": tcp(to) for how, to in {
        "a translator of the network's own": "64:ff9b:1::a9fe:a9fe", "6to4": "2002:a9fe:a9fe::1",
        "one that cuts it after 48 bits": "64:ff9b:1:a9fe:a9:fe00::", "after 56": "64:ff9b:1:a9:fe:a9fe::",
        "after 64": "64:ff9b:1:0:a9:fea9:fe00:0", "Teredo": "2001:0:4136:e378:8000:63bf:5601:5601",
        "ISATAP": "2001:db8::5efe:a9fe:a9fe"}.items()},
    **{f"the host itself by {how}": tcp(to) for how, to in {
        "a translator": "64:ff9b::7f00:1", "6to4": "2002:7f00:1::1", "Teredo": "2001:0:4136:e378:8000:63bf:80ff:fffe",
        "ISATAP": "2001:db8::200:5efe:7f00:1", "stateless translation": "::ffff:0:7f00:1"}.items()},
    "a runt": MAC,
    "a packet longer than its frame": tcp()[:-1],
    "a frame longer than its packet": udp(data=bytes(100)) + b"x" * 100,
}
