# SPDX-License-Identifier: Apache-2.0
"""Places of whole VMs, as fixtures to import, and a VM whose guest says "waiting" once it works."""

import pytest

from bh import vm


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    """Of real processes."""
    place_ = vm.place_of(build, request.param, real=True)
    yield place_
    assert place_.end() == []


@pytest.fixture
def quick(build):
    """The same, as root only."""
    place_ = vm.Place(build, real=True)
    yield place_
    assert place_.end() == []


@pytest.fixture
def played(build):
    place_ = vm.Place(build)
    yield place_
    assert place_.end() == []


class WaitingVM:
    """guest: a program of tests/guest, whose lines never say FAILED."""

    def __init__(self, place_, build, name, guest, cmdline, flags):
        self.place, self.name = place_, name
        kernel = place_.file(f"{guest}.elf", (build / f"tests/guest/{guest}.elf").read_bytes())
        self.process = place_.start("run", "--kernel", kernel, "--memory", "64M", "--cmdline", cmdline,
                                    "--name", name, "--console", "raw", *flags)
        self.wait_for("waiting")

    def wait_for(self, line):
        for said in self.process.stdout:
            assert "FAILED" not in said, said
            if said.strip() == line:
                return
        raise AssertionError(self.process.stderr.read())

    def stop(self):
        assert self.place.call("stop", self.name)[0] == 0
        out, err = self.process.communicate(timeout=60)
        assert self.process.returncode == 0 and "FAILED" not in out, out + err
        return vm.without_host(err)
