# SPDX-License-Identifier: Apache-2.0
"""A server that is away for longer than its bound: the three ways of --on-storage-error, by storage-nbd alone, by a whole
VM, and by a storage-nbd that lies."""

import os
import re
import shutil
import signal
import socket

import pytest

from bh import process, vm, wait
from bh.waiting import WaitingVM, played  # noqa: F401
from test_storage import FLUSH, READ, WRITE, answer, request
from test_storage_nbd import Server, answer_of, begin, serve, works  # noqa: F401

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not all(map(shutil.which, ("nbdkit", "qemu-nbd"))), reason="no nbdkit or qemu-utils: tools/deps check")]

NAME = "away-test"
EIO = 5
SOON = "--away=1"
PAST = 5  # a storage-nbd has asked its dialer so often when its server has been away for 1.5 s
UP, END = "enter,ready,event:1", "event:2"
STANDS, GOES = "vmm: warning: stands still", "vmm: warning: goes on"


# ---- storage-nbd ----

def leave(p, sock, server):
    """The server is killed while a write and a read wait. What is written."""
    server.kill()
    new = os.urandom(64 << 10)
    sock.sendall(request(WRITE, 10, 1 << 20, len(new), new) + request(READ, 11, 4096, 512))
    return new


def come_back(sock, server, new):
    """What waited is done, and what comes then."""
    server.start()
    assert dict(answer_of(sock, {10: 0, 11: 512})[:2] for _ in range(2)) == {10: 0, 11: 0}
    sock.sendall(request(FLUSH, 12))
    assert answer(sock) == (12, 0, b"")
    assert server.file.read_bytes()[1 << 20:(1 << 20) + len(new)] == new


def is_silent(sock):
    sock.settimeout(0)
    try:
        sock.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    finally:
        sock.settimeout(60)


def test_retry_has_no_bound(serve, begin):
    server = serve()
    p, sock = begin(server, server.address("vm"), "--on-error=retry", SOON)
    works(p, sock, server)
    new = leave(p, sock, server)
    wait.until(lambda: p.dialer.n >= PAST, "it is tried for longer than the bound")
    assert is_silent(sock) and not p.said(process.CTL_AWAY)
    come_back(sock, server, new)


@pytest.mark.parametrize("program", ("nbdkit", "qemu-nbd"))
def test_report_is_an_error_until_it_is_back(serve, begin, program):
    server = serve(program)
    p, sock = begin(server, server.address("vm"), "--on-error=report", SOON)
    data = works(p, sock, server)
    server.kill()
    for n in range(3):
        sock.sendall(request(READ, n, 4096, 512))
        assert answer(sock)[:2] == (n, EIO)
    server.start()
    error, got = EIO, b""
    while error:
        sock.sendall(request(READ, 7, 4096, 512))
        cookie, error, got = answer_of(sock, {7: 512})
        assert cookie == 7 and error in (0, EIO)
    assert got == data[:512] and not p.said(process.CTL_AWAY) and p.alive


@pytest.mark.parametrize("program", ("nbdkit", "qemu-nbd"))
def test_stop_is_said_once_and_nothing_is_answered(serve, begin, program):
    server = serve(program)
    p, sock = begin(server, server.address("vm"), "--on-error=stop", SOON)
    works(p, sock, server)
    new = leave(p, sock, server)
    wait.until(lambda: p.said(process.CTL_AWAY), "it says that the server is away")
    before = p.dialer.n
    wait.until(lambda: p.dialer.n > before + 1, "it is tried on")
    assert is_silent(sock) and not p.said(process.CTL_BACK)
    assert [m.text for m in p.said(process.CTL_AWAY)] == [f"127.0.0.1:{server.port}: Connection refused"]
    come_back(sock, server, new)
    wait.until(lambda: p.said(process.CTL_BACK), "it says that the server is back")


# ---- a whole VM ----

@pytest.fixture
def quick(build):
    """The dialer ends a moment after the VM."""
    place_ = vm.Place(build, real=True)
    yield place_
    place_.wait_until_empty()
    place_.close()



def ps(place_):
    """Its state, and why it is paused."""
    lines = place_.call("ps")[1].splitlines()
    (i,) = [i for i, line in enumerate(lines) if line.startswith(f"{NAME} ")]
    below = lines[i + 1] if i + 1 < len(lines) else ""
    return lines[i].split()[2], below.strip() if below.startswith(" ") else ""


def start(place_, build, server, how, *words):
    return WaitingVM(place_, build, NAME, "growing", "test",
                     ["--allow", "storage-nbd", "--on-storage-error", how, "--storage-timeout", "1", "--disk",
                      f"{server.address('vm')},format=raw", *words])


def test_a_vm_is_paused_and_goes_on(quick, build, serve):
    """Its guest writes to the disk without a rest, and sees neither an error nor a reset."""
    server = serve()
    guest = start(quick, build, server, "stop")
    for _ in range(2):
        server.kill()
        why = f"storage-nbd: 127.0.0.1:{server.port}: Connection refused"
        wait.until(lambda: ps(quick)[0] == "paused", "the VM is paused")
        assert ps(quick) == ("paused", f"paused: {why}")
        code, _, err = quick.call("resume", NAME)
        assert code == 1 and err == f"bulkhead: {NAME}: its server is still away: {why}\n"
        server.start()
        wait.until(lambda: ps(quick)[1] == "paused: storage-nbd: the server is there again", "it is back")
        assert ps(quick)[0] == "paused"
        assert quick.call("resume", NAME) == (0, "", "")
        assert ps(quick) == ("running", "")
    err = guest.stop()
    assert err.count(f"{why}; the VM is paused: once the server is back, bulkhead resume {NAME} lets it go on; "
                     f"bulkhead stop {NAME} ends it\n") == 2
    assert err.count("the VM goes on\n") == 2
    assert server.file.read_bytes()[512] == 0xa5


