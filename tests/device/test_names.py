# SPDX-License-Identifier: Apache-2.0
"""Names of VMs among other users of the host, who take names and hold them up, and after VMs that were
killed. With the user's directory for names and without; tests/unit/test_vmlink.c counts the waits.
"""

import os
import pathlib
import signal
import socket
import subprocess

import pytest

from bh import vm, wait

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become others")

RUNNING, POWEROFF = 1, 2
UP = f"enter,ready,event:{RUNNING}"
SCRIPT = f"{UP},power,event:{POWEROFF}"
N_SQUATTED = 40

# Takes names, fills their queues, and says so.
SQUATTER = """
import socket, sys
keep = []
for name in sys.argv[1:]:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.bind("\\0" + name)
    s.listen(0)
    keep.append(s)
    while True:
        c = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        c.setblocking(False)
        try:
            c.connect("\\0" + name)
        except BlockingIOError:
            break
        keep.append(c)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture(params=["root", "user", "subids"])
def place(request, build):
    place_ = vm.place_of(build, request.param)
    yield place_
    assert place_.end() == []


@pytest.fixture(params=["directory", "no directory"])
def met(request, place):
    """A place, with the two ways in which its VMs can be found."""
    if request.param == "no directory":
        if place.uid == 0:
            pytest.skip("root always has /run")
        place.runtime = None
    return place


@pytest.fixture
def squat():
    """Another user who takes names: for a user id, these."""
    running = []

    def start(uid, names):
        process = subprocess.Popen(
            ["setpriv", "--reuid=64999", "--regid=64999", "--clear-groups", "/usr/bin/python3", "-c",
             SQUATTER, *(f"bulkhead/{uid}/{name}" for name in names)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout.readline() == "taken\n"

    yield start
    for process in running:
        process.communicate("", timeout=60)


def detached(place_, name):
    return place_.call("run", "--kernel", place_.kernel, "--cmdline", SCRIPT, "--name", name,
                       "--detach")


def names_of(place_):
    """Of those that run, as ps says; and of those that it could not ask."""
    code, out, err = place_.call("ps")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()[1:]]
    return ({row[0] for row in rows if row[2] == "running"},
            {row[0] for row in rows if row[2] != "running"})


def test_squatted_names(met, squat):
    """They are no VM of this user's, they take no name from them, and all of them cost one wait."""
    squatted = [f"squatted-{i}" for i in range(N_SQUATTED)]
    assert detached(met, "before") == (0, "before\n", "")
    squat(met.uid, ["mine", *squatted])
    assert detached(met, "mine") == (0, "mine\n", "")
    assert names_of(met)[0] == {"before", "mine"}
    code, _, err = detached(met, "mine")
    assert code == 1 and "a VM named 'mine' runs already" in err
    for name in ("before", "mine"):
        assert met.call("stop", name) == (0, f"{name}: the guest powered off\n", "")
    code, out, err = met.call("stop", squatted[0])
    assert code == 1 and out == "" and err.count("\n") == 1
    met.wait_until_empty()
    assert names_of(met)[0] == set()


def test_another_user_who_listens_is_not_believed(met):
    """Who takes the connection but is somebody else is no VM, whatever they might say."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        uid = os.geteuid()
        os.seteuid(64999)
        s.bind(f"\0bulkhead/{met.uid}/theirs")
        s.listen(8)
        os.seteuid(uid)
        assert names_of(met) == (set(), set())
        code, _, err = met.call("stop", "theirs")
        assert code == 1 and "no VM of yours is named 'theirs'" in err
        assert detached(met, "theirs") == (0, "theirs\n", "")
        assert names_of(met) == ({"theirs"}, set())
        assert met.call("stop", "theirs")[0] == 0
        met.wait_until_empty()


def test_one_name_one_vm_wherever_it_is_met(place):
    """Started where there is a directory, and where there is none."""
    if place.uid == 0:
        pytest.skip("root always has /run")
    runtime = place.runtime
    for first, second in ((runtime, None), (None, runtime)):
        place.runtime = first
        assert detached(place, "one")[0] == 0
        place.runtime = second
        code, _, err = detached(place, "one")
        assert code == 1 and "a VM named 'one' runs already" in err
        assert names_of(place)[0] == {"one"}
        assert place.call("stop", "one")[0] == 0
        place.wait_until_empty()


def sockets_in(place_):
    return sorted(p.name for p in (place_.runtime / "bulkhead").iterdir())


def is_over(pid):
    """A process loses its program first, and then its sockets."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def kill_all(place_):
    pids = [pid for pid, _ in place_.processes()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    place_.wait_until_empty()
    wait.until(lambda: all(map(is_over, pids)), "what was killed has closed its sockets")


def test_killed_ones_leave_nothing_for_long(place):
    """What SIGKILL of all leaves goes when the next is started, or when somebody looks."""
    for name in ("a", "b"):
        assert detached(place, name)[0] == 0
    assert sockets_in(place) == ["a", "b"]
    kill_all(place)
    assert detached(place, "b") == (0, "b\n", "")
    assert sockets_in(place) == ["b"]
    kill_all(place)
    assert names_of(place) == (set(), set())
    assert sockets_in(place) == []


def test_sockets_of_the_hosts_programs_are_theirs(place):
    """What a VM left beside its name goes with it; what a program of the host left for guests does not."""
    folder = place.runtime / "bulkhead"
    folder.mkdir(mode=0o700)
    os.chown(folder, place.uid, place.gid)
    for name in ("gone+vsock", "gone+vsock_80", "b+vsock_80"):
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(folder / name))
        os.chown(folder / name, place.uid, place.gid)
    assert detached(place, "b") == (0, "b\n", "")
    assert sockets_in(place) == ["b", "b+vsock_80", "gone+vsock_80"]
    kill_all(place)
    assert names_of(place) == (set(), set())
    assert sockets_in(place) == ["b+vsock_80", "gone+vsock_80"]


