# SPDX-License-Identifier: Apache-2.0
"""A thread of a running process, taken over from outside: it makes the system calls that we say.

What a refused call does to the process is left out as long as the thread is ours: the kernel refuses
it (SIGSYS, SYS_SECCOMP) without running it, and the tracer takes the signal away, so that one process
can try thousands of calls. Filters that kill at once end the process: that is Died.
"""

import ctypes
import errno
import os
import signal
import struct
import time

SEIZE, DETACH, INTERRUPT, SINGLESTEP, CONT = 0x4206, 17, 0x4207, 9, 7
GETREGS, SETREGS, GETEVENTMSG, GETSIGINFO = 12, 13, 0x4201, 0x4202
FOLLOW = 2 | 4 | 8 | 16  # fork, vfork, clone, exec
EVENT_EXEC = 4
EVENTS_OF_A_CHILD = (1, 2, 3)
SYS_SECCOMP = 1
WALL = 0x40000000
SYSCALL = b"\x0f\x05"
SCRATCH = 32 << 10
BLOCKS_S = 0.5  # a call that has not come back by then waits for something
HANGS_S = 60

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long

REGS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
        "fs_base gs_base ds es fs gs").split()
ARGS = ("rdi", "rsi", "rdx", "r10", "r8", "r9")


class Regs(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in REGS]


def ptrace(request, tid, addr=0, data=0):
    r = libc.ptrace(request, tid, addr, data)
    if r < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {tid}")
    return r


class Died(Exception):
    """The process ended in the call. status is as waitpid's, in words of the shell."""

    def __init__(self, status):
        super().__init__(f"ended with {status}")
        self.status = status


class Result:
    """What a call came to: refused (by the filter), blocked, or value (negative: errno)."""

    def __init__(self, value=None, refused=False, blocked=False, children=0, executed=False):
        self.value, self.refused, self.blocked = value, refused, blocked
        self.children, self.executed = children, executed

    @property
    def succeeded(self):
        return self.executed or self.children > 0 or (self.value is not None and self.value >= 0)

    def __str__(self):
        if self.refused:
            return "refused by the filter"
        if self.blocked:
            return "waits"
        if self.value is not None and self.value < 0:
            return errno.errorcode.get(-self.value, str(self.value))
        return f"returned {self.value:#x}" if self.value is not None else "executed"


