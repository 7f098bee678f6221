# SPDX-License-Identifier: Apache-2.0
"""How the kernels' table of `make bench` counts: each kernel's CPU time is its own, however late the
counter is read."""

import importlib.util
import pathlib
import subprocess
import sys
import time

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "tests/bench"

# Speaks as cpu_bench does on a serial console; the seconds are of CPU time.
PROGRAM = """
import sys, time
for name, seconds in (("first", 0.2), ("second", 0.6), ("third", 0.2)):
    sys.stdout.write(f"BENCH ready {name}\\r\\n"); sys.stdout.flush()
    sys.stdin.readline()
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
    sys.stdout.write(f"BENCH {name} {seconds} 0123456789abcdef\\r\\n"); sys.stdout.flush()
sys.stdout.write("BENCH ready to end\\r\\n"); sys.stdout.flush()
sys.stdin.readline()
sys.stdout.write("BENCH end\\r\\n"); sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.fixture
def soft(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    spec = importlib.util.spec_from_file_location("bench_soft", BENCH / "soft.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.modules.pop("measure", None)


def test_a_late_reader_counts_no_neighbour(soft):
    class Late(soft.m.Running):
        def wait_for(self, text, seconds=120):
            super().wait_for(text, seconds)
            time.sleep(1)  # a loaded machine: what ran on meanwhile would be counted here

    with Late([sys.executable, "-c", PROGRAM], talks=True) as r:
        got = soft.in_guest(r, ["first", "second", "third"])
    for name, seconds in (("first", 0.2), ("second", 0.6), ("third", 0.2)):
        assert seconds <= got[name][0] + 0.001 and got[name][0] < seconds + 0.15, got
        assert got[name][1] == "0123456789abcdef"


def test_the_program_waits_for_a_line(tmp_path):
    program = tmp_path / "cpu_bench"
    subprocess.run(["gcc", "-O1", "-o", program, BENCH / "cpu_bench.c", "-lm"], check=True)
    with subprocess.Popen([program, "1000000", "sieve"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, env={"CPU_BENCH_WAIT": "1"}) as p:
        assert p.stdout.readline() == "BENCH start\n"
        assert p.stdout.readline() == "BENCH ready sieve\n"
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.stdout.readline().startswith("BENCH sieve ")
        assert p.stdout.readline() == "BENCH ready to end\n"
        p.stdin.write("\n")
        p.stdin.flush()
        assert p.stdout.readline() == "BENCH end\n"
