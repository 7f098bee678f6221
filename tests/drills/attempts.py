# SPDX-License-Identifier: Apache-2.0
"""What an intruder tries: (class, call, number, arguments). The arguments are made in its memory."""

import os
import socket
import struct

import kvm

CWD = -100
MAP_PRIVATE_ANON, READ_EXEC, READ_WRITE = 0x22, 5, 3
FORK_FLAGS = 17  # SIGCHLD
MAP_HUGETLB, FUTEX_LOCK_PI_PRIVATE = 0x40000, 0x86
MSG_OOB, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_CMSG_CLOEXEC = 1, 0x40, 0x4000, 0x40000000
F_SETFL, O_ASYNC = 4, 0x2000
DUMPABLE, NEWUSER, NEWNET = 4, 0x10000000, 0x40000000


def fds_of(t):
    """What it holds beside the standard streams, and one that it does not."""
    return [fd for fd in sorted(map(int, os.listdir(f"/proc/{t.pid}/fd"))) if fd > 2] + [1000]


def addresses(targets):
    """Those of the host's listeners."""
    abstract = struct.pack("<H", socket.AF_UNIX) + b"\0" + targets.abstract.encode()
    path = struct.pack("<H", socket.AF_UNIX) + targets.path.encode() + b"\0"
    loopback = struct.pack("<H", socket.AF_INET) + struct.pack(">H", targets.port) + bytes(
        [127, 0, 0, 1]) + bytes(8)
    return {"abstract UNIX": abstract, "UNIX path": path, "loopback": loopback}


def files(t, targets, neighbour):
    for path in ("/etc/passwd", "/", targets.file, str(neighbour.disk), "/dev/kvm", "/proc/1/mem"):
        yield "files", f"open {path}", 2, (t.text(path), os.O_RDONLY)
        yield "files", f"openat {path}", 257, (CWD, t.text(path), os.O_RDONLY)
        yield "files", f"openat2 {path}", 437, (CWD, t.text(path), t.put(bytes(24)), 24)
    yield "files", "creat", 85, (t.text(targets.made), 0o600)
    yield "files", "mknod", 133, (t.text(targets.made), 0o600, 0)
    yield "files", "mkdir", 83, (t.text(targets.made), 0o700)
    yield "files", "stat", 4, (t.text("/etc/passwd"), t.put(bytes(256)))
    yield "files", "getdents64", 217, (3, t.put(bytes(512)), 512)
    yield "files", "memfd_create", 319, (t.text("x"), 0)


def processes(t, targets, neighbour):
    for pid in (targets.init, targets.sleeper.pid, *neighbour.pids.values()):
        yield "processes", f"kill {pid}", 62, (pid, 0)
        yield "processes", f"tgkill {pid}", 234, (pid, pid, 0)
        yield "processes", f"pidfd_open {pid}", 434, (pid, 0)
        yield "processes", f"ptrace {pid}", 101, (0x4206, pid, 0, 0)
        iov = t.put(struct.pack("<2Q", t.put(bytes(16)), 16))
        far = t.put(struct.pack("<2Q", neighbour.ram, 16))
        yield "processes", f"process_vm_readv {pid}", 310, (pid, iov, 1, far, 1, 0)
        yield "processes", f"prlimit {pid}", 302, (pid, 7, 0, t.put(bytes(16)))
        t.forget()


def sockets(t, targets, _neighbour):
    for family in range(1, 46):
        yield "sockets", f"socket family {family}", 41, (family, socket.SOCK_DGRAM, 0)
        yield "sockets", f"raw socket family {family}", 41, (family, socket.SOCK_RAW, 0)
    for name, address in addresses(targets).items():
        for fd in fds_of(t):
            yield "sockets", f"connect {fd} to {name}", 42, (fd, t.put(address), len(address))


def world(t, targets, _neighbour):
    yield "namespaces", "mount", 165, (t.text("x"), t.text(targets.dir), t.text("tmpfs"), 0, 0)
    yield "namespaces", "unshare user", 272, (NEWUSER,)
    yield "namespaces", "unshare net", 272, (NEWNET,)
    for fd in fds_of(t):
        yield "namespaces", f"setns {fd}", 308, (fd, 0)
    yield "namespaces", "chroot", 161, (t.text("/"),)


