# SPDX-License-Identifier: Apache-2.0
"""BULKHEAD_LONG=1: a guest's systemd-cryptenroll binds an encrypted disk to its TPM. The TPM gives the key at each start of the VM, to what
has measured the same; not after a measurement more, and no other TPM does. Debian's programs, of this machine."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

import vm
from test_tpm import flags

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
PROGRAMS = ["cryptsetup", "systemd-cryptenroll", "env"]
# what those open once they run
PLUGINS = ["libtss2-esys.so.0", "libtss2-rc.so.0", "libtss2-mu.so.0", "libtss2-tcti-device.so.0",
           "cryptsetup/libcryptsetup-token-systemd-tpm2.so"]
LIBRARIES = pathlib.Path("/usr/lib/x86_64-linux-gnu")
KERNEL = vm.TOP / "build/kernel/linux-image-cloud-amd64"
NEEDED = ["swtpm", "mke2fs", *PROGRAMS]
MISSING = [p for p in NEEDED if not shutil.which(p, path=PATH)] + [n for n in PLUGINS if not (LIBRARIES / n).exists()]

pytestmark = [vm.LONG,
              pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} not there: tools/deps long")]


def call(*words):
    return subprocess.run(list(map(str, words)), check=True, capture_output=True, text=True, env={**os.environ, "PATH": PATH}).stdout


def needs(file):
    """The paths of the libraries that the loader gives it."""
    return re.findall(r"(/\S+) \(0x", call("ldd", file))


@pytest.fixture(scope="module")
def debian(tmp_path_factory):
    """A disk with the programs, all that they load, and the kernel's modules for them."""
    folder = tmp_path_factory.mktemp("debian")
    tree, image = folder / "tree", folder / "debian.raw"
    programs = [pathlib.Path(shutil.which(p, path=PATH)).resolve() for p in PROGRAMS]
    roots = [*programs, *(LIBRARIES / name for name in PLUGINS)]
    for file in [*roots, *(library for root in roots for library in needs(root))]:
        to = tree / str(file).lstrip("/")
        if str(file).startswith("/lib"):
            to = tree / "usr" / str(file).lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    for name in "lib", "lib64":
        (tree / name).symlink_to(f"usr/{name}")
    for name in "dev", "proc", "sys", "run", "tmp":
        (tree / name).mkdir()
    call(vm.TOP / "tools/kernel", "modules", KERNEL, tree / "modules", "algif_skcipher", "xts", "ecb", "cbc")
    call("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", tree, image, "128M")
    return image


def encrypted(folder):
    """With a password whose key costs a guest on a software CPU nothing."""
    disk, password = folder / "luks.raw", folder / "password"
    disk.write_bytes(bytes(32 << 20))
    password.write_text("password", encoding="ascii")
    call("cryptsetup", "-q", "luksFormat", "--type", "luks2", "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000",
         "--key-file", password, disk)
    return disk


def run(debian, disk, state, words):
    g = vm.run("tpm-enroll", memory="512M", words=f"bh.tpm={words}",
               flags=[*flags(state), "--disk", f"{debian},format=raw,readonly=on", "--disk", f"{disk},format=raw"])
    return dict(re.findall(r"guest: (enroll|unlock \w+) (\d+)", g.text())), g.text()


def test_a_disk_that_the_tpm_opens(debian, tmp_path):
    disk, state = encrypted(tmp_path), tmp_path / "state"
    said, text = run(debian, disk, state, "enroll")
    assert said["enroll"] == "0" and said["unlock measured"] == "0" and said["unlock later"] != "0", text
    said, text = run(debian, disk, state, "unlock")
    assert said["unlock measured"] == "0" and said["unlock later"] != "0", text
    said, text = run(debian, disk, tmp_path / "other", "unlock")
    assert said["unlock measured"] != "0", text
