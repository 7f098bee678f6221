# SPDX-License-Identifier: Apache-2.0
"""bulkhead's words and files: what is wrong is one clear line, and nothing starts."""

import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess

import pytest

from bh import bridge, tap, vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
TOP = pathlib.Path(__file__).resolve().parent.parent.parent
needs_kvm = pytest.mark.skipif(not os.path.exists("/dev/kvm"), reason="needs /dev/kvm")
without_real_kvm = pytest.mark.skipif(
    subprocess.run([TOP / "tools/kvm-real"], capture_output=True, check=False).returncode == 0,
    reason="a real KVM is here")

needs_nft = pytest.mark.skipif(not shutil.which("nft"), reason="no nftables: tools/deps check")

CLONE_NEWNS = 0x20000
UP = "enter,ready,event:1"
FOREVER = f"{UP},power,event:2"


@pytest.fixture(params=["root", "user"])
def place(request, build):
    place_ = vm.Place(build, user=request.param == "user")
    yield place_
    assert place_.end() == []


def assert_refused(place_, words, status, text):
    """One line, the status, and that no VM of the name was ever there."""
    code, out, err = place_.call(*words)
    assert code == status and out == ""
    assert err.startswith("bulkhead: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert text in err, err
    assert place_.processes() == []


@pytest.mark.parametrize("words,text", [
    ([], "what to do is missing"),
    (["fly"], "there is no command 'fly'"),
    (["run"], "--kernel: what to boot is missing"),
    (["run", "--kernel", "KERNEL", "--firmware-vars", "v"], "--firmware-vars: a kernel is booted without firmware"),
    (["run", "--firmware", "f", "--firmware-vars", "v", "--firmware-vars", "w"], "at most 1 firmware-vars"),
    (["run", "--firmware", "f", "--firmware-vars", "v,templates=t"], "a firmware-vars has template="),
    (["run", "--firmware", "f", "--kernel", "KERNEL"], "a kernel is said as well: leave --kernel out"),
    (["run", "--firmware", "f", "--initrd", "i"], "leave --initrd out"),
    (["run", "--firmware", "f", "--cmdline", "quiet"], "leave --cmdline out"),
    (["run", "now"], "'now' is not an option"),
    (["run", "--kernel"], "--kernel: a value is missing"),
    (["run", "--kernel", "KERNEL", "--memory", "1T"], "say 64M to 64G"),
    (["run", "--kernel", "KERNEL", "--memory", "63M"], "say 64M to 64G"),
    (["run", "--kernel", "KERNEL", "--cpus", "0"], "say 1 to 16"),
    (["run", "--kernel", "KERNEL", "--cpus", "17"], "say 1 to 16"),
    (["run", "--kernel", "KERNEL", "--disk", "a"], "say FILE,format=raw"),
    (["run", "--kernel", "KERNEL", "--disk", "a,format=vmdk"], "format must be raw or qcow2"),
    (["run", "--kernel", "KERNEL", "--accel", "tcg"], "say auto, kvm or soft"),
    (["run", "--kernel", "KERNEL", "--hyperv=maybe"], "say on or off"),
    (["run", "--kernel", "KERNEL", "--hyperv", "--accel", "soft", "--allow", "hyperv"],
     "--hyperv: the software CPU has nothing of Hyper-V's interface"),
    (["run", "--kernel", "KERNEL", "--console", "loud"], "say auto, safe, raw or none"),
    (["run", "--kernel", "KERNEL", "--on-panic", "stopp"], "say stop or continue"),
    (["run", "--kernel", "KERNEL", "--on-crash", "pray"], "say restart, stop or pause"),
    (["run", "--kernel", "KERNEL", "--name", "a/b"], "say 1 to 64 letters"),
    (["run", "--kernel", "KERNEL", "--colour", "on"], "there is no option '--colour'"),
    (["run", "--kernel", "KERNEL", "--detach", "--console", "raw"], "a detached VM has no"),
    (["run", "--kernel", "KERNEL", "--allow", "all"], "say names that bulkhead features lists"),
    (["features", "all"], "features: 'all' will not do"),
    (["features", "--json", "all"], "features: 'all' will not do"),
    (["ps", "all"], "ps takes no words"),
    (["stop"], "say NAME"),
    (["stop", "a", "b"], "'b' will not do"),
    (["stop", "--later", "a"], "'--later' will not do"),
    (["console"], "which VM is missing"),
    (["console", "a", "--console", "x"], "say auto, safe or raw"),
])
def test_wrong_words(place, words, text):
    assert_refused(place, [place.kernel if w == "KERNEL" else w for w in words], 2, text)


@pytest.mark.parametrize("words", [["stop", "nobody"], ["console", "nobody"],
                                   ["stop", "--now", "x" * 200]])
def test_no_such_vm(place, words):
    assert_refused(place, words, 1, "no VM of yours is named")


@pytest.mark.parametrize("option", ["--kernel", "--firmware", "--initrd", "--disk"])
@pytest.mark.parametrize("what", ["missing", "directory", "pipe", "empty", "unreadable", "device"])
def test_bad_files(place, option, what):
    path = place.dir / what
    text = {"missing": "No such file or directory", "directory": "directory",
            "pipe": "is a pipe", "empty": "empty" if option in ("--kernel", "--initrd") else "has 0 bytes",
            "unreadable": "Permission denied", "device": "character device"}[what]
    if what == "directory":
        path.mkdir()
        text = "irectory"
    elif what == "pipe":
        os.mkfifo(path)
        path.chmod(0o666)
    elif what == "empty":
        place.file("empty", b"")
    elif what == "device":
        path = "/dev/null"
    elif what == "unreadable":
        if not place.user:
            pytest.skip("root reads everything")
        place.file("unreadable", b"x" * 512).chmod(0)
    value = f"{path},format=raw" if option == "--disk" else path
    words = ["run", option, value]
    if option not in ("--kernel", "--firmware"):
        words += ["--kernel", place.kernel]
    assert_refused(place, words, 1, text)
    assert option in place.call(*words)[2]


def test_files_larger_than_memory(place):
    big = place.file("big", b"")
    os.truncate(big, 64 << 20)
    assert_refused(place, ["run", "--kernel", big, "--memory", "64M"], 1, "say more --memory")
    assert_refused(place, ["run", "--kernel", place.kernel, "--initrd", big, "--memory", "64M"], 1,
                   "say more --memory")


@pytest.mark.parametrize("size", [512, (64 << 10) - 4096, (64 << 10) + 512, (8 << 20) + 4096])
def test_firmware_of_no_size_for_firmware(place, size):
    path = place.file("firmware", b"")
    os.truncate(path, size)
    assert_refused(place, ["run", "--firmware", path], 1,
                   f"firmware has {size} bytes: 64 KiB to 8 MiB, a multiple of 4096, is right")


VARS_SIZES = "a copy of the firmware's own template, as OVMF_VARS_4M.fd, is right"


@pytest.mark.parametrize("size,text", [
    (0, "vars is empty"), (4095, "vars has 4095 bytes: " + VARS_SIZES),
    ((1 << 20) + 4096, VARS_SIZES), (4096, "they are not made for one another")])
def test_variables_of_another_size(place, size, text):
    firmware = place.file("firmware", bytes(64 << 10))
    assert_refused(place, ["run", "--firmware", firmware, "--firmware-vars", place.file("vars", bytes(size))], 1, text)


def test_variables_that_cannot_be(place):
    """A directory, one that may not be written, one of another VM, and no template."""
    firmware, at = place.file("firmware", bytes(64 << 10)), str(place.dir) + "/"
    (place.dir / "folder").mkdir()
    for value, text in ((at + "folder", "irectory"), (at + "vars", f"neither is a template beside {firmware}: say template=FILE"),
                        (at + f"vars,template={at}none", "none: No such file or directory"),
                        (at + f"vars,template={place.file('odd', bytes(1000))}", "odd has 1000 bytes: a multiple of 4096")):
        assert_refused(place, ["run", "--firmware", firmware, "--firmware-vars", value], 1, text)
    assert not (place.dir / "vars").exists()
    if place.user:
        place.file("readonly", bytes(64 << 10)).chmod(0o444)
        assert_refused(place, ["run", "--firmware", firmware, "--firmware-vars", at + "readonly"], 1, "Permission denied")
    with open(place.file("locked", bytes(64 << 10)), "r+b") as f:
        fcntl.fcntl(f, 37, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))  # F_OFD_SETLK
        assert_refused(place, ["run", "--firmware", firmware, "--firmware-vars", at + "locked"], 1,
                       "locked is in use by another VM: each has its own")


