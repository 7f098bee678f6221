# SPDX-License-Identifier: Apache-2.0
"""QEMU's own vhost-user-blk back end, to check this driver against somebody else's device."""

import shutil
import socket
import subprocess

from . import wait

STORAGE_DAEMON = shutil.which("qemu-storage-daemon")


class StorageDaemon:
    """qemu-storage-daemon serving a raw image; connect() gives a vhost-user socket."""

    def __init__(self, image, directory, queues=1, writable=True):
        self.path = str(directory / "qsd.sock")
        self.process = subprocess.Popen(
            [STORAGE_DAEMON,
             "--blockdev", f"driver=file,node-name=file,filename={image},discard=unmap",
             "--blockdev", "driver=raw,node-name=disk,file=file,discard=unmap",
             "--export", "type=vhost-user-blk,id=e,node-name=disk,addr.type=unix,"
             f"addr.path={self.path},num-queues={queues},writable={'on' if writable else 'off'}"])

    def connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

        def try_connect():
            try:
                sock.connect(self.path)
                return True
            except OSError:
                assert self.process.poll() is None, "qemu-storage-daemon ended"
                return False

        wait.until(try_connect, "qemu-storage-daemon listens")
        return sock

    def stop(self):
        self.process.terminate()
        self.process.wait(wait.HANG_S)
