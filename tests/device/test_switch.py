# SPDX-License-Identifier: Apache-2.0
"""Private segments of VMs: a net-switch among cards that intruders have, and VMs that join one, leave it, and are kept from
those of others."""

import os
import signal
import socket

import pytest

from bh import frames, net, process, segment, vm, wait
from bh.waiting import WaitingVM, place, quick  # pylint: disable=unused-import

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
FOREIGN = ["setpriv", "--reuid=64999", "--regid=64999", "--clear-groups"]


@pytest.fixture
def switch(build):
    s = segment.Switch(build)
    yield s
    s.kill()


def came(card, last):
    """What has come to a card up to that."""
    found = []
    while (frame := card.recv()) != last:
        found.append(frame)
    return found


# ---- who may say what ----

def test_nothing_that_is_spoofed_passes(switch):
    """Of a card whose addresses were said, and of one whose own are those that it used first."""
    for n, more in enumerate([(f"ip={frames.OWN}", f"ip={frames.OWN6}"), ()]):
        intruder = switch.join(0, *more, mac=net.MAC)
        router = switch.join(1, f"ip={frames.SERVER}", f"ip={frames.ROUTER6}", mac=frames.ROUTER_MAC)
        neighbour = switch.join(2, "ip=10.0.2.16", "ip=2001:db8:0:3::15")
        for what, frame in frames.SPOOFED.items():
            intruder.send(frame)
            assert came(router, intruder.say(b"the last one", router)) == [], what
        assert came(neighbour, intruder.say(b"the last one", neighbour)) == []
        for card in intruder, router, neighbour:
            card.close()
        wait.until(lambda n=n: len(switch.said(process.CTL_LOST)) == 3 * n + 3, "all have left")
        switch.cards.clear()
    assert switch.alive


def test_an_address_is_of_who_used_it_first(switch):
    a, b, c = (switch.join(n) for n in range(3))
    assert a.say(b"mine", b) == b.recv()
    for n in range(2000):  # none of which costs anybody his
        c.say(b"", b, from_address=f"10.1.{n >> 8}.{n & 255}")
        b.recv()
    c.say(b"mine", b)
    assert came(b, a.say(b"the last one", b)) == []
    a.close()
    wait.until(lambda: switch.said(process.CTL_LOST), "it has left")
    assert c.say(b"mine", b) == b.recv()


def test_isolated(switch):
    shared, one, other = switch.join(0), switch.join(1, "isolated=on"), switch.join(2, "isolated=on")
    addresses = {one: "10.0.2.1", other: "10.0.2.2", shared: "10.0.2.3"}
    for card in one, other:
        card.say(b"to one", one if card is other else other, from_address=addresses[card])
        everybody = card.say(b"to all", None, from_address=addresses[card])
        assert came(shared, everybody) == []
    for card in one, other:
        assert came(card, shared.say(b"to one", card, from_address=addresses[shared])) == []


def test_to_nobody_goes_nowhere(switch):
    a, b, c = (switch.join(n) for n in range(3))
    a.send(frames.udp(from_mac=a.mac, to_mac=segment.mac_of(77)))
    for card in b, c:
        assert came(card, a.say(b"the last one", card)) == []


# ---- floods, and what is no frame ----

def test_who_does_not_read_loses_frames_alone(switch):
    sender, reader, deaf = (switch.join(n) for n in range(3))
    sent = []
    for n in range(300):
        sent += [sender.say(bytes([n & 255]) * 1400 + bytes([i]), deaf) for i in range(10)]
        assert sender.say(bytes([n & 255]) * 100, reader) == reader.recv()
    found = deaf.drain()
    assert 100 < len(found) < len(sent)
    left = iter(sent)
    assert all(frame in left for frame in found)  # whole, and in order


def test_a_flood_to_everybody_is_bounded(switch):
    """Its rate is tested without a clock in unit/test_net_switch.c; here, that what else is said passes beside it."""
    loud, quiet, listener = (switch.join(n) for n in range(3))
    for n in range(20):
        for _ in range(500):
            loud.say(b"hear me", None, from_address="10.0.2.1")
        everybody = quiet.say(bytes([n]), None, from_address="10.0.2.2")
        assert all(frame[6:12] == loud.mac for frame in came(listener, everybody))
        quiet.drain()
    assert switch.private_bytes() < 64 << 20


