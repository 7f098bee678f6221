# SPDX-License-Identifier: Apache-2.0
"""The driver itself, against somebody else's back end: what fails here is the driver's fault."""

import random

import pytest

from bh import blk, qemu

pytestmark = pytest.mark.skipif(qemu.STORAGE_DAEMON is None, reason="no qemu-storage-daemon")

SECTORS = 4096


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "disk.raw"
    path.write_bytes(random.Random(1).randbytes(SECTORS * blk.SECTOR))
    return path


@pytest.fixture
def daemon(image, tmp_path):
    d = qemu.StorageDaemon(image, tmp_path, queues=2)
    yield d
    d.stop()


@pytest.mark.parametrize("event_idx", [False, True])
@pytest.mark.parametrize("indirect", [False, True])
def test_reads_and_writes(daemon, image, event_idx, indirect):
    model = bytearray(image.read_bytes())
    disk = blk.open_disk(daemon.connect(), n_queues=2, event_idx=event_idx, indirect=indirect)
    config = blk.Config(disk.session.front.get_config(0, blk.Config.SIZE))
    assert config.capacity == SECTORS
    rand = random.Random(2)
    for _ in range(300):
        n = rand.randint(1, 16)
        sector = rand.randint(0, SECTORS - n)
        how = {"queue": rand.randrange(2), "indirect": indirect,
               "sizes": [rand.randint(1, 3) * 512 for _ in range(rand.randint(0, 4))]}
        span = slice(sector * blk.SECTOR, (sector + n) * blk.SECTOR)
        if rand.random() < 0.5:
            data = rand.randbytes(n * blk.SECTOR)
            disk.write(sector, data, **how)
            model[span] = data
        else:
            assert disk.read(sector, n, **how) == model[span]
    disk.flush()
    disk.session.close()
    assert image.read_bytes() == model
