# SPDX-License-Identifier: Apache-2.0
"""bulkhead explain: what it says of a configuration is what run would do with it, and it starts and
opens nothing."""

import os
import re
import signal
import subprocess

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    place_.end()


def explained(place_, *words):
    """The paragraphs: {title: {label: text}}; labels of no text go on."""
    code, out, err = place_.call("explain", "--kernel", "/no/such/vmlinuz", "--name", "vm", *words)
    assert (code, err) == (0, ""), err
    assert max(map(len, out.splitlines())) <= 100
    found, label = {}, None
    for line in out.splitlines():
        if line[:2] == "  ":
            label = line[2:20].strip() or label
            part[label] = f"{part.get(label, '')} {line[20:]}".strip()
        elif line:
            part = found.setdefault(line.split(":")[0], {})
    assert place_.processes() == []
    return found


def titles(found):
    """The processes; whether there is a keeper is the host's."""
    return [t for t in found if t in ("bulkhead", "supervisor", "vmm", "launcher") or t.startswith("dev-")]


def test_a_keeper_where_there_are_control_groups(place):
    found = explained(place, "--cgroup", "/sys/fs/cgroup/no/such/group")
    assert "keeper" not in found
    assert "memory limit" in found["What weakens it"]
    assert "limits" not in found["vm"]
    if not place.user and os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        keeper = explained(place)["keeper"]
        assert keeper["user id"] == "one that only keepers have"
        assert "one right below one directory" in keeper["kept in"]
        assert explained(place, "--limit-cpu", "150%")["vm"]["limits"] == (
            "vmm and devices together: memory for guest RAM and what running it takes, as many "
            "tasks as they have, 150% of a CPU")


def test_sockets_that_the_guest_reaches(place):
    vsock = ["--vsock", "on", "--allow", "virtio-vsock"]
    found = explained(place, *vsock, "--vsock-connect", "80,81")
    assert found["dev-vsock"]["connected to"] == "vm+vsock_80, vm+vsock_81, where its user's programs listen"
    assert "6 channel to the dialer" in found["dev-vsock"]["handed to it"]
    assert found["dialer"]["stands against"] == "single bytes of storage processes, of dev-vsock and dev-vhost-net"
    found = explained(place, *vsock, "--vsock-listen", "22")
    assert "dialer" not in found and "connected to" not in found["dev-vsock"]
    assert "dialer" not in found["dev-vsock"]["handed to it"]


def test_every_process_and_no_other(place):
    assert titles(explained(place)) == ["bulkhead", "supervisor", "vmm", "dev-rng", "dev-console", "launcher"]
    assert titles(explained(place, "--rng", "off", "--detach")) == \
        ["supervisor", "vmm", "dev-console", "launcher"]
    disks = ["--disk", "/no/a,format=raw", "--disk", "/no/b,format=raw,readonly=on"]
    found = explained(place, *disks)
    assert titles(found) == ["bulkhead", "supervisor", "vmm", "dev-blk", "dev-rng", "dev-console", "launcher"]
    assert found["dev-blk"]["one each for"] == "/no/a (writable), /no/b (read-only)"
    chain = explained(place, "--allow", "qcow2", "--disk", "/no/a,format=qcow2,data-file=/no/c,"
                      "backing=/no/b,backing-format=raw")
    assert chain["dev-blk"]["its image"] == \
        "/no/a (writable), /no/b (its backing file, read-only), /no/c (its data file, writable)"


def test_the_counts_are_the_filters(place, build):
    """As the threat model's tables count them."""
    said = subprocess.run([build / "tools/declared-tables"], capture_output=True, text=True,
                          check=True)
    counts = {name: int(n) for name, n in re.findall(r"^\| ([^|]+) \| (\d+) \|", said.stdout, re.M)}
    found = explained(place, "--disk", "/no/a,format=raw")
    assert found["dev-blk"]["system calls"].startswith(
        f"{counts['dev-blk']} for its main thread, {counts['dev-blk, pool']} for the pool where there "
        f"is no io_uring, {counts['dev-blk, puncher']} for the puncher, "
        f"{counts['dev-blk, volume']} for the volume;")
    for name in ("bulkhead", "supervisor", "dev-rng", "dev-console"):
        assert found[name]["system calls"].split(";")[0] == str(counts[name])
    assert found["vmm"]["system calls"].startswith(
        f"{counts['vmm']} for its main thread, {counts['vmm, vCPU (kvm)']} for each vCPU on KVM, "
        f"{counts['vmm, vCPU (soft)']} for each vCPU in software; none takes a path")


