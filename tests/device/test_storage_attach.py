# SPDX-License-Identifier: Apache-2.0
"""Disks of NBD servers and iSCSI targets that are attached to a VM that runs, and detached: each with a dialer of its own, which ends with
it."""

import json
import os
import re
import shutil
import signal

import pytest

from bh import tgt, vm, wait
from bh.tgt import GUEST, HOST
from test_attach import NAME, Guest, attach, attached, detach, pids_of, restarts
from test_storage_iscsi import file_of, target  # noqa: F401
from test_storage_nbd import Server, pki, serve, tls_words  # noqa: F401

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not all(map(shutil.which, ("nbdkit", "qemu-nbd", "openssl", "psktool"))),
                       reason="no nbdkit, qemu-utils, openssl or gnutls-bin: tools/deps check")]

OWN = ("dev-blk", "storage-nbd", "storage-iscsi", "dialer")


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param, real=True)
    yield place_
    place_.wait_until_empty()
    place_.close()


@pytest.fixture
def quick(build):
    place_ = vm.Place(build, real=True)
    yield place_
    place_.wait_until_empty()
    place_.close()


def start(place_, build, *words):
    return Guest(place_, build, "disks", "--allow", "storage-nbd,storage-iscsi", *words)


def come(place_, guest, *words):
    """Attached, and its guest has read and written it."""
    assert attach(place_, "disk", *words) == "disk-1 at 0000:00:18.0\n"
    guest.wait_for("the disk works")


def go(place_):
    """Nothing is left of it."""
    detach(place_, "disk-1")
    assert attached(place_) == []
    wait.until(lambda: not any(pids_of(place_, name) for name in OWN), "all of its processes have ended")


needs_tgt = pytest.mark.skipif(tgt.MISSING, reason="no tgt: tools/deps check")


def test_a_disk_of_a_server_comes_and_goes(place, build, serve):
    """Whichever of its processes dies is started again with what it was given, and finds the server."""
    server, guest = serve(), start(place, build)
    for _ in range(2):
        come(place, guest, f"{server.address('vm')},format=raw")
        assert server.file.read_bytes()[511] == 0xa5
        before = restarts(place)
        for name in ("storage-nbd", "dev-blk"):
            (pid,) = pids_of(place, name)
            os.kill(pid, signal.SIGKILL)
            before += 1
            wait.until(lambda n=before: restarts(place) == n, "a restart")
        go(place)
    guest.stop()


@needs_tgt
def test_a_unit_of_a_target_comes_and_goes(place, build, target):
    """With CHAP of both sides, whichever of its processes dies; the audit takes them for what they declare."""
    secrets = [word for name, text in (("who", GUEST), ("peer", f"host:{HOST}"))
               for word in ("--secret", f"{name}={place.file(name, text.encode())}")]
    guest = start(place, build)
    for _ in range(2):
        come(place, guest, f"{target.uri('chap', user='guest@')},format=raw,chap=who,chap-target=peer", *secrets)
        assert file_of(target).read_bytes()[511] == 0xa5
        before = restarts(place)
        for name in ("storage-iscsi", "dev-blk"):
            (pid,) = pids_of(place, name)
            os.kill(pid, signal.SIGKILL)
            before += 1
            wait.until(lambda n=before: restarts(place) == n, "a restart")
        assert_audited(place, "storage-iscs", 1)
        go(place)
    guest.stop()


@needs_tgt
def test_a_target_that_is_away_pauses_the_vm(quick, build, target):
    guest = start(quick, build, "--on-storage-error", "stop", "--storage-timeout", "1")
    come(quick, guest, f"{target.uri()},format=raw")
    target.kill()
    wait.until(lambda: "paused: storage-iscsi 1: " in quick.call("ps")[1], "the VM is paused")
    target.start()
    wait.until(lambda: quick.call("resume", NAME)[0] == 0, "the target is back")
    go(quick)
    guest.stop()


def test_over_tls(quick, build, serve, pki):
    """Its key is sent with it; the audit takes its processes for what they declare."""
    server, guest = serve("nbdkit", tls_words("nbdkit", pki, "psk")), start(quick, build)
    come(quick, guest, f"{server.address('vm', True)},format=raw,tls-psk=k", "--secret", f"k={pki / 'right.psk'}")
    assert_audited(quick, "storage-nbd", 1)
    go(quick)
    guest.stop()


