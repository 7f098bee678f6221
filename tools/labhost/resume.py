# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin for tests in the lab, whose emulated processor has been seen to stand still.

What passed or was skipped is said on standard error, for tools/lab-tests; what the file LAB_PASSED names is not
run. A test that does not end within TEST_MOST_SECONDS fails, with the place where it waited.
"""

import os
import pathlib
import signal

import pytest

TEST_MOST_SECONDS = 240
RECORD = "\x1e"  # begins a line of ours, behind whatever dots there are
STDERR = os.dup(2)  # before pytest captures it


class StoodStill(Exception):
    pass


def stand_up(_signal, _frame):
    raise StoodStill(f"no end after {TEST_MOST_SECONDS} s")


def pytest_collection_modifyitems(config, items):
    passed = set(pathlib.Path(os.environ["LAB_PASSED"]).read_text(encoding="utf-8").splitlines())
    left = [item for item in items if item.nodeid not in passed]
    if len(left) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
        items[:] = left


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):  # noqa: ARG001
    signal.signal(signal.SIGALRM, stand_up)
    signal.alarm(TEST_MOST_SECONDS)
    yield
    signal.alarm(0)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    item.failed_somewhere = getattr(item, "failed_somewhere", False) or report.failed
    if call.when == "teardown" and not item.failed_somewhere:
        os.write(STDERR, f"{RECORD}{item.nodeid}\n".encode())
