# SPDX-License-Identifier: Apache-2.0
"""Another user of the host, who has a shell and wants a VM that is not theirs: root's, and one of the
user nobody's, whose id every unknown user has inside."""

import json
import subprocess

import pytest

STRANGER = 64999

# argv: the VM's addresses, then its processes, as JSON. Prints what was tried, and what was gained.
TRIES = r"""
import ctypes, json, os, signal, socket, struct, sys
addresses, pids = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
tried, gains = 0, []
MESSAGES = {"query": (32, b""), "stop": (33, struct.pack("<I", 0)), "end": (33, struct.pack("<I", 1)),
            "console": (34, b""), "log": (2, struct.pack("<I", 1) + b"x")}

def attempt(name, call):
    global tried
    tried += 1
    try:
        if call():
            gains.append(name)
    except OSError:
        pass

def ask(address, kind, body):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(60)
        s.connect(address)
        s.send(struct.pack("<HHI", kind, 0, len(body)) + body)
        return s.recv(512)

def connect(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(address)
        return True

# Before one of the messages ends the machine:
for role, pid in pids.items():
    attempt(f"kill {role}", lambda: os.kill(pid, 0) is None)
for address in addresses:
    if not address.startswith("\0"):
        attempt(f"connect to {address!r}", lambda: connect(address))
for address in addresses:
    for name, (kind, body) in MESSAGES.items():
        attempt(f"{name} over {address!r}", lambda: ask(address, kind, body))
    if not address.startswith("\0"):
        attempt(f"remove {address!r}", lambda: os.unlink(address) is None)
        attempt(f"list {address!r}", lambda: os.listdir(os.path.dirname(address)) is not None)
for role, pid in pids.items():
    attempt(f"trace {role}", lambda: libc.ptrace(0x4206, pid, 0, 0) == 0)
    for what in ("mem", "fd/3", "root", "cwd", "environ", "maps", "syscall"):
        attempt(f"{what} of {role}", lambda: os.close(os.open(f"/proc/{pid}/{what}", os.O_RDONLY)) is None)
    attempt(f"descriptors of {role}", lambda: os.listdir(f"/proc/{pid}/fd"))
    attempt(f"a descriptor of {role}", lambda: libc.syscall(438, os.pidfd_open(pid), 3, 0) >= 0)
    attempt(f"limits of {role}", lambda: __import__("resource").prlimit(pid, 7, (9, 9)))
print(json.dumps([tried, gains]))
"""


def tries(ground, machine, uid):
    """How many, and what was gained by this user."""
    name = f"vm{machine.run.pid}"
    addresses = [f"\0bulkhead/{ground.uid}/{name}", str(ground.place.runtime / "bulkhead" / name)]
    told = subprocess.run(["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups",
                           "/usr/bin/python3", "-c", TRIES, json.dumps([addresses, machine.pids])],
                          capture_output=True, text=True, timeout=600, check=False)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize("whose", ["root's", "nobody's"])
def test_gains_nothing(request, count, whose):
    ground = request.getfixturevalue("ground" if whose == "root's" else "user_ground")
    machine = ground.start()
    try:
        tried, gains = tries(ground, machine, STRANGER)
        assert machine.answers(), "its own user is served"
    except BaseException:
        machine.discard()
        raise
    machine.finish()
    count("stranger", tried, [("stranger", gain, "") for gain in gains])


def test_its_own_user_gains(user_ground):
    """That the tries can succeed."""
    machine = user_ground.start()
    try:
        gains = tries(user_ground, machine, user_ground.uid)[1]
    finally:
        machine.discard()
        machine.disk.unlink()
    kinds = {gain.split()[0] for gain in gains}
    missed = {"query", "stop", "connect", "list", "remove", "kill"} - kinds
    assert not missed, gains