def test_variables_are_made(place):
    """Of the template that lies beside the firmware, or is said, whole; where they are there they stay."""
    code, folder = place.file("FW_CODE.fd", bytes(64 << 10)), place.dir / "made"
    place.file("FW_VARS.fd", b"a" * (64 << 10))
    folder.mkdir()
    folder.chmod(0o777)
    for value, content in (("one", b"a"), (f"two,template={place.file('other', b'b' * (64 << 10))}", b"b"), ("two", b"b")):
        name = value.partition(",")[0]
        process = place.start("run", "--firmware", code, "--firmware-vars", f"{folder}/{value}", "--accel", "soft",
                              "--name", name)
        wait.until(lambda n=name: place.call("stop", "--now", n)[0] == 0, "it runs, and is stopped")
        process.communicate(timeout=60)
        assert (folder / name).read_bytes() == content * (64 << 10)
    assert sorted(f.name for f in folder.iterdir()) == ["one", "two"]


def test_secure_boot_is_refused(place):
    """By what the name leads to: OVMF_CODE_4M.ms.fd is a link."""
    place.file("X_CODE.secboot.fd", bytes(64 << 10))
    (place.dir / "X_CODE.ms.fd").symlink_to("X_CODE.secboot.fd")
    for name in "X_CODE.secboot.fd", "X_CODE.ms.fd":
        assert_refused(place, ["run", "--firmware", place.dir / name], 1, f"{name} needs SMM, which Bulkhead does not have")


def test_disk_of_odd_size(place):
    odd = place.file("odd", b"x" * 1000)
    assert_refused(place, ["run", "--kernel", place.kernel, "--disk", f"{odd},format=raw"], 1,
                   "has 1000 bytes: a multiple of 512 is right")


