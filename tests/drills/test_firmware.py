# SPDX-License-Identifier: Apache-2.0
"""The devices of a firmware, its registers' and its variables', taken over while their guest waits: the first step, and the
second on their channels."""

import fcntl
import os

import pytest

import second
from taken import maps_of
from test_first_step import Intruder
from test_second_step import run_step

ROLES = ("dev-firmware", "dev-flash")
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


@pytest.fixture(params=ROLES)
def role(request):
    return request.param


@pytest.fixture
def start(ground):
    """Each has variables of its own, of the firmware's size."""
    image = ground.place.file("firmware.rom", rom("waiting\n"))

    def machine():
        variables = ground.place.file(f"flash{len(ground.machines)}", bytes(SEGMENT))
        return ground.start("--firmware-vars", variables, firmware=image, more=ROLES)

    return machine


def conclude(machine, role):
    """It knows no power button: whoever is left must end it when its user says so, and nothing has crashed."""
    if not machine.ended_by_itself(but=role):
        assert machine.answers()
        code, _, err = machine.ground.place.call("stop", "--now", f"vm{machine.run.pid}")
        assert code == 0, err
    status, lines, _ = machine.end()
    assert status in (ENDED_BY_ITSELF, ENDED_FROM_OUTSIDE), (status, lines)
    assert lines[-1].startswith("bulkhead: ") and not [line for line in lines if "killed by signal" in line], lines
    machine.gone()


def drill(start, role, ground, count, make_step):
    machine = start()
    thread, before = machine.take(role), machine.holdings(role)
    tried, gains = run_step(thread, make_step(thread))
    now = {} if machine.ended_by_itself(but=role) else machine.holdings(role)
    gains += [("second step", "descriptors kept by others", r) for r, n in now.items() if n > before[r]]
    conclude(machine, role)
    count(role, tried, gains)
    assert not ground.targets.touched()


def test_first_step(start, role, ground, neighbour, count):
    intruder = Intruder(lambda: start().take(role)).try_all(ground, neighbour)
    count(role, intruder.tried, intruder.gains)


def test_the_refused_call_is_named(start, role):
    machine = start()
    machine.take(role).fall(41)
    status, lines, _ = machine.end()
    assert status == ENDED_BY_ITSELF
    assert lines[-1].endswith(f"{role} was stopped by its filter: system call socket (41)"), lines
    machine.gone()


def held(start, role):
    pid = start().pids[role]
    links = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    assert not [to for to in [*links.values(), *(m[3] for m in maps_of(pid))] if "guest-ram" in to], links
    return pid, links


def test_what_the_variables_hold(start, ground):
    """No guest RAM, and of all files their own."""
    _, links = held(start, "dev-flash")
    [file] = [to for to in links.values() if to.startswith("/") and not to.startswith(("/dev/null", "/memfd:"))]
    assert file.startswith(f"{ground.place.dir}/flash")


def test_what_the_registers_hold(start):
    """No guest RAM; and what firmware is told can be changed by nobody."""
    pid, links = held(start, "dev-firmware")
    [items] = [fd for fd, to in links.items() if "items" in to]
    fd = os.open(f"/proc/{pid}/fd/{items}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALED == SEALED
    finally:
        os.close(fd)


@pytest.mark.parametrize("step", second.WHOLE, ids=lambda s: s.__name__)
def test_everything_held(start, role, ground, neighbour, count, step):
    drill(start, role, ground, count, lambda t: step(t, ground.targets))


@pytest.mark.parametrize("step", second.CHANNEL, ids=lambda s: s.__name__)
@pytest.mark.parametrize("channel", [3, 4])
def test_each_channel(start, role, ground, neighbour, count, channel, step):
    drill(start, role, ground, count, lambda t: step(t, channel, ground.targets))


@pytest.mark.parametrize("channel,messages", [(3, second.control_messages), (4, second.vfio_replies)], ids=["control", "vfio-user"])
def test_messages(start, role, ground, neighbour, count, channel, messages):
    """All of them to one VM: the first that is not understood ends it."""
    def step(t):
        for name, data, rights in messages(t):
            t.forget()
            second.send(t, channel, data, rights)
            yield name, bool(ground.targets.touched())

    drill(start, role, ground, count, step)
