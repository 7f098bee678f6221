# SPDX-License-Identifier: Apache-2.0
"""storage-nbd in its jail, with other people's servers: nbdkit and qemu-nbd, in the clear and over TLS; a server
that is away for a while; and what is said of one that refuses."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading

import pytest

from bh import process, vm, wait
from bh.process import Process
from test_storage import READ, FLUSH, WRITE, answer, hung_up, request, send_channel, shake, take  # noqa: F401

SIZE = 8 << 20
CHANNEL, DIALER, PSK = 4, 5, 14
SECRETS = ("psk", "ca", "cert", "key")  # from PSK up

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root"),
    pytest.mark.skipif(not all(map(shutil.which, ("nbdkit", "qemu-nbd", "openssl", "psktool"))),
                       reason="no nbdkit, qemu-utils, openssl or gnutls-bin: tools/deps check")]


def run(*words, cwd):
    subprocess.run(words, cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    """Keys and certificates: good/ and old/ are what a server has."""
    at = tmp_path_factory.mktemp("pki")
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
        "-days", "30", "-subj", "/CN=a test's", cwd=at)
    for name, names, days in (("good", "DNS:localhost,IP:127.0.0.1", "30"), ("old", "DNS:localhost,IP:127.0.0.1", "-1"),
                              ("other", "DNS:elsewhere.example", "30"), ("client", "DNS:client", "30")):
        (at / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        run("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
            "-subj", f"/CN={name}", cwd=at)
        run("openssl", "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-extfile", f"{name}.ext", "-days", days, cwd=at)
        folder = at / name
        folder.mkdir()
        shutil.copy(at / "ca.pem", folder / "ca-cert.pem")
        shutil.copy(at / f"{name}.pem", folder / "server-cert.pem")
        shutil.copy(at / f"{name}.key", folder / "server-key.pem")
    for name in ("right", "wrong"):
        run("psktool", "-u", "guest", "-p", str(at / f"{name}.psk"), cwd=at)
    return at


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """nbdkit or qemu-nbd, at a port or a path; started again on the same file."""

    def __init__(self, folder, program="nbdkit", words=(), local=False):
        self.file = folder / "served.img"
        if not self.file.exists():
            self.file.write_bytes(bytes(SIZE))
        self.says = folder / "says"
        self.path = folder / "served.sock" if local else None
        self.port = None if local else free_port()
        if program == "nbdkit":
            where = ("-U", self.path) if local else ("-i", "127.0.0.1", "-p", str(self.port))
            self.words = ("nbdkit", "-f", *where, *words, "file", self.file)
        else:
            where = ("-k", self.path) if local else ("-b", "127.0.0.1", "-p", str(self.port))
            self.words = ("qemu-nbd", "-t", "-f", "raw", "-x", "vm", "-e", "4", *where, *words, self.file)
        self.start()

    def start(self):
        if self.path:
            self.path.unlink(missing_ok=True)
        with open(self.says, "ab") as err:
            self.process = subprocess.Popen([*map(str, self.words)], stderr=err)
        wait.until(self.listens, "the server listens")

    def listens(self):
        assert self.process.poll() is None, "the server has ended"
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def connect(self):
        if self.path:
            s = socket.socket(socket.AF_UNIX)
            s.connect(str(self.path))
            return s
        return socket.create_connection(("127.0.0.1", self.port))

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def address(self, export="", tls=False):
        scheme = "nbds" if tls else "nbd"
        if self.path:
            return f"{scheme}+unix:///{export}?socket={self.path}"
        return f"{scheme}://127.0.0.1:{self.port}/{export}"


class Dialer(threading.Thread):
    """In the place of the supervisor's: a socket for each byte."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.n = server, 0
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.start()

    def run(self):
        while self.ours.recv(1):
            self.n += 1
            try:
                s = self.server.connect()
            except OSError as e:
                self.ours.send(bytes((1, e.errno)))
                continue
            socket.send_fds(self.ours, [bytes((1, 0))], [s.fileno()])
            s.close()


@pytest.fixture
def begin(build, tmp_path):
    """begin(server, address, secrets) -> a storage-nbd, and the socket to it."""
    running = []

    def begin_one(server, address, *words, **secrets):
        ours, theirs = socket.socketpair()
        ours.settimeout(60)
        dialer = Dialer(server)
        fds = {CHANNEL: theirs.fileno(), DIALER: dialer.theirs.fileno()}
        for name, path in secrets.items():
            fds[PSK + SECRETS.index(name)] = os.open(path, os.O_RDONLY)
        p = Process(build, "storage-nbd", [f"--address={address}", *words], fds)
        p.dialer = dialer
        theirs.close()
        dialer.theirs.close()
        for name in secrets:
            os.close(fds[PSK + SECRETS.index(name)])
        running.append((p, ours))
        return p, ours

    yield begin_one
    for p, ours in running:
        ours.close()
        p.kill()


