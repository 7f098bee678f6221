# SPDX-License-Identifier: Apache-2.0
"""A guest's TPM: an unmodified kernel's driver finds it, PCRs begin anew when the guest does and never else,
and a TPM whose process was killed does not come back."""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

import vm

pytestmark = pytest.mark.skipif(not shutil.which("swtpm"), reason="swtpm is not there: tools/deps check")

ZEROS, EXTENDED = "0" * 64, "90F4B39548DF55AD6187A1D20D731ECEE78C545B94AFD16F42EF7592D99CD365"


@pytest.fixture(autouse=True)
def nothing_left():
    yield
    assert vm.processes() == []


def flags(state):
    return ["--allow", "tpm", "--tpm", f"state={state}"]


def pcrs(text, n):
    return re.findall(rf"pcr {n} (\w+)", text)


def check_boot(text):
    """One boot's lines."""
    assert "version 2" in text, text
    assert "extend 80020000001300000000" in text, text
    assert re.search(r"random 80010000001c000000000010(?!0{32})\w{32}\b", text), text
    assert "unknown 80010000000a00000143" in text, text


def below(pid):
    """(pid, name) of all processes below one."""
    with contextlib.suppress(OSError):
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split():
            yield int(child), pathlib.Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip()
            yield from below(int(child))


def swtpm_on(state):
    """Its process: it holds the directory."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.path.samefile(f"/proc/{pid}/cwd", state) and \
               pathlib.Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == "swtpm":
                return int(pid)
    raise AssertionError("there is no swtpm")


def test_pcrs_begin_anew_when_the_guest_does(tmp_path):
    state, disk = tmp_path / "state", tmp_path / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    g = vm.run("tpm", cpus=2, words="bh.tpm=reboot", flags=[*flags(state), "--disk", f"{disk},format=raw"])
    check_boot(g.text())
    assert pcrs(g.text(), 16) == [ZEROS, EXTENDED] * 2, g.text()
    assert state.stat().st_mode & 0o777 == 0o700


def test_killed_processes(tmp_path):
    """PCRs are what they were, or there are none: never zeros."""
    state = tmp_path / "state"

    def extend_again(after):
        g.process.stdin.write(b"go\n")
        g.process.stdin.flush()
        if after:
            g.wait_for(after)

    with vm.Guest("tpm", words="bh.tpm=hold", flags=flags(state), stdin=subprocess.PIPE) as g:
        g.wait_for(b"holds 1")
        os.kill(next(p for p, name in below(g.process.pid) if name == "dev-tpm"), signal.SIGKILL)
        extend_again(b"holds 2")
        os.kill(swtpm_on(state), signal.SIGKILL)
        extend_again(None)
        g.end()
        said = g.text() + g.err
        assert g.process.returncode == 0, said
        seen = pcrs(g.text(), 16)
        assert seen[:3] == [ZEROS, EXTENDED, EXTENDED] and seen[3] not in (ZEROS, EXTENDED), said
        assert seen[4:] == [] and "started again" in g.err and "the TPM has failed" in g.err, said
