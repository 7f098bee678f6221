# SPDX-License-Identifier: Apache-2.0
"""A host that refuses calls, as a container's seccomp profile does."""

import struct
import sys

ENTER = """
import ctypes, os, sys
program = bytes.fromhex(sys.argv[1])
code = ctypes.create_string_buffer(program)
class Prog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
prog = Prog(len(program) // 8, ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(prog)) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""

LOAD, JUMP, MASK, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x50000


def within(code):
    """The words before a command that run it in this filter: (operation, if true, if false, operand)."""
    program = b"".join(struct.pack("<HBBI", *line) for line in code)
    return [sys.executable, "-c", ENTER, program.hex()]


def refusing(call, error):
    return within([(LOAD, 0, 0, 0), (JUMP, 0, 1, call), (RETURN, 0, 0, ERRNO | error),
                   (RETURN, 0, 0, ALLOW)])
