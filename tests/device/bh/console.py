# SPDX-License-Identifier: Apache-2.0
"""virtio-console, the driver (Virtual I/O Device 1.2, section 5.3), and the terminal behind it."""

import os
import socket
import struct

from . import wait
from .guest import Buf

RECEIVEQ = 0
TRANSMITQ = 1
NUM_MAX = 256

CTL_CONFIG_CHANGED = 10
CTL_CONSOLE = 17
CTL_CONSOLE_SIZE = 18

F_SIZE = 1


def attach(control):
    """Gives the console a terminal over its control channel; returns our end."""
    ours, theirs = socket.socketpair()
    ours.settimeout(wait.HANG_S)
    socket.send_fds(control, [struct.pack("<HHI", CTL_CONSOLE, 0, 0)], [theirs.fileno()])
    theirs.close()
    return ours


def resize(control, columns, rows):
    """Says the terminal's size; answered by CTL_CONFIG_CHANGED."""
    control.send(struct.pack("<HHIHH", CTL_CONSOLE_SIZE, 0, 4, columns, rows))


def read_until(terminal, what):
    """What the terminal shows up to and with these bytes."""
    shown = b""
    while not shown.endswith(what):
        piece = terminal.recv(4096)
        assert piece, "the console let its terminal go"
        shown += piece
    return shown


def probe(session, terminal):
    """A line of a guest comes out as it is, whatever came out before."""
    memory = session.memory
    mark = memory.next
    line = b"<" + os.urandom(16).hex().encode() + b">"
    session.submit([Buf(memory.put(line), len(line))], TRANSMITQ)
    [(_, written)] = session.wait(1, TRANSMITQ)
    assert written == 0
    read_until(terminal, line)
    memory.next = mark
