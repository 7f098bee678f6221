# SPDX-License-Identifier: Apache-2.0
"""Somebody else's iSCSI target, for tests: tgt, with a target that asks nothing and one that asks for CHAP."""

import os
import pathlib
import shutil
import socket
import subprocess

from . import wait

IQN = "iqn.2026-01.com.example:"
GUEST, HOST = "sixteen-letters1", "other-letters-22"  # secrets of who asks, and of the target
MISSING = not (shutil.which("tgtd") and shutil.which("tgtadm"))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Target:
    """tgtd with those files as logical units 1, 2 and so on of both targets; started again on the same ones."""

    def __init__(self, folder, units, ports=1):
        """units: (file, bytes of a block, whether it is only read); ports: ways to it, each killed with it."""
        self.folder, self.units = pathlib.Path(folder), units
        self.ports = [free_port() for _ in range(ports)]
        self.port = self.ports[0]
        self.serial = "first"  # of its units
        self.env = os.environ | {"TGT_IPC_SOCKET": str(self.folder / "tgt")}
        self.start()

    def admin(self, mode, op, *words, check=True):
        return subprocess.run(("tgtadm", "--lld", "iscsi", "--mode", mode, "--op", op, *map(str, words)), env=self.env,
                              check=check, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def start(self, ports=None):
        """ports: those of its ways that it has this time."""
        portals = (f"portal=127.0.0.1:{port}" for port in ports or self.ports)
        self.process = subprocess.Popen(["tgtd", "-f", "--iscsi", ",".join(portals)], env=self.env,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait.until(lambda: self.admin("sys", "show", check=False), "tgtd listens")
        for user, secret in (("guest", GUEST), ("host", HOST)):
            self.admin("account", "new", "--user", user, "--password", secret)
        for tid, name in ((1, "plain"), (2, "chap")):
            self.admin("target", "new", "--tid", tid, "--targetname", IQN + name)
            for lun in range(1, len(self.units) + 1):
                self.add(tid, lun)
            if name == "chap":
                self.admin("account", "bind", "--tid", tid, "--user", "guest")
                self.admin("account", "bind", "--tid", tid, "--user", "host", "--outgoing")
            self.admin("target", "bind", "--tid", tid, "--initiator-address", "ALL")

    def add(self, tid, lun):
        file, block, readonly = self.units[lun - 1]
        self.admin("logicalunit", "new", "--tid", tid, "--lun", lun, "--backing-store", file, "--blocksize", block)
        self.admin("logicalunit", "update", "--tid", tid, "--lun", lun, "--params",
                   f"thin_provisioning=1,readonly={int(readonly)},scsi_sn={self.serial}{lun}")

    def kill(self):
        self.process.kill()  # it does not heed SIGTERM while it has targets
        self.process.wait()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port))

    def uri(self, name="plain", lun=1, user=""):
        ways = "+".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"iscsi://{user}{ways}/{IQN}{name}/{lun}"
