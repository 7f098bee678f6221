# SPDX-License-Identifier: Apache-2.0
"""SELinux, enforcing, with the module: every process and object of a VM has its label, nothing that a
VM needs is denied, and an intruder in a process's domain, whom nothing else holds, gets nowhere.

Needs a kernel with SELinux and no policy yet, as the lab has with `lsm=...,selinux`.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest

import policy
import user_network
from bh import tap, tgt, vm, wait
from policy import file_label, label_file, level_of, make_place, process_label, run_words

IMG = shutil.which("qemu-img")
TOP = pathlib.Path(__file__).resolve().parents[2]
GUEST = pathlib.Path(os.environ.get("BULKHEAD_GUEST", TOP / "build/guest"))
WHO = "unconfined_u:unconfined_r"
DOMAINS = {"supervisor": "bulkhead_supervisor_t", "vmm": "bulkhead_vmm_t",
           "dev-blk": "bulkhead_blk_t", "dev-rng": "bulkhead_rng_t",
           "dev-console": "bulkhead_console_t", "launcher": "bulkhead_launcher_t"}
# What an intruder may: what its process is there for.
OWN = {"own_disk": ["dev-blk"], "own_ram": vm.PROCESSES, "own_socket": vm.PROCESSES,
       "write_memfd": ["dev-blk", "dev-rng", "dev-console", "vmm"]}

OF_A_DEVICE = {"own_ram", "own_socket", "write_memfd"}
OF_A_CARD = {"dev-net": {"own_tap"},
             "dev-vhost-net": {"own_tap", "tap_let_go", "tap_join_again", "tap_offloads", "own_vhost"}}
NETWORK = {"passt": "bulkhead_passt_t", "passt-guard": "bulkhead_passtguard_t", "net-relay": "bulkhead_netrelay_t"}
CARD_DOMAINS = {"dev-net": "bulkhead_net_t", "dev-vhost-net": "bulkhead_vhost_t", "net-relay": "bulkhead_netrelay_t"}

pytestmark = policy.NEEDS_SELINUX


@pytest.fixture(scope="module", autouse=True)
def enforced():
    with policy.enforced(policy.MODULE, policy.HERE / "try.cil"):
        yield


@pytest.fixture(scope="module")
def place(build):
    place_ = make_place(build)
    yield place_
    place_.close()


@pytest.fixture(scope="module")
def machines(place):
    """Two running VMs: for each, the pids of its processes by name."""
    found = {}
    for name in ("a", "b"):
        before = place.processes()
        code, _, err = place.call(*run_words(place, "powerbutton", f"{name}.raw",
                                             "shared.raw,readonly=on"),
                                  "--name", name, "--detach")
        assert code == 0, err
        found[name] = {pathlib.Path(exe).name: pid for pid, exe in place.processes()
                       if (pid, exe) not in before
                       and pathlib.Path(f"/proc/{pid}/comm").read_text() != "keeper\n"}
    yield found
    for name in found:
        assert place.call("stop", name)[0] == 0
    place.wait_until_empty()


def denials(do):
    """What the kernel denied while it was done."""
    subprocess.run(["dmesg", "--clear"], check=True)
    result = do()
    log = subprocess.run(["dmesg"], capture_output=True, text=True, check=True).stdout
    return result, [line for line in log.splitlines() if "avc:" in line or "SELINUX_ERR" in line]


def comms():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            name = pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
            yield int(pid), name.removesuffix(".avx2")


# ---- labels ----

def test_every_process_has_its_label(machines):
    levels = []
    for processes in machines.values():
        assert set(processes) == set(DOMAINS)
        labels = {name: process_label(pid) for name, pid in processes.items()}
        level = level_of(labels["vmm"])
        assert re.fullmatch(r"s0:c\d+,c\d+", level)
        assert labels == {name: f"{WHO}:{DOMAINS[name]}:{level}" for name in DOMAINS}
        levels.append(level)
    assert levels[0] != levels[1]


def test_every_object_has_its_label(place, machines):
    for name, processes in machines.items():
        level = level_of(process_label(processes["vmm"]))
        assert file_label(place.dir / f"{name}.raw") == \
            f"unconfined_u:object_r:bulkhead_image_t:{level}"
        fds = f"/proc/{processes['vmm']}/fd"
        assert file_label(f"{fds}/7") == f"unconfined_u:object_r:bulkhead_memory_t:{level}"
    assert file_label(place.dir / "shared.raw") == "unconfined_u:object_r:bulkhead_shared_t:s0"


def test_audit(place, machines):
    status, out, err = place.call("audit", "--json", "a")
    (audit,) = json.loads(out)["audits"]
    assert [f for f in audit["findings"] if f["grade"] == "weaker"] == []
    assert (status, err) == (0, "")
    level = level_of(process_label(machines["a"]["vmm"]))
    (note,) = [f["is"] for f in audit["findings"] if f["aspect"] == "label"]
    assert note.startswith(f"SELinux, {level}: ")
    assert all(f"{name} {domain}" in note for name, domain in DOMAINS.items())
    assert {p["name"]: level_of(p["label"]) for p in audit["processes"] if p["name"] != "keeper"} \
        == dict.fromkeys(DOMAINS, level)


# ---- nothing that a VM needs is denied ----

@pytest.mark.parametrize("accel", ["soft", "kvm"])
def test_no_denial(place, accel):
    words = run_words(place, "virtio-blk", "work.raw", "shared.raw,readonly=on", accel=accel)
    place.file("work.raw", b"\x5a" * (1 << 20))
    (code, out, err), denied = denials(lambda: place.call(*words, "--strict"))
    assert code == 0 and "ok write" in out, (out, err)
    assert denied == []


@pytest.mark.parametrize("accel", ["soft", "kvm"])
def test_no_denial_of_a_firmware(place, build, accel):
    """With its device beside it, in a domain of its own."""
    image = place.file("firmware.bin", (build / "tests/guest/firmware.bin").read_bytes())
    variables = place.file("vars", bytes(image.stat().st_size))
    words = ["run", "--firmware", image, "--firmware-vars", variables, "--memory", "64M", "--console", "raw",
             "--accel", accel, "--net", "none"]
    (code, out, err), denied = denials(lambda: place.call(*words, "--on-reboot", "stop"))
    assert code == 0 and out.splitlines()[-1] == "again", (out, err)
    assert denied == []
    process = place.start(*words, "--name", "firm")  # it starts again and again
    try:
        assert process.stdout.readline().startswith("ok ")
        for name in "firmware", "flash":
            [pid] = [pid for pid, exe in place.processes() if exe.endswith(f"dev-{name}")]
            assert f":bulkhead_{name}_t:" in process_label(pid)
    finally:
        assert place.call("stop", "--now", "firm")[0] == 0
        process.communicate(timeout=60)


@pytest.mark.skipif(not IMG, reason="needs qemu-img")
@pytest.mark.parametrize("more", ["", ",parser=apart", ",iops=1000"])
def test_no_denial_of_an_image_with_metadata(place, more):
    """It grows in front of a raw file, whose parser is in dev-blk or in storage-file."""
    base, top = place.dir / "base.raw", place.dir / "top.qcow2"
    place.file("base.raw", b"\x5a" * (1 << 20))
    subprocess.run([IMG, "create", "-q", "-f", "qcow2", "-b", base, "-F", "raw", top], check=True)
    disk = f"{top},format=qcow2,backing={base},backing-format=raw{more}"
    (code, out, err), denied = denials(
        lambda: place.call(*run_words(place, "virtio-blk"), "--allow", "qcow2", "--disk", disk))
    assert code == 0 and "ok write" in out, (out, err)
    assert denied == []


@pytest.mark.skipif(not shutil.which("nbdkit"), reason="no nbdkit: tools/deps check")
@pytest.mark.parametrize("local", [False, True])
def test_no_denial_of_a_disk_of_a_server(place, local):
    """Over TCP and TLS with a key, or at a path in the clear."""
    file, key, sock = place.dir / "served.raw", place.dir / "served.psk", place.dir / "served.sock"
    place.file("served.raw", b"\x5a" * (1 << 20))
    place.file("served.psk", b"guest:" + b"0123456789abcdef" * 4 + b"\n")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    where = ["-U", sock] if local else ["-i", "127.0.0.1", "-p", "10899", "--tls=require", f"--tls-psk={key}"]
    disk = f"nbd+unix:///?socket={sock}" if local else f"nbds://127.0.0.1:10899/,tls-psk=key"
    server = subprocess.Popen(["nbdkit", "-f", *where, "file", file])
    try:
        wait.until(lambda: can_connect(sock if local else 10899), "the server listens")
        (code, out, err), denied = denials(
            lambda: place.call(*run_words(place, "virtio-blk"), "--allow", "storage-nbd", "--secret", f"key={key}", "--disk", f"{disk},format=raw"))
    finally:
        server.kill()
        server.wait()
    assert code == 0 and "ok write" in out, (out, err)
    assert denied == []


@pytest.mark.skipif(tgt.MISSING, reason="no tgt: tools/deps check")
def test_no_denial_of_a_disk_of_a_target(place, tmp_path):
    """With CHAP of both sides: its secrets are read in time."""
    file = place.file("unit.raw", b"\x5a" * (1 << 20))
    secrets = [("guest", place.file("guest.chap", tgt.GUEST.encode() + b"\n")),
               ("host", place.file("host.chap", f"host:{tgt.HOST}\n".encode()))]
    words = [word for name, path in secrets for word in ("--secret", f"{name}={path}")]
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    target = tgt.Target(tmp_path, [(file, 512, False)])
    try:
        (code, out, err), denied = denials(
            lambda: place.call(*run_words(place, "virtio-blk"), "--allow", "storage-iscsi", *words, "--disk",
                               f"{target.uri('chap', user='guest@')},format=raw,chap=guest,chap-target=host"))
    finally:
        target.kill()
    assert code == 0 and "ok write" in out, (out, err)
    assert denied == []


def can_connect(where):
    with socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX) as s:
        return s.connect_ex(("127.0.0.1", where) if isinstance(where, int) else str(where)) == 0


@pytest.mark.parametrize("words", [[], ["--huge-pages", "on"]])
def test_no_denial_from_start_to_stop(place, words):
    def do():
        started = place.call(*run_words(place, "powerbutton", "work.raw"), "--name", "c",
                             "--detach", *words)
        return started[0], place.call("stop", "c")[0]
    place.file("work.raw", bytes(1 << 20))
    assert denials(do) == ((0, 0), [])


def test_no_denial_of_what_comes_and_goes(place):
    """Both kinds of disks, a device without one, and one that is started again: their processes are in the VM's
    domains, and the disk is its. (Python asks whether the labels that it reads are a terminal.)"""
    place.file("work.raw", bytes(1 << 20))
    place.file("hot.raw", bytes(1 << 20))
    place.file("hot-shared.raw", bytes(1 << 20))
    others = place.processes()

    def of_it():
        return [one for one in place.processes() if one not in others]

    subprocess.run("ip tuntap add tap7 mode tap", shell=True, check=True)
    devices = {("net", "tap=tap7"): "net-1",
               ("disk", f"{place.dir}/hot.raw,format=raw"): "disk-2",
               ("disk", f"{place.dir}/hot-shared.raw,format=raw,readonly=on"): "disk-3", ("rng",): "rng-2"}

    def do():
        said = [place.call(*run_words(place, "hotplug", "work.raw"), "--name", "h", "--detach")]
        said += [place.call("attach", "h", *words) for words in devices]
        os.kill(next(pid for pid, exe in of_it() if exe.endswith("/dev-rng")), signal.SIGKILL)
        wait.until(lambda: re.search(r"^h .* 1 \d\d:", place.call("ps")[1], re.MULTILINE), "a restart")
        labels = sorted(process_label(pid) for pid, exe in of_it() if "/dev-" in exe)
        said += [place.call("detach", "h", name) for name in devices.values()]
        said += [place.call("stop", "h")]
        return [one for one in said if one[0]], labels

    (failed, labels), denied = denials(do)
    assert failed == [] and [line for line in denied if 'comm="python3"' not in line] == []
    level = level_of(labels[0])
    assert labels == sorted([f"{WHO}:bulkhead_blk_t:{level}"] * 3 + [f"{WHO}:bulkhead_rng_t:{level}"] * 2 +
                            [f"{WHO}:bulkhead_console_t:{level}", f"{WHO}:bulkhead_net_t:{level}"])
    assert level_of(file_label(place.dir / "hot.raw")) == level
    assert file_label(place.dir / "hot-shared.raw").endswith(":bulkhead_shared_t:s0")


def test_no_denial_of_a_vsock(place):
    """Its process takes clients and ends them, and so does the one that takes its place."""
    def refused():
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60)
            client.connect(str(place.runtime / "bulkhead/v+vsock"))
            client.sendall(b"CONNECT 23\n")  # that nobody named
            return client.recv(1) == b""

    def pid_of():
        return next(pid for pid, exe in place.processes() if exe.endswith("/dev-vsock"))

    def do():
        code, _, err = place.call(*run_words(place, "powerbutton"), "--name", "v", "--detach", "--vsock", "on",
                                  "--vsock-listen", "22", "--allow", "virtio-vsock")
        assert code == 0, err
        served = [refused()]
        os.kill(pid_of(), signal.SIGKILL)
        wait.until(lambda: re.search(r"^v .* 1 \d\d:", place.call("ps")[1], re.MULTILINE), "a restart")
        served.append(refused())
        label = process_label(pid_of())
        return served, label, place.call("stop", "v")[0]

    (served, label, stopped), denied = denials(do)
    assert (served, stopped) == ([True, True], 0)
    assert [line for line in denied if 'comm="python3"' not in line] == []
    assert label.startswith(f"{WHO}:bulkhead_vsock_t:")


def debian_words(place, test):
    return ["run", "--accel", "kvm", "--kernel", place.file("vmlinuz", (GUEST / "vmlinuz").read_bytes()),
            "--initrd", place.file("initrd", (GUEST / "initrd.cpio.gz").read_bytes()), "--memory", "256M",
            "--cmdline", f"console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test={test}"]


@pytest.mark.skipif(not shutil.which("xorriso"), reason="no xorriso: tools/deps check")
def test_no_denial_of_a_cd(place):
    """A Debian guest reads it, also from the process that takes the place of one; its label is a shared disk's."""
    files, image = place.dir / "on-the-cd", place.dir / "cd.iso"
    files.mkdir()
    (files / "hello.txt").write_text("hello", encoding="ascii")
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", image, files], check=True, capture_output=True)
    words = [*debian_words(place, "cdrom bh.loops=20"), "--console", "raw", "--net", "none", "--cdrom", image,
             "--allow", "virtio-scsi"]

    def do():
        process, said, labels = place.start(*words), [], {}
        for line in process.stdout:
            said.append(line)
            pids = [pid for pid, exe in place.processes() if exe.endswith("/dev-cdrom") and pid not in labels]
            if "cdrom: sha256" in line and pids and len(labels) < 2:
                labels[pids[0]] = process_label(pids[0])
                os.kill(pids[0], signal.SIGKILL)
        return "".join(said), [*labels.values(), file_label(image)], process.wait(60)

    (said, labels, status), denied = denials(do)
    assert len(labels) == 3
    assert status == 0 and said.count("cdrom: sha256") == 20 and "cdrom: holds hello" in said, said
    assert [line for line in denied if 'comm="python3"' not in line] == []
    assert all(label.startswith(f"{WHO}:bulkhead_cdrom_t:") for label in labels[:2])
    assert labels[2].endswith(":bulkhead_shared_t:s0")


