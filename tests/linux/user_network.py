# SPDX-License-Identifier: Apache-2.0
"""What a guest on the user's network finds there: a network of the test's own with both versions of IP, a name server,
a web server with a package index, and who takes what is sent back."""

import ctypes
import hashlib
import os
import pathlib
import socket
import socketserver
import struct
import subprocess
import threading

from test_debian_tap import Files, tap

NAME, NAME6 = "deb.test", "6.deb.test"
SERVER, SERVER6 = "10.77.0.1", "2001:db8:77::1"
PUBLIC = "198.51.100.1"  # of no private network, as any server far away
HOST, HOST6, ROUTER = "10.9.0.1", "2001:db8:9::1", "10.9.0.254"
IP4 = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
       "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254 && "
       "ip addr add 10.77.0.1/32 dev lo && ip addr add 10.78.0.1/32 dev lo && ip addr add 198.51.100.1/32 dev lo")
# who may ping is for the host to say, by a range of groups
IP6 = (" && ip addr add 2001:db8:9::1/64 dev v0 nodad && ip route add default via 2001:db8:9::fe dev v0 && "
       "ip addr add 2001:db8:77::1/128 dev lo nodad && echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range")
NEIGHBOUR = ("ip link set lo up && ip addr add 10.9.0.2/24 dev v1 && ip addr add 2001:db8:9::2/64 dev v1 nodad && "
             "ip link set v1 up")
CLONE_NEWNS = 0x20000
A, AAAA = 1, 28
N_PACKAGES = 20000
LIST = b"".join(b"Package: p%d\nFilename: pool/p%d.deb\nSHA256: %064x\n\n" % (i, i, i) for i in range(N_PACKAGES))


def make(version6=False):
    subprocess.run(IP4 + (IP6 if version6 else ""), shell=True, check=True)


def resolve_by(server, place):
    """In a mount namespace of this thread's own."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "unshare")
    config = pathlib.Path(place) / "resolv.conf"
    config.write_text(f"nameserver {server}\n", encoding="ascii")
    subprocess.run(f"mount --make-rprivate / && mount --bind {config} /etc/resolv.conf", shell=True, check=True)


def elsewhere(body):
    """Runs it on another host of the same wire, which is the other end of the veth, and goes with it."""
    def there():
        words = ["nsenter", f"--net=/proc/self/fd/{here}", "ip", "link", "set", "v1", "netns", str(threading.get_native_id())]
        subprocess.run(words, pass_fds=[here], check=True)
        subprocess.run(NEIGHBOUR, shell=True, check=True)
        return body()

    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        return tap.apart(there)
    finally:
        os.close(here)


class Names(socketserver.BaseRequestHandler):
    """Knows two names, each of one version of IP."""

    def handle(self):
        query, sock = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
            at += 1 + query[at]
        name, (kind,) = ".".join(labels), struct.unpack_from(">H", query, at + 1)
        data = {(NAME, A): socket.inet_pton(socket.AF_INET, SERVER),
                (NAME6, AAAA): socket.inet_pton(socket.AF_INET6, SERVER6)}.get((name, kind))
        error = 0 if name in (NAME, NAME6) else 3
        head = query[:2] + struct.pack(">5H", 0x8580 | error, 1, 1 if data else 0, 0, 0)
        found = struct.pack(">HHHIH", 0xc00c, kind, 1, 60, len(data)) + data if data else b""
        sock.sendto(head + query[12:at + 5] + found, self.client_address)


class Web(Files):
    """A package index under /dists/stable, and what a test has."""

    def do_GET(self):
        files = {"/dists/stable/main/binary-amd64/Packages": LIST,
                 "/dists/stable/Release": f"SHA256:\n {hashlib.sha256(LIST).hexdigest()} {len(LIST)} "
                                          "main/binary-amd64/Packages\n".encode()}
        self.server.asked.append(self.headers["Host"])
        if self.path not in files:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(files[self.path])))
        self.end_headers()
        self.wfile.write(files[self.path])


class Taker(socketserver.BaseRequestHandler):
    """Says the sum of a list that somebody sends. Its length says where it ends: Debian 12's passt may tell of a
    guest's end of the stream before all that came before it."""

    def handle(self):
        whole, left = hashlib.sha256(), len(LIST)
        while left and (data := self.request.recv(min(left, 65536))):
            whole.update(data)
            left -= len(data)
        self.server.taken.append(whole.hexdigest())
        self.request.sendall(f"{whole.hexdigest()}\n".encode())


class Tcp(socketserver.ThreadingTCPServer):
    """By both versions of IP."""
    address_family = socket.AF_INET6
    daemon_threads = True
    allow_reuse_address = True


class Servers:
    """All of them, in the network of the thread that makes it, until the end of `with`."""

    def __init__(self, dns=None, size=1 << 20):
        self.web, self.taker = Tcp(("::", 80), Web), Tcp(("::", 4002), Taker)
        self.web.data, self.web.asked, self.taker.taken = os.urandom(size), [], []
        self.all = [self.web, self.taker]
        if dns:
            self.all.append(socketserver.UDPServer((dns, 53), Names))
        for server in self.all:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.all:
            server.shutdown()
            server.server_close()