def test_a_paused_vm_whose_storage_process_dies(quick, build, serve):
    """It finds no server; the VM stays paused, whatever --on-crash says, and goes on later with what waited."""
    server = serve()
    guest = start(quick, build, server, "stop")
    server.kill()
    wait.until(lambda: ps(quick)[0] == "paused", "the VM is paused")
    (pid,) = (pid for pid, exe in quick.processes() if exe.endswith("/storage-nbd"))
    os.kill(pid, 9)
    why = f"storage-nbd: 127.0.0.1:{server.port}: Connection refused\n"
    before = (1, "", f"bulkhead: {NAME}: its server is still away: {why}")  # while the supervisor has not heard of its end
    got = wait.until(lambda: (said := quick.call("resume", NAME)) != before and said, "another process has looked")
    assert got == (1, "", f"bulkhead: {NAME}: {why}")
    assert ps(quick)[0] == "paused"
    server.start()
    assert quick.call("resume", NAME) == (0, "", "")
    guest.stop()


def test_a_paused_vm_is_ended(quick, build, serve):
    server = serve()
    guest = start(quick, build, server, "stop")
    server.kill()
    wait.until(lambda: ps(quick)[0] == "paused", "the VM is paused")
    assert quick.call("stop", NAME)[0] == 0
    guest.process.communicate(timeout=60)
    assert guest.process.returncode == 6


def test_a_vm_gets_errors_and_goes_on(quick, build, serve):
    server = serve()
    guest = start(quick, build, server, "report")
    server.kill()
    for _ in range(2):
        assert guest.process.stdout.readline() == "FAILED a write\n"
    assert ps(quick) == ("running", "")
    server.start()
    assert quick.call("stop", NAME)[0] == 0
    out, err = guest.process.communicate(timeout=60)
    assert guest.process.returncode == 0 and "ok no reset was needed" in out, out + err


# ---- a dialer that ends ----

def kill_dialer(place_):
    (pid,) = (pid for pid, exe in place_.processes() if exe.endswith("/dialer"))
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.parametrize("how", ("retry", "stop"))
def test_a_dialer_that_is_killed(quick, build, serve, how):
    """It is reaped and said; the disk serves on until its server goes, which ends the VM whatever is said of that."""
    server = serve()
    guest = start(quick, build, server, how)
    pid = kill_dialer(quick)
    line = next(line for line in guest.process.stderr if "the dialer" in line)
    assert lines(line) == ["the dialer was killed by signal KILL (9): a disk that loses its server ends the VM"]
    wait.until(lambda: not os.path.exists(f"/proc/{pid}"), "it is reaped")
    assert ps(quick) == ("running", "")
    server.kill()
    _, err = guest.process.communicate(timeout=60)
    assert guest.process.returncode == 5
    assert lines(err)[-1].startswith("storage-nbd: the server is away, and so is the dialer: "), err


def test_a_dialer_that_is_killed_with_on_crash_stop(quick, build, serve):
    guest = start(quick, build, serve(), "retry", "--on-crash", "stop")
    kill_dialer(quick)
    _, err = guest.process.communicate(timeout=60)
    assert guest.process.returncode == 5 and lines(err)[-1] == "the dialer was killed by signal KILL (9)"


# ---- a storage process that lies ----

def play(place_, script, *words, on="stop", vmm=f"{UP},power,{END}"):
    process_ = place_.start("run", "--kernel", place_.kernel, "--cmdline", vmm, "--name", NAME, "--allow", "storage-nbd",
                            "--on-storage-error", on, "--disk", f"nbd://127.0.0.1/{script},format=raw", *words)
    assert process_.stdout.readline() == "the console\n", process_.stderr.read()
    return process_


def lines(err):
    return [re.sub(r"^bulkhead: (\S+: )?(warning: )?", "", line) for line in vm.without_host(err).splitlines()]


@pytest.mark.parametrize("script, on", (("type:13+type:13", "stop"), ("type:14", "stop"), ("type:13", "retry"),
                                        ("type:13", "report")))
def test_what_a_storage_process_may_not_say(played, script, on):
    """Twice that its server is away, that it is back when it was not away, or that it is where nobody asked."""
    process_ = play(played, f"enter+ready+sleep:200+{script}+wait", on=on)
    for line in process_.stderr:
        if "broke the control protocol" in line:
            break
    assert line.startswith(f"bulkhead: {NAME}: ") and "storage-nbd broke the control protocol" in line
    assert played.call("stop", NAME, "--now")[0] == 0
    process_.communicate(timeout=60)


def test_no_other_device_pauses_the_vm(played):
    process_ = played.start("run", "--kernel", played.kernel, "--cmdline", f"{UP},power,{END}", "--name", NAME, "--disk",
                            f"{played.file('d', b'enter,ready,sleep:200,type:13,wait'.ljust(512))},format=raw",
                            "--on-storage-error", "stop", "--on-crash", "stop")
    _, err = process_.communicate(timeout=60)
    assert process_.returncode == 5 and lines(err)[-1] == "dev-blk broke the control protocol"


def test_a_server_that_comes_and_goes_pauses_once(played):
    """Of ten thousand times: until its user lets it go on, and with few lines."""
    process_ = play(played, "enter+ready+sleep:200+aways:10000+failed:done+wait", "--on-crash", "stop")
    _, err = process_.communicate(timeout=60)
    said = lines(err)
    assert process_.returncode == 5 and said[-1] == "storage-nbd: done"
    assert err.count(STANDS) == 1 and GOES not in err
    assert 0 < len([line for line in said if "the server is there again" in line]) < 1000