@pytest.mark.parametrize("data", [b"\xff" * 8, b"\0\1\0\x12" + bytes(100), b"\0\0"], ids=["no length", "too long", "hung up"])
def test_who_breaks_the_stream_has_left(switch, data):
    a, b, c = (switch.join(n) for n in range(3))
    n_fds = switch.n_fds()
    a.sock.sendall(data)
    if len(data) < 4:
        a.close()
    wait.until(lambda: switch.said(process.CTL_LOST), "it has left")
    assert [m.number for m in switch.said(process.CTL_LOST)] == [0]
    assert switch.n_fds() == n_fds - 1
    assert b.say(b"still here", c) == c.recv()
    again = switch.join(0)
    assert again.say(b"back", b, from_address="10.0.2.9") == b.recv()
    assert again.drain() == []  # nothing of before
    switch.assert_idle()


def test_what_was_dropped(switch):
    """And the switch says nothing of it by itself, however much it is."""
    loud, other = switch.join(0), switch.join(1, "isolated=on")
    for _ in range(500):
        loud.send(frames.udp(from_mac=segment.mac_of(9), to_mac=other.mac))
        loud.send(frames.udp(from_mac=loud.mac, to_mac=segment.mac_of(9)))
    assert came(other, loud.say(b"the last one", other)) == []
    assert not switch.said(process.CTL_LOG)
    assert switch.counts() == [f"port 0 {segment.say(loud.mac, 'isolated=off')}: 1 passed, 1000 dropped: mac 500, nobody 500",
                               f"port 1 {segment.say(other.mac, 'isolated=on')}: 0 passed, 0 dropped"]


def test_small_frames(switch):
    a, b = switch.join(0), switch.join(1)
    for length in range(14):
        a.send(bytes(length))
    assert came(b, a.say(b"the last one", b)) == []


def test_all_ports(switch):
    cards = [switch.join(n) for n in range(segment.PORTS_MAX)]
    everybody = cards[0].say(b"all", None)
    for card in cards[1:]:
        assert card.recv() == everybody
    assert cards[63].say(b"one", cards[31], from_address="10.0.2.63") == cards[31].recv()


@pytest.mark.parametrize("port,text", [(64, "mac=52:54:00:00:00:01"), (1 << 31, "mac=52:54:00:00:00:01"), (0, "mac=52:54:00:00:00:01"),
                                       (1, ""), (1, "mac=52:54:00:00:00:01,isolated=maybe"), (1, "x" * 400)])
def test_what_no_keeper_says(build, port, text):
    switch = segment.Switch(build)
    switch.join(0)
    card = segment.Card(net.MAC)
    switch.plug(port, text, card.theirs.fileno())
    switch.assert_clean_end(1)
    switch.close()
    card.theirs.close()
    card.close()


def test_it_ends_with_its_keeper(build):
    switch = segment.Switch(build)
    card = switch.join(0)
    switch.kill()
    assert card.sock.fileno() < 0


# ---- VMs ----

def pids_of(place_, name):
    return [pid for pid, exe in place_.processes() if exe.endswith(f"/{name}")]


class Guest(WaitingVM):
    """Its guest works the cards that come (tests/guest/hotplug.c)."""

    def __init__(self, place_, build, name, *flags):
        super().__init__(place_, build, name, "hotplug", "cards", ("--allow", "virtio-net,net-switch", *flags))

    def attach(self, *more):
        return self.place.call("attach", self.name, "net", ",".join(("switch=lab", *more)))

    def join(self, mac, *more):
        code, out, err = self.attach(f"mac={mac.hex(':')}", *more)
        assert code == 0 and not err, out + err
        return self

    def detach(self, card, mac):
        """The guest, which looks at nothing else meanwhile, is told first that no frame follows."""
        tell(card, mac, b"")
        self.wait_for("the card works")
        assert self.place.call("detach", self.name, "net-1") == (0, "", "")


def tell(card, mac, frame):
    """The guest is to send that."""
    card.send(frames.udp(frames.OWN, from_address=frames.SERVER, from_mac=card.mac, to_mac=mac, data=frame))


