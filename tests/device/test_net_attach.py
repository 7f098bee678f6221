# SPDX-License-Identifier: Apache-2.0
"""Network cards that are attached to a VM that runs, and detached: what the guest sends and receives by them, what holds
it to its addresses, and that nothing is left of them."""

import fcntl
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from bh import frames, net, tap, vm, wait
from bh.waiting import place, played, quick  # pylint: disable=unused-import
from test_attach import (ADD, ADD_FILE, END, NAME, PLUG, PLUGGED, REFUSED, UP, Guest, ask, attach, attached, client,  # noqa: F401
                         detach, finish, image, pids_of, restarts)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

ALLOW = ("--allow", "virtio-net,net-relay")
MAC = f"mac={net.MAC.hex(':')}"
GUARD = f"ip={frames.OWN},packets-out=100000,burst=10"  # of what the guest sends here nothing is held up
TIMES = 100 if "BULKHEAD_LONG" in os.environ else 5
NETWORK = ("ip link set lo up && ip link add v0 type veth peer name v1 && ip addr add 10.9.0.1/24 dev v0 && "
           "ip link set v0 up && ip link set v1 up && ip route add default via 10.9.0.254")


def start(place_, build, words="cards", *flags):
    return Guest(place_, build, words, *ALLOW, *flags)


def call_with(place_, fd, *words):
    """The command with that descriptor, of which it is said as {}."""
    process = place_.start(*[w.format(fd) for w in words], pass_fds=[fd])
    out, err = process.communicate(timeout=60)
    return process.returncode, out, vm.without_host(err)


class Card:
    """The n-th that is attached: the other end of its link."""

    def __init__(self, place_, *options, n=1):
        ours, theirs = socket.socketpair()
        self.peer, self.place, self.name = net.Peer(ours), place_, f"net-{n}"
        for _ in range(60):
            code, out, err = call_with(place_, theirs.fileno(), "attach", NAME, "net", ",".join(("fd={}", *options)))
            if "too often" not in err:
                break
            time.sleep(1)  # as it is told
        theirs.close()
        assert code == 0 and out.startswith(f"{self.name} at 0000:00:") and not err, err

    def guest_sends(self, frame):
        """The guest is told to."""
        self.peer.send(frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR, data=frame)))

    def works(self, n=3):
        for i in range(n):
            frame = frames.udp(data=bytes([i]) * 600)
            self.guest_sends(frame)
            assert self.peer.recv() == frame

    def end(self, guest):
        """The guest, which looks at nothing else meanwhile, goes on."""
        self.guest_sends(b"")
        guest.wait_for("the card works")

    def go(self):
        detach(self.place, self.name)
        assert self.peer.sock.recv(1) == b"", "somebody has the link still"
        self.peer.close()


def words_of(place_, program):
    return [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() for pid in pids_of(place_, program)]


def has(place_):
    """Each process, and how many descriptors it has."""
    return {(pid, exe): len(os.listdir(f"/proc/{pid}/fd")) for pid, exe in place_.processes()}


def memory(place_):
    """Of each process its own."""
    return {exe: re.search(r"VmData:.*", pathlib.Path(f"/proc/{pid}/status").read_text()).group(0)
            for pid, exe in place_.processes()}


# ---- it comes, works and goes ----

@pytest.mark.parametrize("options,programs", [((), ["dev-net"]), ((GUARD,), ["dev-net", "net-relay"])],
                         ids=["bare", "held to its address"])
def test_a_card_comes_and_goes(place, build, options, programs):
    """Whichever of its processes is killed comes back, and what is sent meanwhile arrives."""
    guest, n = start(place, build), 0
    before = has(place)
    for _ in range(2):
        card = Card(place, MAC, *options)
        guest.wait_for("its address ends with: 0x3456")
        assert attached(place) == ["net-1"] and len(place.processes()) == len(before) + len(programs)
        card.works()
        for program in programs * 2:
            n += 1
            os.kill(pids_of(place, program)[0], signal.SIGKILL)
            card.works()
            wait.until(lambda n=n: restarts(place) == n, "a restart")
        card.end(guest)
        card.go()
        assert attached(place) == []
    wait.until(lambda: has(place) == before, "nothing is left of them")
    said = guest.stop()
    assert said.count("was killed by signal KILL (9)") == said.count("started again") == n, said