@pytest.mark.parametrize("accel,kvm,soft", [("auto", True, True), ("kvm", True, False),
                                            ("soft", False, True)])
def test_only_what_the_accelerator_needs(place, accel, kvm, soft):
    found = explained(place, "--accel", accel)
    v = found["vmm"]
    assert ("on KVM" in v["system calls"]) == ("4 /dev/kvm" in v["handed to it"]) == kvm
    assert ("KVM" in v["makes or is sent"]) == ("KVM" in v["its taker has"]) == kvm
    assert ("in software" in v["system calls"]) == soft
    claims = found["What is claimed of it (bulkhead features)"]
    assert claims["host-kernel"].split(":")[0] == {"auto": "not on KVM", "kvm": "no",
                                                   "soft": "yes"}[accel]
    assert claims["guest-walls"].split(":")[0] == {"auto": "not on the software CPU", "kvm": "yes",
                                                   "soft": "no"}[accel]
    assert claims["containment"].startswith("yes:")


def test_who_starts_it(place):
    found = explained(place)
    own = [title for title in titles(found) if title != "launcher"]
    assert found["launcher"]["user id"] in ("the supervisor's", found["vmm"]["user id"])
    ids = {found[title]["user id"] for title in own}
    weak = found["What weakens it"]
    if place.subids:
        assert "ids" not in weak
        assert found["bulkhead"]["user id"] == "its user's"
        assert {found[title]["user id"] for title in own[1:]} == \
            {"its own, one of its user's subordinate ids"}
    elif place.user:
        assert ids == {"its user's, as every process of this VM"} and "ids" in weak
    else:
        assert ids == {"its own, which no other process has"} and "ids" not in weak


@pytest.mark.parametrize("label,words", [
    ("writable image", ["--disk", "/no/a,format=raw"]),
    ("raw console", ["--console", "raw"]),
    ("experimental", ["--accel", "soft", "--cpus", "9"]),
    ("no memory limit", ["--limit-memory", "none"]),
    ("no task limit", ["--limit-tasks", "none"]),
    ("no CPU limit", []),
    ("rate", ["--net", "bridge=br0,packets-out=9"]),
    ("rate", ["--net", "macvtap=eth0,bytes-out=9K"]),
    ("dev-vhost-net", ["--net", "tap=tap0,vhost=on"]),
    ("Hyper-V", ["--hyperv"]),
    ("experimental", ["--hyperv", "--accel", "kvm"]),
    ("no disk limit", ["--disk", "/no/a,format=raw"]),
    ("early panic", ["--cmdline", "console=ttyS0"]),
    ("early panic", ["--cmdline", "console=ttyS0 panic=-1"]),
])
def test_choices_that_weaken_it(place, label, words):
    plain = ["--disk", "/no/a,format=raw,readonly=on", "--cpus", "8", "--limit-cpu", "100%",
             "--limit-io", "wbps=1M"]
    if label == "rate":
        plain += ["--net", "bridge=br0,packets-in=9"]
    assert label not in explained(place, *plain)["What weakens it"]
    assert label in explained(place, *words)["What weakens it"]


def test_a_raw_console_loses_the_terminal(place):
    found = explained(place, "--console", "raw")["What is claimed of it (bulkhead features)"]
    assert found["terminal"].startswith("no: --console raw on a terminal")


def test_what_is_not_allowed_is_said_to_be_refused(place):
    words = ["--accel", "soft", "--cpus", "9"]
    assert "refuses it without --allow soft-many-cpus" in \
        explained(place, *words)["What weakens it"]["experimental"]
    words += ["--allow", "soft-many-cpus"]
    assert "refuses" not in explained(place, *words)["What weakens it"]["experimental"]


