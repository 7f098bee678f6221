# SPDX-License-Identifier: Apache-2.0
"""The network of a VM of which nobody said any: the user's, where passt is there and starts; else none, and one line."""

import ctypes
import json
import os
import re
import shutil
import signal
import subprocess

import pytest

from bh import tap, vm, wait

CLONE_NEWNS = 0x20000
NETWORK = ("ip link set lo up && ip tuntap add v0 mode tap && ip addr add 10.9.0.1/24 dev v0 && ip link set v0 up && "
           "ip route add default via 10.9.0.254")
CARD = {"dev-net", "net-relay"}

pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="networks and file systems of its own take root"),
              pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")]


@pytest.fixture(scope="module", params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param, real=True)
    place_.default_net = True
    place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    yield place_
    assert place_.end() == []


def passts():
    """Those of this thread's network."""
    own, found = os.stat("/proc/thread-self/ns/net").st_ino, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith("/usr/bin/passt") and os.stat(f"/proc/{pid}/ns/net").st_ino == own:
                found.append(int(pid))
        except OSError:
            pass
    return found


def start(place, name, *words):
    code, out, err = place.call("run", "--accel", "soft", "--kernel", place.dir / "guest.elf", "--memory", "64M",
                                "--name", name, "--detach", *words)
    assert (code, out) == (0, f"{name}\n"), err
    return err


def stop(place, *names):
    for name in names:
        assert place.call("stop", name)[0] == 0
    place.wait_until_empty()
    wait.until(lambda: not passts(), "each passt ends with its VM")


def cards(place):
    return [os.path.basename(exe) for _, exe in place.processes() if os.path.basename(exe) in CARD]


def with_network(body):
    def run():
        subprocess.run(NETWORK, shell=True, check=True)
        return body()

    return tap.apart(run)


def hide_passt():
    if ctypes.CDLL(None).unshare(CLONE_NEWNS):
        raise OSError("unshare")
    subprocess.run("mount --make-rprivate / && mount --bind /dev/null /usr/bin/passt", shell=True, check=True)


def test_where_nothing_is_said(place):
    """Without a word about it. It runs with its user's rights, and of the VM's processes none has its network."""
    def body():
        assert start(place, "d") == ""
        assert set(cards(place)) == CARD
        [pid] = passts()
        assert os.stat(f"/proc/{pid}").st_uid == (place.uid or 65534)
        own = os.readlink("/proc/thread-self/ns/net")
        jailed = [p for p, exe in place.processes() if os.path.basename(exe) not in ("supervisor", "launcher", "bulkhead")]
        assert len(jailed) == 5 and own not in {os.readlink(f"/proc/{p}/ns/net") for p in jailed}
        done = place.call("audit", "--json", "d")
        assert done[0] == 0, done
        stop(place, "d")

    with_network(body)


def test_none_is_none(place):
    def body():
        for words in (["--net", "none"], ["--config", place.file("none.conf", b"net = none\n")]):
            assert start(place, "n", *words) == ""
            assert cards(place) == [] and passts() == []
            stop(place, "n")

    with_network(body)


def test_two_at_once(place):
    """A passt each, with an address of the guest's own MAC address; one VM's end is not the other's."""
    def body():
        start(place, "a")
        start(place, "b")
        assert sorted(cards(place)) == sorted([*CARD, *CARD]) and len(passts()) == 2
        relays = [p for p, exe in place.processes() if exe.endswith("/net-relay")]
        words = [open(f"/proc/{p}/cmdline", encoding="ascii").read() for p in relays]
        assert len({re.search("--mac=([0-9a-f:]*)", w).group(1) for w in words}) == 2
        assert all("--public=on" in w for w in words), words
        assert place.call("stop", "a")[0] == 0
        wait.until(lambda: len(passts()) == 1, "one passt ends")
        assert set(cards(place)) == CARD
        stop(place, "b")

    with_network(body)


