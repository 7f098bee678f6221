# SPDX-License-Identifier: Apache-2.0
"""An initial RAM disk with Debian's own systemd as its first process, which starts one service."""

import os
import pathlib
import re
import shutil
import subprocess

from vm import TOP

SYSTEMD = pathlib.Path("/lib/systemd")
BUSYBOX = pathlib.Path("/bin/busybox")
PROGRAMS = (SYSTEMD / "systemd", SYSTEMD / "systemd-shutdown")
WORDS = "systemd.unit=one.service systemd.log_color=0 systemd.show_status=0"
UNIT = """[Unit]
DefaultDependencies=no
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
{settings}
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/busybox sh /one.sh
"""


def with_libraries(program):
    """It, those that it is linked with, and what loads them."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return [program, *(pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", out))]


def add(root, file):
    """As the host has it at that place."""
    to = root / file.relative_to("/")
    if not to.exists():
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)


def initrd(place, settings, script):
    """The service has those settings, and does what the script says with busybox; then the machine goes off."""
    root = place / "systemd"
    for folder in ("dev", "etc/systemd/system", "proc", "run", "sys", "tmp", "usr", "var"):
        (root / folder).mkdir(parents=True)
    for file in (BUSYBOX, *(f for program in PROGRAMS for f in with_libraries(program))):
        add(root, file)
    os.symlink(PROGRAMS[0].relative_to("/"), root / "init")
    for name, text in {"etc/os-release": "ID=test\n", "etc/machine-id": "0123456789abcdef" * 2 + "\n",
                       "etc/passwd": "root:x:0:0:root:/:/bin/sh\n", "one.sh": script,
                       "etc/systemd/system/one.service": UNIT.format(settings=settings)}.items():
        (root / name).write_text(text, encoding="ascii")
    subprocess.run([TOP / "tools/initrd", root, place / "systemd.cpio"], check=True)
    return place / "systemd.cpio"


def missing():
    """What a test needs and is not there, or None."""
    return next((str(file) for file in (*PROGRAMS, BUSYBOX) if not file.exists()), None)