def test_read_only_file_as_a_writable_disk(place):
    if not place.user:
        pytest.skip("root writes everything")
    image = place.file("ro", b"enter,ready,wait".ljust(512, b"\n"))
    image.chmod(0o444)
    disk = f"{image},format=raw"
    assert_refused(place, ["run", "--kernel", place.kernel, "--disk", disk], 1,
                   "Permission denied")
    code, _, _ = place.run(f"{UP},event:2", "--disk", disk + ",readonly=on")
    assert code == 0


NO_RIGHT = "/dev/kvm: no right to use it: join the group kvm"
NOT_THERE = "/dev/kvm: not there: load kvm_intel or kvm_amd"


@needs_kvm
def test_no_right_to_kvm(place):
    if not place.user:
        pytest.skip("root has every right")
    (place.dir / "kvm").chmod(0)
    assert_refused(place, ["run", "--kernel", place.kernel, "--accel", "kvm"], 1, NO_RIGHT)


@needs_kvm
def test_auto_without_the_right_to_kvm(place):
    if not place.user:
        pytest.skip("root has every right")
    (place.dir / "kvm").chmod(0)
    code, _, err = place.run(f"{UP},event:2", "--accel", "auto", "--name", "chosen")
    assert code == 0
    assert err.splitlines() == [f"bulkhead: chosen: the software CPU runs the guest: {NO_RIGHT}",
                                "bulkhead: chosen: the guest powered off"]


