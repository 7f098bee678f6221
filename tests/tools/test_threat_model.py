# SPDX-License-Identifier: Apache-2.0
"""docs/threat-model.md says of the processes what they declare of themselves."""

import os
import pathlib
import shutil
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = os.environ.get("BULKHEAD_BUILD", str(TOP / "build"))


def check(tree):
    return subprocess.run([tree / "tools/threat-model", "--check"], capture_output=True, text=True,
                          env={**os.environ, "BULKHEAD_BUILD": BUILD}, check=False)


def test_the_text_is_the_declared_one():
    done = check(TOP)
    assert (done.returncode, done.stderr) == (0, "")


def test_another_text_is_found(tmp_path):
    for name in ("tools/threat-model", "docs/threat-model.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(TOP / name, tmp_path / name)
    text = tmp_path / "docs/threat-model.md"
    text.write_text(text.read_text(encoding="utf-8").replace("\n<!-- end -->",
                                                             "\n| vmm | nothing |\n<!-- end -->"),
                    encoding="utf-8")
    done = check(tmp_path)
    assert done.returncode == 1 and "run tools/threat-model" in done.stderr
