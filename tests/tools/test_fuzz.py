# SPDX-License-Identifier: Apache-2.0
"""Seeds of tools/fuzz: random ones by itself, fixed ones for `make check`. Run in a tree of stand-ins
for what it builds, which write down how they were called."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
NOTE = '#!/bin/bash\necho "${0##*/} $*" >>"$CALLS"\n'


def put(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)


@pytest.fixture
def fuzz(tmp_path):
    (tmp_path / "tools").mkdir()
    shutil.copy(TOP / "tools/fuzz", tmp_path / "tools/fuzz")
    for name in ("tools/build", "bin/ninja"):
        put(tmp_path / name, "#!/bin/bash\n")
    for name in ("build-fuzz/tests/fuzz/fuzz-codec", "build/tests/unit/test_soft_diff"):
        put(tmp_path / name, NOTE)

    def run(**env):
        calls = tmp_path / "calls"
        calls.write_text("", encoding="ascii")
        done = subprocess.run([tmp_path / "tools/fuzz"], capture_output=True, text=True, check=False,
                              env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
                                   "CALLS": str(calls), "FUZZ_SECONDS": "0", **env})
        return done, sorted(calls.read_text(encoding="ascii").splitlines())

    return run


def seeds(calls, name):
    return sorted(int(n) for c in calls if c.startswith(name)
                  for n in re.findall(r"-seed=(\d+)|^test_soft_diff \d+ (\d+)", c)[0] if n)


def test_fixed_seeds_are_the_same_work_each_time(fuzz):
    done, calls = fuzz(FUZZ_SEED="7")
    assert done.returncode == 0, done.stderr
    assert seeds(calls, "fuzz-codec") == [7]
    assert seeds(calls, "test_soft_diff") == [7, 8, 9, 10, 11]
    assert "seed 7" in done.stdout and "seeds from 7 on" in done.stdout
    assert not any("build-fuzz/corpus" in c for c in calls)  # nothing of earlier runs
    assert fuzz(FUZZ_SEED="7")[1] == calls


def test_without_one_seeds_are_random_and_printed(fuzz):
    done, calls = fuzz()
    assert done.returncode == 0, done.stderr
    (seed,) = seeds(calls, "fuzz-codec")
    assert f"seed {seed}" in done.stdout
    assert f"seeds from {seeds(calls, 'test_soft_diff')[0]} on" in done.stdout
    assert any("build-fuzz/corpus/codec" in c for c in calls)
    assert seeds(fuzz()[1], "fuzz-codec") != [seed]


@pytest.mark.parametrize("seed", ["x", "0", "-1", "1 2", "99999999999"])
def test_what_is_no_seed_is_refused(fuzz, seed):
    done, calls = fuzz(FUZZ_SEED=seed)
    assert done.returncode == 1 and not calls
    assert done.stderr == f"tools/fuzz: FUZZ_SEED is '{seed}', not a number from 1 to 999999999\n"


def test_make_check_has_fixed_ones():
    text = (TOP / "tools/check").read_text(encoding="ascii")
    assert "FUZZ_SEED=${FUZZ_SEED:-1} " in text and "MALLOC_PERTURB_=${MALLOC_PERTURB_:-" in text
