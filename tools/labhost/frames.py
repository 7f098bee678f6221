# SPDX-License-Identifier: Apache-2.0
"""Frames between tools/lab and the agent inside the lab: one byte of type, four of length
(big-endian), then the payload."""

import struct

HEADER = struct.Struct(">BI")
MOST = 1 << 16  # bytes of payload in a data frame

RUN = 1     # to the agent: JSON: argv, cwd, env, uid, tty ([rows, columns] or null), mounts
STDIN = 2   # to the agent: data; empty: end of input
WINDOW = 3  # to the agent: JSON [rows, columns]
KILL = 4    # to the agent: kill the running command
STATE = 5   # to the agent: have the kernel say on the console what every task waits for
BEAT = 6    # to the agent: nothing; its interrupt is what counts
READY = 10  # from the agent: accepts RUN
STDOUT = 11
STDERR = 12
EXIT = 13   # from the agent: decimal exit status


def pack(kind, payload=b""):
    return HEADER.pack(kind, len(payload)) + payload


def take(buffer):
    """Removes the complete frames from the bytearray; returns a list of (type, payload)."""
    frames = []
    at = 0
    while len(buffer) - at >= HEADER.size:
        kind, length = HEADER.unpack_from(buffer, at)
        end = at + HEADER.size + length
        if len(buffer) < end:
            break
        frames.append((kind, bytes(buffer[at + HEADER.size:end])))
        at = end
    del buffer[:at]
    return frames
