# SPDX-License-Identifier: Apache-2.0
"""A vmm with a guest and its console, played to by us instead of the supervisor."""

import fcntl
import os
import socket
import struct

from . import process, wait

MEMORY = 64 << 20
FD_KERNEL, FD_RAM, FD_LOG, FD_SERIAL, FD_CONSOLE = 5, 7, 10, 12, 13  # 8, 9 and 11 are what is not there here
LOG = -(-(MEMORY + (1 << 30)) // (4096 * 8 * 4096)) * 4096  # a bit a page, the fourth GiB's among them, in whole pages
CONSOLE_TYPE = "console:3:0x78000:2:2:12:0x5"
RNG_TYPE = "rng:4:0xff00:1:1:0:0"


def sealed(name, size):
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


class Machine:
    def __init__(self, build, guest, words="", accel="soft", cpus=1):
        self.build = build
        self.text = b""
        self.started = []
        self.channels = 2  # of the console, at the start
        serial, console = socket.socketpair(), socket.socketpair()
        self.console = process.Process(build, "dev-console", ["--input=serial"],
                                           {4: serial[1].fileno(), 5: console[1].fileno()})
        self.terminal, theirs = socket.socketpair()
        socket.send_fds(self.console.control, [struct.pack("<HHI", process.CTL_CONSOLE, 0, 0)],
                        [theirs.fileno()])
        theirs.close()
        kernel, ram, log = os.open(guest, os.O_RDONLY), sealed("guest-ram", MEMORY), sealed("dirty-log", LOG)
        fds = {FD_KERNEL: kernel, FD_RAM: ram, FD_SERIAL: serial[0].fileno(),
               FD_CONSOLE: console[0].fileno()}
        if accel == "kvm":
            fds[4] = os.open("/dev/kvm", os.O_RDWR)
        else:
            fds[FD_LOG] = log
        self.vmm = process.Process(
            build, "vmm", ["--name=played", f"--accel={accel}", f"--cpus={cpus}", f"--memory={MEMORY}",
                           f"--cmdline={words}", "--on-reboot=restart", "--on-panic=stop",
                           f"--serial={FD_SERIAL}", f"--virtio={CONSOLE_TYPE}:{FD_CONSOLE}"], fds)
        for fd in (kernel, ram, log, *([fds[4]] if accel == "kvm" else [])):
            os.close(fd)
        for end in (*serial, *console):
            end.close()

    def hear(self, done, what):
        """Takes what vmm and guest say until done() is true."""
        while not done():
            ready = wait.for_fds([self.vmm.control.fileno(), self.terminal.fileno()], what)
            if self.terminal.fileno() in ready:
                self.text += self.terminal.recv(65536)
            alive = self.vmm.drain()
            assert alive or done(), f"{what}: {self.vmm.describe()}\n{self.text.decode()}"

    def wait_for(self, line):
        """Reads on to behind what the guest says."""
        line = line.encode()
        self.hear(lambda: line in self.text, line)
        before, self.text = self.text.split(line, 1)
        assert b"FAILED" not in before, before.decode()

    def answer(self, *types):
        """The next message of the vmm of one of these types."""
        seen = []

        def found():
            seen[:] = [m for m in self.vmm.messages if m.type in types]
            return seen

        self.hear(found, f"message {types}")
        self.vmm.messages.remove(seen[0])
        return seen[0]

    def send_channel(self, type_, number, channel, text=""):
        payload = struct.pack("<I", number) + text.encode()
        socket.send_fds(self.vmm.control, [struct.pack("<HHI", type_, 0, len(payload)) + payload],
                        [channel.fileno()])
        channel.close()

    def plug(self, channel, type_=RNG_TYPE):
        """By a channel with a number of its own."""
        self.channels += 1
        self.send_channel(process.CTL_PLUG, self.channels - 1, channel, type_)

    def start_rng(self):
        """A dev-rng and our end of its channel."""
        ours, theirs = socket.socketpair()
        device = process.Process(self.build, "dev-rng", ["--rate=1000000"], {4: theirs.fileno()})
        self.started.append(device)
        theirs.close()
        device.wait_ready()
        return device, ours

    def plug_rng(self):
        """A dev-rng and its slot."""
        device, ours = self.start_rng()
        self.plug(ours)
        said = self.answer(process.CTL_PLUGGED, process.CTL_NOT_PLUGGED)
        assert said.type == process.CTL_PLUGGED, said
        return device, said.number

    def tell(self, type_, number=None):
        payload = b"" if number is None else struct.pack("<I", number)
        self.vmm.control.send(struct.pack("<HHI", type_, 0, len(payload)) + payload)

    def end(self):
        """By the power button; the guest has said nothing wrong."""
        self.tell(process.CTL_POWER_BUTTON)
        while self.vmm.drain():
            wait.readable(self.vmm.control, None)
        assert self.vmm.wait_end() == 0, self.vmm.describe()
        while piece := self.terminal.recv(65536):
            self.text += piece
        assert b"FAILED" not in self.text, self.text.decode()

    def close(self):
        self.vmm.control.close()
        self.terminal.close()
        for one in (self.vmm, self.console, *self.started):
            one.control.close()
            one.wait_end()
