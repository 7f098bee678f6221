# SPDX-License-Identifier: Apache-2.0
"""`make install` goes where PREFIX says, whatever was built before; tried on a project of one file."""

import pathlib
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
MESON = """project('small', version: '1')
install_data('file', install_dir: get_option('datadir'))
"""


@pytest.fixture
def project(tmp_path):
    top = tmp_path / "project"
    (top / "tools").mkdir(parents=True)
    shutil.copy(TOP / "Makefile", top)
    shutil.copy(TOP / "tools/build", top / "tools")
    (top / "meson.build").write_text(MESON)
    (top / "file").write_text("content")
    for name in ("deps", "demo"):
        (top / "tools" / name).write_text("#!/bin/sh\n")
        (top / "tools" / name).chmod(0o755)
    (top / "tools/cloud-image").mkdir()
    shutil.copy(top / "tools/demo", top / "tools/cloud-image/build")
    return top


def make(project, *words):
    subprocess.run(["make", "-s", *words], cwd=project, check=True, capture_output=True)


def installed(project, *words):
    """Where the file is after `make install` with these words."""
    place = project.parent / "place"
    make(project, "install", f"DESTDIR={place}", *words)
    found = [str(path.relative_to(place)) for path in place.rglob("file")]
    shutil.rmtree(place)
    return found


def test_prefix_holds_after_another_build(project):
    make(project, "demo")
    assert installed(project) == ["usr/local/share/file"]
    assert installed(project, "PREFIX=/usr") == ["usr/share/file"]
    assert installed(project, "PREFIX=/opt/x") == ["opt/x/share/file"]


def test_prefix_of_the_build_holds_for_the_install(project):
    make(project, "PREFIX=/usr")
    assert installed(project) == ["usr/share/file"]
    make(project, "demo")
    assert installed(project) == ["usr/share/file"]


def test_what_is_built_is_not_built_anew(project):
    """The same prefix once more leaves what is set up alone."""
    make(project, "PREFIX=/usr")
    before = (project / "build/build.ninja").stat().st_mtime_ns
    make(project, "PREFIX=/usr")
    assert (project / "build/build.ninja").stat().st_mtime_ns == before
