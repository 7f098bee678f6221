# SPDX-License-Identifier: Apache-2.0
"""Files behind a disk's image, as the supervisor opens them: before the VM starts, one line for each that will not do."""

import os

import pytest

from bh import vm

UP = "enter,ready,event:1"


@pytest.fixture
def place(build):
    place_ = vm.Place(build)
    yield place_
    assert place_.end() == []


@pytest.fixture
def files(place):
    """Images that a played dev-blk does what it should at, whatever their format."""
    return [str(place.file(name, b"enter,ready,wait".ljust(1 << 16, b"\0"))) for name in ("top", "base", "other")]


def run(place, *disks, name="one"):
    words = [word for disk in disks for word in ("--disk", disk)]
    code, _, err = place.call("run", "--kernel", place.kernel, "--cmdline", f"{UP},ignore", "--name",
                              f"backing{os.getpid()}-{name}", "--detach", "--allow", "qcow2", *words)
    return code, vm.without_host(err)


def stop(place, name="one"):
    place.call("stop", "--now", f"backing{os.getpid()}-{name}")


def chain(top, *backing, form="raw", more=""):
    return f"{top},format=qcow2" + "".join(f",backing={b},backing-format={form}" for b in backing) + more


def assert_refused(place, text, *disks):
    code, err = run(place, *disks)
    assert code and text in err and err.count("\n") == 1, err


def test_what_will_not_do(place, files, tmp_path):
    top, base, other = files
    link = tmp_path / "link"
    link.symlink_to(base)
    empty, odd = place.file("empty", b""), place.file("odd", bytes(700))
    assert_refused(place, f"{top} is said twice in one disk", chain(top, top))
    assert_refused(place, f"{link} is said twice in one disk, as {base} too",
                   chain(top, base, link, form="qcow2"))
    assert_refused(place, f"{base} is said twice in one disk", chain(top, base, more=f",data-file={base}"))
    assert_refused(place, f"{base} is of this VM's disk 1 already, as {base}, and one of the two writes to it",
                   chain(top, base), f"{base},format=raw")
    assert_refused(place, f"{base} is of this VM's disk 1 already", f"{base},format=raw", chain(top, base))
    assert_refused(place, "No such file", chain(top, "/no/such"))
    assert_refused(place, "is a directory", chain(top, tmp_path))
    assert_refused(place, "is empty", chain(top, empty, form="qcow2"))
    assert_refused(place, "has 700 bytes: a multiple of 512 is right", chain(top, odd))


def test_who_may_share(place, files):
    """Several VMs may stand on one file, and read it as a disk; nobody writes to it meanwhile."""
    top, base, other = files
    assert run(place, chain(top, base)) == (0, "")
    try:
        assert run(place, chain(other, base), name="two") == (0, "")
        stop(place, "two")
        assert run(place, f"{base},format=raw,readonly=on", name="two") == (0, "")
        stop(place, "two")
        assert_in_use(place, base, f"{base},format=raw")
        assert_in_use(place, base, chain(base))
        assert_in_use(place, top, chain(other, top, form="qcow2"))
    finally:
        stop(place)
    place.wait_until_empty()
    assert run(place, f"{base},format=raw", name="two") == (0, "")
    try:
        assert_in_use(place, base, chain(top, base))
    finally:
        stop(place, "two")


def assert_in_use(place, path, disk):
    code, err = run(place, disk, name="three")
    assert code and f"{path} is in use by another VM" in err, err


def test_experimental(place, files):
    code, _, err = place.call("run", "--kernel", place.kernel, "--disk", f"{files[0]},format=qcow2")
    assert code and "say --allow qcow2 to use it all the same" in err