REACHING = ("--vsock", "on", "--vsock-connect", "4294967,80", "--allow", "virtio-vsock")


def test_a_path_too_long_for_what_a_guest_reaches(place):
    for deep, line in ((80, "a socket's path has up to 107 bytes: say a shorter --name, or set XDG_RUNTIME_DIR to a shorter one"),
                       (120, "the directory of b+vsock has a path too long for sockets: set XDG_RUNTIME_DIR to a shorter one")):
        longer = place.runtime / ("x" * (deep - len(str(place.runtime)) - len("/") + 10))
        longer.mkdir(mode=0o700)
        os.chown(longer, place.uid, place.gid)
        before, place.runtime = place.runtime, longer
        code, _, err = place.call("run", "--kernel", place.kernel, "--cmdline", SCRIPT, "--name", "b", "--detach", *REACHING)
        place.runtime = before
        assert code == 1 and err.startswith("bulkhead: --vsock: ") and err.endswith(f"{line}\n"), err
        assert len(err.splitlines()) == 1
        assert place.processes() == []


def test_no_directory_for_what_a_guest_reaches(met):
    code, out, err = met.call("run", "--kernel", met.kernel, "--cmdline", SCRIPT, "--name", "b", "--detach", *REACHING)
    if met.runtime:
        assert (code, out) == (0, "b\n"), err
        kill_all(met)
    else:
        assert code == 1 and "--vsock: its sockets need a directory of yours: set XDG_RUNTIME_DIR" in err, err


def test_a_logged_out_users_vm_is_still_met(place):
    """The directory of a session goes with it; the machine does not."""
    assert detached(place, "stays")[0] == 0
    (place.runtime / "bulkhead/stays").unlink()
    (place.runtime / "bulkhead").rmdir()
    assert names_of(place)[0] == {"stays"}
    assert place.call("stop", "stays")[0] == 0
    place.wait_until_empty()


def test_nobody_else_enters_the_directory(place):
    assert detached(place, "a")[0] == 0
    folder = place.runtime / "bulkhead"
    assert folder.stat().st_mode & 0o777 == 0o700 and folder.stat().st_uid == place.uid
    tried = subprocess.run(
        ["setpriv", "--reuid=64999", "--regid=64999", "--clear-groups", "/usr/bin/python3", "-c",
         "import socket, sys; socket.socket(1, 5).connect(sys.argv[1])", folder / "a"],
        capture_output=True, text=True, check=False)
    assert "PermissionError" in tried.stderr
    assert place.call("stop", "a")[0] == 0
    place.wait_until_empty()


def test_stopped_ones_are_said_to_be_silent(place):
    """Their listeners are there, but nobody is behind them."""
    for i in range(3):
        assert detached(place, f"s{i}")[0] == 0
    supervisors = [pid for pid, exe in place.processes() if exe.endswith("/supervisor")]
    for pid in supervisors:
        os.kill(pid, signal.SIGSTOP)
    wait.until(lambda: all("T" in open(f"/proc/{p}/stat", encoding="ascii").read().split()[2]
                           for p in supervisors), "they stand still")
    assert names_of(place) == (set(), {"s0", "s1", "s2"})
    kill_all(place)
