# SPDX-License-Identifier: Apache-2.0
"""A Debian user space does a list of work in the guest and comes to the same results as natively, in a
root of the same packages. BULKHEAD_ACCEL names the accelerator; USERSPACE=full takes the long list.

tools/userspace/build makes the root. The jobs are in jobs/, a program each, whose output counts.
"""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TOP / "build"))
GUEST = TOP / "build/guest"
ROOT = TOP / "build/userspace"
NATIVE = ROOT / "native"
ACCEL = os.environ.get("BULKHEAD_ACCEL", "kvm")
FULL = os.environ.get("USERSPACE") == "full"
SCALE = 4 if FULL else 1
HANGS = 4 * 3600 if FULL else 900  # seconds after which a guest counts as hung

JOBS = ["compiler", "project", "packages", "python", "floats", "x87", "perl", "crypto", "compress", "coreutils",
        "database"]
OF_THE_KERNEL = ["faults"]  # compared with a text here, since the host's kernel may be another
# What the emulator on which the lab's KVM runs does otherwise than a processor: last digits of x87
# functions; SSE exceptions, the alignment check and more.
NOT_UNDER_KVM = ["x87", "faults"]


def plain(member):
    """Nothing of this machine: what is in the archive is in its bytes."""
    member.mtime = member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def jobs_archive(path):
    """The jobs, and the source that one of them compiles, as the guest's second disk."""
    with tarfile.open(path, "w") as tar:
        for file in sorted(HERE.glob("jobs/**/*")):
            tar.add(file, file.relative_to(HERE / "jobs"), recursive=False, filter=plain)
        for folder in ("lib", "cmd/vmm"):
            for file in sorted((TOP / folder).glob("**/*.[ch]")):
                tar.add(file, "source" / file.relative_to(TOP), filter=plain)


def digest(output):
    return hashlib.sha256(output).hexdigest()


def native(names):
    """What the jobs say in a chroot of the same root, by name; done once for the same root and jobs."""
    archive = ROOT / "jobs.tar"
    jobs_archive(archive)
    kept = NATIVE / f"{SCALE}-{digest(archive.read_bytes())}"
    if not kept.exists():
        for old in NATIVE.glob(f"{SCALE}-*"):
            shutil.rmtree(old)
        part = NATIVE / "part"
        shutil.rmtree(part, ignore_errors=True)
        subprocess.run([TOP / "tools/userspace/native", archive, part, str(SCALE), *names], check=True)
        part.rename(kept)
    return {name: (kept / name).read_bytes() for name in names}


class Run:
    """One run of the guest, from power-on to power-off."""

    def __init__(self, place, names, cpus):
        disk, archive, out = place / "root.ext4", place / "jobs.tar", place / "out.tar"
        subprocess.run(["cp", "--sparse=always", ROOT / "root.ext4", disk], check=True)
        jobs_archive(archive)
        with open(archive, "ab") as f:
            f.truncate((f.tell() + 511) // 512 * 512)
        out.touch()
        os.truncate(out, 64 << 20)
        self.text, self.err = self.boot([disk, archive, out], names, cpus)
        with tarfile.open(out) as tar:
            self.outputs = {m.name[2:]: tar.extractfile(m).read() for m in tar if m.isfile()}

    @staticmethod
    def boot(disks, names, cpus):
        flags = [word for disk in disks for word in ("--disk", f"{disk},format=raw")]
        p = subprocess.Popen(
            [BUILD / "cmd/bulkhead/bulkhead", "run", "--accel", ACCEL, "--kernel", GUEST / "vmlinuz",
             "--initrd", GUEST / "initrd.cpio.gz", "--memory", "768M", "--cpus", str(cpus), "--console", "raw", "--net", "none",
             "--cmdline", "console=ttyS0 quiet cryptomgr.notests=1 panic=-1 "
                          f"us.scale={SCALE} us.jobs={','.join(names)}", *flags],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        try:
            out, err = p.communicate(timeout=HANGS)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, err = p.communicate()
            raise AssertionError(f"hangs:\n{out.decode(errors='replace')}\n{err.decode()}") from None
        text = out.decode(errors="replace").replace("\r", "")
        assert p.returncode == 0 and "userspace: done" in text, f"{text}\n{err.decode()}"
        return text, err.decode()


def first_difference(ours, theirs):
    for n, (a, b) in enumerate(zip(ours.splitlines(), theirs.splitlines()), 1):
        if a != b:
            return f"line {n}: guest {a[:300]!r}, natively {b[:300]!r}"
    return f"{len(ours)} bytes in the guest, {len(theirs)} natively"


def compare(run, name, expected):
    """Complaints about one job: status, the sum that the guest printed, every byte of the output."""
    said = re.search(rf"^job {name} status (\d+) sha256 (\w+) ", run.text, re.M)
    if not said:
        return [f"{name}: not done"]
    ours = run.outputs[name]
    bad = []
    if said[1] != "0":
        bad.append(f"{name}: status {said[1]}: {run.outputs[name + '.err'].decode(errors='replace')[-1000:]}")
    if digest(ours) != said[2]:
        bad.append(f"{name}: changed on its way out of the guest")
    if ours != expected:
        bad.append(f"{name}: {first_difference(ours, expected)}")
    return bad


def possible(names):
    return [name for name in names if ACCEL == "soft" or name not in NOT_UNDER_KVM]


def test_jobs_succeed_natively():
    """Also makes ready what the guest is compared with, for a lab that cannot write here."""
    assert all(native(JOBS).values())


@pytest.mark.parametrize("cpus", [1, 2] if FULL else [2])
def test_same_results_as_natively(tmp_path, cpus):
    expected = native(JOBS)
    names, of_the_kernel = possible(JOBS), possible(OF_THE_KERNEL)
    run = Run(tmp_path, of_the_kernel + names, cpus)
    print(run.text)
    print(run.err)
    bad = [line for name in names for line in compare(run, name, expected[name])]
    for name in of_the_kernel:
        bad += compare(run, name, (HERE / f"{name}.txt").read_bytes())
    assert not bad, "\n".join(bad) + "\n" + run.err
    assert f"{cpus} CPUs" in run.text
