# SPDX-License-Identifier: Apache-2.0
"""The frequency of this machine's time stamp counter, which the lab's processor has too.

The lab's kernel would measure it against an emulated timer; on a busy machine it has come out four
times too low, and every limit of time with it.
"""

import ctypes
import mmap
import time

CODE = bytes.fromhex("0f31"      # rdtsc
                     "48c1e220"  # shl rdx, 32
                     "4809d0"    # or rax, rdx
                     "c3")       # ret
PAIRS = 50
SECONDS = 0.1


def reader():
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(CODE)
    function = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    function.page = page  # as long as it can be called
    return function


def pair(read):
    """(nanoseconds, ticks) of one moment: the quickest of many readings was not interrupted."""
    best = None
    for _ in range(PAIRS):
        before, ticks, after = time.monotonic_ns(), read(), time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, (before + after) // 2, ticks)
    return best[1:]


def kilohertz():
    read = reader()
    start = pair(read)
    time.sleep(SECONDS)
    end = pair(read)
    return round((end[1] - start[1]) * 1_000_000 / (end[0] - start[0]))