@root
def test_vms_meet(place, build):
    """A VM starts the switch, a second one is heard by it; the same MAC address, and other users, are refused; with the last
    one the switch ends, and comes with the next."""
    one = Guest(place, build, "switch-one").join(net.MAC)
    two = Guest(place, build, "switch-two").join(net.OTHER)
    assert len(pids_of(place, "net-switch")) == 1
    card = segment.Card(segment.mac_of(1))
    assert segment.ask(place, "lab", card, "ip=10.0.2.2") == (segment.DONE, "")
    inner = frames.udp("10.0.2.99", data=b"from one to two", from_mac=net.MAC, to_mac=net.OTHER)
    from_two = frames.udp(frames.SERVER, data=inner, from_address="10.0.2.77", from_mac=net.OTHER, to_mac=card.mac)
    tell(card, net.OTHER, from_two)  # two says so to the card
    assert card.recv() == from_two
    outer = frames.udp("10.0.2.77", from_address=frames.OWN, from_mac=net.MAC, to_mac=net.OTHER, data=from_two)
    tell(card, net.MAC, outer)  # one says so to two, which says so to the card
    assert card.recv() == from_two
    code, _, err = two.attach(f"mac={net.MAC.hex(':')}")
    assert code == 1 and err == ("bulkhead: net: switch=lab: another card there has the MAC address "
                                 f"{net.MAC.hex(':')}: say another one by mac=\n"), err
    code, _, err = two.attach()
    assert code == 1 and "say mac=" in err and err.count("\n") == 1, err
    other = segment.Card(segment.mac_of(2))
    number, _ = segment.ask(place, "lab", other, become=FOREIGN if place.uid == 0 else [])
    assert number in (-1, 0), number  # who cannot even come there, or is hung up on
    other.close()
    one.detach(card, net.MAC)
    two.detach(card, net.OTHER)
    assert len(pids_of(place, "net-switch")) == 1
    card.close()
    wait.until(lambda: not pids_of(place, "net-switch"), "it has ended")
    one.join(net.MAC)
    assert len(pids_of(place, "net-switch")) == 1
    card = segment.Card(segment.mac_of(1))
    assert segment.ask(place, "lab", card) == (segment.DONE, "")
    one.detach(card, net.MAC)
    card.close()
    one.stop()
    two.stop()
    wait.until(lambda: not place.processes(), "nothing is left")


def begin(place_, build, name, *more):
    """A VM with a card on the segment, which does nothing with it."""
    kernel = place_.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    return place_.start("run", "--kernel", kernel, "--memory", "64M", "--name", name, "--net", ",".join(("switch=lab", *more)),
                        "--allow", "virtio-net,net-switch")


def wait_for_vm(place_, name):
    wait.until(lambda: f"{name} " in place_.call("ps")[1] and " running " in place_.call("ps")[1], f"{name} runs")


def end(place_, name, process_):
    assert place_.call("stop", "--now", name)[0] == 0
    return process_.communicate(timeout=wait.HANG_S)[1]


@root
def test_what_a_keeper_refuses(quick, build):
    one = begin(quick, build, "switch-one", f"mac={net.MAC.hex(':')}", "ip=10.0.2.1")
    wait_for_vm(quick, "switch-one")
    for more, text, why in (("ip=10.0.2.1",), None, "another card there has ip=10.0.2.1"), ((), "mac=1", "no card"), (
            (), "mac=52:54:00:00:00:01,vlan=1", "no card"):
        card = segment.Card(segment.mac_of(1))
        number, said = segment.ask(quick, "lab", card, *more, text=text)
        assert number == segment.REFUSED and why in said
        card.close()
    host = segment.Card(segment.mac_of(1))
    host.theirs.close()
    host.theirs = socket.socket()  # of the host's network
    assert segment.ask(quick, "lab", host)[0] == segment.REFUSED
    host.close()
    cards = [segment.Card(segment.mac_of(n)) for n in range(segment.PORTS_MAX)]
    answers = [segment.ask(quick, "lab", card) for card in cards]
    assert [number for number, _ in answers] == [segment.DONE] * (segment.PORTS_MAX - 1) + [segment.REFUSED]
    assert "64 cards already" in answers[-1][1]
    for card in cards:
        card.close()
    end(quick, "switch-one", one)
    wait.until(lambda: not quick.processes(), "nothing is left")