def maps_of(pid):
    """(start, end, permissions, name) of each mapping."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
        rows = [line.rstrip("\n").split(maxsplit=5) for line in f]
    return [(*(int(x, 16) for x in r[0].split("-")), r[1], r[5] if len(r) > 5 else "")
            for r in rows]


def shared_beside(pid, own):
    """As gains: memory that it shares with others, but for what has one of these in its name."""
    names = [m[3] for m in maps_of(pid)]
    return [("mapped", name, "") for name in names if name.startswith(("/memfd", "/guest")) and not any(o in name for o in own)]


class Thread:
    """Stopped and ours from its making to release()."""

    def __init__(self, pid, tid=None):
        self.pid, self.tid = pid, tid or pid
        self.mem = os.open(f"/proc/{pid}/mem", os.O_RDWR | os.O_CLOEXEC)
        self.kept_signal = 0
        ptrace(SEIZE, self.tid, 0, FOLLOW)
        ptrace(INTERRUPT, self.tid)
        self._wait(HANGS_S)
        self.saved = self._regs()
        self.entry = self._find_syscall()
        self.base = self._find_scratch()
        self.used = 0

    # ---- its memory ----

    def _find_syscall(self):
        for start, end, mode, name in maps_of(self.pid):
            if "x" in mode and name != "[vsyscall]":
                at = os.pread(self.mem, end - start, start).find(SYSCALL)
                if at >= 0:
                    return start + at
        raise AssertionError(f"no system call instruction in process {self.pid}")

    def _find_scratch(self):
        """Unused stack, far below what is in use."""
        rsp = self.saved.rsp
        for start, end, mode, _ in maps_of(self.pid):
            if start <= rsp < end:
                assert "w" in mode and rsp - start > 2 * SCRATCH, f"little stack in {self.pid}"
                return (rsp - 2 * SCRATCH) & ~4095
        raise AssertionError("no stack")

    def find(self, kind):
        """The first of its descriptors whose link says so."""
        for fd in sorted(map(int, os.listdir(f"/proc/{self.pid}/fd"))):
            if kind in os.readlink(f"/proc/{self.pid}/fd/{fd}"):
                return fd
        raise AssertionError(f"no {kind} in {self.pid}")

    def forget(self):
        """The scratch memory is free again."""
        self.used = 0

    def put(self, data):
        """Its address in the process, until forget()."""
        at = self.base + self.used
        self.used += (len(data) + 15) & ~15
        assert self.used <= SCRATCH
        self.write(at, data)
        return at

    def text(self, string):
        return self.put(string.encode() + b"\0")

    def write(self, at, data):
        if os.pwrite(self.mem, data, at) != len(data):  # killed meanwhile
            self._wait(HANGS_S)
            raise AssertionError(f"cannot write to process {self.pid}")

    def read(self, at, n):
        return os.pread(self.mem, n, at)

    # ---- calls ----

    def call(self, nr, *args):
        """Makes the call."""
        regs = Regs.from_buffer_copy(self.saved)
        regs.rip, regs.rax, regs.orig_rax = self.entry, nr, 2**64 - 1
        for name, value in zip(ARGS, (*args, 0, 0, 0, 0, 0, 0)):
            setattr(regs, name, value & (2**64 - 1))
        try:
            ptrace(SETREGS, self.tid, 0, ctypes.addressof(regs))
            return self._finish(Result())
        except ProcessLookupError:  # killed meanwhile
            self._wait(HANGS_S)
            raise

    def fall(self, nr, *args):
        """Makes the call and lets what the filter does to the process happen."""
        refused = self.call(nr, *args).refused
        assert refused, f"call {nr} of {self.pid} is not refused"
        self.release(signal.SIGSYS)

    def _finish(self, result):
        while True:
            ptrace(SINGLESTEP, self.tid)
            sig, event = self._wait(BLOCKS_S)
            if sig is None:
                return self._unblock(result)
            if event in EVENTS_OF_A_CHILD:
                result.children += 1
                self._end_child()
            elif event == EVENT_EXEC:
                result.executed = True
            elif event or self._keep(sig):
                continue
            elif sig == signal.SIGSYS:
                return self._refused()
            elif result.executed:
                result.value = None
                return result
            else:
                regs = self._regs()
                if regs.rip != self.entry:  # else a trap that was left over from the call before
                    result.value = ctypes.c_int64(regs.rax).value
                    return result

    def _refused(self):
        info = ctypes.create_string_buffer(128)
        ptrace(GETSIGINFO, self.tid, 0, ctypes.addressof(info))
        assert struct.unpack_from("<i", info, 8)[0] == SYS_SECCOMP
        return Result(refused=True)

    def _unblock(self, result):
        ptrace(INTERRUPT, self.tid)
        self._wait(HANGS_S)
        result.blocked = True
        return result

    def _keep(self, sig):
        """Signals from elsewhere: those that the process uses among its threads are for later."""
        if sig >= 32:
            self.kept_signal = sig
        return sig not in (signal.SIGSYS, signal.SIGTRAP, signal.SIGSEGV)

    def _end_child(self):
        child = ctypes.c_ulong()
        ptrace(GETEVENTMSG, self.tid, 0, ctypes.addressof(child))
        os.kill(child.value, signal.SIGKILL)
        while True:
            try:
                _, status = os.waitpid(child.value, WALL)
            except ChildProcessError:
                return
            if os.WIFEXITED(status) or os.WIFSIGNALED(status):
                return

    def _regs(self):
        regs = Regs()
        ptrace(GETREGS, self.tid, 0, ctypes.addressof(regs))
        return regs

    def _sleeps(self):
        """It is in a call that waits, and not only without a processor."""
        try:
            with open(f"/proc/{self.pid}/task/{self.tid}/stat", encoding="ascii") as f:
                return f.read().rsplit(")", 1)[1].split()[0] == "S"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def _wait(self, limit_s):
        """(signal, event) of the next stop, (None, 0) when it waits and was given time; Died."""
        begin, spins = time.monotonic(), 0
        while True:
            pid, status = os.waitpid(self.tid, WALL | os.WNOHANG)
            if pid:
                break
            spins += 1
            if spins > 50:
                time.sleep(0.0002)
                waited = time.monotonic() - begin
                if waited > HANGS_S or (waited > limit_s and self._sleeps()):
                    return None, 0
        if os.WIFSTOPPED(status):
            return os.WSTOPSIG(status), status >> 16
        raise Died(os.waitstatus_to_exitcode(status))

    def release(self, sig=0):
        """It goes on where it was, as if nothing had been, or with a signal."""
        try:
            ptrace(SETREGS, self.tid, 0, ctypes.addressof(self.saved))
            ptrace(DETACH, self.tid, 0, sig or self.kept_signal)
        except ProcessLookupError:  # killed meanwhile
            self._wait(HANGS_S)
            raise
        os.close(self.mem)