@pytest.mark.parametrize("options", [(), (GUARD,)], ids=["bare", "held to its address"])
def test_again_and_again(quick, build, options):
    """BULKHEAD_LONG=1: 100 times. No process, descriptor or memory is left."""
    guest, first = start(quick, build), None
    before = has(quick)
    for _ in range(TIMES):
        card = Card(quick, MAC, *options)
        card.works(1)
        card.end(guest)
        card.go()
        first = first or memory(quick)
    wait.until(lambda: has(quick) == before, "no process or descriptor is left")
    assert memory(quick) == first
    guest.stop()


def test_what_is_spoofed_does_not_pass(quick, build):
    guest = start(quick, build)
    card = Card(quick, MAC, GUARD, f"ip={frames.OWN6}")
    right = [frames.tcp(), frames.udp(data=bytes(1000))]
    for frame in (*frames.SPOOFED.values(), *right):
        card.guest_sends(frame)
    assert [card.peer.recv() for _ in right] == right
    card.end(guest)
    card.go()
    assert "frames from the guest are dropped: an IP address that is not the VM's" in guest.stop()


@pytest.mark.parametrize("options", ["", "guard=on", "ip=10.0.2.15,ip=2001:db8::1", "restrict=on,allow=10.0.0.0/8:443",
                                     "packets-in=9,packets-out=8,bytes-in=7M,bytes-out=6M,burst=5", "link-local=on",
                                     "mtu=9000,speed=2500"])
def test_its_processes_are_told_what_those_of_a_start_are(played, options):
    """Of the same options, with an address of its own."""
    ends = socket.socketpair()
    said = f"fd={ends[1].fileno()}" + ("," + options if options else "")
    process = played.start("run", "--kernel", played.kernel, "--cmdline", f"{UP},{PLUG},{PLUGGED},power,{END}", "--name",
                           NAME, "--net", said, *ALLOW, pass_fds=[ends[1].fileno()])
    assert process.stdout.readline() == "the console\n", process.stderr.read()
    code, out, err = call_with(played, ends[1].fileno(), "attach", NAME, "net", said)
    assert code == 0 and out.startswith("net-2 at "), err
    macs = set()
    for program in ("dev-net", "net-relay"):
        words = words_of(played, program)
        assert len(words) in (0, 2) and (len(words) == 2 or program != "dev-net")
        macs.add(tuple(re.search(rb"--mac=([^\0]*)", w).group(1) for w in words) or None)
        assert len({re.sub(rb"--mac=[^\0]*", b"", w) for w in words}) <= 1, words
    macs.discard(None)
    assert len(macs) == 1 and len(set(macs.pop())) == 2, "an address of each, known to both of its processes"
    finish(process, played)
    for end in ends:
        end.close()


def test_the_audit_knows_them(quick, build):
    guest = start(quick, build, "")
    cards = [Card(quick), Card(quick, "guard=on", n=2)]
    code, out, err = quick.call("audit", NAME)
    assert "WEAKER" not in out and code == 0, out + err
    assert len(re.findall(r"^dev-net .*declared$", out, re.MULTILINE)) == 2, out
    assert len(re.findall(r"^net-relay .*declared$", out, re.MULTILINE)) == 1, out
    for card in cards:
        card.go()
    guest.stop()


@pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK), reason="no /dev/net/tun")
def test_a_tap(quick, build):
    """It is free again afterwards; the guest's frames come out of it, as does what it is sent."""
    def body():
        subprocess.run("ip tuntap add tap0 mode tap && ip link set tap0 up", shell=True, check=True)
        guest = start(quick, build)
        packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
        packets.bind(("tap0", 0x800))
        packets.settimeout(wait.HANG_S)
        for _ in range(2):
            assert attach(quick, "net", f"tap=tap0,{MAC}").startswith("net-1 at ")
            guest.wait_for("its address ends with: 0x3456")
            code, _, err = quick.call("attach", NAME, "net", "tap=tap0")
            assert code == 1 and err == "bulkhead: net: tap=tap0: another program or VM has it\n"
            code, _, err = quick.call("attach", NAME, "net", "tap=tap0,queues=2")
            assert code == 1 and err == ("bulkhead: net: a card with several queues is there from the VM's start: say "
                                         "queues=1 to attach one\n")
            frame = frames.udp(data=b"out of the tap")
            packets.send(frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR, data=frame)))
            while packets.recv(2000) != frame:
                pass
            code, out, err = quick.call("audit", NAME)
            assert "WEAKER" not in out and code == 0, out + err
            packets.send(frames.to_guest(frames.udp(frames.OWN, from_address=frames.FAR)))
            guest.wait_for("the card works")
            detach(quick, "net-1")
        packets.close()
        guest.stop()

    tap.apart(body)


