# SPDX-License-Identifier: Apache-2.0
"""The list of features is in README, docs/features.md and the manual page as tools/features writes
it from `bulkhead features --json`."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", TOP / "build"))
PLACES = ("README.md", "docs/features.md", "docs/bulkhead.1")


def write(tree, *words):
    return subprocess.run([tree / "tools/features", *words], capture_output=True, text=True,
                          env={**os.environ, "BULKHEAD_BUILD": str(BUILD)}, check=False)


@pytest.fixture
def tree(tmp_path):
    for name in (*PLACES, "tools/features"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(TOP / name, tmp_path / name)
    return tmp_path


def test_the_documents_have_the_list():
    done = write(TOP, "--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_shows_a_feature_is_there():
    found = json.loads(subprocess.run([BUILD / "cmd/bulkhead/bulkhead", "features", "--json"],
                                      capture_output=True, check=True).stdout)["features"]
    missing = [(f["name"], name) for f in found for name in f["shown_by"].split(", ")
               if not (TOP / "tests" / name).is_file() or not pathlib.Path(name).name.startswith("test_")]
    assert found and not missing


@pytest.mark.parametrize("place", PLACES)
def test_a_change_by_hand_is_found_and_undone(tree, place):
    text = (tree / place).read_text()
    (tree / place).write_text(text.replace("9 to 16 virtual", "9 to 17 virtual"))
    assert (tree / place).read_text() != text
    done = write(tree, "--check")
    assert (done.returncode, done.stdout) == (1, f"{place} is not as tools/features writes it\n")
    assert write(tree).returncode == 0
    assert (tree / place).read_text() == text


@pytest.mark.parametrize("place", PLACES)
def test_a_missing_mark_is_said(tree, place):
    text = (tree / place).read_text()
    (tree / place).write_text(text.replace("/features", "/f"))
    done = write(tree)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "must be there once" in done.stderr


def test_wrong_words():
    done = write(TOP, "--write")
    assert (done.returncode, done.stderr) == (1, "tools/features: say --check or nothing\n")
