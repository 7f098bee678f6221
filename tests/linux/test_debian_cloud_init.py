# SPDX-License-Identifier: Apache-2.0
"""An unmodified Debian kernel finds the disk for cloud-init by its label, and on it what was said, byte by byte; also
when the disk's process is killed under it. BULKHEAD_ACCEL names the accelerator, kvm by default."""

import base64
import os
import random
import re
import signal
import subprocess

import pytest

import test_debian as debian
import vm

pytestmark = pytest.mark.skipif(not (vm.GUEST / "initrd.cpio.gz").exists(), reason="no guest: tools/guest/build")

HASH = "$6$" + "salt" * 4 + "$" + "aB./" * 21 + "xy"


def found(g):
    """The files that the guest has seen, by their names."""
    text = g.text()
    return {m[1]: (m[2], base64.b64decode(m[3])) for m in
            re.finditer(r"cloud-init: (\S+) (\d+) ([A-Za-z0-9+/=]*)\r?$", text, re.M)}


@pytest.fixture
def files(tmp_path):
    """user-data of several blocks, meta-data of one byte more than a block, and a network-config."""
    script = b"#!/bin/sh\n" + random.Random(3).randbytes(6_001)
    meta = b"instance-id: one\n" + b"#" * (2048 - 16)
    made = {"user-data": script, "meta-data": meta, "network-config": b"version: 2\n"}
    for name, content in made.items():
        (tmp_path / f"{name}.file").write_bytes(content)
    return made, tmp_path


@pytest.mark.parametrize("mount", ["map=normal", "norock", "norock,nojoliet"])
def test_files_as_they_are(files, mount):
    """By Rock Ridge, by Joliet, and by what is left without both."""
    made, at = files
    words = ",".join(f"{name}={at / name}.file" for name in made)
    g = vm.run("cloud-init", words=f"bh.mount={mount}", flags=("--cloud-init", words))
    seen = {name: content for name, (_, content) in found(g).items()}
    if "nojoliet" in mount:  # 8.3 characters at most
        assert sorted(seen.values()) == sorted(made.values())
    else:
        assert seen == made
    assert g.said(r"disk /dev/(\w+) of \d+ sectors, ro (\d)").groups() == ("vda", "1")
    assert "WRITTEN" not in g.text()


def test_short_forms_behind_the_users_disks(tmp_path):
    """The user's disk stays vda; what is made of a key, a name and a hash is what the unit test has."""
    key = tmp_path / "id.pub"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", 'a "comment": {x}', "-f", tmp_path / "id"],
                   check=True)
    disk = tmp_path / "disk"
    disk.write_bytes(bytes(1 << 20))
    g = vm.run("cloud-init", flags=("--disk", f"{disk},format=raw", "--ssh-key", key, "--user", "ada",
                                    "--hostname", "engine.example", "--password-hash", HASH, "--name", "seed-1"))
    seen = {name: content.decode() for name, (_, content) in found(g).items()}
    assert g.said(r"disk /dev/(\w+)")[1] == "vdb"
    assert sorted(seen) == ["meta-data", "user-data"]
    assert seen["meta-data"] == 'instance-id: "bulkhead-seed-1"\nlocal-hostname: "engine.example"\n'
    line = key.read_text().strip().replace('"', r"\x22")
    assert seen["user-data"] == (
        '#cloud-config\nusers:\n  - name: "ada"\n    shell: "/bin/bash"\n    sudo: "ALL=(ALL) NOPASSWD:ALL"\n'
        f'    lock_passwd: false\n    hashed_passwd: "{HASH}"\n    ssh_authorized_keys:\n    - "{line}"\n')


def test_its_process_is_killed(files):
    """The next one has the same disk; what the guest reads then is what it read before."""
    made, at = files
    with vm.Guest("cloud-init", words="bh.again=1", stdin=subprocess.PIPE,
                  flags=("--cloud-init", f"user-data={at}/user-data.file")) as g:
        g.wait_for(b"cloud-init: waits")
        [pid] = [p for p, name in debian.devices_of(g.process.pid, []).items() if "dev-blk" in name]
        os.kill(pid, signal.SIGKILL)
        g.process.stdin.write(b"on\n")
        g.process.stdin.flush()
        assert g.end() == 0, g.err
        seen = re.findall(r"cloud-init: user-data \d+ (\S+)\r?$", g.text(), re.M)
        assert [base64.b64decode(s) for s in seen] == [made["user-data"]] * 2
        g.said("cloud-init: done")