def passts():
    """Those of this namespace, which is nobody else's."""
    own, found = os.stat("/proc/thread-self/ns/net").st_ino, []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe").startswith("/usr/bin/passt") and \
                    os.stat(f"/proc/{pid}/ns/net").st_ino == own:
                found.append(pid)
        except OSError:
            pass
    return found


@pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")
def test_the_users_network(quick, build):
    """A passt comes with it, and ends with it."""
    def body():
        subprocess.run(NETWORK, shell=True, check=True)
        guest = start(quick, build, "")
        before = has(quick)
        for i in range(2):
            assert attach(quick, "net", f"user,publish={8100 + i}:22").startswith("net-1 at ")
            assert len(passts()) == 1 and len(quick.processes()) == len(before) + 3  # its guard is one
            with socket.create_connection(("127.0.0.1", 8100 + i), timeout=wait.HANG_S):
                pass
            for program in ("dev-net", "net-relay"):
                os.kill(pids_of(quick, program)[0], signal.SIGKILL)
            wait.until(lambda i=i: restarts(quick) == 2 * i + 2, "both are back")
            assert len(passts()) == 1
            detach(quick, "net-1")
            wait.until(lambda: not passts(), "its passt ends")
        wait.until(lambda: has(quick) == before, "nothing is left of them")
        guest.stop()

    tap.apart(body)


@pytest.mark.skipif(not shutil.which("passt"), reason="no passt: tools/deps check")
def test_the_users_network_ends_with_its_vm(quick, build):
    """Though who started its passt has long ended, and that stands still."""
    def body():
        subprocess.run(NETWORK, shell=True, check=True)
        start(quick, build, "")
        assert attach(quick, "net", "user").startswith("net-1 at ")
        [pid] = passts()
        os.kill(int(pid), signal.SIGSTOP)
        for supervisor in pids_of(quick, "supervisor"):
            os.kill(supervisor, signal.SIGKILL)
        quick.wait_until_empty()
        wait.until(lambda: not passts(), "its passt ends")

    tap.apart(body)


# ---- what will not do: one line, and nothing is half-done ----

WRONG = {
    "no way": ((), 2, "attach: net: '' will not do: what it is joined to comes first and is never guessed: say default, user, fd=N"),
    "another way": (("wire",), 2, "is never guessed: say default, user, fd=N"),
    "none": (("none",), 2, "is never guessed: say default, user, fd=N"),
    "no name of a tap": (("tap=",), 2, "tap must be a name of 1 to 15 bytes"),
    "an option of none": (("user,colour=red",), 2, "a net has mac="),
    "a port of the user's network": (("fd={},publish=8022:22",), 2, "publish= is for the user's network"),
    "a guarded tap": (("tap=t0,guard=on",), 1, "is there from the VM's start: it cannot be attached"),
    "one for the kernel": (("tap=t0,vhost=on",), 1, "a card that dev-vhost-net serves is there from the VM's start"),
    "a bridge": (("bridge=br0",), 1, "bridge=br0: a card that the host's kernel holds to rules is there from"),
    "no such descriptor": (("fd=777",), 1, "net: fd=777: there is no such descriptor"),
    "one that this command opens": (("fd=3",), 1, "net: fd=3: there is no such descriptor"),
    "no stream": (("fd={}",), 1, "it is no connected UNIX stream socket"),
    "no such tap": (("tap=no-such-tap",), 1, "net: tap=no-such-tap: there is no such interface"),
    "served by another": (("vhost-user=/run/x",), 2, "a net that is attached has a process of ours: say its link"),
    "a wrong address": (("user,mac=1:2:3",), 2, "mac must be"),
}


def test_what_is_wrong_is_said_in_one_line(place, build):
    guest = start(place, build, "")
    before = has(place)
    ends = os.pipe()
    for fd in ends:
        os.set_inheritable(fd, True)
    high = fcntl.fcntl(ends[0], fcntl.F_DUPFD, 40)
    os.set_inheritable(high, True)
    for what, (words, status, line) in WRONG.items():
        code, out, err = call_with(place, high, "attach", NAME, "net", *words)
        assert code == status and out == "" and line in err and err.count("\n") == 1, (what, code, err)
    code, _, err = place.call("attach", "no-such-vm", "net", "user")
    assert code == 1 and "no VM of yours is named" in err
    wait.until(lambda: has(place) == before, "nothing is left of them")
    assert attached(place) == []
    for fd in (*ends, high):
        os.close(fd)
    guest.stop()