def without_kvm(place_, *words):
    """The command where there is no /dev/kvm."""
    return subprocess.run(["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /dev; mknod /dev/null '
                           'c 1 3; chmod 666 /dev/null; exec "$@"', "sh",
                           *map(str, [place_.dir / "cmd/bulkhead/bulkhead", *vm.without_net(words)])],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_no_kvm_at_all(place):
    if place.user:
        pytest.skip("mounting needs root")
    words = ["run", "--kernel", place.kernel, "--cmdline", f"{UP},event:2", "--name", "bare"]
    done = without_kvm(place, *words, "--accel", "kvm")
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and NOT_THERE in done.stderr
    done = without_kvm(place, *words, "--hyperv", "--allow", "hyperv")
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"--hyperv: KVM alone has it, and the software CPU runs the guest: {NOT_THERE}" in done.stderr
    done = without_kvm(place, *words)
    assert done.returncode == 0
    first, last = vm.without_host(done.stderr).splitlines()
    assert first.startswith(f"bulkhead: bare: the software CPU runs the guest: {NOT_THERE}")
    assert last == "bulkhead: bare: the guest powered off"


@needs_kvm
def test_a_kvm_that_lacks_hyper_v(place):
    """This machine's: it is said which part, in one line."""
    if subprocess.run([TOP / "tools/kvm-real"], capture_output=True, check=False).returncode == 0:
        pytest.skip("a real one has it")
    for accel, why in ("kvm", "--hyperv: KVM "), ("auto", "--hyperv: KVM alone has it, and the software CPU runs the guest"):
        code, _, err = place.run(f"{UP},event:2", "--accel", accel, "--hyperv", "--allow", "hyperv")
        assert code == 1 and err.count("\n") == 1 and why in err


@needs_kvm
def test_auto_says_what_it_chose(place):
    """By default, and on standard error alone; its measurement is tools/kvm-real's."""
    real = subprocess.run([TOP / "tools/kvm-real"], capture_output=True, check=False).returncode == 0
    chosen = "KVM runs the guest: /dev/kvm runs ring 0 on the processor" if real else \
        r"the software CPU runs the guest: /dev/kvm only emulates ring 0 " \
        r"\(\d+\.\d million instructions a second\)"
    code, out, err = place.run(f"{UP},event:2", "--accel", "auto", "--name", "chosen")
    assert (code, out) == (0, "the console\n")
    assert re.match(rf"bulkhead: chosen: {chosen}\n", err), err
    assert err.count("\n") == 2


@pytest.mark.parametrize("accel", [pytest.param("kvm", marks=needs_kvm), "soft"])
def test_what_was_asked_for_is_not_measured(place, accel):
    code, _, err = place.run(f"{UP},power,event:2", "--accel", accel, "--name", accel, "--detach")
    assert (code, err) == (0, "")
    rows = [r.split() for r in place.call("ps")[1].splitlines() if r.startswith(f"{accel} ")]
    assert [r[5] for r in rows] == [accel]
    assert place.call("stop", accel)[0] == 0
    place.wait_until_empty()


def test_a_program_is_missing(place):
    (place.dir / "cmd/dev-rng/dev-rng").unlink()
    assert_refused(place, ["run", "--kernel", place.kernel], 1, "the program dev-rng is not")
    code, _, _ = place.run(f"{UP},event:2", "--rng", "off")
    assert code == 0
    (place.dir / "cmd/supervisor/supervisor").unlink()
    assert_refused(place, ["run", "--kernel", place.kernel], 1, "supervisor is not installed")


def test_a_process_that_cannot_be_executed(place):
    program = place.dir / "cmd/vmm/vmm"
    program.write_bytes(b"no program at all")
    assert_refused(place, ["run", "--kernel", place.kernel], 1,
                   "vmm cannot be started: its executable")


@pytest.fixture
def running(place):
    """running(words...) starts a VM that ends with the test."""
    names = []

    def start(*words):
        name = f"held{os.getpid()}-{len(names)}"
        code, _, err = place.call("run", "--kernel", place.kernel, "--cmdline", FOREVER, "--name",
                                  name, "--detach", *words)
        assert (code, err) == (0, "")
        names.append(name)
        return name

    yield start
    for name in names:
        assert place.call("stop", name)[0] == 0
    place.wait_until_empty()


@pytest.mark.parametrize("first,second,shared", [
    ("", "", False), ("", ",readonly=on", False), (",readonly=on", "", False),
    (",readonly=on", ",readonly=on", True),
])
def test_two_vms_on_one_image(place, running, first, second, shared):
    image = place.file("image", b"enter,ready,wait".ljust(512, b"\n"))
    running("--disk", f"{image},format=raw{first}")
    code, _, err = place.run(f"{UP},event:2", "--disk", f"{image},format=raw{second}")
    if shared:
        assert code == 0
    else:
        assert code == 1 and err.count("\n") == 1
        assert f"{image} is in use by another VM" in err


def test_one_image_twice_in_one_vm(place):
    image = place.file("image", b"enter,ready,wait".ljust(512, b"\n"))
    disk = f"{image},format=raw"
    assert_refused(place, ["run", "--kernel", place.kernel, "--disk", disk, "--disk", disk], 1,
                   f"--disk: {image} is this VM's disk 1 already, as {image}: it can be one disk, "
                   "or several with readonly=on each")
    other = place.dir / "other"
    os.link(image, other)
    assert_refused(place, ["run", "--kernel", place.kernel, "--disk", disk + ",readonly=on",
                           "--disk", f"{other},format=raw"], 1, f"{other} is this VM's disk 1 already")
    code, _, err = place.run(f"{UP},event:2", "--disk", disk + ",readonly=on",
                             "--disk", f"{other},format=raw,readonly=on")
    assert code == 0, err


def test_a_lock_ends_with_its_vm(place):
    image = place.file("image", b"enter,ready,wait".ljust(512, b"\n"))
    for _ in range(3):
        code, _, err = place.run(f"{UP},event:2", "--disk", f"{image},format=raw")
        assert code == 0, err


def test_configuration_file(place):
    conf = place.file("vm.conf", b"# a VM\nkernel = %b\nmemory = 128M\ncpus = 2\n"
                      b"cmdline = %b\nname = filed\ndetach = on\n"
                      % (bytes(place.kernel), FOREVER.encode()))
    code, out, err = place.call("run", "--config", conf, "--cpus", "3")
    assert (code, out, err) == (0, "filed\n", "")
    rows = [r.split() for r in place.call("ps")[1].splitlines() if r.startswith("filed ")]
    assert [r[2:5] for r in rows] == [["running", "3", "128M"]]
    assert place.call("stop", "filed")[0] == 0
    place.wait_until_empty()


@pytest.mark.parametrize("content,text", [
    (b"memory = 3\n", "vm.conf:1: memory: '3' will not do"),
    (b"\n\ncolour = red\n", "vm.conf:3: there is no setting 'colour'"),
    (b"kernel\n", "vm.conf:1: 'kernel' is not a setting"),
    (b"\x7fELF\x00\x00", "vm.conf:1: "),
])
def test_bad_configuration_file(place, content, text):
    place.file("vm.conf", content)
    process = subprocess.run(place.command("run", "--config", "vm.conf"), cwd=place.dir,
                             capture_output=True, text=True, check=False)
    assert process.returncode == 2 and text in process.stderr and process.stderr.count("\n") == 1


@pytest.mark.parametrize("name,text", [("nowhere", "No such file"), ("", "a value is missing")])
def test_no_configuration_file(place, name, text):
    assert_refused(place, ["run", f"--config={name}"], 1 if name else 2, text)


def test_huge_configuration_file(place):
    conf = place.file("huge", b"#" * (64 * 1024 + 1))
    assert_refused(place, ["run", "--config", conf], 1, "longer than 64 KiB")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["run", "--help"]])
def test_help_fits_a_screen(place, words):
    code, out, err = place.call(*words)
    assert code == 0 and err == ""
    lines = out.splitlines()
    assert 0 < len(lines) < (73 if "run" in words else 24) and max(map(len, lines)) < 80


def test_features(place):
    code, out, err = place.call("features")
    assert (code, err) == (0, "") and max(map(len, out.splitlines())) <= 100
    code, found, err = place.call("features", "--json")
    assert (code, err) == (0, "")
    found = json.loads(found)
    assert {f["status"] for f in found["features"]} == {"supported", "experimental",
                                                        "no security claim"}
    claims = {c["name"]: (c["kvm"], c["soft"]) for c in found["claims"]}
    assert claims["containment"] == (True, True)
    for f in found["features"]:
        assert re.search(rf"^{f['name']} +{f['status']} +{re.escape(f['what'])}$", out, re.M)
        assert set(f["gives_up"]) <= set(claims)


