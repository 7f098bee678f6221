# SPDX-License-Identifier: Apache-2.0
"""Each bug of seeded_bugs.toml, put into a copy of the tree, makes a unit test fail."""

import os
import pathlib
import shutil
import subprocess
import tomllib

import pytest

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
BUGS = tomllib.loads((TREE / "tests/tools/seeded_bugs.toml").read_text())["bug"]
ENV = {**os.environ, "PATH": "/usr/bin:" + os.environ["PATH"], "CC": "gcc"}
SECONDS = 60
PARTS = ("lib", "cmd", "tests", "docs", "tools", "meson.build", "meson_options.txt")


class Copy:
    """A copy of the sources, built without optimisation and with address and undefined checks."""

    def __init__(self, folder):
        self.tree = folder / "tree"
        self.build = folder / "build"
        ignore = shutil.ignore_patterns("seeds", "__pycache__", "*.py")
        for part in PARTS:
            source, to = TREE / part, self.tree / part
            if source.is_dir():
                shutil.copytree(source, to, ignore=ignore)
            else:
                to.parent.mkdir(exist_ok=True)
                shutil.copy2(source, to)
        done = self.run("meson", "setup", str(self.build), str(self.tree),
                        "-Dsanitize_tests=true", "--buildtype=plain")
        assert done.returncode == 0, done.stdout[-3000:]

    def run(self, *command, timeout=120):
        return subprocess.run(command, env=ENV, timeout=timeout, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def make(self, tests):
        done = self.run("ninja", "-C", str(self.build), *(f"tests/unit/test_{t}" for t in tests), timeout=1800)
        assert done.returncode == 0, done.stdout[-3000:]

    def passes(self, test, seconds):
        """Whether a unit test passes; one that hangs does not."""
        try:
            done = self.run(str(self.build / f"tests/unit/test_{test}"), timeout=seconds)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("seeded"))
    seconds = {test: bug.get("seconds", SECONDS) for bug in BUGS for test in bug["tests"]}
    copy.make(sorted(seconds))
    for test, most in seconds.items():
        assert copy.passes(test, most), f"{test} fails without any bug"
    return copy


NAMES = [bug["name"].replace(" ", "-") for bug in BUGS]


@pytest.mark.parametrize("bug", BUGS, ids=NAMES)
def test_can_be_put_in(bug):
    """The list has followed the code, and names tests that there are."""
    assert (TREE / bug["file"]).read_text().count(bug["old"]) == 1, f"{bug['file']} has changed"
    for test in bug["tests"]:
        assert (TREE / f"tests/unit/test_{test}.c").exists(), f"no unit test {test}"


@pytest.mark.parametrize("bug", BUGS, ids=NAMES)
def test_is_found(copy, bug):
    path = copy.tree / bug["file"]
    right = path.read_text()
    path.write_text(right.replace(bug["old"], bug["new"]))
    most = bug.get("seconds", SECONDS)
    try:
        copy.make(bug["tests"])
        assert not all(copy.passes(test, most) for test in bug["tests"]), "no test has found it"
    finally:
        path.write_text(right)
        os.utime(path)  # newer than what was built
