# SPDX-License-Identifier: Apache-2.0
"""The lab itself: what tests in it rely on."""

import hashlib
import os
import pathlib
import signal
import subprocess
import time
import uuid

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
LAB = str(TOP / "tools" / "lab")
PYTHON = "/usr/bin/python3"

CREATE_A_VM = """
import fcntl, os
kvm = os.open("/dev/kvm", os.O_RDWR)
assert fcntl.ioctl(kvm, 0xAE00) == 12      # KVM_GET_API_VERSION
vm = fcntl.ioctl(kvm, 0xAE01, 0)           # KVM_CREATE_VM
vcpu = fcntl.ioctl(vm, 0xAE41, 0)          # KVM_CREATE_VCPU
print("vm", vm > 0, vcpu > 0)
"""


MARK = f"bulkhead-lab-test-{uuid.uuid4()}"
ENVIRONMENT = dict(os.environ, LAB_TEST_MARK=MARK)


def descendants_named(*names):
    """Processes of these names whose environment carries this test run's mark."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name = (entry / "comm").read_text().strip()
            if name in names and MARK.encode() in (entry / "environ").read_bytes():
                found.append((int(entry.name), name))
        except OSError:
            continue
    return found


def lab(*arguments, **kwargs):
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([LAB, *arguments], capture_output=True, env=ENVIRONMENT, timeout=120,
                          **kwargs)


def wait_until_gone():
    deadline = time.monotonic() + 10
    while descendants_named("qemu-system-x86", "virtiofsd") and time.monotonic() < deadline:
        time.sleep(0.05)
    return descendants_named("qemu-system-x86", "virtiofsd") == []


@pytest.fixture(scope="module")
def session():
    name = uuid.uuid4().hex
    started = lab("start", "--name", name)
    assert started.returncode == 0, started.stderr

    def execute(*command, **kwargs):
        return lab("exec", "--name", name, *command, **kwargs)

    execute.name = name
    yield execute
    assert lab("stop", "--name", name).returncode == 0
    assert wait_until_gone()


def test_run_passes_status_output_and_place():
    done = lab("run", "--", "sh", "-c", "echo out; echo err >&2; pwd; exit 42", cwd=TOP / "tests")
    assert (done.returncode, done.stderr) == (42, b"err\n")
    assert done.stdout == f"out\n{TOP}/tests\n".encode()
    assert wait_until_gone()


def test_writable_folder_is_kept(tmp_path):
    kept, lost = tmp_path / "kept", tmp_path / "lost"
    kept.mkdir()
    lost.mkdir()
    done = lab("run", "--writable", str(kept), "--", "sh", "-c",
               f"echo 1 >{kept}/file; echo 2 >{lost}/file; cat {lost}/file")
    assert (done.returncode, done.stdout) == (0, b"2\n")
    assert (kept / "file").read_text() == "1\n"
    assert not (lost / "file").exists()


def test_terminated_run_leaves_nothing():
    process = subprocess.Popen([LAB, "run", "--", "sleep", "1000"], env=ENVIRONMENT,
                               stdin=subprocess.DEVNULL)
    while not descendants_named("qemu-system-x86"):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert wait_until_gone()


def test_killed_run_leaves_nothing():
    process = subprocess.Popen([LAB, "run", "--", "sleep", "1000"], env=ENVIRONMENT,
                               stdin=subprocess.DEVNULL)
    while not descendants_named("qemu-system-x86"):
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert wait_until_gone()


def test_exec_status(session):
    assert session("--", "false").returncode == 1
    assert session("--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    missing = session("--", "no-such-command")
    assert missing.returncode == 127
    assert missing.stderr == b"lab: no-such-command: No such file or directory\n"


def test_output_is_exact(session):
    script = "import os, sys; d = bytes(range(256)) * 8192; os.write(2, d[:4096]); " \
             "sys.stdout.buffer.write(d)"
    done = session("--", PYTHON, "-c", script)
    assert done.returncode == 0
    assert done.stdout == bytes(range(256)) * 8192
    assert done.stderr == (bytes(range(256)) * 16)


def test_input_is_exact(session, tmp_path):
    data = os.urandom(2_000_001)
    source = tmp_path / "data"
    source.write_bytes(data)
    with source.open("rb") as stream:
        done = session("--", "sha256sum", stdin=stream)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_reader_that_goes_away_ends_the_command(session):
    line = f"{LAB} exec --name {session.name} -n -- yes | head -n 1"
    done = subprocess.run(["sh", "-c", line], capture_output=True, env=ENVIRONMENT, timeout=60)
    assert done.stdout == b"y\n"
    assert session("--", "pgrep", "-x", "yes").returncode == 1


def test_kvm_is_real(session):
    done = session("--", PYTHON, "-c", CREATE_A_VM)
    assert (done.returncode, done.stdout) == (0, b"vm True True\n"), done.stderr
    done = session("--", str(TOP / "tools" / "kvm-real"))
    assert done.returncode == 0, done.stderr


def test_auto_takes_the_real_kvm(session):
    """A guest of nothing but its kernel; what the command chose is on standard error."""
    done = session("--", str(TOP / "build/cmd/bulkhead/bulkhead"), "run", "--kernel",
                   str(TOP / "build/tests/guest/hello.elf"), "--memory", "64M", "--cmdline", "x", "--net", "none")
    assert done.returncode == 0 and done.stdout.startswith(b"hello"), done
    assert b": KVM runs the guest: /dev/kvm runs ring 0 on the processor\n" in done.stderr


def test_a_vcpus_state_and_the_real_kvm(session):
    """What this machine skips: a computation that goes on after its state was loaded, and damaged states."""
    done = session("--", str(TOP / "build/tests/unit/test_kvm_state"))
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert b"test_damaged_states_and_a_real_kvm" in said and b"SKIPPED" not in said


def test_host_features(session):
    done = session("--", "cat", "/sys/fs/cgroup/cgroup.subtree_control")
    assert {b"cpu", b"memory", b"io", b"pids"} <= set(done.stdout.split())
    lsm = session("--", "cat", "/sys/kernel/security/lsm").stdout
    assert b"landlock" in lsm
    done = session("--user", "1000", "--", "unshare", "--user", "--map-root-user", "id", "-u", cwd="/")
    assert done.stdout == b"0\n"


def test_no_session():
    done = lab("exec", "--name", "no-such-session", "--", "true")
    assert done.returncode == 125
    assert done.stderr.count(b"\n") == 1
