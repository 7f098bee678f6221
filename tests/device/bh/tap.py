# SPDX-License-Identifier: Apache-2.0
"""A tap in a network namespace of its own, and the host's side of it: a packet socket that sees each frame behind
the header that says what is left to be done to it."""

import ctypes
import fcntl
import os
import socket
import struct
import threading

from . import wait

CLONE_NEWNET = 0x40000000
TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454ca, 0x400454d0, 0x400454d8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE, IFF_UP = 2, 0x1000, 0x4000, 0x100, 1
OFFLOADS = 1 | 2 | 4 | 8  # checksums, TSO4, TSO6, ECN
USO = 0x20 | 0x40  # of Linux 6.2
SIOCSIFFLAGS, SIOCSIFMTU = 0x8914, 0x8922
SOL_PACKET, PACKET_VNET_HDR = 263, 15
ETH_P_ALL = 3
NAME = b"tap0"


def open_queue(bare, flags):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", NAME, IFF_TAP | IFF_NO_PI | (0 if bare else IFF_VNET_HDR) | flags))
    if not bare:
        fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack("i", 12))
        fcntl.ioctl(fd, TUNSETOFFLOAD, OFFLOADS)
    return fd


def has_uso():
    """Whether this kernel's taps have it."""
    def asks():
        fd = open_queue(False, 0)
        try:
            fcntl.ioctl(fd, TUNSETOFFLOAD, OFFLOADS | USO)
            return True
        except OSError:
            return False
        finally:
            os.close(fd)
    return apart(asks)


def make(mtu, bare=False, queues=1):
    """The tap's descriptors as bulkhead run opens them, and the packet socket."""
    fds = [open_queue(bare, IFF_MULTI_QUEUE if queues > 1 else 0) for _ in range(queues)]
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    with open("/proc/sys/net/ipv6/conf/tap0/disable_ipv6", "w") as f:
        f.write("1")  # no frames of its own
    fcntl.ioctl(packets, SIOCSIFMTU, struct.pack("16si20x", NAME, mtu))
    fcntl.ioctl(packets, SIOCSIFFLAGS, struct.pack("16sh22x", NAME, IFF_UP))
    packets.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    packets.bind((NAME.decode(), ETH_P_ALL))
    packets.settimeout(wait.HANG_S)
    return fds, packets


def apart(body):
    """Runs it in a thread with a network namespace of its own, which what it starts and opens is in, too. What it
    returns, or its exception."""
    result = []

    def run():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "unshare")
            result.append(body())
        except BaseException as e:  # the caller's to raise
            result.append(e)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


class Tap:
    """fd, and fds where it has several queues, are for the device; the namespace lives as long as they and the socket do."""

    def __init__(self, mtu=1500, bare=False, queues=1, uso=False):
        apart(lambda: self.in_namespace(mtu, bare, queues))
        if uso:
            fcntl.ioctl(self.fd, TUNSETOFFLOAD, OFFLOADS | USO)

    def in_namespace(self, mtu, bare, queues):
        self.fds, self.packets = make(mtu, bare, queues)
        self.fd = self.fds[0]
        self.netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        self.index = socket.if_nametoindex(NAME.decode())

    def send(self, data, header=bytes(10)):
        """A frame that the host sends into the tap."""
        self.packets.send(header + data)

    def recv(self):
        """The next frame that came out of it: its header, and the frame."""
        whole = self.packets.recv(70000)
        return whole[:10], whole[10:]

    def remove(self):
        """As `ip link del` does: RTM_DELLINK, with an answer."""
        self.netlink.send(struct.pack("=IHHIIBBHiII", 32, 17, 5, 1, 0, 0, 0, 0, self.index, 0, 0))
        assert struct.unpack_from("=i", self.netlink.recv(4096), 16) == (0,)

    def close(self):
        self.packets.close()
        self.netlink.close()
        for fd in self.fds:
            os.close(fd)