@pytest.fixture
def stream():
    """Two ends, of which the first is the command's."""
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def run_with(place, fds, *words):
    process = place.start("run", "--kernel", place.kernel, "--cmdline", f"{UP},event:2", *words, pass_fds=fds)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, vm.without_host(err)


def test_a_network_that_cannot_be(place, stream):
    """One line, before anything starts."""
    fd = stream[0].fileno()
    with socket.socketpair(type=socket.SOCK_DGRAM)[0] as datagrams, socket.socket(socket.AF_UNIX) as alone, \
            socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as tcp:
        for other in (datagrams, alone, tcp):
            assert run_with(place, [other.fileno()], f"--net=fd={other.fileno()}", "--allow", "virtio-net") == \
                (1, "", f"bulkhead: --net: fd={other.fileno()}: it is no connected UNIX stream socket\n")
    assert run_with(place, [], f"--net=fd={fd}", "--allow", "virtio-net") == \
        (1, "", f"bulkhead: --net: fd={fd}: there is no such descriptor: start the command with a UNIX stream socket there\n")
    assert run_with(place, [fd], *[f"--net=fd={fd}"] * 2, "--allow", "virtio-net") == \
        (1, "", f"bulkhead: --net: fd={fd} is of another device already\n")
    code, _, err = run_with(place, [], "--net=switch=s")
    assert code == 1 and err.count("\n") == 1, err
    assert place.processes() == []


def test_a_tap_that_cannot_be(place):
    """One line, before anything starts; and no interface is made of a misspelt name."""
    def refused(name):
        code, _, err = run_with(place, [], f"--net=tap={name}", "--allow", "virtio-net")
        assert code == 1 and err.count("\n") == 1, err
        return err

    uso = not place.user and tap.has_uso()

    def body():
        subprocess.run("ip tuntap add owned mode tap user 12345; ip tuntap add busy mode tap; ip tuntap add l3 mode tun",
                       shell=True, check=True)
        assert "there is no such interface: `ip tuntap add NAME mode tap" in refused("missing")
        assert "missing" not in [name for _, name in socket.if_nameindex()]
        if not os.path.exists("/dev/vhost-net"):
            assert "/dev/vhost-net: this host's kernel has none: as root, `modprobe vhost_net`" in refused("owned,vhost=on")
        if place.user:
            assert re.search("it is not yours|/dev/net/tun cannot be opened", refused("owned"))
            return
        for name in ("lo", "l3"):
            assert "it is no tap" in refused(name)
        with open("/dev/net/tun", "r+b", buffering=0) as tun:
            fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"busy", 0x1002))
            assert "another program or VM has it" in refused("busy")
        assert "it is no tap of several queues: `ip tuntap add NAME mode tap multi_queue" in refused("owned,queues=2")
        code, _, err = run_with(place, [], *["--net=tap=busy"] * 2, "--allow", "virtio-net")
        assert (code, err) == (1, "bulkhead: --net: tap=busy is of another device already\n")
        assert run_with(place, [], "--net=tap=owned", "--allow", "virtio-net")[0] == 0
        code, _, err = run_with(place, [], "--net=tap=owned,uso=on", "--allow", "virtio-net")
        assert code == 0 if uso else (code == 1 and "this kernel's taps have no uso=: Linux has it from 6.2 on" in err), err
        subprocess.run("ip tuntap add many mode tap multi_queue", shell=True, check=True)
        for queues in (1, 8):
            assert run_with(place, [], f"--net=tap=many,queues={queues}", "--allow", "virtio-net")[0] == 0
        taps = [word for i in range(9) for word in (f"--net=tap=many{i},queues=8",)]
        subprocess.run("; ".join(f"ip tuntap add many{i} mode tap multi_queue" for i in range(9)), shell=True, check=True)
        assert run_with(place, [], *taps[:8], "--allow", "virtio-net")[0] == 0
        assert run_with(place, [], *taps, "--allow", "virtio-net") == \
            (1, "", "bulkhead: --net: the queues of a VM's taps are 64 at most, of all together\n")

    tap.apart(body)
    assert place.processes() == []


def refused_net(place, way, **more):
    code, _, err = run_with(place, [], f"--net={way}", "--allow", "virtio-net", **more)
    assert code == 1 and err.count("\n") == 1, err
    return err


def test_a_bridge_that_cannot_be(place):
    """One line, before anything starts, and nothing is left of what was made until then."""
    def body():
        bridge.sh("ip link add br0 type bridge", "ip tuntap add tap0 mode tap user 65534", "ip link set lo up")
        before = bridge.names()
        assert "there is no such interface: `ip link add NAME type bridge` makes one" in refused_net(place, "bridge=missing")
        assert "it is no bridge: `ip link add NAME type bridge` makes one" in refused_net(place, "bridge=lo")
        if place.user:
            assert re.search("making a tap takes root|/dev/net/tun cannot be opened", refused_net(place, "bridge=br0"))
            assert re.search("take root, which tells the host's kernel|/dev/net/tun cannot be", refused_net(place, "tap=tap0,guard=on"))
        code, _, err = run_with(place, [], "--net=bridge=0123456789abcdef", "--allow", "virtio-net")
        assert code == 2 and err.count("\n") == 1 and "15" in err, err
        assert bridge.names() == before and bridge.tables() == []

    tap.apart(body)
    assert place.processes() == []