WIRES = ("ip link set lo up && "
         "ip tuntap add tap0 mode tap multi_queue && ip addr add 10.9.1.1/24 dev tap0 && ip link set tap0 up && "
         "ip link add bridge0 type bridge && ip addr add 10.9.2.1/24 dev bridge0 && ip link set bridge0 up && "
         "ip link add wire0 type veth peer name wire1 && ip link set wire0 up && "
         "ip addr add 10.9.3.1/24 dev wire1 && ip link set wire1 up && "
         "ip tuntap add tap1 mode tap multi_queue && ip addr add 10.9.4.1/24 dev tap1 && ip link set tap1 up")
CARDS = ["tap=tap0,queues=2", "bridge=bridge0,ip=10.9.2.2", "macvtap=wire0,ip=10.9.3.2", "tap=tap1,queues=2,vhost=on"]


def test_no_denial_of_taps(place):
    """A Debian guest's cards on the host's interfaces, also those whose processes take the place of others: each is in its
    domain, and has what it was given of the host's kernel."""
    words = [*debian_words(place, f"cards bh.cards={len(CARDS)} bh.loops=3"), "--console", "raw", "--cpus", "2",
             "--allow", "virtio-net,vhost-net"]
    for card in CARDS:
        words += ["--net", card]

    def do():
        subprocess.run(WIRES, shell=True, check=True)
        process, said, labels = place.start(*words), [], []
        for line in process.stdout:
            said.append(line)
            if "cards: round 1" in line:
                killed = [pid for pid, exe in place.processes() if exe.endswith(("/dev-net", "/dev-vhost-net"))]
                labels = sorted(process_label(pid).rsplit(":", 2)[0] for pid in killed)
                for pid in killed:
                    os.kill(pid, signal.SIGKILL)
        return "".join(said), labels, process.wait(60), process.stderr.read()

    (said, labels, status, err), denied = denials(lambda: tap.apart(do))
    assert status == 0 and "cards: round 3" in said, (said, err)
    assert err.count("was killed by signal KILL (9)") == len(CARDS), err
    assert [line for line in denied if 'comm="python3"' not in line] == []
    assert labels == [f"{WHO}:bulkhead_net_t"] * 3 + [f"{WHO}:bulkhead_vhost_t"]


@pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")
def test_no_denial_of_the_users_network(place):
    """A Debian guest uses all of it: both versions of IP, names, pings, and a port of the host's. Its passt
    and its relay have domains with the VM's categories, and so has the passt of a card that is attached."""
    words = [*debian_words(place, f"user bh.server={user_network.SERVER} bh.foreign=127.0.0.1 bh.index={user_network.NAME} "
                           "bh.back=off bh.listen=tcp"), "--console", "raw", "--net", "user,mtu=1400,publish=8007:7"]

    def labels_of(names):
        return {name: process_label(pid) for pid, name in comms() if name in names}

    def attach():
        said = [place.call(*run_words(place, "hotplug"), "--name", "n", "--detach"), place.call("attach", "n", "net", "user")]
        return said + [labels_of(NETWORK), place.call("detach", "n", "net-1"), place.call("stop", "n")]

    def greets():
        """Until the guest has said that it heard it: its listener may not be there yet."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 8007), timeout=10) as s:
            s.sendall(b"hi\n")
            return s.recv(100) == b"hello\n"
        return False

    def run():
        process, said, labels = place.start(*words), [], {}
        for line in process.stdout:
            said.append(line)
            if "user leased" in line:
                labels = labels_of(NETWORK)
            if "user listens" in line:
                wait.until(greets, "the guest answers")
        return "".join(said), labels, process.wait(60), process.stderr.read()

    def do():
        user_network.make(version6=True)
        user_network.resolve_by(user_network.SERVER, place.dir)
        label_file("/etc/resolv.conf", "system_u:object_r:net_conf_t:s0")
        with user_network.Servers(dns=user_network.SERVER):
            return attach(), run()

    (attached, (said, labels, status, err)), denied = denials(lambda: tap.apart(do))
    assert status == 0 and "test user status 0" in said, (said, err)
    assert [one for one in denied if 'comm="python3"' not in one] == []
    assert [one for one in attached if isinstance(one, tuple) and one[0]] == []
    for found in attached[2], labels:
        assert {name: label.split(":", 3)[2] for name, label in found.items()} == NETWORK
        assert len(set(map(level_of, found.values()))) == 1 and re.fullmatch(r"s0:c\d+,c\d+", level_of(found["passt"]))


def test_no_denial_of_a_segment(place):
    """Two VMs on it, one more that comes too late, and what it has counted: with a pair of categories that no VM has."""
    def words(number):
        return [*run_words(place, "hotplug"), "--name", f"s{number}", "--detach", "--allow", "net-switch",
                "--net", f"switch=lab,mac=52:54:00:00:00:0{number}"]

    def do():
        said = [place.call(*words(n)) for n in (1, 2)]
        said += [place.call("attach", "s2", "net", "switch=lab,mac=52:54:00:00:00:03"), place.call("segment", "lab")]
        labels = {}
        for pid, name in comms():
            if name in ("switch-keeper", "net-switch", "vmm"):
                labels.setdefault(name, set()).add(process_label(pid))
        said += [place.call("stop", f"s{n}") for n in (1, 2)]
        wait.until(lambda: not [name for _, name in comms() if name in ("switch-keeper", "net-switch")], "the segment ends")
        return said, labels

    (said, labels), denied = denials(do)
    assert [one for one in said if one[0]] == [] and said[3][1].count("port ") == 3, said
    assert [line for line in denied if 'comm="python3"' not in line] == []
    [keeper], [switch] = labels["switch-keeper"], labels["net-switch"]
    level = level_of(switch)
    assert re.fullmatch(r"s0:c\d+,c\d+", level) and level not in map(level_of, labels["vmm"])
    assert [keeper, switch] == [f"{WHO}:bulkhead_switchkeeper_t:{level}", f"{WHO}:bulkhead_switch_t:{level}"]


def test_no_denial_of_what_a_guest_reaches(place):
    """A Debian guest calls a program of the host, in its user's domain, as the dialer is that connects them."""
    folder = place.runtime / "bulkhead"
    folder.mkdir(mode=0o700, exist_ok=True)
    words = [*debian_words(place, "vsock-out"), "--name", "w", "--detach", "--vsock", "on", "--vsock-connect", "80",
             "--allow", "virtio-vsock"]

    def do():
        others = place.processes()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "w+vsock_80"))
            listener.listen(8)
            listener.settimeout(240)
            code, _, err = place.call(*words)
            assert code == 0, err
            [dialer] = [pid for pid, exe in place.processes() if exe.endswith("/dialer")]
            label, sizes = process_label(dialer), []
            for _ in range(2):
                with listener.accept()[0] as sock:
                    sizes.append(0)
                    while data := sock.recv(65536):
                        sizes[-1] += len(data)
                        sock.sendall(data)
            wait.until(lambda: place.processes() == others, "the VM has ended")
        os.unlink(folder / "w+vsock_80")
        return label, sizes

    (label, sizes), denied = denials(do)
    assert sizes == [65536, 65536]
    assert [line for line in denied if 'comm="python3"' not in line] == []
    assert label.startswith(f"{WHO}:unconfined_t:")


