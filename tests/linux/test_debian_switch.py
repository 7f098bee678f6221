# SPDX-License-Identifier: Apache-2.0
"""Two unmodified Debian guests on one segment: they ping each other, and what one fetches from the other over TCP is right.
Nobody has the other ends of their cards but the switch, which ends with them."""

import pathlib
import sys

import pytest
import vm

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent / "device"))
from bh import segment, wait  # noqa: E402


def switches():
    """How many run from this build."""
    found = 0
    for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
        try:
            found += exe.readlink() == vm.BUILD.resolve() / "cmd/net-switch/net-switch"
        except OSError:
            pass
    return found


@pytest.mark.parametrize("options", ["", ",ip=10.9.0.{}"], ids=["whose it is first", "said"])
def test_two_guests_on_a_segment(tmp_path, monkeypatch, options):
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    before = switches()
    words = ["bh.net=1 bh.bytes=1048576", "bh.net=2"]
    flags = [[f"--net=switch=linux,mac={segment.mac_of(n).hex(':')}{options.format(n)}", "--allow", "virtio-net,net-switch",
              "--name", f"segment-{n}"] for n in (1, 2)]
    with vm.Guest("net", words=words[0], flags=flags[0]) as one, vm.Guest("net", words=words[1], flags=flags[1]) as two:
        for n, g in enumerate((one, two), 1):
            status = g.end()
            g.said(r"bulkhead-guest: test net status 0")
            g.said(f"net mac {segment.mac_of(n).hex(':')} mtu 1500")
            assert status == 0, g.err
        two.said(r"net ping 5")
        two.said(r"net fetched")
    assert vm.processes() == []
    wait.until(lambda: switches() == before, "the switch has ended")
