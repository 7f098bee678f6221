# SPDX-License-Identifier: Apache-2.0
"""On a host that refuses user namespaces no VM starts, and the one line names why and what to do."""

import os

import pytest

from bh import profile, vm

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

REFUSED = "this host does not let the VM be confined: a user namespace: "

# As a container's seccomp profile does it: no namespace by clone and unshare, clone3 is not known.
def refusing_namespaces():
    clone, unshare, clone3, newuser = 56, 272, 435, 0x10000000
    return profile.within([(profile.LOAD, 0, 0, 0),
                           (profile.JUMP, 5, 0, clone3),
                           (profile.JUMP, 1, 0, clone),
                           (profile.JUMP, 0, 2, unshare),
                           (profile.LOAD, 0, 0, 16),  # the first argument
                           (profile.MASK, 2, 0, newuser),
                           (profile.RETURN, 0, 0, profile.ALLOW),
                           (profile.RETURN, 0, 0, profile.ERRNO | 38),
                           (profile.RETURN, 0, 0, profile.ERRNO | 1)])


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
    place.become = [*place.become, *refusing_namespaces()]
    line = said(place)
    assert "a seccomp profile is in force" in line and "--security-opt seccomp=unconfined" in line