@pytest.mark.skipif(not shutil.which("swtpm"), reason="no swtpm: tools/deps check")
def test_no_denial_of_a_tpm(place):
    """A Debian guest's: its registers' process and swtpm are in domains of their own, and its state has the VM's label, the second
    time with another VM's."""
    state = place.dir / "tpm-state"
    words = ["run", "--accel", "kvm", "--kernel", place.file("vmlinuz", (GUEST / "vmlinuz").read_bytes()),
             "--initrd", place.file("initrd", (GUEST / "initrd.cpio.gz").read_bytes()), "--memory", "256M", "--net", "none",
             "--cmdline", "console=ttyS0 quiet cryptomgr.notests=1 panic=-1 bh.test=tpm", "--allow", "tpm", "--tpm", f"state={state}"]
    held = [f"{w} bh.tpm=hold" if str(w).endswith("bh.test=tpm") else w for w in words]

    def swtpm():
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii") == "swtpm\n":
                    return process_label(pid)
        return ""

    def do():
        code, _, err = place.call(*held, "--name", "t", "--detach")
        assert code == 0, err
        labels = [swtpm(), process_label(next(p for p, exe in place.processes() if exe.endswith("/dev-tpm")))]
        files = {file_label(path) for path in [state, *state.iterdir()]}
        assert place.call("stop", "--now", "t")[0] == 0
        return labels, files, place.call(*words)

    (labels, files, (code, out, err)), denied = denials(do)
    assert code == 0 and "extend 80020000001300000000" in out, (out, err)
    assert [line for line in denied if 'comm="python3"' not in line] == []
    level = level_of(labels[0])
    assert labels == [f"{WHO}:bulkhead_swtpm_t:{level}", f"{WHO}:bulkhead_tpm_t:{level}"]
    assert files == {f"unconfined_u:object_r:bulkhead_keys_t:{level}"}
    assert level_of(file_label(state)) != level


