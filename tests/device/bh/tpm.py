# SPDX-License-Identifier: Apache-2.0
"""A TPM's registers as a driver uses them (TCG's PC Client PTP, the CRB), and what is behind them: swtpm, or a test that plays it."""

import shutil
import socket
import struct
import subprocess

from . import wait

LOC_STATE, LOC_CTRL, LOC_STS, INTF_ID = 0x00, 0x08, 0x0c, 0x30
REQ, STS, CANCEL, START = 0x40, 0x44, 0x48, 0x4c
CMD_SIZE, CMD_LOW, RSP_SIZE, RSP_LOW = 0x58, 0x5c, 0x64, 0x68
BUFFER, BUFFER_LEN, SIZE = 0x80, 0xf80, 0x1000
STATE_SIZE = 8192

STARTUP_CLEAR = bytes.fromhex("80010000000c000001440000")
GET_RANDOM_16 = bytes.fromhex("80010000000c0000017b0010")
PROPERTIES = bytes.fromhex("8001000000160000017a000000060000010000000040")
OK = bytes.fromhex("80010000000a00000000")


def pcr_read(n):
    return bytes.fromhex("8001000000140000017e00000001000b03") + (1 << n).to_bytes(3, "little")


def pcr_extend(n, digest):
    return (bytes.fromhex("80020000004100000182") + struct.pack(">I", n) +
            bytes.fromhex("0000000940000009000000000000000001000b") + digest)


def pcr_reset(n):
    return (bytes.fromhex("80020000001b0000013d") + struct.pack(">I", n) + bytes.fromhex("00000009400000090000000000"))


def pcr_of(response):
    """The one digest of a response to pcr_read."""
    assert response[6:10] == bytes(4), response.hex()
    assert len(response) == 10 + 4 + 4 + 2 + 4 + 4 + 2 + 32, response.hex()
    return response[-32:]


class Driver:
    """Over a vfio-user client."""

    def __init__(self, client):
        self.client = client

    def get(self, offset):
        return struct.unpack("<I", self.client.read(0, offset, 4))[0]

    def put(self, offset, value):
        self.client.write(0, offset, struct.pack("<I", value))

    def write_buffer(self, data, at=0):
        """In the widest pieces that fit."""
        while data:
            width = next(w for w in (8, 4, 2, 1) if len(data) >= w)
            self.client.write(0, BUFFER + at, data[:width])
            data, at = data[width:], at + width

    def read_buffer(self, n):
        return b"".join(self.client.read(0, BUFFER + i, 8) for i in range(0, n, 8))[:n]

    def ready(self):
        self.put(LOC_CTRL, 1)
        assert self.get(LOC_STS) & 1
        self.put(REQ, 1)
        assert self.get(STS) & 2 == 0

    def begin(self, command):
        self.ready()
        self.write_buffer(command)
        self.put(START, 1)

    def finish(self):
        wait.until(lambda: not self.get(START), "the command has ended")
        length = struct.unpack(">I", self.read_buffer(8)[2:6])[0]
        response = self.read_buffer(max(length, 10))
        self.put(REQ, 2)
        assert self.get(STS) & 2
        return response

    def run(self, command):
        self.begin(command)
        return self.finish()


class Swtpm:
    """The real one, as the supervisor starts it, but for its jail."""

    def __init__(self, state):
        self.commands, theirs = socket.socketpair()
        self.control, control = socket.socketpair()
        self.process = subprocess.Popen(
            [shutil.which("swtpm"), "socket", "--tpm2", "--fd", str(theirs.fileno()), "--ctrl",
             f"type=unixio,clientfd={control.fileno()}", "--tpmstate", f"dir={state},mode=0600"],
            pass_fds=[theirs.fileno(), control.fileno()], stderr=subprocess.DEVNULL)
        theirs.close()
        control.close()
        assert self.ask(17, BUFFER_LEN) == struct.pack(">I", 0)

    def ask(self, command, value=None):
        self.control.sendall(struct.pack(">I", command) + (b"" if value is None else struct.pack(">I", value)))
        return self.control.recv(4096)[:4]

    def start(self):
        assert self.ask(2, 0) == bytes(4)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.commands.close()
        self.control.close()
