# SPDX-License-Identifier: Apache-2.0
"""The devices that speak vhost-user, behind one face, for tests that run against each."""

import os
import random
import socket
import tempfile
import threading

from . import blk, console, guest, net, rng, scsi, vsock
from .guest import Buf
from .process import Process
from .session import Session

# What a process may use in a test of a few hostile messages: CPU time, and memory of its own.
CPU_BOUND_S = 2.0
MEMORY_BOUND = 16 << 20


class Device:
    """A running device, and what a vmm holds of it. ends: of its channel, if it is connected already."""

    name = None
    args = ()
    features = 0
    channel = 4   # number of the vhost-user socket in the process
    n_queues = 1  # that the device has
    queue = 0     # the one that hostile rings are tried on
    num_max = 1024  # of a ring

    def __init__(self, build, **options):
        self.sock, theirs = options.get("ends") or socket.socketpair()
        self.options, self.build = options, build
        fds = {self.channel: theirs.fileno(), **self.make_fds()}
        try:
            self.process = Process(build, self.name, self.make_args(), fds,
                                       options.get("within", ()))
            self.process.wait_ready()
        finally:
            theirs.close()
        self.session = None
        self.closed = False
        self.started()

    def make_fds(self):
        """What else it holds: number in the process -> our descriptor."""
        return {}

    def started(self):
        pass

    def make_args(self):
        return self.args

    def open(self, **how):
        how.setdefault("n_queues", self.queue + 1)
        self.session = Session(self.sock, self.features, watch=[self.process.pidfd],
                               main=self.queue, **how)
        return self.session.start()

    def probe(self, session):
        """Uses the device as a guest would and checks what it does."""
        raise NotImplementedError

    def chain(self, memory):
        """A well-formed chain, with something to read if the device reads."""
        raise NotImplementedError

    def assert_bounded(self):
        assert self.process.cpu_s() < CPU_BOUND_S, "it spins"
        if self.process.alive:
            assert self.process.private_bytes() < MEMORY_BOUND, "it grows"

    def close(self):
        if self.closed:
            return
        self.closed = True
        if self.session:
            self.session.close()
        self.sock.close()
        self.let_go()
        try:
            self.process.kill()
        finally:
            self.close_fds()

    def let_go(self):
        """Before its end: closes what the device could wait for."""

    def close_fds(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Rng(Device):
    name = "dev-rng"
    num_max = 256

    def make_args(self):
        return [f"--rate={self.options.get('rate', 1 << 30)}"]

    def probe(self, session):
        a, b = rng.get(session, 64), rng.get(session, 64)
        assert a != b

    def chain(self, memory):
        return [Buf(memory.alloc(64), 64, True)]


class Blk(Device):
    name = "dev-blk"
    features = blk.FEATURES
    sectors = 2048
    more = ()  # descriptors beside the image's

    def make_fds(self):
        """options: image, a path, else a new one; readonly; queues; serial; format; backing, (path,
        format) each; data_file, a path; bound and redo, descriptors."""
        self.more = []
        fds = {5: self.open_image()}
        for i, (path, _) in enumerate(self.options.get("backing", ())):
            fds[6 + i] = self.open_more(path, os.O_RDONLY)
        if "data_file" in self.options:
            fds[13] = self.open_more(self.options["data_file"], os.O_RDWR)
        if "bound" in self.options:
            fds[20] = self.options["bound"]
        if "redo" in self.options:
            fds[21] = self.options["redo"]
        return fds

    def open_more(self, path, mode):
        self.more.append(os.open(path, mode | os.O_CLOEXEC))
        return self.more[-1]

    def open_image(self):
        image = self.options.get("image")
        if image is None:
            self.image_fd = os.memfd_create("image", os.MFD_CLOEXEC)
            os.truncate(self.image_fd, self.sectors * blk.SECTOR)
        else:
            mode = os.O_RDONLY if self.options.get("readonly") else os.O_RDWR
            self.image_fd = os.open(image, mode | os.O_CLOEXEC)
        return self.image_fd

    def make_args(self):
        backing = ",".join(how for _, how in self.options.get("backing", ()))
        return [f"--format={self.options.get('format', 'raw')}",
                *([f"--backing-format={backing}"] if backing else []),
                f"--readonly={'on' if self.options.get('readonly') else 'off'}",
                f"--queues={self.options.get('queues', 1)}",
                f"--serial={self.options.get('serial', 'bulkhead-test')}",
                *(f"--{o}={self.options[o]}"
                  for o in ("cache", "logical_block_size", "physical_block_size")
                  if o in self.options)]

    def close_fds(self):
        for fd in [self.image_fd, *self.more]:
            os.close(fd)

    def probe(self, session):
        disk = blk.Disk(session)
        data = random.Random(os.urandom(8)).randbytes(blk.SECTOR * 4)
        disk.write(7, data)
        assert disk.read(7, 4) == data
        disk.flush()

    def chain(self, memory):
        request = blk.Request(memory, blk.T_IN, 0, in_len=512)
        return request.bufs


class BlkApart(Blk):
    """A dev-blk that has its image through a storage process; options: rates, words for that."""

    def make_fds(self):
        self.channel_fd, theirs = socket.socketpair()
        words = [w for w in self.make_args() if not w.startswith(("--queues=", "--serial=", "--physical"))]
        self.storage = Process(self.build, "storage-file", [*words, *self.options.get("rates", ())],
                                   {4: theirs.fileno(), **super().make_fds()})
        theirs.close()
        self.storage.wait_ready()
        return {5: self.channel_fd.fileno()}

    def close_fds(self):
        self.channel_fd.close()
        self.storage.kill()
        super().close_fds()


class Cdrom(Device):
    """A CD-ROM behind an adapter; options: image, a path, else a new one; queues; page, a predecessor's, else a new one."""

    name = "dev-cdrom"
    queue = scsi.REQUESTQ
    blocks = 512

    @property
    def n_queues(self):
        return scsi.REQUESTQ + self.options.get("queues", 1)

    def make_fds(self):
        if "image" in self.options:
            self.image_fd = os.open(self.options["image"], os.O_RDONLY | os.O_CLOEXEC)
        else:
            self.image_fd = os.memfd_create("image", os.MFD_CLOEXEC)
            os.write(self.image_fd, random.Random(1).randbytes(self.blocks * 2048))
        self.page = os.dup(self.options["page"]) if "page" in self.options else guest.sealed_memfd(4096, name="cdrom-state")
        return {5: self.image_fd, 6: self.page}

    def make_args(self):
        return [f"--queues={self.options.get('queues', 1)}", "--serial=bulkhead-test"]

    def open(self, **how):
        how.setdefault("n_queues", self.n_queues)
        return super().open(**how)

    def close_fds(self):
        os.close(self.image_fd)
        os.close(self.page)

    def probe(self, session):
        block = random.randrange(self.blocks - 4)
        r = scsi.Adapter(session).good(scsi.read_10(block, 4), room=4 * 2048)
        assert r.data == os.pread(self.image_fd, 4 * 2048, block * 2048)

    def chain(self, memory):
        return scsi.Request(memory, scsi.read_10(0, 1), room=2048).bufs


class Scsi(Blk):
    """A disk behind an adapter; options: as Blk, and page, a predecessor's, else a new one."""

    name = "dev-scsi"
    features = 1 << 2  # that changes are told
    queue = scsi.REQUESTQ

    @property
    def n_queues(self):
        return scsi.REQUESTQ + self.options.get("queues", 1)

    def make_fds(self):
        self.page = os.dup(self.options["page"]) if "page" in self.options else guest.sealed_memfd(4096, name="scsi-state")
        return {**super().make_fds(), 22: self.page}

    def open(self, **how):
        how.setdefault("n_queues", self.n_queues)
        return super().open(**how)

    def close_fds(self):
        os.close(self.page)
        super().close_fds()

    def probe(self, session):
        disk = scsi.Disk(session)
        data = random.Random(os.urandom(8)).randbytes(blk.SECTOR * 4)
        disk.write(7, data)
        assert disk.read(7, 4) == data
        disk.flush()

    def chain(self, memory):
        return scsi.Request(memory, scsi.read_10(0, 1), room=512).bufs


class Console(Device):
    """The virtio-console of dev-console; its terminal is ours."""

    name = "dev-console"
    channel = 5
    n_queues = 2
    queue = console.TRANSMITQ
    num_max = console.NUM_MAX

    def make_fds(self):
        self.registers, self.their_registers = socket.socketpair()
        return {4: self.their_registers.fileno()}

    def make_args(self):
        return [f"--input={self.options.get('input', 'virtio')}"]

    def started(self):
        self.their_registers.close()
        self.terminal = console.attach(self.process.control)

    def probe(self, session):
        console.probe(session, self.terminal)

    def chain(self, memory):
        return [Buf(memory.put(b"x" * 64), 64)]

    def let_go(self):
        self.terminal.close()

    def close_fds(self):
        self.registers.close()


class Net(Device):
    """A network card; the other end of its link is ours. options: mac, mtu, speed, page and link, a
    predecessor's; features: that its driver chooses."""

    name = "dev-net"
    n_queues = 3
    queue = net.TRANSMITQ
    num_max = net.NUM_MAX

    @property
    def features(self):
        return self.options.get("features", net.FEATURES)

    def make_fds(self):
        self.own_page = "page" not in self.options
        self.page = net.state_page() if self.own_page else self.options["page"]
        if "link" in self.options:
            self.peer, self.link = None, self.options["link"]
        else:
            ours, self.link = socket.socketpair()
            self.peer = net.Peer(ours)
        return {net.STATE_FD: self.page, net.LINK_FD: self.link.fileno()}

    def make_args(self):
        return [f"--{o}={self.options[o]}" for o in ("mac", "mtu", "speed") if o in self.options] or \
            ["--mac=52:54:00:12:34:56"]

    def started(self):
        if self.peer:
            self.link.close()

    def probe(self, session):
        net.probe_transmit(session, self.peer)

    def chain(self, memory):
        return [Buf(memory.put(net.HEADER + net.frame(b"x" * 50)), 12 + 64)]

    def let_go(self):
        if self.peer:
            self.peer.close()

    def close_fds(self):
        if self.own_page:
            os.close(self.page)


class Vsock(Device):
    """Its clients' socket is ours, and we are its dialer; options: listen, connect."""

    name = "dev-vsock"
    n_queues = 3
    queue = vsock.TX
    num_max = 256

    def make_fds(self):
        self.dir = tempfile.TemporaryDirectory()
        self.path = f"{self.dir.name}/sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.dialer, self.asks = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.dialer.settimeout(60)
        return {5: self.listener.fileno(), 6: self.asks.fileno()}

    def make_args(self):
        return ["--cid=3", f"--listen={self.options.get('listen', '22,23')}",
                f"--connect={self.options.get('connect', '80,81')}"]

    def started(self):
        self.asks.close()

    def open(self, **how):
        how.setdefault("n_queues", 3)
        return super().open(**how)

    def probe(self, session):
        vsock.probe(session, self.path)

    def chain(self, memory):
        return [Buf(memory.put(bytes(vsock.Header.size)), vsock.Header.size)]

    def close_fds(self):
        self.dialer.close()
        self.listener.close()
        self.dir.cleanup()


class NetOnTap(Device):
    """A network card on a tap; options: tap (bh.tap), mtu, bare, uso, page, a predecessor's; features: that its driver chooses. It has as many pairs of queues as its tap
    has queues."""

    name = "dev-net"
    queue = net.TRANSMITQ
    num_max = net.NUM_MAX

    @property
    def features(self):
        return self.options.get("features", net.FEATURES)

    @property
    def n_queues(self):
        return 2 * len(self.options["tap"].fds) + 1

    def make_fds(self):
        self.page = os.dup(self.options["page"]) if "page" in self.options else net.state_page()
        return {net.STATE_FD: self.page, **{net.TAP_FD + i: fd for i, fd in enumerate(self.options["tap"].fds)}}

    def make_args(self):
        return ["--mac=52:54:00:12:34:56", f"--mtu={self.options.get('mtu', 1500)}",
                f"--bare={self.options.get('bare', 'off')}", f"--uso={self.options.get('uso', 'off')}",
                f"--queues={self.options.get('queues', len(self.options['tap'].fds))}"]

    def close_fds(self):
        os.close(self.page)


class NetByKernel(NetOnTap):
    """The same, whose frames the host's kernel moves. Who opens /dev/vhost-net for it is ours; options: opener, what it is
    given for each byte that it sends: a descriptor, or an error's number."""

    name = "dev-vhost-net"

    def make_fds(self):
        fds = super().make_fds()
        if "page" not in self.options:
            os.close(self.page)
            fds[net.STATE_FD] = self.page = guest.sealed_memfd(4096, name="net-set")
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        threading.Thread(target=self.serve, args=(ours,), daemon=True).start()
        return {**fds, net.LINK_FD: self.theirs.fileno()}

    def serve(self, ours):
        with ours:
            while ours.recv(1):
                fd = self.options.get("opener", lambda: os.open("/dev/vhost-net", os.O_RDWR | os.O_CLOEXEC))()
                if fd < 0:
                    ours.send(bytes([1, -fd]))
                    continue
                socket.send_fds(ours, [bytes([1, 0])], [fd])
                os.close(fd)

    def started(self):
        self.theirs.close()


ALL = [Rng, Blk, Cdrom, Console, Net, Vsock]