@pytest.mark.skipif(not shutil.which("swtpm"), reason="no swtpm: tools/deps check")
def test_an_intruder_in_swtpm_gains_nothing(build, place, machines):
    """It has nothing of its VM, of another or of the host, but what it may read where its root shows it."""
    level = level_of(process_label(machines["a"]["vmm"]))
    tried = intrude(build, place, machines, f"{WHO}:bulkhead_swtpm_t:{level}", "file_t")
    assert {name for name, how in tried.items() if how in ("ok", "absent")} == {"open_file"}


@pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")
@pytest.mark.usefixtures("other_tap")
@pytest.mark.parametrize("domain, type_, gains", [
    ("passt", "bin_t", {"open_device", "socket_tcp", "socket_udp6", "socket_netlink"}), ("passtguard", "bulkhead_exec_t", set())])
def test_an_intruder_in_passt_has_a_network_alone(build, place, machines, domain, type_, gains):
    level = level_of(process_label(machines["a"]["vmm"]))
    tried = intrude(build, place, machines, f"{WHO}:bulkhead_{domain}_t:{level}", type_)
    assert len(tried) > 40 and {name for name, how in tried.items() if how in ("ok", "absent")} == gains


def await_end(level):
    """Of all that has the level."""
    wait.until(lambda: level not in map(level_of, policy.all_labels()), f"nothing has {level}")


