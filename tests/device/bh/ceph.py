# SPDX-License-Identifier: Apache-2.0
"""Somebody else's storage cluster, for tests: Ceph with one monitor, some object stores in memory, and one pool of RBD
images, on loopback; and a gateway, qemu-nbd, that serves an image of it by NBD. Nothing of it needs to be root."""

import contextlib
import glob
import json
import os
import pathlib
import shutil
import socket
import subprocess
import uuid

from . import wait

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "rbd", "qemu-nbd")
PACKAGES = "ceph-mon ceph-osd ceph-common qemu-utils qemu-block-extra"
MISSING = not (all(map(shutil.which, PROGRAMS)) and glob.glob("/usr/lib/*/qemu/block-rbd.so"))
POOL, SPACE = "vms", "vm7"  # where images are, and a part of it that one user reaches

CONF = """[global]
fsid = {fsid}
mon_host = [v2:127.0.0.1:{port}/0]
keyring = {at}/keyring
run_dir = {at}
log_file = {at}/$name.log
admin_socket = {at}/$name.asok
mon_data = {at}/mon
osd_data = {at}/osd.$id
public_addr = 127.0.0.1
auth_allow_insecure_global_id_reclaim = false
osd_objectstore = memstore
osd_fast_shutdown = false
memstore_device_bytes = 268435456
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_autoscale_mode = off
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
mon_data_avail_warn = 1
mon_client_hunt_interval = 0.2
mon_osd_min_down_reporters = 1
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def end(process):
    process.kill()
    process.wait()


class Cluster:
    """stores: how many object stores there are, each a process."""

    def __init__(self, folder, stores=2):
        self.at, self.fsid, self.running = pathlib.Path(folder), str(uuid.uuid4()), {}
        self.port = free_port()
        self.conf = self.at / "ceph.conf"
        self.conf.write_text(CONF.format(fsid=self.fsid, port=self.port, at=self.at))
        try:
            self.make_monitor()
            for number in range(stores):
                self.make_store(number)
            self.ceph("osd", "pool", "create", POOL, str(4 * stores))
            self.rbd("pool", "init", POOL)
            self.rbd("namespace", "create", f"{POOL}/{SPACE}")
        except BaseException:
            self.close()
            raise

    def run(self, *words, **more):
        return subprocess.run([*map(str, words)], cwd=self.at, check=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, **more).stdout

    def ceph(self, *words, name="client.admin", keyring="keyring"):
        return self.run("ceph", "-c", self.conf, "-n", name, "-k", keyring, *words).decode()

    def rbd(self, *words, **more):
        return self.run("rbd", "-c", self.conf, *words, **more)

    def make_monitor(self):
        self.run("ceph-authtool", "-C", "keyring", "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        self.run("ceph-authtool", "keyring", "--gen-key", "-n", "client.admin", "--cap", "mon", "allow *",
                 "--cap", "osd", "allow *")
        self.run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{self.port}]", "--fsid", self.fsid, "monmap")
        self.run("ceph-mon", "-c", self.conf, "--mkfs", "-i", "a", "--monmap", "monmap", "--keyring", "keyring")
        self.start("mon", "a")
        wait.until(self.monitor_listens, "the monitor listens")

    def monitor_listens(self):
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        return False

    def make_store(self, number):
        """Their numbers go up from 0."""
        key, own = self.at / f"osd.{number}.keyring", str(uuid.uuid4())
        assert self.ceph("osd", "new", own).split() == [str(number)]
        (self.at / f"osd.{number}").mkdir()
        key.write_text(self.ceph("auth", "get-or-create", f"osd.{number}", "mon", "allow profile osd", "osd", "allow *"))
        self.run("ceph-osd", "-c", self.conf, "-k", key, "-i", number, "--mkfs", "--osd-uuid", own)
        self.start("osd", number)
        wait.until(lambda: self.is_up(number), "the object store is up")

    def start(self, kind, name):
        key = self.at / (f"osd.{name}.keyring" if kind == "osd" else "keyring")
        self.running[kind, name] = subprocess.Popen(
            [f"ceph-{kind}", "-f", "-c", self.conf, "-k", key, "-i", str(name)], cwd=self.at, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self, kind, name):
        """As a program that is asked to end: a store in memory keeps what it has in a file then."""
        process = self.running.pop((kind, name))
        process.terminate()
        process.wait()

    def is_up(self, number):
        return bool([o for o in self.stores() if o["osd"] == number and o["up"]])

    def stores(self):
        return json.loads(self.ceph("osd", "dump", "-f", "json"))["osds"]

    def user(self, name):
        """One who reaches that part alone, and of other users what any user of RBD does."""
        file = self.at / f"{name}.keyring"
        file.write_text(self.ceph("auth", "get-or-create", f"client.{name}", "mon", "profile rbd",
                                  "osd", f"profile rbd pool={POOL} namespace={SPACE}"))
        file.chmod(0o600)

    def key(self, name):
        return self.ceph("auth", "get-key", f"client.{name}").strip()

    def close(self):
        for process in self.running.values():
            end(process)


class Gateway:
    """qemu-nbd with an image of the cluster as a user of it, at a port, for who has the shared key; started again at the
    same port. A snapshot of the image is only read."""

    def __init__(self, cluster, folder, user, image, snapshot=None):
        self.at, self.user = pathlib.Path(folder), user
        (self.at / "keys").mkdir(parents=True)
        self.psk = self.at / "keys/keys.psk"
        self.psk.write_text(f"vm:{os.urandom(32).hex()}\n")
        own = cluster.conf.read_text().replace(f"keyring = {cluster.at}/keyring", f"keyring = {cluster.at}/{user}.keyring")
        (self.at / "ceph.conf").write_text(own.replace(str(cluster.at / "$name"), str(self.at / "$name")))
        self.port = free_port()
        self.words = ["qemu-nbd", "--persistent", "--shared=4", "--bind=127.0.0.1", f"--port={self.port}",
                      "--export-name=disk", "--discard=unmap", *(["--read-only"] if snapshot else []),
                      "--object", f"tls-creds-psk,id=tls,endpoint=server,dir={self.at}/keys", "--tls-creds=tls",
                      "--image-opts", f"driver=rbd,pool={POOL},namespace={SPACE},image={image},user={user},conf={self.at}/ceph.conf"
                                      f"{f',snapshot={snapshot}' if snapshot else ''}"]
        self.uri = f"nbds://127.0.0.1:{self.port}/disk"
        self.says = self.at / "says"
        self.start()

    def start(self):
        with open(self.says, "ab") as err:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stderr=err)
        wait.until(self.listens, "the gateway listens")

    def listens(self):
        assert self.process.poll() is None, f"the gateway has ended: {self.says.read_text()}"
        with contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.port), timeout=wait.HANG_S) as s:
                return s.recv(8) == b"NBDMAGIC"  # it listens before it has the image
        return False

    def kill(self):
        end(self.process)
