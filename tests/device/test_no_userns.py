# SPDX-License-Identifier: Apache-2.0
"""On a host that refuses user namespaces no VM starts, and the one line names why and what to do."""

import os
import struct
import sys

import pytest

from bh import vm

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

REFUSED = "this host does not let the VM be confined: a user namespace: "

# As a container's seccomp profile does it: no namespace by clone and unshare, clone3 is not known.
PROFILE = """
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


def profile():
    load, jump, mask, ret = 0x20, 0x15, 0x45, 0x06
    clone, unshare, clone3, newuser = 56, 272, 435, 0x10000000
    allow, eperm, enosys = 0x7fff0000, 0x50000 | 1, 0x50000 | 38
    code = [(load, 0, 0, 0),
            (jump, 5, 0, clone3),
            (jump, 1, 0, clone),
            (jump, 0, 2, unshare),
            (load, 0, 0, 16),                 # the first argument
            (mask, 2, 0, newuser),
            (ret, 0, 0, allow),
            (ret, 0, 0, enosys),
            (ret, 0, 0, eperm)]
    return b"".join(struct.pack("<HBBI", *line) for line in code)


@pytest.fixture(params=["root", "user"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    assert place_.end() == []


def said(place_):
    code, out, err = place_.run("enter")
    assert (code, out) == (1, "") and err.count("\n") == 1, err
    assert REFUSED in err
    return err.partition(REFUSED)[2]


def test_in_a_chroot(place, tmp_path):
    """Into a mount, which looks like a root from within."""
    root = tmp_path / "root"
    root.mkdir()
    place.become = ["unshare", "-m", "sh", "-c", f'mount --rbind / {root} && exec chroot {root} "$@"',
                    "sh", *place.become]
    line = said(place)
    if place.user:  # who may not look whether it is
        assert line.startswith("Operation not permitted: a chroot (enter it by pivot_root"), line
    else:
        assert line.startswith("Operation not permitted: this is a chroot"), line


def test_where_none_is_allowed(place):
    """In a namespace whose sysctl is 0."""
    place.become = [*place.become, "unshare", "-U", "-r", "sh", "-c",
                    'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"', "sh"]
    assert said(place).startswith("No space left on device: the sysctl user.max_user_namespaces is 0")


def test_under_a_containers_profile(place):
    place.become = [*place.become, sys.executable, "-c", PROFILE, profile().hex()]
    line = said(place)
    assert "a seccomp profile is in force" in line and "--security-opt seccomp=unconfined" in line