def no_nft():
    """In a mount namespace of the caller's."""
    for name in ("/usr/sbin/nft", "/sbin/nft"):
        if os.path.exists(name):
            bridge.sh(f"mount --bind /dev/null {name}")


def hidden(body):
    """With a file system of its own, in which nft is none."""
    def inside():
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.unshare(CLONE_NEWNS | 0x200) == 0  # and a working directory
        bridge.sh("mount --make-rprivate /")
        no_nft()
        return body()
    return tap.apart(inside)


@needs_nft
def test_a_bridge_without_nft(place):
    if place.user:
        return

    def body():
        bridge.sh("ip link add br0 type bridge")
        assert "nft is not installed: the package is nftables" in refused_net(place, "bridge=br0")
        assert bridge.names() == ["lo", "br0"]

    hidden(body)


@needs_nft
def test_what_is_made_for_a_bridge_goes(place):
    """At the VM's end; and what is left of one whose processes were all killed, at the next one's start."""
    if place.user:
        return

    def body():
        bridge.sh("ip link add br0 type bridge", "ip link set br0 up")
        before = bridge.names()
        assert run_with(place, [], "--net=bridge=br0", "--net=bridge=br0,queues=3", "--allow", "virtio-net")[0] == 0
        assert bridge.names() == before and bridge.tables() == []
        process = place.start("run", "--kernel", place.kernel, "--cmdline", FOREVER, "--net=bridge=br0", "--allow", "virtio-net")
        wait.until(lambda: len(bridge.names()) > len(before) and bridge.tables(), "there is a tap")
        [made] = set(bridge.names()) - set(before)
        assert made in bridge.sh("ip link show master br0")
        assert bridge.tables() == [f"bulkhead_{socket.if_nametoindex(made)}"]
        wait.until(lambda: bridge.net_keepers(), "there is a keeper")
        dying = bridge.net_keepers() + [pid for pid, _ in place.processes()]
        for how in (signal.SIGSTOP, signal.SIGKILL):  # none sees another's end
            for pid in dying:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
        process.communicate(timeout=60)
        wait.until(lambda: bridge.names() == before, "the tap has gone")
        assert len(bridge.tables()) == 1
        assert run_with(place, [], "--net=bridge=br0", "--allow", "virtio-net")[0] == 0
        assert bridge.names() == before and bridge.tables() == []

    tap.apart(body)


def test_a_macvtap_that_cannot_be(place):
    def body():
        bridge.sh("ip link add v0 type veth peer name v1")
        before = bridge.names()
        assert "there is no such interface of the host's" in refused_net(place, "macvtap=missing")
        if place.user:
            assert "making a macvtap takes root: it can make a tap for you" in refused_net(place, "macvtap=v0")
        else:
            assert "ip fails: " in refused_net(place, "macvtap=lo")
        assert bridge.names() == before and bridge.tables() == []

    tap.apart(body)


@needs_nft
def test_what_is_made_of_macvtaps_goes(place):
    """At the VM's end; what is left of one whose processes were all killed at the next one's start, but none of a VM that runs."""
    if place.user:
        return

    def start():
        before = len(bridge.names())
        name = f"taps{os.getpid()}-{before}"
        process = place.start("run", "--kernel", place.kernel, "--cmdline", FOREVER, "--net=macvtap=v0", "--allow", "virtio-net",
                              "--name", name)
        wait.until(lambda: len(bridge.names()) > before and len(bridge.tables()) == before - 2, "there is a macvtap")
        wait.until(lambda: len(bridge.net_keepers()) == before - 2, "there is a keeper")
        wait.until(lambda: [r for r in place.call("ps")[1].splitlines() if r.split()[0::2][:2] == [name, "running"]],
                   "all of its processes are there")
        return process

    def body():
        bridge.sh("ip link add v0 type veth peer name v1", "ip link set v0 up", "ip link set v1 up")
        before = bridge.names()
        assert run_with(place, [], "--net=macvtap=v0,mode=bridge", "--net=macvtap=v0,queues=2", "--allow", "virtio-net")[0] == 0
        assert bridge.names() == before and bridge.tables() == []
        lives = start()
        [living] = set(bridge.names()) - set(before)
        own = [pid for pid, _ in place.processes()]
        dies = start()
        dying = [pid for pid, _ in place.processes() if pid not in own]
        for how in (signal.SIGSTOP, signal.SIGKILL):  # none sees another's end
            for pid in dying:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, how)
        dies.communicate(timeout=60)
        wait.until(lambda: not set(dying) & {pid for pid, _ in place.processes()}, "nobody has it open")
        assert len(bridge.names()) == len(before) + 2
        assert run_with(place, [], "--net=macvtap=v0", "--allow", "virtio-net")[0] == 0
        assert set(bridge.names()) == {*before, living} and len(bridge.tables()) == 1
        lives.terminate()
        lives.communicate(timeout=60)
        assert bridge.names() == before and bridge.tables() == []

    tap.apart(body)


