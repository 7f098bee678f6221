# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go while a guest runs: a real vmm, dev-rng and a guest; we are the supervisor."""

import os
import socket

import pytest

from bh import process
from bh.machine import RNG_TYPE, Machine

ACCEL = os.environ.get("BULKHEAD_ACCEL", "soft")
FIRST, SLOTS = 24, 8


@pytest.fixture
def machine(build):
    made = []

    def make(words="", cpus=1):
        made.append(Machine(build, build / "tests/guest/hotplug.elf", words, ACCEL, cpus))
        return made[-1]

    yield make
    for one in made:
        one.close()


def unplug(m, device, slot):
    m.tell(process.CTL_UNPLUG, slot)
    m.wait_for(f"is to go: {slot}")
    assert m.answer(process.CTL_UNPLUGGED).number == slot
    device.assert_clean_end(0)


def test_a_device_comes_works_and_goes_again_and_again(machine):
    m = machine()
    m.wait_for("waiting")
    fds = None
    for _ in range(5):
        device, slot = m.plug_rng()
        m.wait_for(f"came: {FIRST}")
        m.wait_for("ok random bytes")
        assert slot == FIRST
        unplug(m, device, slot)
        fds = fds or m.vmm.n_fds()
        assert m.vmm.n_fds() == fds
    m.end()


def test_the_guest_may_let_go_unasked_of_what_runs_and_of_nothing_else(machine):
    m = machine("unasked all")
    m.wait_for("waiting")
    device, slot = m.plug_rng()
    m.wait_for("ejected")
    assert m.answer(process.CTL_UNPLUGGED).number == slot
    device.assert_clean_end(0)
    m.tell(process.CTL_UNPLUG, slot)  # it was on its way
    m.tell(process.CTL_UNPLUG, 1)  # was there from the start
    device, slot = m.plug_rng()
    assert slot == FIRST
    assert m.answer(process.CTL_UNPLUGGED).number == slot
    m.end()


def test_slots_run_out_and_come_back(machine):
    m = machine()
    m.wait_for("waiting")
    plugged = [m.plug_rng() for _ in range(SLOTS)]
    assert [slot for _, slot in plugged] == list(range(FIRST, FIRST + SLOTS))
    ours, theirs = socket.socketpair()
    m.plug(ours)
    assert m.answer(process.CTL_NOT_PLUGGED).text == "all slots for devices that are attached are taken"
    assert theirs.recv(1) == b""  # nothing was asked, and its end is closed
    m.wait_for(f"came: {FIRST + SLOTS - 1}")
    m.wait_for("ok random bytes")
    unplug(m, *plugged[3])
    again = m.plug_rng()
    assert again[1] == FIRST + 3
    m.end()


def test_what_is_plugged_outlives_a_reset_and_what_was_to_go_does_not(machine):
    m = machine("reset")
    m.wait_for("waiting")
    device, slot = m.plug_rng()
    m.wait_for(f"was there: {slot}")
    m.wait_for("ejected")
    assert m.answer(process.CTL_UNPLUGGED).number == slot
    device.assert_clean_end(0)
    m.wait_for("waiting")
    m.end()


def test_a_device_that_does_not_shake_hands_is_not_plugged(machine):
    m = machine()
    m.wait_for("waiting")
    for first in (b"", b"\xff" * 64):
        ours, theirs = socket.socketpair()
        theirs.send(first) if first else theirs.close()
        m.plug(ours)
        assert m.answer(process.CTL_NOT_PLUGGED).text
        theirs.close()
    device, slot = m.plug_rng()
    m.wait_for("ok random bytes")
    unplug(m, device, slot)
    m.end()


def test_the_end_of_the_supervisor_while_a_device_is_plugged(machine):
    m = machine()
    m.wait_for("waiting")
    ours, theirs = socket.socketpair()  # nobody answers
    m.plug(ours, RNG_TYPE)
    assert theirs.recv(12)
    m.vmm.control.close()
    theirs.close()
    assert m.vmm.wait_end() in (0, 1)


def test_a_device_that_dies_is_followed_by_another(machine):
    m = machine("again")
    m.wait_for("waiting")
    device, slot = m.plug_rng()
    number = m.channels - 1
    m.wait_for("ok random bytes")
    device.kill()
    assert m.answer(process.CTL_LOST).number == number
    m.plug_rng()  # at which the guest asks the first
    m.wait_for(f"came: {slot + 1}")
    successor, ours = m.start_rng()
    m.send_channel(process.CTL_CHANNEL, number, ours)
    assert m.answer(process.CTL_FOUND).number == number
    m.wait_for("ok bytes again")
    unplug(m, successor, slot)
    m.end()


def test_the_guest_lets_go_of_a_device_that_has_died(machine):
    m = machine()
    m.wait_for("waiting")
    device, slot = m.plug_rng()
    m.wait_for("ok random bytes")
    device.kill()
    assert m.answer(process.CTL_LOST).number == m.channels - 1
    m.tell(process.CTL_UNPLUG, slot)
    assert m.answer(process.CTL_UNPLUGGED).number == slot
    ours, theirs = socket.socketpair()
    m.send_channel(process.CTL_CHANNEL, m.channels - 1, ours)  # a successor that was on its way
    assert theirs.recv(1) == b""
    m.end()


def test_a_channel_that_never_was_ends_the_vmm(machine):
    m = machine()
    m.wait_for("waiting")
    m.send_channel(process.CTL_CHANNEL, m.channels, socket.socketpair()[0])
    assert m.vmm.wait_end() == 1


@pytest.mark.parametrize("type_", ["", "rng", "rng:4:0xff00:1:1:0", "rng:4:0xff00:1:1:0:0:9", "rng:99:0:1:1:0:0"])
def test_a_type_that_is_none_ends_the_vmm(machine, type_):
    m = machine()
    m.wait_for("waiting")
    m.plug(socket.socketpair()[0], type_)
    assert m.vmm.wait_end() == 1