@root
def test_a_switch_that_is_killed(quick, build):
    """Its cards have no network any more, and their VMs run on; the next one that joins has a new one."""
    one = begin(quick, build, "switch-one")
    wait_for_vm(quick, "switch-one")
    card = segment.Card(net.MAC)
    assert segment.ask(quick, "lab", card)[0] == segment.DONE
    (killed,) = pids_of(quick, "net-switch")
    os.kill(killed, signal.SIGKILL)
    assert card.sock.recv(1) == b""
    card.close()
    wait.until(lambda: not pids_of(quick, "net-switch"), "it has ended")
    two = begin(quick, build, "switch-two")
    wait.until(lambda: pids_of(quick, "net-switch"), "another one")
    card = segment.Card(net.MAC)
    assert segment.ask(quick, "lab", card)[0] == segment.DONE
    card.close()
    wait.until(lambda: quick.call("ps")[1].count(" running ") == 2, "both run")
    assert "its network's other end has gone" in end(quick, "switch-one", one)
    assert "has gone" not in end(quick, "switch-two", two)
    wait.until(lambda: not quick.processes(), "nothing is left")


@root
def test_a_switch_that_dies_as_a_card_joins(quick, build):
    """One that is stopped takes the message of its port, and does not read it, as one does that is just being killed: who asks is
    told nothing then, so that it asks the next one."""
    one = begin(quick, build, "switch-one")
    wait_for_vm(quick, "switch-one")
    (pid,) = pids_of(quick, "net-switch")
    os.kill(pid, signal.SIGSTOP)
    first, second = segment.Card(net.MAC), segment.Card(net.OTHER)
    asker = segment.Asker(quick, "lab", first)
    assert segment.ask(quick, "lab", second, text="mac=1")[0] == segment.REFUSED  # it is heard after that one
    assert not asker.is_answered()
    os.kill(pid, signal.SIGKILL)
    assert asker.answer() == (0, "")
    first.close()
    second.close()
    end(quick, "switch-one", one)
    wait.until(lambda: not quick.processes(), "nothing is left")


@root
def test_counts_are_shown(quick, build):
    """To whoever asks; and nobody waits for a switch that has died."""
    assert quick.call("segment", "lab") == (1, "", "bulkhead: segment: no VM of yours is on switch=lab\n")
    assert quick.call("segment", "a/b")[0] == quick.call("segment")[0] == 2
    one = begin(quick, build, "switch-one", f"mac={net.MAC.hex(':')}")
    wait_for_vm(quick, "switch-one")
    cards = [segment.Card(segment.mac_of(n)) for n in range(1, segment.PORTS_MAX)]
    for card in cards:
        assert segment.ask(quick, "lab", card)[0] == segment.DONE
    code, out, err = quick.call("segment", "lab")
    assert code == 0 and not err
    assert out.splitlines()[1:] == [f"port {n} {segment.say(card.mac, 'isolated=off')}: 0 passed, 0 dropped" for n, card in enumerate(cards, 1)]
    (pid,) = pids_of(quick, "net-switch")
    os.kill(pid, signal.SIGSTOP)
    first = quick.start("segment", "lab")
    os.kill(pid, signal.SIGKILL)
    assert first.communicate(timeout=wait.HANG_S)[0] == "" and first.returncode != 0
    for card in cards:
        card.close()
    end(quick, "switch-one", one)
    wait.until(lambda: not quick.processes(), "nothing is left")


@root
def test_vms_that_start_at_once(quick, build):
    kernel = quick.file("guest.elf", (build / "tests/guest/powerbutton.elf").read_bytes())
    started = [quick.start("run", "--kernel", kernel, "--memory", "64M", "--name", f"switch-{n}", "--detach",
                           "--net", "switch=lab", "--allow", "virtio-net,net-switch") for n in range(4)]
    for process_ in started:
        _, err = process_.communicate(timeout=wait.HANG_S * 5)
        assert process_.returncode == 0 and vm.without_host(err) == "", err
    assert len(pids_of(quick, "net-switch")) == 1
    for n in range(4):
        assert quick.call("stop", "--now", f"switch-{n}")[0] == 0
    wait.until(lambda: not quick.processes(), "nothing is left")


@root
@pytest.mark.parametrize("value,why", [("switch=a/b", "a name has letters"), ("switch=.a", "a name has letters"),
                                       ("switch=" + "a" * 65, "1 to 64 bytes")])
def test_names_that_are_none(quick, value, why):
    code, _, err = quick.run("", "--net", value, "--allow", "virtio-net,net-switch")
    assert code in (1, 2) and why in err and err.count("\n") == 1, err