def test_killed_machine_leaves_its_disk_usable(place):
    """The label stays, and the next run gives another."""
    place.file("work.raw", bytes(1 << 20))
    words = [*run_words(place, "powerbutton", "work.raw"), "--name", "d", "--detach"]
    assert place.call(*words)[0] == 0
    first = file_label(place.dir / "work.raw")
    for pid, exe in place.processes():
        if exe.endswith("/supervisor") and level_of(process_label(pid)) == level_of(first):
            os.kill(pid, signal.SIGKILL)
    await_end(level_of(first))
    assert file_label(place.dir / "work.raw") == first
    assert place.call(*words)[0] == 0
    assert file_label(place.dir / "work.raw") != first
    assert place.call("stop", "d")[0] == 0


# ---- an intruder ----

@pytest.fixture(scope="module")
def other_tap():
    """Whose name an intruder knows."""
    subprocess.run("ip tuntap add intruder0 mode tap", shell=True, check=True)
    yield
    subprocess.run("ip tuntap del intruder0 mode tap", shell=True, check=True)


def fd_of(pid, number):
    """A copy of that descriptor of a process: who may trace it may have it."""
    pidfd = os.pidfd_open(pid)
    fd = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, number, 0)  # pidfd_getfd
    os.close(pidfd)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    return fd


