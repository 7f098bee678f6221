# SPDX-License-Identifier: Apache-2.0
"""dev-tpm in its jail: a TPM's registers over vfio-user in front of swtpm; a hostile guest, a hostile vmm, an swtpm that lies, and a
successor that goes on wherever its predecessor was killed."""

import fcntl
import os
import random
import shutil
import socket
import struct

import pytest

import vfio_user as vfu
from bh import process, tpm, wait

real = pytest.mark.skipif(not shutil.which("swtpm"), reason="swtpm is not there: tools/deps check")
FAILED, IDLE = 1, 2
DIGEST = bytes(31) + b"\1"


class Device:
    """One process after the other, over the same state and the same TPM."""

    def __init__(self, build, commands):
        self.build, self.commands = build, commands
        self.state = os.memfd_create("tpm-registers", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.state, tpm.STATE_SIZE)
        fcntl.fcntl(self.state, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self.process, self.id = None, 0
        self.start()

    def start(self):
        self.sock, theirs = socket.socketpair()
        self.process = process.Process(self.build, "dev-tpm", (),
                                       {4: theirs.fileno(), 5: self.state, 6: self.commands.fileno()})
        theirs.close()
        self.process.wait_ready()
        self.client = vfu.Client(self.sock)
        self.client.version()
        self.client.id = self.id
        self.driver = tpm.Driver(self.client)

    def reset(self):
        self.client.ask(vfu.DEVICE_RESET)

    def quiet(self):
        """The resets after which it has said that no command is under way."""
        return [m.number for m in self.process.said(process.CTL_TPM)]

    def open(self, number=1):
        self.process.tell(process.CTL_TPM, number)

    def kill(self):
        self.id = self.client.id
        self.process.kill()
        self.sock.close()

    def again(self):
        self.kill()
        self.start()

    def close(self):
        self.sock.close()
        self.process.close()
        os.close(self.state)


class Played:
    """Plays swtpm."""

    def __init__(self):
        self.sock, self.commands = socket.socketpair()

    def hear(self):
        wait.for_fds([self.sock.fileno()], "a command comes")
        return self.sock.recv(8192)

    def nothing(self):
        return not wait.readable(self.sock.fileno(), 50)

    def say(self, data):
        self.sock.sendall(data)

    def close(self):
        self.sock.close()
        self.commands.close()


@pytest.fixture
def played():
    p = Played()
    yield p
    p.close()


@pytest.fixture
def device(build, played):
    """Ready for commands, with a TPM that the test plays."""
    d = Device(build, played.commands)
    d.reset()
    d.open()
    yield d
    d.close()


@pytest.fixture
def swtpm(tmp_path):
    s = tpm.Swtpm(tmp_path)
    yield s
    s.close()


# ---- hostile guests ----

def test_every_offset_and_width(device, played):
    """Nothing that is written anywhere, in any state, is a command before there is one; no read goes outside."""
    rng = random.Random(1)
    for offset in range(tpm.SIZE):
        for width in (1, 2, 4, 8):
            if offset + width > tpm.SIZE:
                with pytest.raises(vfu.Error):
                    device.client.read(0, offset, width)
                with pytest.raises(vfu.Error):
                    device.client.write(0, offset, bytes(width))
            elif rng.random() < 0.1 or offset > tpm.SIZE - 9 or offset < tpm.BUFFER + 9:
                assert len(device.client.read(0, offset, width)) == width
                if offset != tpm.LOC_CTRL:
                    device.client.write(0, offset, rng.randbytes(width))
    assert played.nothing()
    assert device.driver.get(tpm.STS) == IDLE


def test_orders_that_are_none(device, played):
    """Without the locality, idle, or with two requests at once: ignored."""
    d = device.driver
    d.put(tpm.REQ, 1)
    d.put(tpm.START, 1)
    assert d.get(tpm.STS) == IDLE and d.get(tpm.START) == 0 and d.get(tpm.LOC_STS) == 0
    d.put(tpm.LOC_CTRL, 3)
    assert d.get(tpm.LOC_STS) == 0
    d.put(tpm.LOC_CTRL, 1)
    d.write_buffer(tpm.STARTUP_CLEAR)
    d.put(tpm.START, 1)
    d.put(tpm.REQ, 3)
    assert d.get(tpm.STS) == IDLE and d.get(tpm.START) == 0
    d.put(tpm.REQ, 1)
    d.put(tpm.START, 1)  # no command
    d.put(tpm.START, 2)
    assert d.get(tpm.STS) == 0 and d.get(tpm.START) == 0
    assert played.nothing()


@pytest.mark.parametrize("command, code", [
    (b"", 0x1e), (bytes(4096 - 0x80), 0x1e), (b"\x80\x01" + bytes(8), 0x142), (b"\x80\x01\0\0\0\x09" + bytes(4), 0x142),
    (b"\x80\x01\0\0\x0f\x81" + bytes(4), 0x142), (b"\x80\x01\xff\xff\xff\xff" + bytes(4), 0x142),
    (b"\x80\x02\x80\0\0\x0a" + bytes(4), 0x142), (b"\x00\xc1\0\0\0\x0a" + bytes(4), 0x1e)],
    ids=range(8))
def test_commands_that_are_none(device, played, command, code):
    """They are answered as a TPM does, and none of them gets to swtpm."""
    response = device.driver.run(command or b"\0")
    assert response[2:] == struct.pack(">II", 10, code) and response[:2] == (b"\0\xc4" if code == 0x1e else b"\x80\x01")
    assert played.nothing()


def test_while_one_is_carried_out(device, played):
    """Registers and buffer are nobody's to change, and it goes out once, with no byte behind its length."""
    d = device.driver
    d.ready()
    d.write_buffer(b"\xa5" * 64)
    d.write_buffer(tpm.GET_RANDOM_16)
    d.put(tpm.START, 1)
    assert played.hear() == tpm.GET_RANDOM_16
    for offset, value in ((tpm.START, 1), (tpm.REQ, 3), (tpm.LOC_CTRL, 2), (tpm.CANCEL, 1)):
        d.put(offset, value)
    d.write_buffer(tpm.STARTUP_CLEAR)
    assert d.get(tpm.START) == 1 and d.get(tpm.CANCEL) == 1 and d.get(tpm.LOC_STS) == 1
    assert d.read_buffer(16) == b"\xff" * 16
    assert played.nothing()
    played.say(tpm.OK)
    assert d.finish() == tpm.OK


def test_who_does_not_wait_for_a_response(device, played):
    """Nobody takes it for that of a later command, whoever is killed in between."""
    d = device.driver
    d.begin(tpm.GET_RANDOM_16)
    played.hear()
    d.put(tpm.REQ, 2)
    d.put(tpm.REQ, 1)
    device.again()
    d = device.driver
    assert d.get(tpm.REQ) == 1 and d.get(tpm.START) == 1
    d.write_buffer(tpm.STARTUP_CLEAR)
    d.put(tpm.START, 1)
    played.say(b"\x80\x01\0\0\0\x1a" + b"\x5a" * 20)
    wait.until(lambda: not d.get(tpm.REQ), "it is ready")
    assert d.get(tpm.START) == 0 and d.read_buffer(32) == bytes(32) and played.nothing()
    d.begin(tpm.STARTUP_CLEAR)
    assert played.hear() == tpm.STARTUP_CLEAR
    played.say(tpm.OK)
    assert d.finish() == tpm.OK


# ---- an swtpm that lies ----

@pytest.mark.parametrize("said", [
    b"\x80\x01\0\0\0\x09" + bytes(4), b"\x80\x01\0\0\x0f\x81" + bytes(4), b"\x80\x01\xff\xff\xff\xff" + bytes(4),
    b"\x80\x03\0\0\0\x0a" + bytes(4), tpm.OK + b"x", b"\x80\x01\0\0\x0f\x80" + bytes(0xf80)], ids=range(6))
def test_responses_that_are_none(device, played, said):
    """The TPM has failed, for good; what the guest waits for ends with nothing."""
    d = device.driver
    d.begin(tpm.GET_RANDOM_16)
    played.hear()
    played.say(said)
    wait.until(lambda: d.get(tpm.STS) & FAILED, "it has failed")
    assert d.get(tpm.START) == 0 and d.read_buffer(16) == bytes(16)
    device.reset()
    device.open(2)
    assert d.run(tpm.STARTUP_CLEAR) == bytes(10)
    assert played.nothing() and d.get(tpm.STS) & FAILED


def test_an_answer_to_nothing(device, played):
    played.say(tpm.OK)
    wait.until(lambda: device.driver.get(tpm.STS) & FAILED, "it has failed")


def test_a_response_in_pieces(device, played):
    """It waits for all of them without spinning."""
    d = device.driver
    whole = b"\x80\x01\0\0\x0f\x80" + random.Random(2).randbytes(0xf80 - 6)
    d.begin(tpm.GET_RANDOM_16)
    played.hear()
    for at in range(0, len(whole), 300):
        played.say(whole[at:at + 300])
        if at == 0:
            device.process.assert_idle()
            assert d.get(tpm.START) == 1
    assert d.finish() == whole


def test_answers_to_what_it_has_not_read(device, played):
    """It is not waited for: when nothing more finds room to it, it has failed."""
    long = b"\x80\x01" + struct.pack(">II", tpm.BUFFER_LEN, 0x17b)
    for _ in range(1000):
        device.driver.begin(long)
        if device.driver.get(tpm.STS) & FAILED:
            break
        played.say(tpm.OK)
        wait.until(lambda: not device.driver.get(tpm.START), "the command has ended")
    assert device.driver.get(tpm.STS) & FAILED
    assert device.driver.run(tpm.STARTUP_CLEAR) == bytes(10)


def test_swtpm_is_gone(device, played):
    """A command that it had, and each one later, ends with nothing."""
    d = device.driver
    d.begin(tpm.GET_RANDOM_16)
    played.hear()
    played.sock.close()
    played.commands.close()  # ours is a copy of its end
    wait.until(lambda: d.get(tpm.STS) & FAILED, "it has failed")
    assert d.get(tpm.START) == 0
    assert d.run(tpm.STARTUP_CLEAR) == bytes(10)


# ---- a reset, which is the only one to have the TPM start anew ----

def test_nothing_passes_before_the_tpm_was_started(build, played):
    """A command waits for it; a number that is not of this reset is none."""
    d = Device(build, played.commands)
    try:
        assert d.quiet() == []
        d.reset()
        wait.until(lambda: d.quiet() == [1], "it says that nothing is under way")
        d.driver.begin(tpm.STARTUP_CLEAR)
        d.open(2)
        assert played.nothing() and d.driver.get(tpm.START) == 1
        d.open(1)
        assert played.hear() == tpm.STARTUP_CLEAR
        played.say(tpm.OK)
        assert d.driver.finish() == tpm.OK
    finally:
        d.close()


def test_a_reset_while_one_is_carried_out(device, played):
    """What was sent before comes to its end before the TPM is started; its response is nobody's."""
    device.driver.begin(tpm.GET_RANDOM_16)
    played.hear()
    device.reset()
    device.open(2)
    device.driver.begin(tpm.STARTUP_CLEAR)
    assert played.nothing() and device.quiet() == [1]
    played.say(b"\x80\x01\0\0\0\x1a" + b"\x5a" * 20)
    wait.until(lambda: device.quiet() == [1, 2], "it says that nothing is under way")
    assert played.nothing() and device.driver.get(tpm.START) == 1
    device.open(2)
    assert played.hear() == tpm.STARTUP_CLEAR
    played.say(tpm.OK)
    assert device.driver.finish() == tpm.OK


def test_a_tpm_that_could_not_be_started(build, played):
    d = Device(build, played.commands)
    try:
        d.reset()
        d.driver.begin(tpm.STARTUP_CLEAR)
        d.open(0)
        wait.until(lambda: d.driver.get(tpm.STS) & FAILED, "it has failed")
        assert d.driver.get(tpm.START) == 0 and played.nothing()
    finally:
        d.close()


# ---- a successor ----

def test_killed_wherever_it_is(device, played):
    """Registers, buffer and the command under way are what they were; a reset that comes again is the same one."""
    d = device
    d.reset()
    d.kill()
    d.id -= 1  # its client has not heard the answer
    d.start()
    d.reset()
    d.open(2)
    d.driver.ready()
    d.again()
    d.driver.write_buffer(tpm.GET_RANDOM_16[:8])
    d.again()
    d.driver.write_buffer(tpm.GET_RANDOM_16[8:], 8)
    d.driver.put(tpm.START, 1)
    assert played.hear() == tpm.GET_RANDOM_16
    d.again()
    assert d.driver.get(tpm.START) == 1 and played.nothing()
    played.say(tpm.OK)
    d.again()
    assert d.driver.finish() == tpm.OK


@pytest.mark.parametrize("what", ["bytes", "sending"])
def test_state_that_lies(device, played, what):
    """Who cannot know what the TPM has been told has no TPM."""
    device.kill()
    sequence, = struct.unpack("<Q", os.pread(device.state, 8, 0))
    slot = 8 + 256 * (sequence & 1)
    if what == "bytes":
        os.pwrite(device.state, b"\xff" * 256, slot)
    else:  # the stage, the state of the registers
        os.pwrite(device.state, b"\1\3", slot + 16 + 4 + 2 + 4)
    device.start()
    wait.until(lambda: device.driver.get(tpm.STS) & FAILED, "it has failed")
    assert played.nothing()


# ---- the real one ----

@real
def test_a_tpm(build, swtpm):
    d = Device(build, swtpm.commands)
    try:
        d.reset()
        swtpm.start()
        d.open()
        t = d.driver
        assert t.get(tpm.INTF_ID) & 0xff == 0x11 and t.get(tpm.CMD_SIZE) == tpm.BUFFER_LEN
        assert t.get(tpm.CMD_LOW) == 0xfed40000 + tpm.BUFFER
        assert t.run(tpm.STARTUP_CLEAR) == tpm.OK
        properties = t.run(tpm.PROPERTIES)
        assert properties[6:10] == bytes(4) and struct.pack(">I", 0x105) in properties  # the manufacturer
        assert t.run(tpm.GET_RANDOM_16)[12:] != t.run(tpm.GET_RANDOM_16)[12:]
        before = tpm.pcr_of(t.run(tpm.pcr_read(16)))
        assert before == bytes(32)
        t.run(tpm.pcr_extend(16, DIGEST))
        after = tpm.pcr_of(t.run(tpm.pcr_read(16)))
        assert after not in (before, DIGEST)
        d.again()
        assert tpm.pcr_of(d.driver.run(tpm.pcr_read(16))) == after
    finally:
        d.close()


@real
@pytest.mark.parametrize("code", [0x20001000, 0x20000001, 0x20000000], ids=hex)
def test_no_command_of_whoever_is_behind_it(build, swtpm, code):
    """swtpm hears commands of its own, such as for a locality, among a guest's: none of them does anything."""
    d = Device(build, swtpm.commands)
    try:
        d.reset()
        swtpm.start()
        d.open()
        assert d.driver.run(tpm.STARTUP_CLEAR) == tpm.OK
        for locality in range(5):
            said = d.driver.run(b"\x80\x01" + struct.pack(">IIB", 11, code, locality))
            assert said[6:10] != bytes(4)
        # of PCR 20, which locality 0 may not reset, as of PCR 16, which it may
        assert d.driver.run(tpm.pcr_reset(16))[6:10] == bytes(4)
        assert d.driver.run(tpm.pcr_reset(20))[6:10] == struct.pack(">I", 0x907)
    finally:
        d.close()


@real
def test_a_command_as_long_as_the_buffer(build, swtpm):
    d = Device(build, swtpm.commands)
    try:
        d.reset()
        swtpm.start()
        d.open()
        assert d.driver.run(tpm.STARTUP_CLEAR) == tpm.OK
        long = b"\x80\x01" + struct.pack(">II", tpm.BUFFER_LEN, 0x17b) + bytes(tpm.BUFFER_LEN - 10)
        assert d.driver.run(long)[6:10] != bytes(4)
        assert d.driver.run(tpm.GET_RANDOM_16)[6:10] == bytes(4)
    finally:
        d.close()


def test_what_it_may(device):
    """One page of memory that is not its own, and no call that makes or names anything."""
    with open(f"/proc/{device.process.pid}/maps", encoding="ascii") as f:
        shared = [line for line in f if line.split()[1][3] == "s"]
    assert len(shared) == 1 and "tpm-registers" in shared[0]
