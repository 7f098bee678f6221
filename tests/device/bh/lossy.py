# SPDX-License-Identifier: Apache-2.0
"""An NBD server that keeps what it is written in memory until it is told to flush, and loses it when it is killed."""

import contextlib
import socket
import struct
import threading

READ, WRITE, DISC, FLUSH, TRIM, ZEROES = 0, 1, 2, 3, 4, 6
FUA = 1
FLAGS = 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 6  # flush, FUA, trim, write-zeroes
GO, ACK, INFO = 7, 1, 3


class Lossy:
    """One export; each connection served in turn by a thread. port is the same after each start."""

    def __init__(self, size):
        self.stable = bytearray(size)
        self.refuses = 0  # the error of every change
        self.changes_left = None  # it dies after so many changes, which it does not answer
        self.port = 0
        self.start()

    def start(self):
        self.cache = bytearray(self.stable)
        self.done = []  # commands, in their order
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        self.socks = []
        self.thread = threading.Thread(target=self.accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def kill(self):
        """What was not flushed is lost."""
        for s in (self.listener, *self.socks):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def address(self, export="", tls=False):
        assert not tls
        return f"nbd://127.0.0.1:{self.port}/{export}"

    def accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.socks.append(sock)
            with sock, contextlib.suppress(OSError, EOFError):
                self.shake(sock)
                while self.serve(sock):
                    pass

    @staticmethod
    def take(sock, n):
        got = b""
        while len(got) < n:
            more = sock.recv(n - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def shake(self, sock):
        sock.sendall(b"NBDMAGICIHAVEOPT" + struct.pack(">H", 3))
        self.take(sock, 4)
        _, option, length = struct.unpack(">8sII", self.take(sock, 16))
        self.take(sock, length)
        assert option == GO

        def reply(kind, data):
            sock.sendall(struct.pack(">QIII", 0x3e889045565a9, option, kind, len(data)) + data)

        reply(INFO, struct.pack(">HQH", 0, len(self.stable), FLAGS))
        reply(ACK, b"")

    def serve(self, sock):
        _, flags, command, cookie, offset, length = struct.unpack(">IHHQQI", self.take(sock, 28))
        data = self.take(sock, length) if command == WRITE else b""
        if command == DISC:
            return False
        changes = command in (WRITE, TRIM, ZEROES)
        error = self.refuses if changes else 0
        if not error:
            self.carry_out(flags, command, offset, length, data)
        if changes and self.changes_left is not None:
            self.changes_left -= 1
            if self.changes_left < 0:
                return False
        got = self.cache[offset:offset + length] if command == READ else b""
        sock.sendall(struct.pack(">IIQ", 0x67446698, error, cookie) + got)
        return True

    def carry_out(self, flags, command, offset, length, data):
        self.done.append(command)
        here = slice(offset, offset + length)
        if command in (WRITE, ZEROES):
            self.cache[here] = data or bytes(length)
        if command == FLUSH:
            self.stable[:] = self.cache
        elif command in (WRITE, ZEROES) and flags & FUA:
            self.stable[here] = self.cache[here]