@needs_nft
def test_rules_of_a_tap_that_is_there(place):
    """They go at the end, and those that were left before the next VM has it."""
    if place.user:
        return

    def body():
        bridge.sh("ip tuntap add tap0 mode tap")
        index = socket.if_nametoindex("tap0")
        assert run_with(place, [], "--net=tap=tap0,guard=on", "--allow", "virtio-net")[0] == 0
        assert bridge.tables() == [] and "tap0" in bridge.names()
        bridge.sh(f"nft add table netdev bulkhead_{index}", "nft add table netdev bulkhead_4000000", "nft add table netdev bulkhead_x",
                  "nft add table netdev bulkhead_1")
        assert run_with(place, [], "--net=tap=tap0", "--allow", "virtio-net")[0] == 0
        assert bridge.tables() == ["bulkhead_x", "bulkhead_1"]

    tap.apart(body)


@pytest.mark.skipif(os.geteuid() != 0, reason="a network and a file system of its own take root")
def test_a_users_network_that_cannot_be(place):
    """One line, before anything starts."""
    def refused(options=""):
        code, _, err = run_with(place, [], f"--net=user{options}", "--allow", "virtio-net,net-relay")
        assert code == 1 and err.count("\n") == 1, err
        return err

    def body():
        assert "bulkhead: --net: user: passt does not start: " in refused()
        subprocess.run("ip link set lo up; ip link add v0 type veth peer name v1; ip addr add 10.9.0.1/24 dev v0; "
                       "ip link set v0 up; ip link set v1 up; ip route add default via 10.9.0.254", shell=True, check=True)
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert "bulkhead: --net: user: passt does not start: " in refused(f",publish={port}:22")
        if ctypes.CDLL(None).unshare(CLONE_NEWNS):
            raise OSError("unshare")
        subprocess.run("mount --make-rprivate / && mount --bind /dev/null /usr/bin/passt", shell=True, check=True)
        assert refused() == "bulkhead: --net: user: passt is not installed: the package is passt\n"

    tap.apart(body)
    assert place.processes() == []


PIDFD_OPEN, PIDFD_GETFD = 434, 438


