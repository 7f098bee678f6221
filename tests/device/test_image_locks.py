# SPDX-License-Identifier: Apache-2.0
"""Who may use a disk's image at the same time: two VMs, and a VM and QEMU's programs, by QEMU's own
convention of locks. Each pair in both orders; QEMU beside QEMU says what is right."""

import contextlib
import os
import shutil
import signal
import subprocess

import pytest

from bh import vm, wait

HANG_S = 120
UP = "enter,ready,event:1"
DEVICE = b"enter,ready,wait"
SYSTEM, STORAGE, IO, IMG = (shutil.which(f"qemu-{n}") for n in
                            ("system-x86_64", "storage-daemon", "io", "img"))
needs_qemu = pytest.mark.skipif(not all((SYSTEM, STORAGE, IO, IMG)), reason="needs QEMU's programs")


@pytest.fixture
def place(build):
    place_ = vm.Place(build)
    yield place_
    assert place_.end() == []


@pytest.fixture
def image(place):
    return place.file("disk.img", DEVICE.ljust(1 << 20, b"\0"))


class Vm:
    """A VM of ours, with played processes."""

    def __init__(self, place, image, write):
        self.place, self.name = place, f"lock{os.getpid()}-{id(self)}"
        code, _, self.err = place.call("run", "--kernel", place.kernel, "--cmdline", f"{UP},ignore",
                                       "--name", self.name, "--detach", "--disk",
                                       f"{image},format=raw,readonly={'off' if write else 'on'}")
        self.runs = code == 0
        assert self.runs or f"{image} is in use" in self.err, self.err

    def end(self):
        if self.runs:
            self.place.call("stop", "--now", self.name)


class Program:
    """One of QEMU's, from when it has the image to its end. It is told something, and its answer
    says whether it has it."""

    def __init__(self, words, stdin, answer):
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(stdin)
            self.process.stdin.flush()
        self.runs, said = None, ""
        while self.runs is None:
            line = self.process.stdout.readline()
            said += line
            if answer in line or not line or "no file open" in line:
                self.runs = answer in line

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        _, err = self.process.communicate(timeout=HANG_S)
        assert self.runs or "lock" in err, err


QMP = '{"execute": "qmp_capabilities"}\n'


def system(_, image, write):
    return Program([SYSTEM, "-M", "q35", "-accel", "tcg", "-S", "-nodefaults", "-display", "none",
                    "-m", "32",
                    "-qmp", "stdio", "-drive", f"if=none,id=d,format=raw,file={image},"
                    f"read-only={'off' if write else 'on'}", "-device", "virtio-blk-pci,drive=d"],
                   QMP, '"return"')


def storage(_, image, write):
    ro = "off" if write else "on"
    return Program([STORAGE, "--chardev", "stdio,id=c", "--monitor", "chardev=c", "--blockdev",
                    f"driver=file,node-name=f,filename={image},read-only={ro}", "--blockdev",
                    f"driver=raw,node-name=d,file=f,read-only={ro}", "--export",
                    f"type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path={image}.sock,"
                    f"writable={'on' if write else 'off'}"], QMP, '"return"')


def io(_, image, write):
    return Program([IO, "-f", "raw", *([] if write else ["-r"]), str(image)],
                   "length\n", "1 MiB")


OTHERS = {"qemu-system": system, "qemu-storage-daemon": storage, "qemu-io": io}


def second_runs(place, image, one, one_writes, two, two_writes):
    first = one(place, image, one_writes)
    try:
        assert first.runs, "nobody else has it"
        second = two(place, image, two_writes)
        second.end()
        return second.runs
    finally:
        first.end()
        place.wait_until_empty()


WAYS = [(False, False), (False, True), (True, False), (True, True)]


@pytest.mark.parametrize("writes", WAYS)
def test_two_vms(place, image, writes):
    """One may write, or several read."""
    assert second_runs(place, image, Vm, writes[0], Vm, writes[1]) == (writes == (False, False))


@needs_qemu
@pytest.mark.parametrize("writes", WAYS)
@pytest.mark.parametrize("other", OTHERS)
def test_a_vm_and_qemu(place, image, other, writes):
    """A VM of ours is to every program of QEMU what a VM of QEMU is."""
    theirs = OTHERS[other]
    for one, two, qemu_one, qemu_two in ((Vm, theirs, system, theirs), (theirs, Vm, theirs, system)):
        right = second_runs(place, image, qemu_one, writes[0], qemu_two, writes[1])
        assert second_runs(place, image, one, writes[0], two, writes[1]) == right
        if other == "qemu-system":
            assert right == (writes == (False, False))


@needs_qemu
@pytest.mark.parametrize("write", [False, True])
def test_qemu_img_convert(place, image, write):
    """Reads what a VM only reads, and says that it cannot where one writes."""
    ours = Vm(place, image, write)
    assert ours.runs
    r = subprocess.run([IMG, "convert", "-f", "raw", "-O", "raw", image, place.dir / "copy"],
                       capture_output=True, text=True, timeout=HANG_S, check=False)
    ours.end()
    assert (r.returncode == 0) == (not write), r.stderr
    assert not write or 'Failed to get shared "write" lock' in r.stderr


@pytest.mark.parametrize("write", [False, True])
def test_a_lock_on_the_whole_file(place, image, write):
    """As other programs take it: whoever has one has the image alone."""
    for mine in ("-s", "-x"):
        words = ["/usr/bin/python3", "-c", "import fcntl, sys; f = open(sys.argv[1], 'r+b');"
                 f"fcntl.lockf(f, fcntl.LOCK_{'SH' if mine == '-s' else 'EX'});"
                 "print('locked', flush=True); sys.stdin.read()", str(image)]
        holder = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert holder.stdout.readline()
        ours = Vm(place, image, write)
        ours.end()
        holder.communicate(timeout=wait.HANG_S)
        assert not ours.runs