@pytest.fixture
def serve(tmp_path):
    running = []

    def serve_one(*words, **options):
        running.append(Server(tmp_path, *words, **options))
        return running[-1]

    yield serve_one
    for s in running:
        s.kill()


def works(p, sock, server):
    """Written, flushed, read back; and in the server's file."""
    p.wait_ready()
    assert shake(sock) == SIZE
    data = os.urandom(300 << 10)
    sock.sendall(request(WRITE, 1, 4096, len(data), data))
    assert answer(sock) == (1, 0, b"")
    sock.sendall(request(FLUSH, 2))
    assert answer(sock) == (2, 0, b"")
    sock.sendall(request(READ, 3, 4096, len(data)))
    assert answer(sock, len(data)) == (3, 0, data)
    assert server.file.read_bytes()[4096:4096 + len(data)] == data
    return data


def reason(p):
    """Why it did not become ready: one line."""
    with pytest.raises(process.Ended):
        p.wait_ready()
    (line,) = [m.text for m in p.said(process.CTL_FAILED)]
    return line


@pytest.mark.parametrize("program", ("nbdkit", "qemu-nbd"))
@pytest.mark.parametrize("local", (False, True))
def test_in_the_clear(serve, begin, program, local):
    server = serve(program, local=local)
    works(*begin(server, server.address("vm")), server)


@pytest.mark.parametrize("how", ("psk", "good"))
@pytest.mark.parametrize("local", (False, True))
def test_a_clean_end_is_one_for_the_server(serve, begin, pki, how, local):
    """NBD_CMD_DISC (in the clear: test_nbd_client), and TLS's own end: nbdkit complains of a client that goes without."""
    server = serve("nbdkit", tls_words("nbdkit", pki, how), local=local)
    secrets = {"psk": pki / "right.psk"} if how == "psk" else {"ca": pki / "ca.pem"}
    p, sock = begin(server, server.address("vm", True), **secrets)
    works(p, sock, server)
    before = server.says.read_bytes()
    p.control.shutdown(socket.SHUT_WR)
    sock.close()
    p.assert_clean_end()
    server.process.terminate()
    server.process.wait()
    assert server.says.read_bytes() == before


def tls_words(program, pki, how, verify=False):
    folder = pki / how
    if program == "nbdkit":
        return (("--tls=require", f"--tls-psk={pki / 'right.psk'}") if how == "psk" else
                ("--tls=require", f"--tls-certificates={folder}", *(("--tls-verify-peer",) if verify else ())))
    if how == "psk":
        keys = pki / "keys"
        keys.mkdir(exist_ok=True)
        shutil.copy(pki / "right.psk", keys / "keys.psk")
        return ("--object", f"tls-creds-psk,id=t,endpoint=server,dir={keys}", "--tls-creds", "t")
    return ("--object", f"tls-creds-x509,id=t,endpoint=server,verify-peer={'on' if verify else 'off'},dir={folder}",
            "--tls-creds", "t")


@pytest.mark.parametrize("program", ("nbdkit", "qemu-nbd"))
def test_a_shared_key(serve, begin, pki, program):
    server = serve(program, tls_words(program, pki, "psk"))
    works(*begin(server, server.address("vm", True), psk=pki / "right.psk"), server)


@pytest.mark.parametrize("program", ("nbdkit", "qemu-nbd"))
def test_certificates_of_both(serve, begin, pki, program):
    server = serve(program, tls_words(program, pki, "good", True))
    works(*begin(server, server.address("vm", True), ca=pki / "ca.pem", cert=pki / "client.pem",
                 key=pki / "client.key"), server)


def test_what_is_said_of_a_server_that_refuses(serve, begin, pki):
    server = serve("qemu-nbd", tls_words("qemu-nbd", pki, "good", True))
    at = f"storage-nbd: 127.0.0.1:{server.port}: "

    def said(address, **secrets):
        return reason(begin(server, address, **secrets)[0])

    own = {"cert": pki / "client.pem", "key": pki / "client.key"}
    assert said(server.address("vm")).startswith(at + "the server serves with TLS alone: say nbds://")
    assert said(server.address("other", True), ca=pki / "ca.pem", **own).startswith(
        at + "the server has no export of that name")
    assert said(server.address("vm", True), ca=pki / "ca.pem").startswith(at)
    assert said(server.address("vm", True), ca=pki / "client.pem", **own).startswith(
        at + "the server's certificate: unable to get local issuer certificate")
    server.kill()
    assert said(server.address("vm", True), ca=pki / "ca.pem", **own) == at + "Connection refused"