def ids(t, _targets, _neighbour):
    yield "ids", "setuid 0", 105, (0,)
    yield "ids", "setgid 0", 106, (0,)
    yield "ids", "capset", 126, (t.put(struct.pack("<II", 0x20080522, 0)), t.put(b"\xff" * 24))
    yield "ids", "prctl dumpable", 157, (DUMPABLE, 1)
    yield "limits", "setrlimit", 160, (7, t.put(struct.pack("<2Q", 9, 9)))
    yield "limits", "prlimit of itself", 302, (0, 7, t.put(struct.pack("<2Q", 9, 9)), 0)
    for fd in fds_of(t):
        yield "limits", f"ftruncate {fd}", 77, (fd, 1 << 30)
        yield "limits", f"fallocate {fd}", 285, (fd, 0, 0, 1 << 30)


def code(t, _targets, _neighbour):
    stack = t.saved.rsp & ~4095
    yield "code", "mmap executable", 9, (0, 4096, READ_EXEC, MAP_PRIVATE_ANON, -1, 0)
    yield "code", "mprotect executable", 10, (stack, 4096, READ_WRITE | 4)
    yield "code", "pkey_mprotect executable", 329, (stack, 4096, READ_WRITE | 4, -1)
    for name, advice in (("merged with others", 12), ("into core dumps", 17), ("poisoned", 100)):
        yield "code", f"madvise: {name}", 28, (stack, 4096, advice)


def kernel(t, _targets, _neighbour):
    array = struct.pack("<4I", 2, 4, 4, 1).ljust(72, b"\0")
    yield "kernel", "bpf", 321, (0, t.put(array), 72)
    yield "kernel", "perf_event_open", 298, (t.put(struct.pack("<II", 1, 112) + bytes(104)), 0, -1, -1, 0)
    yield "kernel", "userfaultfd", 323, (1,)
    yield "kernel", "io_uring_setup", 425, (4, t.put(bytes(120)))
    yield "kernel", "keyctl", 250, (0, -3, 1)
    yield "kernel", "add_key", 248, (t.text("user"), t.text("x"), t.text("y"), 1, -3)
    for name, request in kvm.REFUSED.items():
        for fd in kvm.descriptors(t):
            yield "kvm", f"{name} of {fd}", 16, (fd, request, t.put(bytes(256)) if request >> 30 else 0)
        t.forget()


def flags(t, _targets, _neighbour):
    """Calls that it may make, in forms that no process makes: one form of each."""
    message = t.put(struct.pack("<QQQQQQQ", 0, 0, t.put(struct.pack("<2Q", t.put(b"x"), 1)), 1, 0, 0, 0))
    yield "flags", "sendmsg out of band", 46, (3, message, MSG_OOB | MSG_NOSIGNAL)  # CVE-2025-38236
    yield "flags", "recvmsg out of band", 47, (3, message, MSG_OOB | MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    yield "flags", "futex with inheritance", 202, (t.put(bytes(8)), FUTEX_LOCK_PI_PRIVATE, 0, 0, 0, 0)
    yield "flags", "mmap of huge pages", 9, (0, 1 << 21, READ_WRITE, MAP_PRIVATE_ANON | MAP_HUGETLB, -1, 0)
    for fd in fds_of(t):
        yield "flags", f"signals from {fd}", 72, (fd, F_SETFL, os.O_NONBLOCK | O_ASYNC)
    yield "flags", "eventfd as semaphore", 290, (0, 1)
    yield "flags", "timer of the wall clock", 283, (0, 0)
    yield "flags", "epoll_ctl 4", 233, (3, 4, 3, t.put(bytes(12)))
    yield "flags", "getrandom of the pool", 318, (t.put(bytes(8)), 8, 2)
    yield "flags", "ppoll with a mask", 271, (t.put(bytes(8)), 0, t.put(bytes(16)), t.put(bytes(8)), 8)
    for fd in fds_of(t):
        yield "flags", f"io_uring_enter of {fd}, more arguments", 426, (fd, 0, 0, 8, t.put(bytes(24)), 24)


def programs(t, _targets, _neighbour):
    argv = t.put(struct.pack("<2Q", t.text("x"), 0))
    yield "programs", "fork", 57, ()
    yield "programs", "vfork", 58, ()
    yield "programs", "clone", 56, (FORK_FLAGS, 0, 0, 0, 0)
    yield "programs", "clone3", 435, (t.put(bytes(32) + struct.pack("<Q", 17) + bytes(24)), 64)
    yield "programs", "execveat", 322, (CWD, t.text("/nothing"), argv, argv, 0)
    yield "programs", "execve", 59, (t.text("/bin/true"), argv, 0)


GROUPS = (files, processes, sockets, world, ids, code, flags, kernel, programs)
