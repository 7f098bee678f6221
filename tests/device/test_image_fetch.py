# SPDX-License-Identifier: Apache-2.0
"""bulkhead image import: what hostile servers, lost connections and wrong words come to, and that a file gets its name only
when it is what was meant."""

import hashlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys

import pytest

from bh import vm, wait
from bh.web import Files, Web, certificates, head

BUILT = pathlib.Path(os.environ.get("BULKHEAD_BUILD", pathlib.Path(__file__).parents[2] / "build"))
pytestmark = pytest.mark.skipif(not (BUILT / "cmd/image-fetch/image-fetch").exists(), reason="built without libcurl")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
MIB = 1 << 20
CONTENT = random.Random(12).randbytes(3 * MIB + 17)
OTHER = random.Random(13).randbytes(2 * MIB)
PROGRAMS = ("image-fetch", "image-digest", "image-tool")


def sha(content, kind="sha256"):
    return hashlib.new(kind, content).hexdigest()


class Importer:
    """A place with the programs, and a directory that files are imported to."""

    def __init__(self, build, who):
        self.place = vm.place_of(build, who)
        for name in PROGRAMS:
            self.place.install(build / "cmd" / name / name, name)
        self.dir = self.place.dir / "images"
        self.dir.mkdir()
        self.dir.chmod(0o777)
        self.name = self.dir / "disk.img"

    def words(self, source, *words, content=CONTENT):
        if not any(str(w).startswith(("--sha", "--checksums")) for w in words):
            words = (*words, "--sha256", sha(content))
        return ("image", "import", "-q", source, self.name, *words)

    def call(self, source, *words, content=CONTENT):
        return self.place.call(*self.words(source, *words, content=content))

    def ok(self, source, *words, content=CONTENT):
        status, out, err = self.call(source, *words, content=content)
        assert (status, out, err) == (0, "", "")
        assert self.name.read_bytes() == content
        assert self.left() == []

    def refused(self, text, source, *words, status=1, **more):
        code, out, err = self.call(source, *words, **more)
        assert (code, out) == (status, ""), err
        assert err.startswith("bulkhead: image import: ") and err.count("\n") == 1 and text in err, err
        assert not self.name.exists()
        return err

    def left(self):
        return sorted(p.name for p in self.dir.iterdir() if p.name.startswith("."))

    @property
    def part(self):
        return self.dir / ".disk.img.import"

    def empty(self):
        for path in self.dir.iterdir():
            path.unlink()


@pytest.fixture(params=["root", "user", "subids"] if os.geteuid() == 0 else ["who runs the tests"])
def anyone(request, build):
    i = Importer(build, request.param)
    yield i
    assert i.place.end() == []


@pytest.fixture(scope="module")
def shared(build):
    i = Importer(build, "root")
    yield i
    assert i.place.end() == []


@pytest.fixture
def importer(shared):
    shared.empty()
    yield shared
    assert shared.place.kill() == []


@pytest.fixture
def serve():
    """Starts servers that end with the test."""
    servers = []

    def start(answer, **options):
        servers.append(Web(answer, **options))
        return servers[-1]

    yield start
    for s in servers:
        s.close()


@pytest.fixture(scope="module")
def certs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs")
    certificates(folder, {"right": ("IP:127.0.0.1,DNS:localhost", False), "ended": ("IP:127.0.0.1", True),
                          "other": ("DNS:other.example", False)})
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    for above in (folder.parent, folder.parent.parent):
        above.chmod(0o755)
    return folder


def tls(certs, name):
    return (certs / f"{name}.pem", certs / f"{name}.key")


# ---- hostile servers ----

def raw(*pieces):
    def answer(_, connection):
        for piece in pieces:
            connection.sendall(piece)
    return answer


def endless(first, piece=b"x" * 65536):
    def answer(_, connection):
        connection.sendall(first)
        while True:
            connection.sendall(piece)
    return answer


