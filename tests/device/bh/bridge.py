# SPDX-License-Identifier: Apache-2.0
"""A bridge with a guest's tap and one of a neighbour's, in a network namespace of their own; and the guest's macvtap beside
a wire."""

import contextlib
import errno
import fcntl
import os
import socket
import struct
import subprocess

from . import net, wait

TUNSETIFF, TUNSETVNETHDRSZ, TUNGETIFF = 0x400454ca, 0x400454d8, 0x800454d2
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000
HEADER = bytes(12)
QUIET = ("for f in /proc/sys/net/bridge/bridge-nf-call-*tables; do [ ! -e $f ] || echo 0 > $f; done; "
         "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")


def sh(*lines):
    return subprocess.run(" && ".join(lines), shell=True, check=True, stdout=subprocess.PIPE, text=True).stdout


def names():
    return [name for _, name in socket.if_nameindex()]


def tables():
    """Of this namespace, that bulkhead made."""
    out = sh("nft list tables netdev").split()
    return [name for name in out if name.startswith("bulkhead_")]


def net_keepers():
    """In this namespace."""
    def own(pid):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                return f.read() == "net-keeper\n" and os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/thread-self/ns/net")
        return False
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and own(pid)]


class End:
    """Frames at a tap's descriptor, or a macvtap's: what whoever has it can send and gets."""

    def __init__(self, fd, bare=False):
        self.fd, self.header = fd, b"" if bare else HEADER
        os.set_blocking(fd, False)

    def send(self, frame, header=None):
        """What the kernel does not take at all has not passed either."""
        with contextlib.suppress(OSError):
            os.write(self.fd, (self.header if header is None else header) + frame)

    def read(self):
        try:
            return os.read(self.fd, 70000)[len(self.header):]
        except BlockingIOError:
            return None
        except OSError as e:
            assert e.errno == errno.EBADFD
            return None

    def recv(self):
        wait.until(lambda: wait.readable(self.fd), "a frame comes")
        return self.read()

    def drain(self):
        came = []
        while (frame := self.read()) is not None:
            came.append(frame)
        return came

    def close(self):
        os.close(self.fd)


def tap(name):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", len(HEADER)))
    return End(fd)


class Wire:
    """Frames on an interface of the host's: all but its own."""

    OUTGOING = 4

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.bind((name, 3))
        self.sock.setblocking(False)

    def send(self, frame):
        with contextlib.suppress(OSError):
            self.sock.send(frame)

    def read(self):
        while True:
            try:
                frame, address = self.sock.recvfrom(70000)
            except BlockingIOError:
                return None
            if address[2] != self.OUTGOING:
                return frame

    def recv(self):
        came = []

        def one():
            if (frame := self.read()) is not None:
                came.append(frame)
            return came

        wait.until(one, "a frame comes")
        return came[0]

    def drain(self):
        came = []
        while (frame := self.read()) is not None:
            came.append(frame)
        return came

    def close(self):
        self.sock.close()


class Macvtapped:
    """guest: a macvtap on one end of a wire; other: who is at the wire's other end."""

    lower = 1
    interface = "guest0"

    def __init__(self):
        sh(QUIET, "ip link add v0 type veth peer name v1", "ip link set v0 up", "ip link set v1 up",
           f"ip link add link v0 name {self.interface} address {net.MAC.hex(':')} type macvtap mode private",
           f"ip link set {self.interface} up")
        fd = os.open(f"/dev/tap{socket.if_nametoindex(self.interface)}", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
        fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", len(HEADER)))
        self.guest, self.other = End(fd), Wire("v1")

    def close(self):
        sh(f"ip link del {self.interface}")
        self.guest.close()
        self.other.close()


class Bridged:
    """guest: where a dev-net would be; other: everybody else on the bridge."""

    lower = 0
    interface = "guest0"

    def __init__(self):
        sh(QUIET, "ip link add br0 type bridge mcast_snooping 0", "ip link set br0 up")
        self.guest, self.other = tap(self.interface), tap("other0")
        for name in (self.interface, "other0"):
            sh(f"ip link set {name} master br0", f"ip link set {name} up")

    def close(self):
        self.guest.close()
        self.other.close()