def stream_of(pid):
    """The stream of a passt, which is its descriptor 3."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = libc.syscall(PIDFD_OPEN, pid, 0)
    fd = libc.syscall(PIDFD_GETFD, pidfd, 3, 0)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    os.close(pidfd)
    return socket.socket(fileno=fd)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("passt"), reason="a network of its own takes root; no passt: tools/deps check")
def test_what_a_users_network_is_started_with(place):
    """Its own largest frames unless others are said, and room for what it sends ahead of a slow guest."""
    if place.user:
        return

    def passts():
        here = os.readlink("/proc/thread-self/ns/net")
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    words = f.read().split(b"\0")
                if words[0] == b"passt" and os.readlink(f"/proc/{pid}/ns/net") == here:
                    yield int(pid), words

    def body():
        subprocess.run("ip link set lo up; ip link add v0 type veth peer name v1; ip addr add 10.9.0.1/24 dev v0; "
                       "ip link set v0 up; ip link set v1 up; ip route add default via 10.9.0.254", shell=True, check=True)
        for option, mtu in (("", b"65520"), (",mtu=1400", b"1400")):
            process = place.start("run", "--kernel", place.kernel, "--cmdline", FOREVER, f"--net=user{option}",
                                  "--allow", "virtio-net,net-relay")
            wait.until(lambda: len(place.processes()) > 5, "it runs")
            [(pid, words)] = passts()
            assert b"--mtu=" + mtu in words
            with stream_of(pid) as stream:
                assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 << 20  # the kernel doubles it
            process.terminate()
            process.communicate(timeout=60)
            wait.until(lambda: not list(passts()), "passt has ended")

    tap.apart(body)


def test_a_stream_reaches_dev_net_alone(place, stream):
    """Whatever its number is. What the processes then hold is test_audit.py's."""
    fd = stream[0].fileno()
    for number in (3, 4, 5, 7, 9, 40):
        words = place.command("run", "--kernel", place.kernel, "--cmdline", f"{UP},event:2", f"--net=fd={number}",
                              "--allow", "virtio-net")
        done = subprocess.run(["bash", "-c", f'exec "$@" {number}<&{fd}', "bash", *words], pass_fds=[fd],
                              env=place.environment(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    assert run_with(place, [], "--net=none")[0] == 0


@pytest.mark.parametrize("how", ["option", "file", "forbidden"])
@pytest.mark.parametrize("accel", ["soft", pytest.param("auto", marks=without_real_kvm)])
def test_experimental_only_where_allowed(place, how, accel):
    """Nine software CPUs. Whatever chose them: what was chosen is said before the refusal."""
    conf = place.file("vm.conf", b"allow = soft-many-cpus\n" if how == "file" else b"")
    words = ["--allow", "soft-many-cpus"] if how == "option" else []
    code, _, err = place.run(f"{UP},event:2", "--accel", accel, "--cpus", "9", "--config", conf,
                             "--name", "nine", *words)
    lines = err.splitlines()
    if accel == "auto":
        assert lines.pop(0).startswith("bulkhead: nine: the software CPU runs the guest")
    if how == "forbidden":
        assert code == 1
        assert lines == ["bulkhead: software CPU with 9 to 16 virtual CPUs: experimental (no whole "
                         "system has been tested with so many): say --allow soft-many-cpus to use "
                         "it all the same"]
    else:
        assert (code, lines) == (0, ["bulkhead: nine: the guest powered off"])


def test_version(place):
    for word in ("version", "--version"):
        code, out, _ = place.call(word)
        assert code == 0 and out.startswith("bulkhead ")


def test_every_option_is_documented(build):
    """Help and completion are made from where the options are declared; the manual page is not."""
    out = subprocess.run([build / "cmd/bulkhead/bulkhead", "run", "--help"], capture_output=True,
                         text=True, check=True).stdout
    completion = (build / "tools/bulkhead").read_text()
    names = re.search("^_bulkhead_options='(.*)'$", completion, re.M)[1].split()
    assert names == re.findall(r"^  (--[a-z-]+)", out, re.M) and len(names) > 20
    page = (TOP / "docs/bulkhead.1").read_text()
    assert not [name for name in names if f"\n.It Fl {name[1:]}" not in page]
    assert set(re.findall(r"^\.It Fl (-[a-z-]+)", page.split(".Sh OPTIONS")[1].split(".Sh ")[0],
                          re.M)) == {name[1:] for name in names}


@pytest.mark.parametrize("words,expected", [
    (["bulkhead", "r"], ["run", "resume", "resize"]),
    (["bulkhead", "features", ""], ["--json"]),
    (["bulkhead", "run", "--allow", "soft-m"], ["soft-many-cpus"]),
    (["bulkhead", "run", "--allow", ""], ["hyperv", "soft-many-cpus", "qcow2", "storage-nbd", "storage-iscsi", "net-switch", "virtio-scsi", "scsi-disk", "virtio-vsock", "tpm", "image-fetch"]),
    (["bulkhead", "run", "--allow", "=", ""], ["hyperv", "soft-many-cpus", "qcow2", "storage-nbd", "storage-iscsi", "net-switch", "virtio-scsi", "scsi-disk", "virtio-vsock", "tpm", "image-fetch"]),
    (["bulkhead", "run", "--allow", "x,s"], ["x,soft-many-cpus", "x,storage-nbd", "x,storage-iscsi", "x,scsi-disk"]),
    (["bulkhead", "explain", "--on"], ["--on-reboot", "--on-panic", "--on-crash", "--on-storage-error"]),
    (["bulkhead", "run", "--on"], ["--on-reboot", "--on-panic", "--on-crash", "--on-storage-error"]),
    (["bulkhead", "run", "--console", "s"], ["safe"]),
    (["bulkhead", "run", "--cloud-init", ""], ["user-data=", "meta-data=", "network-config="]),
    (["bulkhead", "run", "--accel", ""], ["auto", "kvm", "soft"]),
    (["bulkhead", "run", "--console-input", ""], ["serial", "virtio"]),
    (["bulkhead", "run", "--rng", ""], ["on", "off"]),
    (["bulkhead", "run", "--limit-cpu", "n"], ["none"]),
    (["bulkhead", "run", "--console", "=", ""], ["auto", "safe", "raw", "none"]),
    (["bulkhead", "stop", "--"], ["--now", "--timeout"]),
    (["bulkhead", "image", "c"], ["create", "check", "convert", "compare"]),
    (["bulkhead", "image", "compare", "--t"], ["--threads"]),
    (["bulkhead", "image", "compare", "-m", ""], []),
    (["bulkhead", "image", "compare", "-F", "v"], ["vmdk", "vhdx", "vpc"]),
    (["bulkhead", "image", "map", "--s"], ["--start-offset"]),
    (["bulkhead", "image", "check", "--repair", ""], ["leaks"]),
    (["bulkhead", "image", "info", "--output", "=", ""], ["human", "json"]),
    (["bulkhead", "image", "resize", "--j"], []),
    (["bulkhead", "image", "snapshot", "appl"], ["apply"]),
])
def test_completion(build, words, expected):
    script = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bulkhead; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, build / "tools/bulkhead", *words],
                          capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected


def test_completion_knows_what_may_be_allowed(build):
    """Without the program at hand; so the list is compared with the program's."""
    listed = subprocess.run([build / "cmd/bulkhead/bulkhead", "features"], capture_output=True,
                            text=True, check=True).stdout
    names = re.findall(r"^(\S+) +experimental ", listed, re.M)
    assert f"_bulkhead_list '{' '.join(names)}'" in (build / "tools/bulkhead").read_text()


def test_installed_layout(place):
    """As make install lays it out: bin and libexec, anywhere."""
    (place.dir / "bin").mkdir()
    (place.dir / "libexec").mkdir()
    (place.dir / "libexec/bulkhead").mkdir()
    for name in ("supervisor", *vm.PROCESSES):
        (place.dir / "cmd" / name / name).rename(place.dir / "libexec/bulkhead" / name)
    command = place.dir / "cmd/bulkhead/bulkhead"
    command.rename(place.dir / "bin/bulkhead")
    os.symlink(place.dir / "bin/bulkhead", command)
    assert place.run(f"{UP},event:2")[0] == 0
