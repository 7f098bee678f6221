# SPDX-License-Identifier: Apache-2.0
import os
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/device"))
sys.path.append(str(TOP / "tests/linux"))


@pytest.fixture(scope="session")
def build():
    """The build directory: BULKHEAD_BUILD, or build/ of the tree."""
    return pathlib.Path(os.environ.get("BULKHEAD_BUILD", TOP / "build")).resolve()
