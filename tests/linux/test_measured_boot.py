# SPDX-License-Identifier: Apache-2.0
"""BULKHEAD_LONG=1: OVMF measures itself and what it boots into a TPM, and Linux has its log of that. On the software CPU it hashes for minutes: the TPM
has one bank of PCRs, so that it does so once."""

import re
import shutil
import subprocess

import pytest

import uefi
import vm

HANGS = 1800
ZEROS = "0" * 64


@vm.LONG
@pytest.mark.skipif(uefi.missing() is not None, reason=f"{uefi.missing()} is not there: tools/deps check")
@pytest.mark.skipif(not shutil.which("swtpm_setup"), reason="swtpm_setup is not there: tools/deps long")
def test_firmware_measures(tmp_path):
    disk, state = uefi.bootable(tmp_path, "tpm"), tmp_path / "state"
    state.mkdir(mode=0o700)
    subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", state, "--pcr-banks", "sha256"], check=True, capture_output=True)
    r = subprocess.run([vm.BULKHEAD, "run", "--accel", vm.ACCEL, "--firmware", uefi.OVMF, "--disk", f"{disk},format=raw",
                        "--memory", "256M", "--console", "raw", "--net", "none", "--allow", "firmware,tpm",
                        "--tpm", f"state={state}"],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=HANGS, check=False)
    out = r.stdout.decode(errors="replace")
    assert r.returncode == 0, out + r.stderr.decode(errors="replace")
    assert "version 2" in out and "extend 80020000001300000000" in out, out
    for n in (0, 4, 7):
        [value] = re.findall(rf"pcr {n} (\w+)", out)
        assert value != ZEROS, out
    assert int(re.search(r"event log (\d+)", out)[1]) > 500