def intrude(build, place_, machines, label, type_="bulkhead_exec_t"):
    """What it could do, started from a file of that type: the tries by name."""
    program = place_.dir / f"intruder-{type_}"
    if not program.exists():
        place_.file(program.name, (build / "tests/selinux/intruder").read_bytes()).chmod(0o755)
        label_file(program, f"system_u:object_r:{type_}:s0")
    paths = [place_.dir / "a.raw", f"/proc/{machines['a']['vmm']}/fd/7",
             place_.dir / "b.raw", f"/proc/{machines['b']['vmm']}/fd/7"]
    fds = [os.open(path, os.O_RDWR) for path in paths]
    fds += [os.open(place_.dir / "cmd/dev-rng/dev-rng", os.O_RDONLY), tap.open_queue(False, tap.IFF_MULTI_QUEUE),
            os.open("/dev/net/tun", os.O_RDWR), os.open("/dev/vhost-net", os.O_RDWR),
            *(fd_of(machines[name]["dev-rng"], 3) for name in ("a", "b"))]

    def prepare():
        high = [os.dup2(fd, 100 + i) for i, fd in enumerate(fds)]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)
        os.closerange(100, 200)
        with open("/proc/self/attr/exec", "w", encoding="ascii") as f:
            f.write(label)

    done = subprocess.run([program, str(machines["b"]["dev-blk"])], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, preexec_fn=prepare, close_fds=False,
                          timeout=60, check=False)
    for fd in fds:
        os.close(fd)
    assert done.returncode == 0, done
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.usefixtures("other_tap")
def test_the_host_may_do_all_of_it(build, place, machines):
    """The tries are real: what no label forbids succeeds."""
    tried = intrude(build, place, machines, policy.HOST)
    assert {name: what for name, what in tried.items() if what not in ("ok", "absent")} == {}


