# SPDX-License-Identifier: Apache-2.0
"""tools/layers finds what it is there to find."""

import pathlib
import subprocess

import pytest

LAYERS = pathlib.Path(__file__).resolve().parents[2] / "tools" / "layers"


def layers(tree, files):
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([LAYERS, tree], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


@pytest.mark.parametrize("source, line", [
    ("lib/base/a.c", '#include "lib/guestmem/guestmem.h"'),
    ("lib/base/a.c", '#include "cmd/vmm/vcpu.h"'),
    ("lib/base/a.c", '  #  include "lib/virtio/ring.h"'),
    ("lib/base/sub/a.h", '#include "../../virtio/ring.h"'),
    ("lib/devkit/a.c", '#include "lib/image/raw.h"'),
    ("lib/virtio/a.c", '#include "lib/vhost_user/vhost_user.h"'),
    ("cmd/vmm/a.c", '#include "lib/virtio/virtqueue.h"'),
    ("cmd/vmm/a.c", '#include "cmd/dev-blk/blk.h"'),
    ("cmd/vmm/a.c", '#include <lib/base/log.h>'),
    ("cmd/vmm/pci/a.c", '#include "nowhere.h"'),
    ("cmd/dev-rng/a.c", '#include "lib/image/raw.h"'),
    ("cmd/supervisor/a.c", '#include "lib/guestmem/guestmem.h"'),
    ("cmd/bulkhead/a.c", '#include "lib/devkit/devkit.h"'),
])
def test_violation_is_found(tmp_path, source, line):
    status, output = layers(tmp_path, {source: f"/* first line */\n{line}\n"})
    assert status == 1
    assert output.startswith(f"{source}:2: ")
    assert output.count("\n") == 1


def test_unknown_part_is_found(tmp_path):
    status, output = layers(tmp_path, {"lib/mystery/a.c": ""})
    assert (status, output) == (1, "lib/mystery/a.c:1: lib/mystery has no line in "
                                   "tools/layers.table\n")


def test_allowed_includes_pass(tmp_path):
    assert layers(tmp_path, {
        "lib/base/a.c": '#include <stdio.h>\n#include "lib/base/a.h"\n#include "a.h"\n',
        "lib/base/a.h": "",
        "lib/devkit/a.c": '#include "lib/virtio/virtqueue.h"\n',
        "cmd/dev-blk/a.c": '#include "lib/image/raw.h"\n#include "cmd/dev-blk/blk.h"\n',
        "cmd/dev-new/a.c": '#include "lib/devkit/args.h"\n',
        "cmd/vmm/pci/a.c": '#include "cmd/vmm/vcpu.h"\n#include "lib/guestmem/guestmem.h"\n',
        "cmd/supervisor/a.c": '#include "lib/config/config.h"\n',
    }) == (0, "")


def test_this_tree_passes():
    done = subprocess.run([LAYERS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")
