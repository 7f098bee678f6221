# SPDX-License-Identifier: Apache-2.0
"""Cards on a segment: on a net-switch that is played to, and on one that a VM's command has started."""

import socket
import struct
import subprocess

from . import frames, net, process, wait

ADD_FILE, QUERY, REFUSED, DONE = 38, 32, 50, 51
PORTS_MAX = 64

# Asks a switch keeper as whoever runs it. Arguments: its socket, a stream's descriptor, what is said of the card.
JOIN = """
import socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(60)
s.connect(sys.argv[1])
text = sys.argv[3].encode()
try:
    socket.send_fds(s, [struct.pack("<HHI", 38, 0, len(text)) + text], [int(sys.argv[2])])
    print("asked", file=sys.stderr, flush=True)
    answer = s.recv(512)
except (BrokenPipeError, ConnectionResetError):
    answer = b""
print(struct.unpack_from("<H", answer)[0] if answer else 0, answer[8:].decode())
"""


def mac_of(number):
    return bytes.fromhex("5254000000") + bytes([number])


def say(mac, *more):
    return ",".join((f"mac={mac.hex(':')}", *more))


class Card(net.Peer):
    """The other end of a port."""

    def __init__(self, mac):
        ours, self.theirs = socket.socketpair()
        super().__init__(ours)
        self.mac = mac

    def say(self, payload, to, **more):
        """A UDP packet with that, to a card or to everybody."""
        frame = frames.udp(data=payload, from_mac=self.mac, to_mac=to.mac if to else frames.EVERYBODY, **more)
        self.send(frame)
        return frame


class Switch(process.Process):
    """A net-switch whose keeper is played."""

    def __init__(self, build):
        super().__init__(build, "net-switch")
        self.cards = []
        self.wait_ready()

    def plug(self, port, text, fd):
        body = struct.pack("<I", port) + text.encode()
        socket.send_fds(self.control, [struct.pack("<HHI", process.CTL_PLUG, 0, len(body)) + body], [fd])

    def join(self, port, *more, mac=None):
        card, before = Card(mac or mac_of(port)), self.n_fds()
        self.cards.append(card)
        self.plug(port, say(card.mac, *more), card.theirs.fileno())
        card.theirs.close()
        wait.until(lambda: self.n_fds() == before + 1, "it has the card")
        return card

    def counts(self):
        """A line for each port."""
        self.control.send(struct.pack("<HHI", QUERY, 0, 0))
        wait.until(lambda: self.said(DONE), "all lines")
        return [m.text for m in self.said(process.CTL_LOG)]

    def close(self):
        super().close()
        for card in self.cards:
            card.close()


class Asker:
    """Brings a card to the segment, as the user of a place or another one, and has said so when this returns."""

    def __init__(self, place, name, card, *more, become=None, text=None):
        words = [*(place.become if become is None else become), "/usr/bin/python3", "-c", JOIN,
                 f"{place.runtime}/bulkhead/{name}+switch", str(card.theirs.fileno()), text or say(card.mac, *more)]
        self.process = subprocess.Popen(words, pass_fds=[card.theirs.fileno()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        card.theirs.close()
        self.process.stderr.readline()

    def is_answered(self):
        return wait.readable(self.process.stdout.fileno())

    def answer(self):
        """Its type and text; 0: it was hung up on; -1: it could not even ask."""
        out, err = self.process.communicate(timeout=wait.HANG_S * 2)
        if self.process.returncode:
            return -1, err
        number, said = out.rstrip("\n").split(" ", 1)
        return int(number), said


def ask(place, name, card, *more, **who):
    return Asker(place, name, card, *more, **who).answer()
