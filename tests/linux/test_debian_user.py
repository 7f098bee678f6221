# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian guest on the user's network: it gets its addresses by DHCP and of a router, and what it fetches
from servers that the host reaches is right, by address and by name, and so is what it sends there; what is not
allowed it does not reach, nor the host's loopback; and published ports lead to it."""

import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import pytest
import user_network
import vm

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import tap  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("passt"),
                                reason="the network of the test is made by root; and passt")


def passts():
    """Those that run in this thread's network."""
    here = os.readlink("/proc/thread-self/ns/net")
    return [p for p in os.listdir("/proc") if p.isdigit() and is_passt(p, here)]


def is_passt(pid, network):
    try:
        name, _, rest = pathlib.Path(f"/proc/{pid}/stat").read_text().partition(") ")
        return name.partition("(")[2] in ("passt", "passt.avx2") and not rest.startswith("Z") and os.readlink(f"/proc/{pid}/ns/net") == network
    except OSError:
        return False


def again(attempt):
    """As often as it takes until the guest answers."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if attempt():
                return
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("the guest does not answer")


def greet_tcp():
    """Says hi to the guest, and hears it."""
    with socket.create_connection(("127.0.0.1", 8007), timeout=10) as s:
        s.sendall(b"hi\n")
        return s.recv(100) == b"hello\n"


def greet_udp(address, port):
    """Each datagram that the guest sends back is as it was."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(1)
        s.connect((address, port))
        for size in (1, 512, 1300):
            sent = os.urandom(size)
            s.send(sent)
            if s.recv(2000) != sent:
                return False
        return True


def greet_both():
    again(lambda: greet_udp(user_network.HOST, 8009))
    again(lambda: greet_udp(user_network.HOST6, 8010))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"end", (user_network.HOST, 8009))


def run_guest(options, words, during=None, way="user", server=user_network.SERVER, **more):
    """A whole run, in the network that is there; what it said."""
    flags = [f"--net={way}{options}", *more.pop("flags", ())]
    with vm.Guest("user", words=f"bh.server={server} {words}", flags=flags, **more) as g:
        g.wait_for(b"user leased")
        assert len(passts()) == 1
        if during:
            during(g)
        status = g.end()
        g.said(r"user leased 10\.9\.0\.1/24")
        g.said(r"user refused")
        g.said(r"bulkhead-guest: test user status 0")
        assert status == 0, g.err
    end = time.monotonic() + 60
    while passts() and time.monotonic() < end:
        time.sleep(0.05)
    assert not passts()
    return g


@pytest.mark.parametrize("options, foreign", [("", user_network.ROUTER), pytest.param("", "169.254.169.254", marks=vm.LONG),
                                              (",allow=10.77.0.0/16:80", "10.78.0.1")],
                         ids=["loopback", "metadata", "allow"])
def test_a_guest_on_the_users_network(options, foreign):
    """passt by itself would have the router's address stand for the host's loopback."""
    def body():
        user_network.make()
        with user_network.Servers() as servers:
            run_guest(options, f"bh.foreign={foreign}")
        assert servers.web.asked == [user_network.SERVER] * 2

    tap.apart(body)


@pytest.mark.parametrize("foreign", [user_network.SERVER, pytest.param(user_network.ROUTER, marks=vm.LONG), "169.254.169.254"],
                         ids=["private", "router", "metadata"])
def test_what_nobody_said(foreign):
    """A guest whose network nobody said reaches public addresses, and no private one but to answer."""
    def body():
        user_network.make()
        with user_network.Servers() as servers:
            g = run_guest("", f"bh.foreign={foreign}", way="default", server=user_network.PUBLIC)
        assert servers.web.asked == [user_network.PUBLIC] * 2
        assert ("not public" in g.err) == (foreign == user_network.SERVER or foreign == user_network.ROUTER), g.err

    tap.apart(body)