@pytest.mark.parametrize("how, line", (("old", "certificate has expired"), ("other", "IP address mismatch")))
def test_a_certificate_that_will_not_do(serve, begin, pki, how, line):
    server = serve("nbdkit", tls_words("nbdkit", pki, how))
    said = reason(begin(server, server.address("vm", True), ca=pki / "ca.pem")[0])
    assert said == f"storage-nbd: 127.0.0.1:{server.port}: the server's certificate: {line}"


def test_a_wrong_key(serve, begin, pki):
    server = serve("nbdkit", tls_words("nbdkit", pki, "psk"))
    said = reason(begin(server, server.address("vm", True), psk=pki / "wrong.psk")[0])
    assert said.startswith(f"storage-nbd: 127.0.0.1:{server.port}: TLS with the shared key: ")


def test_a_server_without_tls(serve, begin, pki):
    server = serve(local=True)
    said = reason(begin(server, server.address("vm", True), ca=pki / "ca.pem")[0])
    assert said.startswith(f"storage-nbd: {server.path}: the server has no TLS")


def test_files_that_have_no_key(serve, begin, pki):
    server = serve()
    for name, line in (("psk", "tls-psk= has no line NAME:KEY"), ("ca", "tls-ca= has no certificate in PEM")):
        said = reason(begin(server, server.address("vm", True), **{name: server.file})[0])
        assert said == f"storage-nbd: tls-{name}= has more than 64 KiB"
        short = pki / "short"
        short.write_text("guest\n")
        assert line in reason(begin(server, server.address("vm", True), **{name: short})[0])


@pytest.mark.parametrize("tls", (False, True))
def test_a_server_that_is_away_for_a_while(serve, begin, pki, tls):
    """Requests wait, and are done once: nothing that was flushed is lost, and no error is seen."""
    server = serve("nbdkit", tls_words("nbdkit", pki, "psk") if tls else ())
    p, sock = begin(server, server.address("vm", tls), **({"psk": pki / "right.psk"} if tls else {}))
    data = works(p, sock, server)
    for n in range(3):
        server.kill()
        new = os.urandom(64 << 10)
        sock.sendall(request(WRITE, 10, 1 << 20, len(new), new) + request(READ, 11, 4096, len(data)))
        wait.until(lambda: len(p.said(process.CTL_LOG)) > 0, "it says that the server is away")
        server.start()
        got = dict((a[0], a[1:]) for a in (answer_of(sock, {10: 0, 11: len(data)}) for _ in range(2)))
        assert got == {10: (0, b""), 11: (0, data)}
        sock.sendall(request(FLUSH, 12))
        assert answer(sock) == (12, 0, b"")
        assert server.file.read_bytes()[1 << 20:(1 << 20) + len(new)] == new


def test_a_dialer_that_has_ended(serve, begin):
    """Its end is said once, and the connection that there is serves on; when that is lost the process ends."""
    server = serve()
    p, sock = begin(server, server.address("vm"))
    works(p, sock, server)
    p.dialer.ours.shutdown(socket.SHUT_RDWR)
    wait.until(lambda: p.said(process.CTL_LOG), "it says so")
    assert [m.text for m in p.said(process.CTL_LOG)] == [
        "the dialer has ended: a connection that is lost will not be made again"]
    sock.sendall(request(READ, 9, 0, 512))
    assert answer(sock, 512)[:2] == (9, 0)
    server.kill()
    p.assert_clean_end(1)


def answer_of(sock, lengths):
    """One answer, of whichever request."""
    magic, error, cookie = struct.unpack(">IIQ", take(sock, 16))
    assert magic == 0x67446698
    return cookie, error, take(sock, lengths[cookie]) if lengths[cookie] and not error else b""