def test_output_into_a_pipe(place):
    """Its reader sees the end once the VM has ended: no passt has the pipe."""
    def body():
        process = place.start("run", "--accel", "soft", "--kernel", place.dir / "guest.elf", "--memory", "64M", "--name", "p",
                              "--console", "raw")
        process.stdout.readline()
        [pid] = passts()
        ends = {os.readlink(f"/proc/{process.pid}/fd/{n}") for n in (1, 2)}
        held = {os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        assert not ends & held
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=wait.HANG_S)[1].endswith(": the guest powered off\n")
        assert process.returncode == 0
        stop(place)

    with_network(body)


def test_without_passt(place):
    """One line that names the package; who asks for it is refused, by that line."""
    def body():
        hide_passt()
        missing = "passt is not installed: the package is passt"
        assert start(place, "w") == f"bulkhead: w: warning: no network: {missing} (--net none says that none is wanted)\n"
        assert cards(place) == [] and passts() == []
        stop(place, "w")
        assert start(place, "w", "--net", "none") == ""
        stop(place, "w")
        code, _, err = place.call("run", "--accel", "soft", "--kernel", place.dir / "guest.elf", "--net", "user")
        assert (code, err) == (1, f"bulkhead: --net: user: {missing}\n")
        said = place.call("explain", "--kernel", place.dir / "guest.elf")[1]
        assert re.search(rf"foreign network +none: {missing}", said)

    with_network(body)


def test_on_a_host_without_a_network(place):
    """As on one that is offline."""
    def body():
        err = start(place, "o")
        assert re.fullmatch(r"bulkhead: o: warning: no network: passt does not start: .*\n", err), err
        assert cards(place) == []
        stop(place, "o")

    tap.apart(body)


def test_explained(place):
    said = place.call("explain", "--kernel", place.dir / "guest.elf")[1]
    said = re.sub(r"\n {20}", " ", said)
    assert re.search(r"foreign network +as nothing else was said: passt.* public addresses alone", said), said
    assert re.search(r"^dev-net", said, re.M) and re.search(r"^net-relay", said, re.M)
    assert "foreign network" not in place.call("explain", "--kernel", place.dir / "guest.elf", "--net", "none")[1]


def test_its_name_servers(build, tmp_path):
    """A host whose own is on its loopback: those behind it, which the guest can reach."""
    def body():
        place_ = vm.Place(build, real=True)
        place_.default_net = True
        place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
        if ctypes.CDLL(None).unshare(CLONE_NEWNS):
            raise OSError("unshare")
        (tmp_path / "resolve").mkdir()
        (tmp_path / "resolv.conf").write_text("# a stub\nnameserver 127.0.0.53\nnameserver ::1\n", encoding="ascii")
        (tmp_path / "resolve/resolv.conf").write_text("nameserver 10.9.0.7\nsearch x\nnameserver 2001:db8::7\nnameserver\n",
                                                      encoding="ascii")
        subprocess.run(f"mount --make-rprivate / && mount -t tmpfs none /run && mkdir -p /run/systemd && "
                       f"cp -r {tmp_path}/resolve /run/systemd && mount --bind {tmp_path}/resolv.conf /etc/resolv.conf",
                       shell=True, check=True)
        try:
            start(place_, "r")
            [pid] = passts()
            words = open(f"/proc/{pid}/cmdline", encoding="ascii").read().split("\0")
            assert [words[i + 1] for i, w in enumerate(words) if w == "--dns"] == ["10.9.0.7", "2001:db8::7"]
            stop(place_, "r")
        finally:
            place_.end()

    with_network(body)


def test_a_json_audit_has_its_relay(place):
    def body():
        start(place, "j")
        audit = json.loads(place.call("audit", "--json", "j")[1])["audits"][0]
        assert CARD <= {p["name"] for p in audit["processes"]}
        stop(place, "j")

    with_network(body)
