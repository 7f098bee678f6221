# SPDX-License-Identifier: Apache-2.0
"""What an unmodified Debian kernel finds of SMBIOS tables: who the machine is, its memory, and credentials where systemd
reads them; by bzImage, by PVH and by firmware, and after a restart. BULKHEAD_ACCEL names the accelerator."""

import base64
import re
import struct
import subprocess

import pytest

import bios
import systemd
import uefi
import vm

pytestmark = pytest.mark.skipif(not (vm.GUEST / "initrd.cpio.gz").exists(), reason="no guest: tools/guest/build")

UUID = "01234567-89ab-cdef-fedc-ba9876543210"
SECRET = (bytes(range(256)) * 12)[:2944]
MORE = ("--uuid", UUID, "--serial", "SN 1", "--oem-string", "role=web, tier 2", "--oem-string", "second")


def structures(table):
    """(type, fields, strings) of each."""
    found = []
    while table:
        kind, length = table[0], table[1]
        end = table.index(b"\0\0", length) + 2
        strings = [s.decode() for s in table[length:end - 2].split(b"\0") if s]
        found.append((kind, table[:length], strings))
        table = table[end:]
    return found


def seen(text):
    """What is in /sys/class/dmi, and the tables."""
    names = dict(re.findall(r"dmi (\w+): (.*?)\r?$", text, re.M))
    table = base64.b64decode("".join(re.findall(r"dmi bytes (\S+)", text)))
    mode, size = re.search(r"dmi tables (\d+) (\d+)", text).groups()
    assert (mode, int(size)) == ("400", len(table))
    return names, structures(table)


def memory(found):
    """Megabytes of the device, and what it is at, in kilobytes."""
    [device] = [f for kind, f, _ in found if kind == 17]
    size, extended = struct.unpack_from("<H", device, 12)[0], struct.unpack_from("<I", device, 28)[0]
    return extended if size == 0x7fff else size, [struct.unpack_from("<II", f, 4) for kind, f, _ in found if kind == 19]


@pytest.fixture
def credentials(tmp_path):
    (tmp_path / "key").write_bytes(SECRET)
    (tmp_path / "empty").write_bytes(b"")
    return ("--credential", f"a.key={tmp_path}/key", "--credential", f"empty={tmp_path}/empty")


def check_all(text, ranges):
    names, found = seen(text)
    assert names["sys_vendor"] == "Bulkhead" and names["product_serial"] == "SN 1" and names["product_uuid"] == UUID
    assert [s for kind, _, strings in found if kind == 11 for s in strings] == [
        "role=web, tier 2", "second", "io.systemd.credential.binary:a.key=" + base64.b64encode(SECRET).decode(),
        "io.systemd.credential.binary:empty="]
    assert memory(found) == (5 << 10, ranges)
    [cpu] = [f for kind, f, _ in found if kind == 4]
    assert cpu[0x23] == 2
    assert {0, 1, 3, 4, 11, 16, 17, 19, 32, 127} <= {kind for kind, _, _ in found}


def test_a_kernel_is_told_again_after_a_restart(tmp_path, credentials):
    state = tmp_path / "state"
    state.write_bytes(bytes(1 << 20))
    g = vm.run("identity", words="bh.again=1", memory="5G", cpus=2,
               flags=(*MORE, *credentials, "--disk", f"{state},format=raw"))
    boots = g.text().split("dmi sys_vendor")
    assert len(boots) == 3
    for boot in boots[1:]:
        check_all("dmi sys_vendor" + boot, [(0, (3 << 20) - 1), (4 << 20, (6 << 20) - 1)])


def test_nothing_said():
    names, found = seen(vm.run("identity", kernel="vmlinux").text())
    assert names["sys_vendor"] == "Bulkhead" and "product_uuid" not in names and not names.get("product_serial")
    assert not [f for kind, f, _ in found if kind == 11]
    assert memory(found) == (256, [(0, (256 << 10) - 1)])


@pytest.mark.parametrize("firmware", [uefi, pytest.param(bios, marks=vm.LONG)], ids=["uefi", "bios"])
def test_firmware_hands_them_on(tmp_path, credentials, firmware):
    if firmware.missing():
        pytest.skip(f"{firmware.missing()} is not there: tools/deps check")
    r = subprocess.run([vm.BULKHEAD, "run", "--accel", vm.ACCEL, "--firmware", firmware.__name__,
                        "--disk", f"{firmware.bootable(tmp_path, 'identity')},format=raw", "--memory", "5G", "--cpus", "2",
                        "--net", "none", "--console", "raw", *MORE, *credentials],
                       stdin=subprocess.DEVNULL, capture_output=True, timeout=vm.HANGS, check=False)
    text = r.stdout.decode(errors="replace")
    assert r.returncode == 0, text + r.stderr.decode(errors="replace")
    check_all(text, [(0, (3 << 20) - 1), (4 << 20, (6 << 20) - 1)])


SAID = """b=/bin/busybox
for name in $($b ls /run/credentials/@system); do
	echo "system $name"
done
for name in $($b ls $CREDENTIALS_DIRECTORY); do
	echo "has $name $($b stat -c '%a %u' $CREDENTIALS_DIRECTORY/$name) $($b base64 -w 0 $CREDENTIALS_DIRECTORY/$name)"
done
"""


@pytest.mark.skipif(systemd.missing() is not None, reason=f"{systemd.missing()} is not there: tools/deps check")
def test_systemd_has_them(tmp_path):
    """Debian's, which hands a service those that it asks for: also one of the largest, behind pages of other strings."""
    secrets = {"a.key": SECRET, "n" * 64: SECRET[::-1], "c": b"\0", "not-loaded": b"x"}
    words = [word for n in range(10) for word in ("--oem-string", str(n) * 1024)]
    for name, secret in secrets.items():
        (tmp_path / name).write_bytes(secret)
        words += ["--credential", f"{name}={tmp_path / name}"]
    disk = systemd.initrd(tmp_path, "\n".join(f"LoadCredential={name}" for name in list(secrets)[:3]), SAID)
    with vm.Guest("", words=systemd.WORDS, memory="512M", initrd=False, flags=("--initrd", disk, *words)) as g:
        assert g.end() == 0, g.text() + g.err
        assert sorted(re.findall(r"system (\S+)\r$", g.text(), re.M)) == sorted(secrets)
        got = re.findall(r"has (\S+) (\d+ \d+) (\S+)\r$", g.text(), re.M)
        assert {name: base64.b64decode(text) for name, _, text in got} == {n: secrets[n] for n in list(secrets)[:3]}
        assert {mode for _, mode, _ in got} == {"400 0"}