class Between(threading.Thread):
    """A server in front of another; ends: how each of its clients went."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.ends, self.listener = server, [], socket.create_server(("127.0.0.1", 0))
        self.start()

    def run(self):
        while True:
            client = self.listener.accept()[0]
            behind = self.server.connect()
            threading.Thread(target=self.carry, args=(client, behind, self.ends), daemon=True).start()
            threading.Thread(target=self.carry, args=(behind, client, []), daemon=True).start()

    @staticmethod
    def carry(source, to, ends):
        try:
            while data := source.recv(1 << 16):
                to.sendall(data)
            ends.append("end")
        except OSError as e:
            ends.append(type(e).__name__)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_RDWR)


def test_what_a_lost_connection_had_not_sent_is_never_sent(build, serve):
    """Its end is a reset: the kernel forgets what it had, which the next connection does again."""
    between = Between(serve())
    place = vm.Place(build, real=True)
    try:
        code, _, err = place.call("run", "--accel", "soft", "--kernel", build / "tests/guest/powerbutton.elf", "--memory",
                                  "64M", "--detach", "--name", "reset", "--allow", "storage-nbd", "--disk",
                                  f"nbd://127.0.0.1:{between.listener.getsockname()[1]}/,format=raw")
        assert code == 0, err
        (pid,) = (pid for pid, exe in place.processes() if exe.endswith("/storage-nbd"))
        os.kill(pid, signal.SIGKILL)
        wait.until(lambda: between.ends, "the server sees it")
        assert between.ends[0] == "ConnectionResetError"
        assert place.call("stop", "reset")[0] == 0
    finally:
        place.end()


def mappings(pid):
    """Of a process: what is there, and whether a core would have it."""
    with open(f"/proc/{pid}/smaps", encoding="ascii") as f:
        at, name = None, ""
        for line in f:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                at, name = [int(n, 16) for n in words[0].split("-")] + [words[1]], words[-1]
            elif words[0] == "VmFlags:" and at[2][0] == "r" and "guest-ram" not in line and name not in ("[vvar]", "[vsyscall]"):
                yield at[0], at[1], name, "dd" in words


def holds(pid, what):
    """Mappings in which it is: (name, whether a core would leave it out)."""
    with open(f"/proc/{pid}/mem", "rb") as f:
        for start, end, name, dumped_not in list(mappings(pid)):
            if end - start > 16 << 20:
                continue
            f.seek(start)
            try:
                data = f.read(end - start)
            except OSError:
                continue
            if any(w in data for w in what):
                yield name, dumped_not


def test_a_secret_is_with_its_process_alone(build, serve, pki):
    """In no argument, environment or line; in no memory but storage-nbd's, where no core would have it."""
    server = serve("nbdkit", tls_words("nbdkit", pki, "psk"))
    key = (pki / "right.psk").read_text().strip().split(":")[1]
    place = vm.Place(build, real=True)
    words = ("run", "--accel", "soft", "--kernel", build / "tests/guest/powerbutton.elf", "--memory", "64M", "--detach",
             "--allow", "storage-nbd", "--name", "secret", "--secret", f"k={pki / 'right.psk'}",
             "--disk", f"{server.address('vm', True)},tls-psk=k,format=raw")
    try:
        code, out, err = place.call(*words)
        assert code == 0 and key not in out + err, err
        found = place.processes()
        assert {os.path.basename(exe) for _, exe in found} >= {"supervisor", "storage-nbd", "dev-blk", "vmm"}
        for pid, exe in found:
            for what in ("cmdline", "environ"):
                with open(f"/proc/{pid}/{what}", "rb") as f:
                    assert key.encode() not in f.read(), (exe, what)
            where = set(holds(pid, (key.encode(), bytes.fromhex(key))))
            assert all(dumped_not for _, dumped_not in where), (exe, where)
            assert bool(where) == exe.endswith("/storage-nbd"), (exe, where)
        assert place.call("stop", "secret")[0] == 0
    finally:
        place.end()


def test_a_secret_that_is_not_there(build, pki):
    place = vm.Place(build, real=True)
    words = ("run", "--kernel", build / "tests/guest/powerbutton.elf", "--allow", "storage-nbd", "--disk",
             "nbds://127.0.0.1/,tls-psk=k,format=raw")
    try:
        assert place.call(*words)[2] == \
            "bulkhead: --disk: tls-psk=k: there is no secret of that name: say --secret k=FILE\n"
        code, _, err = place.call(*words, "--secret", f"k={pki / 'nowhere'}")
        assert code != 0 and str(pki / "nowhere") in err and len(err.splitlines()) == 1, err
    finally:
        place.end()


def test_another_export_than_before(serve, begin):
    """Whoever is there instead is not written to."""
    server = serve()
    p, sock = begin(server, server.address("vm"))
    works(p, sock, server)
    server.kill()
    server.file.write_bytes(bytes(SIZE // 2))
    server.start()
    sock.sendall(request(WRITE, 1, 0, 512, b"x" * 512))
    p.wait_end()
    assert server.file.read_bytes()[:512] == bytes(512)
