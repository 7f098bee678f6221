# SPDX-License-Identifier: Apache-2.0
"""Firmware in a kernel's place: power-on, an image that nobody can change, and the same after a reset."""

import subprocess

import pytest

from test_guests import ACCEL, BUILD, BULKHEAD, ENDED_FROM_OUTSIDE, HANGS, POWERED_OFF, TOP, pytestmark

__all__ = ["pytestmark"]

IMAGE = BUILD / "tests/guest/firmware.bin"
CHECKS = (TOP / "tests/guest/firmware.S").read_text(encoding="ascii").count("\tcheck ")


def words(image, *flags):
    return [BULKHEAD, "run", "--firmware", image, "--memory", "64M", "--console", "raw", "--accel", ACCEL,
            "--net", "none", *map(str, flags)]


def run(image, *flags):
    """What it said until it restarted."""
    r = subprocess.run(words(image, "--on-reboot", "stop", *flags), stdin=subprocess.DEVNULL, capture_output=True,
                       timeout=HANGS, check=False)
    assert r.returncode == POWERED_OFF, r.stdout.decode() + r.stderr.decode()
    return r.stdout.decode().splitlines()


def holds(lines, checks):
    assert lines[-1] == "again" and len(lines) == checks + 1, "\n".join(lines)
    assert all(line.startswith("ok ") for line in lines[:-1]), "\n".join(lines)


@pytest.mark.parametrize("cpus", [1, 2])
def test_power_on(cpus):
    holds(run(IMAGE, "--cpus", cpus), CHECKS - (cpus == 1))


@pytest.mark.parametrize("size", [2 << 20, 8 << 20])
def test_a_larger_image_ends_at_the_same_place(tmp_path, size):
    image = tmp_path / "image"
    image.write_bytes(IMAGE.read_bytes().rjust(size, b"\x5a"))
    holds(run(image), CHECKS - 1)


def test_a_reset_restores_everything():
    """It has changed RAM and the copy of itself, and starts again until it is ended from outside."""
    name = "firmware-again"
    with subprocess.Popen(words(IMAGE, "--name", name), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as p:
        try:
            for _ in range(3):
                lines = [p.stdout.readline().rstrip("\n") for _ in range(CHECKS)]
                holds(lines, CHECKS - 1)
            subprocess.run([BULKHEAD, "stop", "--now", name], check=True, timeout=HANGS)
            p.stdout.read()
            assert p.wait(HANGS) == ENDED_FROM_OUTSIDE
        finally:
            p.kill()