def test_dialers_are_of_the_vm(place, build, serve):
    """One for each of its disks: each is where the VM's supervisor is, and audited, as is that of a VM's start."""
    server = serve()
    guest = start(place, build, "--disk", f"{server.address('vm')},format=raw")
    assert_audited(place, "storage-nbd", 1)
    for n in (2, 3):
        assert attach(place, "disk", f"{server.address('vm')},format=raw") == f"disk-{n} at 0000:00:{0x16 + n:x}.0\n"
        assert_audited(place, "storage-nbd", n)
    (supervisor,) = pids_of(place, "supervisor")[-1:]
    assert {groups_of(pid) for pid in pids_of(place, "dialer")} == {groups_of(supervisor)}
    detach(place, "disk-2")
    assert_audited(place, "storage-nbd", 2)
    detach(place, "disk-3")
    assert_audited(place, "storage-nbd", 1)
    guest.stop()


def groups_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
        return f.read()


def names_of(place_):
    return [p["name"] for p in json.loads(place_.call("audit", "--json", NAME)[1])["audits"][0]["processes"]]


def assert_audited(place_, program, dialers):
    """The audit takes the processes for what they declare, and sees each dialer; one of a disk that went ends a moment later."""
    wait.until(lambda: names_of(place_).count("dialer") <= dialers, "dialers have ended")
    code, out, err = place_.call("audit", NAME)
    assert code == 0 and "WEAKER" not in out and program in out, out + err
    assert len(re.findall(r"\bdialer\b", out)) >= dialers, out
    names = names_of(place_)
    assert names.count("dialer") == dialers, names


def test_a_server_that_is_away_pauses_the_vm(quick, build, serve):
    """As one that was there from the start; it is paused still when the disk's process dies."""
    server, guest = serve(local=True), start(quick, build, "--on-storage-error", "stop", "--storage-timeout", "1")
    come(quick, guest, f"{server.address('vm')},format=raw")
    server.kill()
    wait.until(lambda: "paused: storage-nbd 1: " in quick.call("ps")[1], "the VM is paused")
    server.start()
    wait.until(lambda: quick.call("resume", NAME)[0] == 0, "the server is back")
    go(quick)
    guest.stop()


def refused(place_, *words):
    code, out, err = place_.call("attach", NAME, "disk", *words)
    assert code != 0 and not out and err.count("\n") == 1, err
    return err


def test_what_is_refused(quick, build, serve, pki):
    """One line each, and nothing is left."""
    server, guest = serve(), start(quick, build)
    before = quick.processes()
    address = server.address("vm")
    assert "there is no secret of that name: say --secret k=FILE" in \
        refused(quick, f"{server.address('vm', True)},format=raw,tls-psk=k")
    assert "no address is known of that name" in refused(quick, "nbd://nowhere.invalid/vm,format=raw")
    assert "format=raw" in refused(quick, f"{address},format=qcow2")
    assert "the server has no TLS" in \
        refused(quick, f"{server.address('vm', True)},format=raw,tls-psk=k", "--secret", f"k={pki / 'right.psk'}")
    assert "its options are too long" in refused(quick, f"{address}{'x' * 380},format=raw")
    assert "there is no secret of that name: say --secret c=FILE" in \
        refused(quick, "iscsi://me@localhost/iqn.2026-11.a:b/1,format=raw,chap=c")
    server.kill()
    assert f"storage-nbd 1: 127.0.0.1:{server.port}: Connection refused" in refused(quick, f"{address},format=raw")
    wait.until(lambda: quick.processes() == before, "nothing is left of them")
    guest.stop()


def test_only_where_it_is_allowed(quick, build, serve):
    guest = Guest(quick, build)
    assert "a VM takes it that was started with --allow storage-nbd" in refused(quick, f"{serve().address('vm')},format=raw")
    assert "a VM takes it that was started with --allow storage-iscsi" in \
        refused(quick, "iscsi://localhost/iqn.2026-11.a:b/1,format=raw")
    wait.until(lambda: not pids_of(quick, "dialer"), "its dialer ends")
    guest.stop()
