# SPDX-License-Identifier: Apache-2.0
"""bulkhead link: the real command, supervisor and launcher among played processes: a card hears what its user says,
also after it has died, and the vmm is told to look."""

import os
import signal
import socket
import struct

import pytest

from bh import vm, wait
from bh.waiting import played  # pylint: disable=unused-import

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

NAME = "link-test"
SCRIPT = "enter,ready,event:1,power,event:2"


class Cards:
    """A VM with two of them."""

    def __init__(self, place):
        self.place = place
        self.pairs = [socket.socketpair() for _ in range(2)]
        self.lines = open(place.dir / "said", "w+", encoding="utf-8")
        fds = [theirs.fileno() for _, theirs in self.pairs]
        self.process = place.start("run", "--kernel", place.kernel, "--cmdline", SCRIPT, "--name", NAME,
                                   *(word for fd in fds for word in ("--net", f"fd={fd}")), "--allow", "virtio-net",
                                   pass_fds=fds, stderr=self.lines)
        assert self.process.stdout.readline() == "the console\n", self.said()

    def link(self, *words):
        code, _, err = self.place.call("link", NAME, *words)
        return code, vm.without_host(err)

    def pids(self):
        return sorted(pid for pid, exe in self.place.processes() if exe.endswith("/dev-net"))

    def restarts(self):
        _, out, _ = self.place.call("ps")
        (line,) = [l for l in out.splitlines() if l.startswith(NAME)]
        return int(line.split()[6])

    def said(self):
        """Of links, by whom."""
        text = (self.place.dir / "said").read_text(encoding="utf-8")
        return [line.split(f"{NAME}: ")[1].replace("warning: ", "") for line in text.splitlines(keepends=True)
                if line.endswith("\n") and (": link " in line or "looks at" in line)]

    def await_lines(self, n):
        wait.until(lambda: len(self.said()) >= n, f"{n} lines of links")

    def kill(self, pid, more):
        """The process that comes after it, once so many lines more were said: a process that is there has not heard yet, and nobody
        has looked."""
        before, restarts, n = self.pids(), self.restarts(), len(self.said())
        os.kill(pid, signal.SIGKILL)
        wait.until(lambda: self.restarts() == restarts + 1 and len(self.pids()) == 2, "a restart")
        self.await_lines(n + more)
        (new,) = set(self.pids()) - set(before)
        return new

    def finish(self):
        """All that was said of links."""
        assert self.place.call("stop", NAME)[0] == 0
        assert self.process.wait(timeout=60) == 0, self.said()
        self.process.stdout.close()
        self.lines.close()
        for pair in self.pairs:
            for end in pair:
                end.close()
        return [line.rstrip("\n") for line in self.said()]


@pytest.fixture
def cards(played):
    return Cards(played)


def test_down_and_up(cards):
    assert cards.link("net-2", "down") == (0, "")
    assert cards.link("net-2", "up") == (0, "")
    assert cards.link("net-1", "up") == (0, "")
    said = cards.finish()
    assert [line for line in said if ": link " in line] == ["dev-net 2: link 0", "dev-net 2: link 1", "dev-net 1: link 1"]
    looks = [line for line in said if "looks at" in line]
    assert len(looks) == 3 and looks[0] == looks[1] != looks[2], looks


def test_a_card_that_dies_while_it_is_down(cards):
    assert cards.link("net-1", "down") == (0, "")
    cards.await_lines(2)  # its own, and the vmm's, which is told to look
    cards.kill(cards.kill(cards.pids()[0], 2), 2)
    assert cards.link("net-1", "up") == (0, "")
    said = [line for line in cards.finish() if "dev-net 1: link " in line]
    assert said == ["dev-net 1: link 0"] * 3 + ["dev-net 1: link 1"]


def test_a_card_that_dies_while_it_is_up_announces_itself(cards):
    cards.kill(cards.pids()[0], 3)
    said = cards.finish()
    assert said[0] == "dev-net 1: link 3"
    # its answer, and its guest's announcement
    assert len(said) == 3 and said[1] == said[2] and "looks at" in said[1], said


@pytest.mark.parametrize("words,code,line", [
    (("net-3", "down"), 1, "the VM has no network card of that name: they are net-1, net-2 and so on"),
    (("net-0", "down"), 1, "the VM has no network card of that name"),
    (("net-01", "down"), 1, "the VM has no network card of that name"),
    (("rng-1", "down"), 1, "the VM has no network card of that name"),
    (("", "down"), 1, "the VM has no network card of that name"),
    (("x" * 400, "down"), 1, "the VM has no network card of that name"),
    (("x" * 401, "down"), 2, "link: no card has so long a name"),
    (("net-1", "off"), 2, "link: 'off' will not do: say NAME CARD up|down"),
    (("net-1",), 2, "link: say NAME CARD up|down, of a card such as net-1"),
    (("net-1", "up", "down"), 2, "link: say NAME CARD up|down"),
], ids=lambda p: None if isinstance(p, str) else "-".join(w[:8] for w in p) if isinstance(p, tuple) else str(p))
def test_words(cards, words, code, line):
    got, err = cards.link(*words)
    assert got == code and line in err and err.count("\n") == 1, err
    assert cards.finish() == []


def test_a_number_that_is_neither(cards):
    """No command says it: its sender is dropped, and the VM goes on."""
    names = {line.split()[-1] for line in open("/proc/net/unix", encoding="ascii")
             if line.rstrip().endswith(NAME) and "@" in line}
    if not names:
        pytest.skip("the VM has no abstract name")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.connect("\0" + names.pop()[1:])
    sock.settimeout(wait.HANG_S)
    sock.send(struct.pack("<HHII", 44, 0, 9, 2) + b"net-1")
    assert sock.recv(512) == b""
    sock.close()
    assert cards.link("net-1", "down") == (0, "")
    assert len(cards.finish()) == 2
