# SPDX-License-Identifier: Apache-2.0
"""The device of a firmware, taken over while its guest waits: the first step, and the second on its channels."""

import fcntl
import os

import pytest

import second
from taken import maps_of
from test_first_step import Intruder
from test_second_step import run_step

ROLE = "dev-firmware"
ENDED_BY_ITSELF, ENDED_FROM_OUTSIDE = 5, 6
SEALED = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
SEGMENT = 1 << 16
RESET_VECTOR = SEGMENT - 16


def rom(text):
    """Says it on the serial port in real mode, and sleeps for ever."""
    code = b"\xba\xf8\x03"  # mov $0x3f8, %dx
    for byte in text.encode():
        code += bytes((0xB0, byte, 0xEE))  # mov $byte, %al; out %al, (%dx)
    code += b"\xfa\xf4\xeb\xfd"  # cli; hlt; and again
    to_start = b"\xe9" + (SEGMENT - RESET_VECTOR - 3).to_bytes(2, "little")
    return (code.ljust(RESET_VECTOR, b"\xf4") + to_start).ljust(SEGMENT, b"\xf4")


@pytest.fixture
def start(ground):
    image = ground.place.file("firmware.rom", rom("waiting\n"))
    return lambda: ground.start(firmware=image, more=(ROLE,))


def conclude(machine):
    """It knows no power button: whoever is left must end it when its user says so, and nothing has crashed."""
    if not machine.ended_by_itself(but=ROLE):
        assert machine.answers()
        code, _, err = machine.ground.place.call("stop", "--now", f"vm{machine.run.pid}")
        assert code == 0, err
    status, lines, _ = machine.end()
    assert status in (ENDED_BY_ITSELF, ENDED_FROM_OUTSIDE), (status, lines)
    assert lines[-1].startswith("bulkhead: ") and not [line for line in lines if "killed by signal" in line], lines
    machine.gone()


def drill(start, ground, count, make_step):
    machine = start()
    thread, before = machine.take(ROLE), machine.holdings(ROLE)
    tried, gains = run_step(thread, make_step(thread))
    now = {} if machine.ended_by_itself(but=ROLE) else machine.holdings(ROLE)
    gains += [("second step", "descriptors kept by others", r) for r, n in now.items() if n > before[r]]
    conclude(machine)
    count(ROLE, tried, gains)
    assert not ground.targets.touched()


def test_first_step(start, ground, neighbour, count):
    intruder = Intruder(lambda: start().take(ROLE)).try_all(ground, neighbour)
    count(ROLE, intruder.tried, intruder.gains)


def test_the_refused_call_is_named(start):
    machine = start()
    machine.take(ROLE).fall(41)
    status, lines, _ = machine.end()
    assert status == ENDED_BY_ITSELF
    assert lines[-1].endswith(f"{ROLE} was stopped by its filter: system call socket (41)"), lines
    machine.gone()


def test_what_it_holds(start):
    """No guest RAM; and what firmware is told can be changed by nobody."""
    pid = start().pids[ROLE]
    links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not [to for to in [*links.values(), *(m[3] for m in maps_of(pid))] if "guest-ram" in to], links
    [items] = [fd for fd, to in links.items() if "items" in to]
    fd = os.open(f"/proc/{pid}/fd/{items}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALED == SEALED
    finally:
        os.close(fd)


@pytest.mark.parametrize("step", second.WHOLE, ids=lambda s: s.__name__)
def test_everything_held(start, ground, neighbour, count, step):
    drill(start, ground, count, lambda t: step(t, ground.targets))


@pytest.mark.parametrize("step", second.CHANNEL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("channel", [3, 4])
def test_each_channel(start, ground, neighbour, count, channel, step):
    drill(start, ground, count, lambda t: step(t, channel, ground.targets))


@pytest.mark.parametrize("channel,messages", [(3, second.control_messages), (4, second.vfio_replies)], ids=["control", "vfio-user"])
def test_messages(start, ground, neighbour, count, channel, messages):
    """All of them to one VM: the first that is not understood ends it."""
    def step(t):
        for name, data, rights in messages(t):
            t.forget()
            second.send(t, channel, data, rights)
            yield name, bool(ground.targets.touched())

    drill(start, ground, count, step)
