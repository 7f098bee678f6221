# SPDX-License-Identifier: Apache-2.0
"""A policy for a kernel that has none yet, and labels."""

import contextlib
import os
import pathlib
import subprocess
import tempfile

import pytest

from bh import vm

SELINUXFS = pathlib.Path("/sys/fs/selinux")
HERE = pathlib.Path(__file__).parent
MODULE = HERE.parents[1] / "selinux/bulkhead.cil"
HOST = "unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023"
OTHER_HOST = "system_u:system_r:kernel_t:s0-s0:c0.c1023"
XATTR = "security.selinux"
# As a host's udev and restorecon label them; others are file_t.
LABELS = {"/dev/null": "null_device_t", "/dev/kvm": "kvm_device_t", "/dev/net/tun": "tun_tap_device_t",
          "/dev/vhost-net": "vhost_device_t", "/usr/bin/passt": "bin_t", "/usr/bin/passt.avx2": "bin_t",
          "/lib/x86_64-linux-gnu/libc.so.6": "lib_t", "/lib64/ld-linux-x86-64.so.2": "ld_so_t",
          "/etc/ld.so.cache": "ld_so_cache_t"}
LSM = pathlib.Path("/sys/kernel/security/lsm")
NEEDS_SELINUX = pytest.mark.skipif(
    os.geteuid() != 0 or not LSM.exists() or "selinux" not in LSM.read_text(),
    reason="needs root and a kernel with SELinux on and no policy")


@contextlib.contextmanager
def enforced(*modules):
    """Devices have the labels that a host's udev gives them; new files are where labels are kept."""
    pathlib.Path("/proc/sys/kernel/printk_ratelimit").write_text("0")
    if not (SELINUXFS / "enforce").exists():
        subprocess.run(["mount", "-t", "selinuxfs", "none", SELINUXFS], check=True)
    load(compiled(*modules))
    for path, type_ in LABELS.items():
        if os.path.exists(path):
            label_file(path, f"system_u:object_r:{type_}:s0")
    tempfile.tempdir = "/run/selinux-test"
    os.makedirs(tempfile.tempdir, mode=0o755, exist_ok=True)
    pathlib.Path("/proc/self/attr/current").write_text(HOST)
    (SELINUXFS / "enforce").write_text("1")
    try:
        yield
    finally:
        (SELINUXFS / "enforce").write_text("0")


def compiled(*modules):
    with tempfile.NamedTemporaryFile() as f:
        subprocess.run([HERE / "compile", f.name, *modules], check=True)
        return pathlib.Path(f.name).read_bytes()


def load(data):
    fd = os.open(SELINUXFS / "load", os.O_WRONLY)
    assert os.write(fd, data) == len(data)
    os.close(fd)


# ---- labels ----

def label_file(path, label):
    os.setxattr(path, XATTR, label.encode() + b"\0")


def file_label(path):
    return os.getxattr(path, XATTR).rstrip(b"\0").decode()


def process_label(pid):
    return pathlib.Path(f"/proc/{pid}/attr/current").read_text().rstrip("\0\n")


def all_labels():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            yield process_label(pid)
        except OSError:
            continue


def level_of(label):
    return label.split(":", 3)[3]


# ---- machines ----

def make_place(build, user=False):
    """Programs with the label that restorecon would give them, guests and disks."""
    place = vm.Place(build, user=user, real=True)
    for name in (*vm.PROCESSES, *vm.BEHIND, "net-switch"):
        label_file(place.dir / "cmd" / name / name, "system_u:object_r:bulkhead_exec_t:s0")
    for name in ("powerbutton", "virtio-blk", "hotplug"):
        place.file(name, (build / f"tests/guest/{name}.elf").read_bytes())
    for name in ("a.raw", "b.raw", "shared.raw"):
        place.file(name, b"\x5a" * (1 << 20))
    return place


def run_words(place, guest, *disks, accel="soft"):
    words = ["run", "--accel", accel, "--kernel", place.dir / guest, "--memory", "64M"]
    for disk in disks:
        words += ["--disk", f"{place.dir / disk},format=raw"]
    return words