def test_strict(place):
    """What run refuses is said where it is; a user without subordinate ids has none to give."""
    for words, refused in ([], False), (["--strict"], True):
        weak = explained(place, *words, "--cgroup", "/sys/fs/cgroup/no/such/group")["What weakens it"]
        assert ("run refuses it" in weak["memory limit"]) == refused
        if place.user and not place.subids:
            assert ("run refuses it" in weak["ids"]) == refused


def test_what_may_be_attached(place):
    _, out, _ = place.call("explain", "--kernel", "/no/k")
    assert re.search(r"^ +may get +8 devices more while it runs: disk, rng, net$", out, re.MULTILINE)
    _, out, _ = place.call("explain", "--kernel", "/no/k", "--on-crash", "stop")
    assert re.search(r"^ +may get +no device more while it runs: --on-crash stop$", out, re.MULTILINE)


def test_configuration_file(place):
    conf = place.file("vm.conf", b"kernel = /no/k\ninitrd = /no/i\nmemory = 1G\nname = filed\n")
    code, out, _ = place.call("explain", "--config", conf)
    assert code == 0 and out.startswith("filed: ") and "1 virtual CPU, 1024 MiB of RAM" in out
    assert "5 kernel /no/k, 6 initrd /no/i" in out and "1074 MiB of address space" in out


def test_names_of_files_cannot_drive_the_terminal(place):
    conf = place.file("vm.conf", b"kernel = k\x1b]0;title\x07\xc3\xa9\nname = x\n")
    code, out, _ = place.call("explain", "--config", conf)
    assert code == 0 and out.isascii() and "\x1b" not in out and "\x07" not in out
    assert "5 kernel k?]0;title???" in out


@pytest.mark.parametrize("words,status,text", [
    ([], 2, "--kernel: what to boot is missing"),
    (["now"], 2, "'now' is not an option"),
    (["--kernel", "k", "--cpus", "0"], 2, "--cpus: '0' will not do"),
    (["--config", "/no/such/file"], 1, "No such file or directory"),
])
def test_wrong_words(place, words, status, text):
    code, out, err = place.call("explain", *words)
    assert (code, out) == (status, "") and err.count("\n") == 1 and text in err


def test_full_standard_output(place):
    with open("/dev/full", "wb") as full:
        process = place.start("explain", "--kernel", "k", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "bulkhead: explain: standard output failed\n"


def table_of(pid):
    """Numbers of a live process's descriptors."""
    return {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}


def test_a_running_vm_is_as_explained(build):
    """The shipped processes, on the software CPU: limits and handed-over descriptors."""
    guest = build / "tests/guest/powerbutton.elf"
    words = ["--kernel", str(guest), "--memory", "64M", "--accel", "soft", "--rng", "off", "--net", "none",
             "--console", "raw", "--name", f"explained{os.getpid()}"]
    command = str(build / "cmd/bulkhead/bulkhead")
    said = subprocess.run([command, "explain", *words], capture_output=True, text=True,
                          check=True).stdout
    part = re.search(r"\nvmm: .*?\n\n", said, re.S).group()
    part = re.sub(r"\n {20}", " ", part)
    handed = re.search(r"handed to it +0 to 2 /dev/null, (.*)", part).group(1)
    numbers = {int(n) for n in re.findall(r"(?:^|, )(\d+) ", handed)}
    first, last = map(int, re.search(r"(\d+) to (\d+) channels", handed).groups())
    numbers |= set(range(first, last + 1)) | {0, 1, 2}
    descriptors, tasks = re.search(r"limits +(\d+) descriptors, (\d+) tasks", part).groups()
    with subprocess.Popen([command, "run", *words], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout.readline()  # it waits for its button now
        pid = vmm_of(words[-1])
        # kernel and initrd are closed once they are loaded; all else that was handed over stays
        assert numbers - table_of(pid) <= {5, 6}
        with open(f"/proc/{pid}/limits", encoding="ascii") as f:
            limits = f.read()
        assert re.search(rf"^Max open files +{descriptors} +{descriptors} ", limits, re.M)
        assert re.search(rf"^Max processes +{tasks} +{tasks} ", limits, re.M)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def vmm_of(name):
    def find():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().startswith(f"vmm\0--name={name}\0".encode()):
                        return int(pid)
            except OSError:
                continue
        return None

    return wait.until(find, f"a vmm of {name}")