HOSTILE = {
    "no http": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "HTTP/0.9"),
    "nothing": (raw(), "the connection broke"),
    "half a header": (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "its sha256 is"),
    "endless headers": (endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"y" * 1000 + b"\r\n"), "large"),
    "an endless header": (endless(b"HTTP/1.1 200 OK\r\nX: "), "large"),
    "endless interim answers": (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100), ""),
    "an endless body": (endless(head(200)), "more than --max-size says (4 MiB)"),
    "endless chunks": (endless(head(200, "Transfer-Encoding: chunked"), b"10000\r\n" + b"x" * 65536 + b"\r\n"),
                       "more than --max-size says"),
    "a length beyond all": (raw(head(200, "Content-Length: 9223372036854775807"), b"x"), "more than --max-size says"),
    "a length that is none": (raw(head(200, "Content-Length: -5"), b"x" * 10), "ontent-Length"),
    "two lengths": (raw(head(200, "Content-Length: 5", "Content-Length: 6"), b"x" * 6), ""),
    "a chunk beyond all": (raw(head(200, "Transfer-Encoding: chunked"), b"ffffffffffffffffff\r\nx"), ""),
    "a chunk that is none": (raw(head(200, "Transfer-Encoding: chunked"), b"zz\r\nx"), ""),
    "chunks cut off": (raw(head(200, "Transfer-Encoding: chunked"), b"5\r\nabc"), "the connection broke"),
    "a zip of the body": (raw(head(200, "Content-Encoding: gzip", "Content-Length: 3"), b"\x1f\x8b\x08"), "gzip"),
    "zips of zips": (raw(head(200, "Content-Encoding: " + "gzip, " * 500 + "br", "Content-Length: 3"), b"abc"), "gzip"),
    "a zip of the transfer": (raw(head(200, "Transfer-Encoding: gzip, chunked"), b"3\r\nabc\r\n0\r\n\r\n"), ""),
    "a part that nobody asked for": (raw(head(206, "Content-Range: bytes 5-9/10", "Content-Length: 5"), b"12345"),
                                     "a part that was not asked for"),
    "a part without a place": (raw(head(206, "Content-Length: 5"), b"12345"), "does not say which part"),
    "416": (raw(head(416, "Content-Range: bytes */5", "Content-Length: 0")), "416"),
    "401": (raw(head(401, 'WWW-Authenticate: Negotiate, NTLM, Digest realm="x"', "Content-Length: 0")), "401"),
    "404": (raw(head(404, "Content-Length: 2"), b"no"), "404: there is no such file"),
    "200 with less": (raw(head(200, "Content-Length: 1000"), b"x" * 100), "the connection broke"),
    "a bare redirect": (raw(head(302, "Content-Length: 0")), "redirects to nowhere"),
    "cookies": (raw(head(200, *(f"Set-Cookie: a{i}={'b' * 4000}; Domain=example" for i in range(200)))), ""),
    "alt-svc, hsts": (raw(head(200, 'Alt-Svc: h3="127.0.0.1:1"', "Strict-Transport-Security: max-age=9",
                               "Content-Length: 1"), b"x"), "its sha256 is"),
    "an upgrade": (raw(head(101, "Upgrade: h2c", "Connection: Upgrade"), b"x" * 100), ""),
    "NULs": (raw(b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 1\r\n\r\nx"), ""),
    "a reason with escapes": (raw(b"HTTP/1.1 500 \x1b[2J\x1b]0;x\x07\r\nContent-Length: 0\r\n\r\n"), "500"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_servers(importer, serve, case):
    """One line, no file, nothing left, and the filter was not what ended it."""
    answer, text = HOSTILE[case]
    err = importer.refused(text, serve(answer).url(), "--max-size", "4M", "--timeout", "20")
    assert "filter" not in err and "killed" not in err and all(" " <= c <= "~" for c in err[:-1]), err
    assert importer.left() == []


def test_a_tag_that_is_no_line(importer, serve):
    """A validator goes into a file and into the next request: bytes that are not its own do not get there."""
    for tag in ('"' + "x" * 300 + '"', 'W/"weak"', '"a\x01b"', '"\xff"'):
        web = serve(Files(CONTENT, tag=tag, cut=1000))
        importer.refused("the connection broke", web.url())
        assert importer.left() == [], tag


@pytest.mark.parametrize("first", [b"", head(200), head(200, "Content-Length: 100000"), b"HTTP/1.1 200 OK\r\nX: "],
                         ids=["silence", "silence after headers", "silence in the body", "silence in a header"])
def test_silence_ends(importer, serve, first):
    def answer(_, connection):
        connection.sendall(first)
        web.over.wait(60)
    web = serve(answer)
    importer.refused("less than 1 KiB a second for 2 seconds", web.url(), "--timeout", "2")


def test_a_trickle_ends(importer, serve):
    def answer(_, connection):
        connection.sendall(head(200, "Content-Length: 100000"))
        while not web.over.wait(0.1):
            connection.sendall(b"x")
    web = serve(answer)
    importer.refused("less than 1 KiB a second for 2 seconds", web.url(), "--timeout", "2")


def test_tls_that_never_comes(importer, serve):
    def answer(_, connection):
        pass
    web = serve(answer)
    web.serve = lambda connection: web.over.wait(60)
    importer.refused("2 seconds", web.url().replace("http:", "https:"), "--timeout", "2")


# ---- redirects ----

def redirect(to, status=302):
    return raw(head(status, f"Location: {to}", "Content-Length: 4"), b"body")


@pytest.mark.parametrize("to,text", [
    ("file:///etc/passwd", "only https:// and http://"), ("ftp://127.0.0.1/x", "only https:// and http://"),
    ("gopher://127.0.0.1/x", "only https:// and http://"), ("http://user:word@127.0.0.1/x", "user or password"),
    ("http://127.0.0.1:0/x", "port"), ("http://-x/", "host"), ("http://a b/", ""), ("http://\x1b[2J/", ""),
    ("//[::1/", ""), ("http://" + "a" * 300 + "/", "host"), ("http://127.0.0.1/" + "a" * 3000, "2000 bytes"),
], ids=range(11))
def test_redirects_that_go_nowhere(importer, serve, to, text):
    err = importer.refused(text, serve(redirect(to)).url())
    assert "filter" not in err and all(" " <= c <= "~" for c in err[:-1]), err


def test_redirects_are_followed_and_shown(importer, serve):
    target = serve(Files(CONTENT))
    hops = [serve(redirect(target.url()))]
    for status in (301, 303, 307, 308):
        hops.append(serve(redirect(hops[-1].url(), status)))
    status, _, err = importer.place.call("image", "import", hops[-1].url(), importer.name, "--sha256", sha(CONTENT))
    assert status == 0 and importer.name.read_bytes() == CONTENT
    shown = [line for line in err.splitlines() if "redirected to" in line]
    assert len(shown) == 5 and shown[-1] == f"bulkhead: image import: redirected to {target.url()}"
    importer.empty()
    one_more = serve(redirect(hops[-1].url()))
    importer.refused("this is the 6th redirect, and 5 are followed", one_more.url())


def test_a_redirect_to_a_place_beside(importer, serve):
    def answer(request, connection):
        (redirect("../b/disk.img?x#y") if request.path == "/a/c/disk.img" else Files(CONTENT))(request, connection)
    web = serve(answer)
    importer.ok(web.url("/a/c/disk.img"))
    assert [r.path for r in web.requests] == ["/a/c/disk.img", "/a/b/disk.img?x"]


def test_a_redirect_in_a_circle(importer, serve):
    web = serve(lambda request, connection: redirect(web.url())(request, connection))
    importer.refused("5 are followed", web.url())
    assert len(web.requests) == 6


def test_never_from_https_to_http(importer, serve, certs):
    plain = serve(Files(CONTENT))
    web = serve(redirect(plain.url()), tls=tls(certs, "right"))
    importer.refused("from https to http", web.url(), "--ca", certs / "ca.pem")
    assert plain.requests == []
    up = serve(redirect(serve(Files(CONTENT), tls=tls(certs, "right")).url()))
    importer.ok(up.url(), "--ca", certs / "ca.pem")


OUTSIDE = """
import sys
sys.path.insert(0, sys.argv[1])
from bh.web import Files, Web, head
inner = Web(Files(b"secret"))
def answer(request, connection):
    host = "127.0.0.1" if request.path == "/in" else request.path[4:] or "203.0.113.5"
    port = inner.port if host != "203.0.113.5" else outer.port
    if request.path == "/file":
        Files(b"secret")(request, connection)
    else:
        connection.sendall(head(302, f"Location: http://{host}:{port}/file", "Content-Length: 0"))
outer = Web(answer, address="203.0.113.5")
print(outer.port, inner.port, flush=True)
sys.stdin.read()
print(len(inner.requests), flush=True)
"""

# 127.0.0.1, 10.0.0.1 and what tells clouds' secrets, as IPv6 has them: mapped, translated, 6to4, Teredo, ISATAP
DISGUISED = ("[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::a00:1]", "[64:ff9b:1:7f00:0:100::]", "[2002:7f00:1::]",
             "[2001::80ff:fffe]", "[2001:0:101:101::f5ff:fffe]", "[2001:db8::5efe:7f00:1]", "[2001:db8::200:5efe:a00:1]",
             "[2002:a9fe:a9fe::]", "[fd00:ec2::254]", "[fe00::1]", "198.18.0.1")


@needs_root
def test_no_redirect_from_outside_to_inside(importer):
    """In a network where 203.0.113.5 is this host, and everybody would say that it is none of its own."""
    server = subprocess.Popen(
        ["unshare", "-n", "sh", "-c", 'ip link set lo up && ip addr add 203.0.113.5/32 dev lo && exec "$@"', "sh",
         sys.executable, "-c", OUTSIDE, str(pathlib.Path(__file__).parent)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port, inner = server.stdout.readline().split()
    importer.place.become = ["nsenter", f"--net=/proc/{server.pid}/ns/net"]
    try:
        importer.refused("an address of this host or of a private network", f"http://203.0.113.5:{port}/in",
                         content=b"secret")
        for host in DISGUISED:
            importer.refused("an address of this host or of a private network", f"http://203.0.113.5:{port}/to/{host}",
                             content=b"secret")
        importer.ok(f"http://203.0.113.5:{port}/out", content=b"secret")
        importer.empty()
        importer.ok(f"http://127.0.0.1:{inner}/file", content=b"secret")  # which its user may say
    finally:
        importer.place.become = []
        out, _ = server.communicate(timeout=20)
    assert int(out) == 1


# ---- what goes well ----

def test_for_anyone(anyone, serve):
    web = serve(Files(CONTENT))
    anyone.ok(web.url())
    assert anyone.name.stat().st_uid == anyone.place.uid
    sent = web.requests[0].headers
    assert sent["accept-encoding"] == "identity" and sent["host"] == f"127.0.0.1:{web.port}"
    assert set(sent) <= {"host", "user-agent", "accept", "accept-encoding"}
    if not anyone.place.subids:  # whose /etc knows no name
        anyone.empty()
        anyone.ok(web.url(host="localhost"))


def test_without_a_length(importer, serve):
    importer.ok(serve(raw(head(200), CONTENT)).url())
    importer.empty()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (CONTENT[i:i + 99999] for i in range(0, len(CONTENT), 99999)))
    importer.ok(serve(raw(head(200, "Transfer-Encoding: chunked"), chunks + b"0\r\n\r\n")).url())
    importer.empty()
    importer.ok(serve(raw(head(200, "Content-Length: 0"))).url(), content=b"")


def test_a_file(importer):
    source = importer.place.file("source.img", CONTENT)
    importer.ok(source)
    importer.empty()
    importer.ok(f"file://{source}")
    importer.empty()
    importer.refused("its sha256 is", source, content=OTHER)
    assert importer.left() == []
    importer.refused("more than --max-size", source, "--max-size", "1M")


def test_tls(importer, serve, certs):
    for name, text in (("ended", "expired"), ("other", "subject name")):
        err = importer.refused(text, serve(Files(CONTENT), tls=tls(certs, name)).url(), "--ca", certs / "ca.pem")
        assert "TLS: " in err
    right = serve(Files(CONTENT), tls=tls(certs, "right"))
    importer.ok(right.url(), "--ca", certs / "ca.pem")
    importer.empty()
    importer.ok(right.url(host="localhost"), "--ca", certs / "ca.pem")
    importer.empty()
    importer.refused("TLS: ", right.url())  # the system's do not know it
    importer.refused("certificates that are trusted", right.url(), "--ca", importer.place.file("none.pem", b""))


def test_progress_is_lines_without_a_terminal(importer, serve):
    status, out, err = importer.place.call("image", "import", serve(Files(CONTENT)).url(), importer.name,
                                           "--sha256", sha(CONTENT))
    assert (status, out) == (0, "")
    lines = err.splitlines()
    assert 1 <= len(lines) <= 10 and all(line.startswith("bulkhead: image import: ") for line in lines)
    assert "100.0%" in lines[-1] and "MiB/s" in lines[-1]


def test_converted(importer, serve):
    web = serve(Files(CONTENT + bytes(-len(CONTENT) % 512)))
    content = web.answer.content
    status, _, err = importer.call(web.url(), "-f", "raw", "-O", "qcow2", content=content)
    assert (status, err) == (0, "") and importer.left() == []
    assert importer.name.read_bytes()[:4] == b"QFI\xfb"
    back = importer.dir / "back"
    assert importer.place.call("image", "convert", "-f", "qcow2", "-O", "raw", importer.name, back)[0] == 0
    assert back.read_bytes() == content
    importer.empty()
    importer.refused("qcow2", web.url(), "-f", "qcow2", "-O", "raw", content=content)
    # what was downloaded and checked need not be downloaded again
    assert importer.left() == [".disk.img.import", ".disk.img.import-from"]
    before = len(web.requests)
    assert importer.call(web.url(), "-f", "raw", "-O", "qcow2", content=content)[0] == 0
    assert web.requests[before].headers["range"] == f"bytes={len(content)}-" and importer.left() == []


# ---- checksums ----

def test_wrong_checksum(importer, serve):
    web = serve(Files(CONTENT))
    for kind in ("sha256", "sha512"):
        err = importer.refused("is removed", web.url(), f"--{kind}", sha(OTHER, kind))
        assert sha(CONTENT, kind) in err and sha(OTHER, kind) in err and importer.left() == []
    importer.ok(web.url(), "--sha512", sha(CONTENT, "sha512").upper())


@pytest.mark.parametrize("text", [
    f"{sha(OTHER)}  other.img\n{sha(CONTENT)}  disk.img\n", f"{sha(CONTENT)} *./disk.img\r\n",
    f"SHA256 (disk.img) = {sha(CONTENT)}", f"SHA512 (a/disk.img) = {sha(CONTENT, 'sha512')}\n",
    f"{sha(OTHER)}  x disk.img\n{sha(CONTENT)}  disk.img\n{sha(CONTENT)}  disk.img\n",
    f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{sha(CONTENT)}  disk.img\n-----BEGIN PGP SIGNATURE-----\n\n-\n",
    f"{sha(OTHER)}  disk.img\n{sha(CONTENT, 'sha512')}  disk.img\n",
])
def test_lists_of_checksums(importer, serve, text):
    importer.ok(serve(Files(CONTENT)).url("/a/disk.img?b=/c"), "--checksums", importer.place.file("SUMS", text.encode()))


@pytest.mark.parametrize("text,why", [
    ("", "no line"), (f"{sha(CONTENT)}  disk.img.sig\n", "no line"), (f"{sha(CONTENT)} disk.img\n", "no line"),
    (f"{sha(CONTENT)[:-1]}  disk.img\n", "no line"), (f"{'d41d8cd98f00b204e9800998ecf8427e'}  disk.img\n", "no line"),
    (f"{sha(CONTENT)}  disk.img\n{sha(OTHER)}  disk.img\n", "different checksums"),
    ("x" * (MIB + 1), "up to 1 MiB"), (f"{sha(OTHER)}  disk.img\n", "its sha256 is"),
    (f"{sha(CONTENT)}  disk.img\0\n", "no line"),
], ids=range(9))
def test_lists_that_will_not_do(importer, serve, text, why):
    importer.refused(why, serve(Files(CONTENT)).url(), "--checksums", importer.place.file("SUMS", text.encode()))


# ---- interrupted ----

def kept(importer, n):
    assert importer.part.read_bytes() == CONTENT[:n] and not importer.name.exists()


@pytest.mark.parametrize("certificate", [None, "right"], ids=["http", "https"])
def test_it_goes_on(importer, serve, certs, certificate):
    files = Files(CONTENT, cut=MIB)
    web = serve(files, tls=tls(certs, certificate) if certificate else None)
    more = ("--ca", certs / "ca.pem") if certificate else ()
    err = importer.refused("the connection broke", web.url(), *more)
    n = importer.part.stat().st_size
    assert 0 < n <= MIB and f"; {n} bytes are kept in .disk.img.import: the same command goes on from there" in err
    kept(importer, n)
    files.cut = MIB
    importer.refused("the connection broke", web.url(), *more)
    m = importer.part.stat().st_size
    kept(importer, m)
    importer.ok(web.url(), *more)
    assert [(r.headers.get("range"), r.headers.get("if-range")) for r in web.requests] == [
        (None, None), (f"bytes={n}-", '"one"'), (f"bytes={m}-", '"one"')]


def test_by_the_time_of_its_last_change(importer, serve):
    def answer(request, connection):
        n = int(request.headers.get("range", "bytes=0-")[6:-1])
        connection.sendall(head(206 if n else 200, f"Content-Length: {len(CONTENT) - n}",
                                "Last-Modified: Sat, 01 Jan 2022 00:00:00 GMT",
                                *([f"Content-Range: bytes {n}-{len(CONTENT) - 1}/{len(CONTENT)}"] if n else [])))
        connection.sendall(CONTENT[n:] if n else CONTENT[:MIB])
    web = serve(answer)
    importer.refused("are kept", web.url())
    importer.ok(web.url())
    assert web.requests[1].headers["if-range"] == "Sat, 01 Jan 2022 00:00:00 GMT"


@pytest.mark.parametrize("change", [{"tag": '"two"'}, {"ranges": False}], ids=["it changed", "no ranges"])
def test_it_starts_again(importer, serve, change):
    files = Files(OTHER, cut=MIB)
    web = serve(files)
    importer.refused("are kept", web.url())
    files.content = CONTENT
    for name, value in change.items():
        setattr(files, name, value)
    importer.ok(web.url())
    assert len(web.requests) == 2


def test_a_server_that_knows_no_if_range(importer, serve):
    """It sends the rest of another file, says so by its ETag, and is asked once more."""
    files = Files(OTHER + bytes(2 * MIB), cut=MIB)
    web = serve(files)
    importer.refused("are kept", web.url())

    def answer(request, connection):
        request.headers.pop("if-range", None)
        Files(CONTENT, tag='"two"')(request, connection)
    web.answer = answer
    importer.ok(web.url())
    assert [r.headers.get("range") is None for r in web.requests] == [True, False, True]


@pytest.mark.parametrize("place", ["0-9/10", "{n}-{e}/*", "{m}-{e}/{l}", "{n}-{n}/{l}", "{n}-{l}/{l}", "x", "{n}-{e}/{l}0"])
def test_parts_that_do_not_go_together(importer, serve, place):
    web = serve(Files(CONTENT, cut=MIB))
    importer.refused("are kept", web.url())
    n = importer.part.stat().st_size
    said = place.format(n=n, m=n + 1, e=len(CONTENT) - 1, l=len(CONTENT))
    web.answer = raw(head(206, f"Content-Range: bytes {said}", "Content-Length: 5", 'ETag: "one"'), b"12345")
    importer.refused("are kept", web.url())
    kept(importer, n)


def test_whole_already(importer, serve):
    web = serve(Files(CONTENT, cut=MIB))
    importer.refused("are kept", web.url())
    importer.part.write_bytes(CONTENT)
    importer.ok(web.url())
    assert web.requests[-1].headers["range"] == f"bytes={len(CONTENT)}-"
    importer.empty()
    web.answer.cut = MIB
    importer.refused("are kept", web.url())
    importer.part.write_bytes(CONTENT + b"more than it has")
    importer.ok(web.url())


def test_what_is_there_is_checked_too(importer, serve):
    web = serve(Files(CONTENT, cut=MIB))
    importer.refused("are kept", web.url())
    with open(importer.part, "r+b") as f:
        f.write(b"somebody else's")
    importer.refused("its sha256 is", web.url())
    assert importer.left() == []
    importer.ok(web.url())


@pytest.mark.parametrize("text", [b"", b"x", b"bulkhead image import 1\nftp://x/\n\"one\"\n",
                                  b"bulkhead image import 1\nhttp://x/\nW/\"one\"\n", b"\0" * 5000])
def test_what_is_noted_is_not_believed(importer, serve, text):
    """Without a note that it understands it touches nothing; with one of another address it begins anew."""
    web = serve(Files(CONTENT))
    importer.part.write_bytes(b"somebody's")
    (importer.dir / ".disk.img.import-from").write_bytes(text)
    importer.refused("no import has begun it: move it away", web.url())
    assert importer.part.read_bytes() == b"somebody's" and web.requests == []
    (importer.dir / ".disk.img.import-from").write_bytes(b'bulkhead image import 1\nhttp://x/\n"one"\n')
    importer.ok(web.url())
    assert "range" not in web.requests[0].headers


def slow(content, upto):
    """Sends a part, and waits."""
    def answer(_, connection):
        connection.sendall(head(200, f"Content-Length: {len(content)}", 'ETag: "one"') + content[:upto])
        connection.recv(1)
    return answer


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal(importer, serve, sig):
    web = serve(slow(CONTENT, MIB))
    job = importer.place.start(*importer.words(web.url()))
    await_part(importer)
    job.send_signal(sig)
    _, err = job.communicate(timeout=30)
    assert job.returncode == 6
    assert err == (f"bulkhead: image import: interrupted: {MIB} bytes are kept in .disk.img.import: the same command goes "
                   "on from there\n")
    kept(importer, MIB)
    importer.place.wait_until_empty()
    web.answer = Files(CONTENT)
    importer.ok(web.url())
    assert web.requests[-1].headers["range"] == f"bytes={MIB}-"


def test_killed(importer, serve):
    """Nothing outlives the command, and what was there is gone on with."""
    web = serve(slow(CONTENT, MIB))
    job = importer.place.start(*importer.words(web.url()))
    await_part(importer)
    job.kill()
    job.communicate(timeout=30)
    importer.place.wait_until_empty()
    kept(importer, MIB)
    web.answer = Files(CONTENT)
    importer.ok(web.url())
    assert web.requests[-1].headers["range"] == f"bytes={MIB}-"


def test_two_at_once(importer, serve):
    web = serve(slow(CONTENT, MIB))
    job = importer.place.start(*importer.words(web.url()))
    await_part(importer)
    importer.refused("in use", web.url())
    kept(importer, MIB)
    job.kill()
    job.communicate(timeout=30)
    importer.place.wait_until_empty()


@needs_root
def test_image_fetch_is_killed(importer, serve):
    web = serve(slow(CONTENT, MIB))
    job = importer.place.start(*importer.words(web.url()))
    await_part(importer)
    os.kill(find(importer, "image-fetch"), signal.SIGKILL)
    _, err = job.communicate(timeout=30)
    assert job.returncode == 1 and "image-fetch was killed by signal KILL" in err
    kept(importer, MIB)


def await_part(importer):
    """Until a MiB is there, and the note by which it can be gone on with, which another process writes."""
    wait.until(lambda: importer.part.exists() and importer.part.stat().st_size == MIB, "a MiB")
    note = importer.dir / ".disk.img.import-from"
    wait.until(lambda: re.fullmatch(rb"[^\n]*\n[^\n]*\n[^\n]+\n", note.read_bytes()), "which version it is of")


def find(importer, name):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/exe") == str(importer.place.dir / "cmd" / name / name):
                return int(pid)
        except OSError:
            pass
    raise AssertionError(name)


@needs_root
def test_what_image_fetch_holds(importer, serve):
    """One connection, one file, and pipes; a network without anything; no capability."""
    web = serve(slow(CONTENT, MIB))
    job = importer.place.start(*importer.words(web.url()))
    await_part(importer)
    pid = find(importer, "image-fetch")
    held = {int(fd): os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    files = [to for to in held.values() if to.startswith("/") and to != "/dev/null"]
    assert files == [str(importer.part)]
    assert sum(to.startswith("socket:") for to in held.values()) <= 4  # control, the connection, libcurl's own pair
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    assert "CapEff:\t0000000000000000" in status and "Seccomp:\t2" in status
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    assert next(line.split()[3] for line in limits.splitlines() if line.startswith("Max file size")) != "unlimited"
    job.kill()
    job.communicate(timeout=30)
    importer.place.wait_until_empty()


# ---- the host ----

@needs_root
def test_a_full_disk(importer, serve):
    importer.dir.joinpath("full").mkdir()
    name, importer.name = importer.name, importer.dir / "full" / "disk.img"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", importer.dir / "full"], check=True)
    try:
        importer.refused("is free where it goes", serve(Files(CONTENT)).url())
        importer.refused("no space is left where it goes", serve(raw(head(200), CONTENT)).url())
        assert os.listdir(importer.dir / "full") == []
    finally:
        subprocess.run(["umount", importer.dir / "full"], check=True)
        importer.dir.joinpath("full").rmdir()
        importer.name = name


def test_what_is_there_already(importer, serve):
    web = serve(Files(CONTENT))
    importer.name.write_bytes(OTHER)
    status, _, err = importer.call(web.url())
    assert status == 1 and "it is there already" in err and "--force" in err and web.requests == []
    status, _, err = importer.call(web.url(), "--force", "--sha256", sha(OTHER))
    assert status == 1 and importer.name.read_bytes() == OTHER and importer.left() == []
    importer.ok(web.url(), "--force")
    importer.name.unlink()
    importer.name.mkdir()
    status, _, err = importer.call(web.url(), "--force")
    assert status == 1 and "no regular file" in err
    importer.name.rmdir()


def test_nobody_is_there(importer, serve):
    web = serve(Files(CONTENT))
    web.close()
    importer.refused("127.0.0.1: Connection refused", web.url())
    importer.refused("no address is known of that name", "http://nobody.invalid/disk.img")
    importer.refused("No such file", importer.dir / "no.img")
    assert importer.left() == []


def test_without_image_fetch(importer, serve):
    folder = importer.place.dir / "cmd/image-fetch"
    folder.rename(importer.place.dir / "cmd/away")
    try:
        importer.refused("libcurl4-openssl-dev", serve(Files(CONTENT)).url())
    finally:
        (importer.place.dir / "cmd/away").rename(folder)


@pytest.mark.parametrize("words,text", [
    (("http://x/a", "b"), "say --sha256"), (("http://x/a", "--sha256", "0" * 64), "URL or FILE, and the NAME"),
    (("http://x/a", "b", "--sha256", "0" * 63), "64 hexadecimal digits"),
    (("http://x/a", "b", "--sha512", "0" * 64), "128 hexadecimal digits"),
    (("http://x/a", "b", "--sha256", "0" * 64, "--checksums", "x"), "one checksum is enough"),
    (("ftp://x/a", "b", "--sha256", "0" * 64), "only https:// and http://"),
    (("http://u@x/a", "b", "--sha256", "0" * 64), "user or password"),
    (("http://x/a", "b", "--sha256", "0" * 64, "-O", "raw"), "say --format"),
    (("http://x/a", "b", "--sha256", "0" * 64, "-f", "raw"), "say --output-format"),
    (("http://x/a", "b", "--sha256", "0" * 64, "-f", "raw", "-O", "vmdk"), "a target is raw or qcow2"),
    (("http://x/a", "b", "--sha256", "0" * 64, "--timeout", "0"), "timeout"),
    (("http://x/a", "b", "--sha256", "0" * 64, "--max-size", "0"), "max-size"),
    (("http://x/a", "b", "--sha256", "0" * 64, "--json"), "no such option"),
])
def test_wrong_words(importer, words, text):
    status, out, err = importer.place.call("image", "import", *words)
    assert (status, out) == (2, "") and err.count("\n") == 1 and text in err, err
