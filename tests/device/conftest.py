# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import signal
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from bh import devices, slowfile  # noqa: E402

# A shell's background job ignores them, and what it starts inherits that.
for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def build():
    """The build directory: BULKHEAD_BUILD, or build/ of the tree."""
    path = pathlib.Path(os.environ.get("BULKHEAD_BUILD", HERE.parent.parent / "build")).resolve()
    if not (path / "tests/device/jailrun").exists():
        pytest.fail(f"{path} has no jailrun; build first, or set BULKHEAD_BUILD")
    return path


@pytest.fixture(params=devices.ALL, ids=lambda d: d.name)
def kind(request):
    """Each vhost-user device in turn."""
    return request.param


@pytest.fixture
def start(build):
    """start(Kind, options) -> a running device, which is ended after the test."""
    running = []

    def start_one(kind_, **options):
        device = kind_(build, **options)
        running.append(device)
        return device

    yield start_one
    for device in running:
        device.close()
        print(f"{device.name}: {device.process.describe()}")  # shown when the test failed


@pytest.fixture
def slow(tmp_path):
    """A volume of 1 MiB that holds writes up as long as the test wants."""
    volume = slowfile.SlowFile(tmp_path / "slow.img", 1 << 20)
    yield volume
    volume.close()
