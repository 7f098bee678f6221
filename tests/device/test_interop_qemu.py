# SPDX-License-Identifier: Apache-2.0
"""Our devices as back ends of somebody else's monitor: Debian's QEMU (TCG) boots the Debian kernel
with dev-blk and dev-rng behind it, works on the disk, and the host compares the checksums; or with dev-net, has an
address by DHCP, and fetches what is compared."""

import hashlib
import http.server
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading

import pytest

from bh import tap
from bh.devices import Blk, Net, Rng

TOP = pathlib.Path(__file__).resolve().parents[2]
QEMU = shutil.which("qemu-system-x86_64")
LONG = pytest.mark.skipif("BULKHEAD_LONG" not in os.environ, reason="of make long")
BOOT_S = 300  # a hang is a failure; nothing else is timed

BOTH = """
(. /tests/disk.sh) || exit 1
(. /tests/rng.sh)
"""


@pytest.fixture
def guest_dir():
    path = TOP / "build/guest"
    if not (path / "initrd.cpio.gz").exists():
        pytest.skip("no guest: tools/guest/build")
    return path


@pytest.fixture
def initrd(guest_dir, tmp_path):
    """The guest's, and behind it a script that runs two of its tests in one boot."""
    (tmp_path / "extra/tests").mkdir(parents=True)
    (tmp_path / "extra/tests/both.sh").write_text(BOTH)
    subprocess.run([TOP / "tools/initrd", tmp_path / "extra", tmp_path / "extra.gz"], check=True)
    first = (guest_dir / "initrd.cpio.gz").read_bytes()
    path = tmp_path / "initrd"
    path.write_bytes(first + bytes(-len(first) % 4) + (tmp_path / "extra.gz").read_bytes())
    return path


def begin(guest_dir, initrd, words, devices, fds=()):
    """devices: what QEMU is told of them."""
    command = [
        QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-M", "q35,memory-backend=ram", "-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "256M",
        "-object", "memory-backend-memfd,id=ram,size=256M,share=on",
        "-kernel", guest_dir / "vmlinuz", "-initrd", initrd,
        "-append", f"console=ttyS0 quiet panic=-1 {words}",
        "-serial", "stdio", *devices]
    return subprocess.Popen(command, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)


def end(process):
    """All that it and its guest have said."""
    try:
        return process.communicate(timeout=BOOT_S)[0].decode("ascii", "replace")
    finally:
        process.kill()
        process.wait()


def qemu(guest_dir, initrd, devices):
    """Boots with each (our end of the device's socket, -device and its options)."""
    words = []
    for i, (sock, device) in enumerate(devices):
        words += ["-chardev", f"socket,id=c{i},fd={sock.fileno()}", "-device", f"{device},chardev=c{i}"]
    return end(begin(guest_dir, initrd, "bh.test=both bh.disk=vda bh.mib=8", words,
                     [sock.fileno() for sock, _ in devices]))


def qcow2(raw):
    """An image on that raw one."""
    top = raw.with_suffix(".qcow2")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", raw, "-F", "raw", top], check=True)
    return {"image": top, "format": "qcow2", "backing": [(raw, "raw")]}


@pytest.mark.skipif(QEMU is None, reason="no qemu-system-x86_64")
@pytest.mark.parametrize("form", ["raw", pytest.param("qcow2", marks=LONG)])
def test_guest_of_qemu(start, guest_dir, initrd, tmp_path, form):
    image = tmp_path / "disk.raw"
    image.write_bytes(os.urandom(16 << 20))
    how = {"image": image} if form == "raw" else qcow2(image)
    blk = start(Blk, **how, queues=2, serial="interop")
    rng = start(Rng)
    said = qemu(guest_dir, initrd, [(blk.sock, "vhost-user-blk-pci,num-queues=2"),
                                    (rng.sock, "vhost-user-rng-pci")])
    assert "test both status 0" in said, said + blk.process.describe() + rng.process.describe()
    line = next(row for row in said.splitlines() if "disk vda bytes" in row)
    assert f"bytes {16 << 20} read-only 0 serial interop block 512" in line
    assert "queues 2" in line
    assert "rng current virtio_rng" in said
    guests = re.search(r"disk sha256 ([0-9a-f]{64})", said).group(1)
    for device in (blk, rng):
        device.sock.close()
        device.process.assert_clean_end(0)
    if form == "qcow2":
        subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", how["image"]], check=True)
        image = tmp_path / "content"
        subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", how["image"], image], check=True)
    assert guests == hashlib.sha256(image.read_bytes()).hexdigest()


# ---- a network card ----

NETWORK = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
           "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254 && "
           "ip addr add 10.77.0.1/32 dev lo")
MAC = "52:54:00:00:00:77"


class Files(http.server.BaseHTTPRequestHandler):
    """What was drawn, and its sum."""

    data = os.urandom(4 << 20)

    def do_GET(self):
        body = self.data if self.path == "/data" else f"{hashlib.sha256(self.data).hexdigest()}  -\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def connected(guest_dir, path):
    """A QEMU that has a card, and its connection: a -netdev takes no socket that is connected already. Without MSI-X: with
    it, and without KVM, QEMU 7.2 ends of a null pointer of its own, before it has sent SET_FEATURES."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(BOOT_S)
        process = begin(guest_dir, guest_dir / "initrd.cpio.gz",
                        "bh.test=user bh.server=10.77.0.1 bh.foreign=127.0.0.1",
                        ["-chardev", f"socket,id=c,path={path}", "-netdev", "vhost-user,id=n,chardev=c",
                         "-device", f"virtio-net-pci,netdev=n,mac={MAC},vectors=0"])
        return process, listener.accept()[0]


def fetch(start, guest_dir, path):
    subprocess.run(NETWORK, shell=True, check=True)
    server = http.server.ThreadingHTTPServer(("10.77.0.1", 80), Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    process, sock = connected(guest_dir, path)
    net = start(Net, mac=MAC, ends=(sock.dup(), sock))
    link = net.peer.sock
    link.settimeout(None)  # what passt has left of a frame it writes until it is done
    passt = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "passt", "--fd", str(link.fileno()),
                              "-f", "-q", "-4", "--no-map-gw"], pass_fds=[link.fileno()])
    link.close()
    try:
        said = end(process)
        assert "test user status 0" in said, said + net.process.describe()
        assert "user leased 10.9.0.1/24" in said and "user fetched" in said
        net.process.assert_clean_end(0)
        assert passt.wait(60) == 0, "it ends with its stream"
    finally:
        process.kill()
        passt.kill()
        passt.wait()
        server.shutdown()
        server.server_close()


@pytest.mark.skipif(QEMU is None or os.geteuid() != 0 or not shutil.which("passt"),
                    reason="QEMU, passt, and root, who makes the network of the test")
def test_guest_of_qemu_on_the_users_network(start, guest_dir, tmp_path):
    tap.apart(lambda: fetch(start, guest_dir, tmp_path / "card"))
