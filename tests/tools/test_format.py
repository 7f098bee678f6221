# SPDX-License-Identifier: Apache-2.0
"""tools/format finds what is laid out otherwise, says what to do, and does it."""

import pathlib
import shutil
import subprocess

import pytest

TREE = pathlib.Path(__file__).resolve().parents[2]
GOOD = "int one(int a)\n{\n\treturn a + 1;\n}\n"
BAD = "int one(int a)\n{\n    return a+1;\n}\n"
TABLE = "/* clang-format off */\nint t[] = { 1,  2,\n\t    30, 4 };\n/* clang-format on */\n"


@pytest.fixture
def tree(tmp_path):
    """A tree with a good file in each folder."""
    (tmp_path / "tools").mkdir()
    shutil.copy(TREE / "tools" / "format", tmp_path / "tools")
    shutil.copy(TREE / ".clang-format", tmp_path)
    for folder in ("cmd/vmm", "lib/base", "tests/unit"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "good.c").write_text(GOOD)
    return tmp_path


def run(tree, *words, env=None):
    done = subprocess.run([tree / "tools" / "format", *words], capture_output=True, text=True,
                          timeout=60, env=env, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["cmd/vmm/a.c", "lib/base/a.h", "tests/unit/a.c", "tools/a.c"])
def test_bad_layout_is_named_and_mended(tree, name):
    (tree / name).write_text(BAD)
    assert run(tree, "--check") == (
        1, f"{name}: not laid out as .clang-format says: tools/format {name}\n")
    assert (tree / name).read_text() == BAD
    assert run(tree, name) == (0, "")
    assert (tree / name).read_text() == GOOD
    assert run(tree, "--check") == (0, "")


def test_all_of_the_tree_is_mended(tree):
    names = ["cmd/vmm/a.c", "cmd/vmm/b.h", "lib/base/a.c"]
    for name in names:
        (tree / name).write_text(BAD)
    status, said = run(tree, "--check")
    assert status == 1
    assert [line.split(":")[0] for line in said.splitlines()] == names
    assert run(tree) == (0, "")
    assert run(tree, "--check") == (0, "")


def test_tables_stay(tree):
    (tree / "lib/base/a.c").write_text(TABLE)
    assert run(tree, "--check") == (0, "")
    assert run(tree) == (0, "")
    assert (tree / "lib/base/a.c").read_text() == TABLE


@pytest.mark.parametrize("words", [[], ["--check"]])
@pytest.mark.parametrize("name", ["nowhere.c", "lib/nowhere"])
def test_a_name_that_is_not_there_is_refused(tree, words, name):
    status, said = run(tree, *words, name)
    assert status == 1
    assert said == f"tools/format: {name}: no such file or folder\n"


def test_another_version_does_not_decide(tree, tmp_path):
    other = tmp_path / "bin" / "clang-format-14"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\necho clang-format version 19.1.7\n")
    other.chmod(0o755)
    status, said = run(tree, "--check", env={"PATH": f"{other.parent}:/usr/bin:/bin"})
    assert status == 1
    assert said == ("tools/format: version 14 of clang-format, Debian 12's, decides, not clang-format "
                    f"version 19.1.7 ({other})\n")


def test_a_crash_is_no_pass(tree, tmp_path):
    other = tmp_path / "bin" / "clang-format-14"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n[ \"$1\" = --version ] && echo clang-format version 14.0 && exit\n"
                     "kill -SEGV $$\n")
    other.chmod(0o755)
    status, said = run(tree, "--check", env={"PATH": f"{other.parent}:/usr/bin:/bin"})
    assert status == 1
    assert "clang-format failed" in said
