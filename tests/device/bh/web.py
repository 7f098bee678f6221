# SPDX-License-Identifier: Apache-2.0
"""A web server of the tests' own: what it answers a test says, byte by byte if it likes."""

import contextlib
import socket
import ssl
import subprocess
import threading


class Request:
    """What a client has asked for."""

    def __init__(self, head):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, self.version = lines[0].split(" ")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}


def head(status, *lines):
    return f"HTTP/1.1 {status} X\r\n".encode() + b"".join(line.encode("latin-1") + b"\r\n" for line in lines) + b"\r\n"


class Web:
    """Listens on a port of this host; answer(request, connection) says what comes back, and the connection ends."""

    def __init__(self, answer, tls=None, address="127.0.0.1"):
        self.answer = answer
        self.requests = []
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*tls)
        self.socket = socket.create_server((address, 0))
        self.port = self.socket.getsockname()[1]
        self.scheme = "https" if tls else "http"
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def url(self, path="/disk.img", host="127.0.0.1"):
        return f"{self.scheme}://{host}:{self.port}{path}"

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.socket.accept()
                self.threads.append(threading.Thread(target=self.serve, args=(connection,), daemon=True))
                self.threads[-1].start()

    def serve(self, connection):
        with contextlib.suppress(OSError, ssl.SSLError), connection:
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            got = b""
            while b"\r\n\r\n" not in got:
                some = connection.recv(65536)
                if not some:
                    return
                got += some
            request = Request(got.partition(b"\r\n\r\n")[0])
            self.requests.append(request)
            self.answer(request, connection)
            if self.context:
                connection.unwrap()
            connection.close()

    def close(self):
        self.over.set()
        with contextlib.suppress(OSError):  # once more
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


class Files:
    """An ordinary server's answers: a file with ranges, an ETag, and what goes wrong if it is told to."""

    def __init__(self, content, tag='"one"', ranges=True, cut=None):
        self.content, self.tag, self.ranges = content, tag, ranges
        self.cut = cut  # bytes of the body after which the connection breaks, once

    def body(self, connection, body):
        if self.cut is None:
            connection.sendall(body)
            return
        body, self.cut = body[:self.cut], None
        connection.sendall(body)

    def __call__(self, request, connection):
        asked = request.headers.get("range", "")
        same = request.headers.get("if-range", self.tag) == self.tag
        lines = [f"ETag: {self.tag}"] if self.tag else []
        if not (self.ranges and asked and same):
            connection.sendall(head(200, f"Content-Length: {len(self.content)}", *lines))
            self.body(connection, self.content)
            return
        first = int(asked.partition("=")[2].partition("-")[0])
        if first >= len(self.content):
            connection.sendall(head(416, f"Content-Range: bytes */{len(self.content)}", "Content-Length: 0", *lines))
            return
        rest = self.content[first:]
        connection.sendall(head(206, f"Content-Length: {len(rest)}",
                                f"Content-Range: bytes {first}-{len(self.content) - 1}/{len(self.content)}", *lines))
        self.body(connection, rest)


def certificates(folder, names):
    """A certificate authority and, by their names, certificates of (subjectAltName, days): ca.pem, NAME.pem, NAME.key."""
    def run(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
        "-subj", "/CN=tests", "-addext", "keyUsage=critical,keyCertSign")
    for name, (of, ended) in names.items():
        run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=x")
        (folder / f"{name}.ext").write_text(f"subjectAltName={of}\n", encoding="ascii")
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "-1" if ended else "2", "-extfile", f"{name}.ext")
    return folder / "ca.pem"