def test_a_port_of_the_host_leads_to_the_guest():
    """Also where nothing else is allowed."""
    def during(g):
        g.wait_for(b"user listens")
        again(greet_tcp)
        g.wait_for(b"user heard")

    def body():
        user_network.make()
        with user_network.Servers():
            run_guest(",publish=8007:7,allow=10.77.0.1:80", "bh.foreign=10.77.0.1:81 bh.listen=tcp", during)

    tap.apart(body)


def test_both_versions_names_pings_and_datagrams(tmp_path):
    """A package index is fetched by name, as apt does, from a server with IPv4 and from one with IPv6 alone; both are
    pinged, and what was fetched is sent back; then published ports of UDP lead another host to the guest."""
    def during(g):
        g.wait_for(b"user listens")
        user_network.elsewhere(greet_both)
        g.wait_for(b"user heard")

    def body():
        user_network.make(version6=True)
        user_network.resolve_by(user_network.SERVER, tmp_path)
        options = f",mtu=1400,publish={user_network.HOST}:8009:9/udp,publish=[{user_network.HOST6}]:8010:9/udp"
        with user_network.Servers(dns=user_network.SERVER) as servers:
            g = run_guest(options, f"bh.foreign=127.0.0.1 bh.index={user_network.NAME} bh.listen=udp", during)
        for name in (user_network.NAME, user_network.NAME6):
            g.said(rf"user index {name} {user_network.N_PACKAGES} ping 3")
            g.said(rf"user sent back {name}")
        g.said(r"user leased \S+ mtu 1400")
        g.said(r"user address6 2001:db8:9:")
        g.said(r"user router6 fe80::")
        assert servers.web.asked[2:] == [user_network.NAME] * 2 + [user_network.NAME6] * 2
        assert servers.taker.taken == [hashlib.sha256(user_network.LIST).hexdigest()] * 2

    tap.apart(body)


def with_ssh(place):
    """An initial RAM disk with Debian's dropbear, and a key of its own and of who may log in."""
    root = place / "ssh"
    for d in ("bin", "etc/dropbear", "root/.ssh"):
        (root / d).mkdir(parents=True)
    dropbear = shutil.which("dropbear", path="/usr/sbin:/usr/bin")
    shutil.copy(dropbear, root / "bin")
    for name in re.findall(r"(/\S+)", subprocess.run(["ldd", dropbear], capture_output=True, text=True, check=True).stdout):
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(name, root / name[1:])
    for key in (root / "etc/dropbear/key", place / "key"):
        said = subprocess.run(["dropbearkey", "-t", "ed25519", "-f", key], capture_output=True, text=True, check=True).stdout
    (root / "root/.ssh/authorized_keys").write_text(re.search(r"^ssh-ed25519.*$", said, re.M).group() + "\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/shells").write_text("/bin/sh\n")
    subprocess.run([vm.TOP / "tools/initrd", root, place / "ssh.cpio.gz"], check=True)
    whole = place / "initrd"
    whole.write_bytes((vm.GUEST / "initrd.cpio.gz").read_bytes() + (place / "ssh.cpio.gz").read_bytes())
    return whole


@pytest.mark.skipif(not shutil.which("dbclient"), reason="no dropbear: tools/deps check")
def test_a_person_logs_in_by_ssh(tmp_path):
    def during(g):
        g.wait_for(b"user listens")
        again(lambda: log_in().returncode == 0)
        g.wait_for(b"user heard")

    def log_in():
        done = subprocess.run(["dbclient", "-y", "-y", "-i", tmp_path / "key", "-p", "8022", "root@127.0.0.1",
                               "cat /proc/version && touch /tmp/heard"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60, check=False)
        assert done.returncode or done.stdout.startswith("Linux version"), done
        return done

    def body():
        user_network.make()
        with user_network.Servers():
            run_guest(",publish=8022:22", "bh.foreign=127.0.0.1 bh.listen=ssh", during, initrd=False,
                      flags=["--initrd", with_ssh(tmp_path)])

    tap.apart(body)