def test_only_where_it_is_allowed(quick, build):
    guest = Guest(quick, build)
    code, _, err = quick.call("attach", NAME, "net", "switch=lonely,mac=52:54:00:00:00:07")
    assert code == 1 and "a VM takes it that was started with --allow net-switch" in err, err
    guest.stop()
    quick.wait_until_empty()  # nor is its switch there


def test_sixteen_are_the_most(played):
    pairs = [socket.socketpair() for _ in range(17)]
    nets = [f"--net=fd={theirs.fileno()}" for _, theirs in pairs[1:]]
    process = played.start("run", "--kernel", played.kernel, "--cmdline", f"{UP},power,{END}", "--name", NAME, *nets, *ALLOW,
                           pass_fds=[theirs.fileno() for _, theirs in pairs[1:]])
    assert process.stdout.readline() == "the console\n", process.stderr.read()
    before = played.processes()
    code, _, err = call_with(played, pairs[0][1].fileno(), "attach", NAME, "net", "fd={}")
    assert code == 1 and err == f"bulkhead: {NAME}: net: a VM has at most 16 nets\n"
    assert played.processes() == before
    finish(process, played)
    for end in (e for pair in pairs for e in pair):
        end.close()


def test_two_processes_each(quick, build):
    guest = start(quick, build, "")
    cards = [Card(quick, "guard=on", n=i + 1) for i in range(4)]
    ours, theirs = socket.socketpair()
    code, _, err = call_with(quick, theirs.fileno(), "attach", NAME, "net", "fd={},guard=on")
    assert code == 1 and "this net has two processes" in err and err.count("\n") == 1, err
    for end in (ours, theirs):
        end.close()
    for card in cards:
        card.go()
    guest.stop()


@pytest.mark.parametrize("what", ["net", "disk"])
def test_too_often_is_said_and_passes(quick, build, what):
    """As fast as can be, with two processes each, of which one may be refused and the other not."""
    guest, said = start(quick, build, ""), set()
    data, (ours, theirs) = image(quick), socket.socketpair()
    for _ in range(24):
        words = (f"{data},format=raw,parser=apart",) if what == "disk" else ("fd={},guard=on",)
        code, _, err = call_with(quick, theirs.fileno(), "attach", NAME, what, *words)
        assert code == 0 or "too often lately: try again in a second" in err, err
        said.add(code)
        if code == 0:
            detach(quick, f"{what}-1")
    assert 0 in said and len(pids_of(quick, "launcher")) == 1
    time.sleep(1.1)  # as it is told
    code, _, err = call_with(quick, theirs.fileno(), "attach", NAME, what, *words)
    assert code == 0 or "too often" in err, err
    for end in (ours, theirs):
        end.close()
    assert "launcher" not in guest.stop()


def test_requests_that_no_command_makes(client):  # noqa: F811
    """The launcher looks what has come; it and the VM go on."""
    played_, sock = client
    before = played_.processes()
    data = image(played_)
    both, ends, (ours, theirs) = os.open(data, os.O_RDWR), os.pipe(), socket.socketpair()
    for type_, text, fds, line in (
            (ADD, "net", (), "what it is joined to comes first"), (ADD, "net,fd=7", (), "not how it is attached"),
            (ADD, "net,user", (), "not how it is attached"), (ADD, "net,tap=t0", (), "not how it is attached"),
            (ADD_FILE, "net,colour=red", (theirs.fileno(),), "what it is joined to comes first"),
            (ADD_FILE, "net,fd=7", (both,), "is no stream socket or tap"),
            (ADD_FILE, "net,fd=7", (ends[0],), "is no stream socket or tap"),
            (ADD_FILE, "net,tap=t0", (theirs.fileno(),), "is no stream socket or tap"),
            (ADD_FILE, "net,tap=t0", (both,), "is no stream socket or tap"),
            (ADD_FILE, "net,user", (both,), "is no stream socket or tap"),
            (ADD_FILE, "net,fd=7,guard=on", (ends[0],), "is no stream socket or tap"),
            (ADD_FILE, "net,fd=7" + ",guard=on" * 40, (theirs.fileno(),), "its options are too long")):
        said, why = ask(sock, type_, text, *fds)
        assert said == REFUSED and line in why, (text, why)
    wait.until(lambda: played_.processes() == before, "nothing is left of them")
    assert attached(played_) == []
    type_, why = ask(sock, ADD_FILE, "net,fd=7,guard=on", theirs.fileno())
    assert type_ == 55, why
    for fd in (both, *ends):
        os.close(fd)
    ours.close()
    theirs.close()