@pytest.mark.usefixtures("other_tap")
@pytest.mark.parametrize("domain", ["switch", "switchkeeper"])
def test_an_intruder_in_a_segment_gains_nothing(build, place, machines, domain):
    """Its categories are those of no VM."""
    tried = intrude(build, place, machines, f"{WHO}:bulkhead_{domain}_t:s0:c1,c2")
    assert len(tried) > 40 and [name for name, how in tried.items() if how in ("ok", "absent")] == []


@pytest.mark.usefixtures("other_tap")
@pytest.mark.parametrize("name", CARD_DOMAINS)
def test_an_intruder_in_a_card_has_its_tap_alone(build, place, machines, name):
    """What it was handed of its own, and no other tap, nor the device by which one is had."""
    level = level_of(process_label(machines["a"]["vmm"]))
    tried = intrude(build, place, machines, f"{WHO}:{CARD_DOMAINS[name]}:{level}")
    assert {what for what, how in tried.items() if how in ("ok", "absent")} == OF_A_DEVICE | OF_A_CARD.get(name, set())


@pytest.mark.usefixtures("other_tap")
@pytest.mark.parametrize("name", vm.PROCESSES)
def test_an_intruder_gains_nothing(build, place, machines, name):
    label = process_label(machines["a"][name])
    tried, denied = denials(lambda: intrude(build, place, machines, label))
    assert len(tried) > 30 and len(denied) > 20
    gained = {what for what, how in tried.items() if how in ("ok", "absent")}
    assert gained == {own for own, names in OWN.items() if name in names}


def test_categories_alone_make_the_difference(build, place, machines):
    """The same domain with the other VM's pair has the other VM's disk, and no longer its own."""
    level = level_of(process_label(machines["b"]["vmm"]))
    tried = intrude(build, place, machines, f"{WHO}:bulkhead_blk_t:{level}")
    gained = {name for name, what in tried.items() if what == "ok"}
    assert gained == {"other_disk", "other_disk_write", "other_ram", "other_ram_map", "other_socket", "write_memfd"}


# ---- what cannot be labelled ----

def test_programs_without_label(build):
    place_ = make_place(build)
    label_file(place_.dir / "cmd/vmm/vmm", "system_u:object_r:file_t:s0")
    code, _, err = place_.call(*run_words(place_, "powerbutton"))
    place_.close()
    assert code == 1 and err.endswith(
        "vmm cannot be started: its executable: Permission denied: run restorecon on the programs\n")


def test_a_users_machine(build):
    """An ordinary user's own disk is labelled; another's is not his to label."""
    place_ = make_place(build, user=True)
    try:
        words = run_words(place_, "virtio-blk", "a.raw")
        code, _, err = place_.call(*words)
        assert code == 1
        assert "a.raw cannot be given the VM's SELinux label: its owner, in a domain" in err
        os.chown(place_.dir / "a.raw", 65534, 65534)
        (code, out, err), denied = denials(lambda: place_.call(*words))
        assert code == 0 and "ok write" in out, err
        assert denied == []
    finally:
        place_.close()


def test_a_user_to_whom_the_module_gives_nothing(place):
    """As without the module: no label is asked for, and it is said."""
    disk = place.file("plain.raw", b"\x5a" * (1 << 20))
    before = file_label(disk)

    def prepare():
        with open("/proc/self/attr/exec", "w", encoding="ascii") as f:
            f.write(policy.OTHER_HOST)

    words = place.command(*run_words(place, "virtio-blk", "plain.raw"), "--verbose")
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=prepare, timeout=60, check=False)
    assert done.returncode == 0 and "ok write" in done.stdout, done
    assert "labels (no module of Bulkhead's for this user in SELinux)" in done.stderr
    assert file_label(disk) == before
