# SPDX-License-Identifier: Apache-2.0
"""A cloud image of Debian as its packages make it: firmware in the guest starts it, and cloud-init there does what was said, once.
BULKHEAD_LONG=1: it takes minutes."""

import os
import pathlib
import re
import signal
import subprocess

import pytest

import vm

TOP = pathlib.Path(__file__).resolve().parents[2]
IMAGE = TOP / "build/cloud/debian.raw"

pytestmark = [vm.LONG,
              pytest.mark.skipif(not IMAGE.exists(), reason="no cloud image: tools/cloud-image/build")]

USER_DATA = """#cloud-config
bootcmd:
- [sh, -c, "echo BH each boot >/dev/console"]
runcmd:
- [sh, -c, "echo BH first boot of $(hostname) >/dev/console; date >/var/first; sync"]
chpasswd:
  expire: false
  users: [{name: root, password: hunter2, type: text}]
"""


@pytest.fixture
def disk(tmp_path):
    copy = tmp_path / "disk.raw"
    subprocess.run(["cp", "--sparse=always", IMAGE, copy], check=True)
    return copy


def boots(*words, until, presses=1):
    """Runs it until the guest has said so, and then presses its power button; what it said."""
    with subprocess.Popen([vm.BULKHEAD, "run", "--accel", vm.ACCEL, "--memory", "512M", *map(str, words)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as p:
        text = b""
        while not re.search(until, text):
            data = os.read(p.stdout.fileno(), 65536)
            assert data, text.decode(errors="replace") + p.stderr.read().decode(errors="replace")
            text += data
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=vm.HANGS)
        assert p.returncode == 0, err.decode(errors="replace")
        return (text + out).decode(errors="replace")


def test_the_demo_logs_in():
    r = subprocess.run([TOP / "tools/demo"], stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=vm.HANGS * 4)
    out = r.stdout.decode(errors="replace")
    assert r.returncode == 0, out + r.stderr.decode(errors="replace")
    said = out.split("demo: the guest is up", 1)[1]
    assert "\ndemo\n" in said and "(demo)" in said and "cloud-amd64" in said, said


def test_what_is_done_once(disk, tmp_path):
    """Files as they are, on 4 CPUs beside another disk; a second start of the same VM is the same instance."""
    user_data, other = tmp_path / "user-data", tmp_path / "other.raw"
    user_data.write_text(USER_DATA, encoding="ascii")
    other.write_bytes(bytes(1 << 20))
    words = ("--name", "cloud-1", "--cpus", "4", "--net", "none", "--disk", f"{disk},format=raw", "--disk", f"{other},format=raw",
             "--cloud-init", f"user-data={user_data}")
    until = rb"Cloud-init v\. \S+ finished"
    first, second = (boots(*words, until=until) for _ in range(2))
    assert "BH each boot" in first and "BH each boot" in second
    assert "BH first boot of cloud-1" in first and "BH first boot" not in second
