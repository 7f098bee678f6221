# SPDX-License-Identifier: Apache-2.0
"""docs/cve.md: the tests that it names exist, and the CVEs that tests name are in it."""

import pathlib
import re

TREE = pathlib.Path(__file__).resolve().parent.parent.parent
TABLE = TREE / "docs/cve.md"
CVE = re.compile(r"CVE-\d{4}-\d{4,6}")
NAMED = re.compile(r"(tests/[\w/.-]+\.(?:c|py))(?:::(\w+))?")


def named_in(text):
    return sorted(set(NAMED.findall(text)))


def problem(tree, path, name):
    """What is wrong with tests/FILE::NAME, or None."""
    file = tree / path
    if not file.is_file():
        return f"{path}: no such file"
    if not name:
        return None
    text = file.read_text()
    if path.endswith(".py"):
        return None if re.search(rf"^def {name}\(", text, re.M) else f"{path} has no {name}"
    # in C: defined, and in the list that main runs
    if not re.search(rf"^static void {name}\(void \*\*state\)", text, re.M):
        return f"{path} has no {name}"
    if len(re.findall(rf"\b{name}\b", text)) < 2:
        return f"{path} never runs {name}"
    return None


def listed(text):
    """The CVEs of a text, with those that "to" spans."""
    found = set(CVE.findall(text))
    for year, first, last in re.findall(r"CVE-(\d{4})-(\d+) to CVE-\1-(\d+)", text):
        width = len(first)
        found |= {f"CVE-{year}-{n:0{width}}" for n in range(int(first), int(last) + 1)}
    return found


def mentioned(tree):
    files = [f for f in (tree / "tests").rglob("*")
             if f.suffix in (".c", ".h", ".py", ".toml") and f.is_file()]
    return {cve: f.relative_to(tree) for f in files for cve in CVE.findall(f.read_text())}


def test_every_test_exists():
    named = named_in(TABLE.read_text())
    assert len(named) > 50
    assert [p for p in (problem(TREE, *n) for n in named) if p] == []


def test_every_row_names_a_test():
    rows = [line for line in TABLE.read_text().splitlines() if line.startswith("| CVE-")]
    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"\.(c|py)::\w+", row)] == []


def test_every_cve_of_a_test_is_listed():
    known = listed(TABLE.read_text())
    unknown = {cve: str(file) for cve, file in mentioned(TREE).items() if cve not in known}
    assert unknown == {}


def test_mistakes_are_found(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/a.c").write_text("static void here(void **state)\n{\n}\n")
    (tmp_path / "tests/a.py").write_text("def test_here(x):\n    pass\n# CVE-1999-" + "0001\n")
    assert problem(tmp_path, "tests/b.c", "x") == "tests/b.c: no such file"
    assert problem(tmp_path, "tests/a.c", "gone") == "tests/a.c has no gone"
    assert problem(tmp_path, "tests/a.c", "here") == "tests/a.c never runs here"
    assert problem(tmp_path, "tests/a.py", "test_gone") == "tests/a.py has no test_gone"
    assert problem(tmp_path, "tests/a.py", "test_here") is None
    assert list(mentioned(tmp_path)) == ["CVE-1999-" + "0001"]
    assert listed("CVE-2014-0142 to CVE-2014-0144") == {f"CVE-2014-014{n}" for n in (2, 3, 4)}
