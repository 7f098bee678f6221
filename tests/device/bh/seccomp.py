# SPDX-License-Identifier: Apache-2.0
"""Reads a process's seccomp filters out of the kernel and walks them: which calls can pass."""

import ctypes
import os
import re
import struct

PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207
PTRACE_DETACH = 17
PTRACE_SECCOMP_GET_FILTER = 0x420c

ARCH_X86_64 = 0xc000003e
ARCH_I386 = 0x40000003
X32_BIT = 0x40000000
ALLOW = 0x7fff0000
ACTION_MASK = 0xffff0000
KILL_PROCESS = 0x80000000

# struct seccomp_data
OFFSET_NR, OFFSET_ARCH, OFFSET_ARGS = 0, 4, 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def _ptrace(request, pid, addr=0, data=None):
    r = _libc.ptrace(request, pid, addr, data)
    if r < 0:
        e = ctypes.get_errno()
        raise OSError(e, os.strerror(e))
    return r


def filters(pid):
    """The filters of a thread, the newest first: each a list of (code, jt, jf, k). Needs root."""
    _ptrace(PTRACE_SEIZE, pid)
    try:
        _ptrace(PTRACE_INTERRUPT, pid)
        os.waitpid(pid, 0x40000000)  # __WALL
        programs = []
        while True:
            try:
                n = _ptrace(PTRACE_SECCOMP_GET_FILTER, pid, len(programs))
            except FileNotFoundError:
                return programs
            raw = ctypes.create_string_buffer(8 * n)
            _ptrace(PTRACE_SECCOMP_GET_FILTER, pid, len(programs), raw)
            programs.append(list(struct.iter_unpack("<HBBI", raw.raw)))
    finally:
        _ptrace(PTRACE_DETACH, pid)


def actions(program, nr, arch=ARCH_X86_64, args=None):
    """All that the filter can answer to call nr. args: known 64-bit arguments by index; the others
    may be anything, and both ways of every branch on them are walked."""
    known = {OFFSET_NR: nr, OFFSET_ARCH: arch}
    for index, value in (args or {}).items():
        known[OFFSET_ARGS + 8 * index] = value & 0xffffffff
        known[OFFSET_ARGS + 8 * index + 4] = value >> 32
    found, seen = set(), set()
    todo = [(0, None, None, ())]  # pc, A, X, scratch memory; None is unknown
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        pc, a, x, memory = state
        code, jt, jf, k = program[pc]
        kind = code & 7
        if kind == 6:  # RET
            found.add(k & ACTION_MASK if code & 0x18 == 0 else None)
            continue
        if kind == 5:  # JMP
            op = code & 0xf0
            operand = x if code & 8 else k
            if op == 0:
                todo.append((pc + 1 + k, a, x, memory))
                continue
            if a is None or operand is None:
                taken = (True, False)
            else:
                taken = ({0x10: a == operand, 0x20: a > operand, 0x30: a >= operand,
                          0x40: bool(a & operand)}[op],)
            todo += [(pc + 1 + (jt if t else jf), a, x, memory) for t in taken]
            continue
        if kind in (0, 1):  # LD, LDX
            mode = code & 0xe0
            value = {0x20: known.get(k), 0x00: k, 0x60: dict(memory).get(k)}.get(mode)
            a, x = (value, x) if kind == 0 else (a, value)
        elif kind in (2, 3):  # ST, STX
            memory = tuple(sorted({**dict(memory), k: a if kind == 2 else x}.items(),
                                  key=lambda kv: kv[0]))
        elif kind == 4:  # ALU
            operand = x if code & 8 else k
            if code & 0xf0 == 0x50 and a is not None and operand is not None:
                a &= operand
            else:
                a = None
        elif kind == 7:  # TAX, TXA
            a, x = (a, a) if code & 0xf8 == 0 else (x, x)
        todo.append((pc + 1, a, x, memory))
    return found


def allowed(programs, nr, arch=ARCH_X86_64, args=None):
    """Whether every filter can answer "allow"."""
    return all(ALLOW in actions(p, nr, arch, args) for p in programs)


def call_numbers():
    """name -> number, as the kernel's header has them."""
    for path in ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"):
        if os.path.exists(path):
            with open(path, encoding="ascii") as f:
                return {n: int(v) for n, v in re.findall(r"#define __NR_(\w+)\s+(\d+)", f.read())}
    raise FileNotFoundError("asm/unistd_64.h")
