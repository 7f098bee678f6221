# SPDX-License-Identifier: Apache-2.0
"""A kind of device that the tree does not have, added by its folder alone (tests/toy-device): the
programs that know all kinds are built with it, and a guest uses it."""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
TOY = TOP / "tests/toy-device"
GUEST = "tests/guest/virtio-rng.elf"
# of the tree's own build: they know no kind
SAME = ("vmm", "dev-console")
BUILT = ("cmd/bulkhead/bulkhead", "cmd/supervisor/supervisor", "tests/toy-device/dev-dice",
         "tools/bulkhead")


@pytest.fixture(scope="module")
def toy(build, tmp_path_factory):
    """A place with the programs, as a build tree has them."""
    place = tmp_path_factory.mktemp("toy")
    made = place / "build"
    for words in (["meson", "setup", made, "-Dextra_kinds=tests/toy-device", "-Doptimization=0"],
                  ["ninja", "-C", made, *BUILT]):
        done = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    for name in SAME:
        (made / "cmd" / name).mkdir(exist_ok=True)
        shutil.copy(build / "cmd" / name / name, made / "cmd" / name / name)
    (made / "cmd/dev-dice").mkdir()
    shutil.copy(made / "tests/toy-device/dev-dice", made / "cmd/dev-dice/dev-dice")
    for path in (place, *place.parents):
        if path.stat().st_uid == os.geteuid() and path != pathlib.Path("/"):
            path.chmod(path.stat().st_mode | 0o111)  # processes with other ids run from there
    return made


def call(toy, *words):
    done = subprocess.run([toy / "cmd/bulkhead/bulkhead", *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def machine(build, guest=GUEST):
    return ["--kernel", build / guest, "--accel", "soft", "--memory", "64M", "--console", "raw",
            "--rng", "off", "--net", "none", "--dice", "on", "--dice-faces=20"]


def test_a_guest_uses_it(toy, build):
    """The guest of the entropy device, which it is."""
    code, out, err = call(toy, "run", *machine(build))
    assert code == 0, err
    assert "FAILED" not in out and "ok bytes by interrupt" in out


def test_without_it_there_is_none(toy, build):
    words = machine(build)
    words[words.index("--dice") + 1] = "off"
    assert "FAILED virtio-rng" in call(toy, "run", *words)[1]


def test_its_option_is_one_of_all(toy, build):
    help_ = call(toy, "run", "--help")[1]
    assert re.search(r"^  --dice off +or on: throws of dice$", help_, re.M)
    assert re.search(r"^  --dice-faces 6 +2 to 100$", help_, re.M)
    completion = (toy / "tools/bulkhead").read_text()
    assert "--dice)" in completion and "--dice --dice-faces" in completion
    assert call(toy, "run", *machine(build), "--dice-faces=101")[2] == \
        "bulkhead: --dice-faces: '101' will not do: say 2 to 100\n"
    config = toy / "vm.conf"
    config.write_text("dice = maybe\n")
    assert call(toy, "explain", "--kernel", build / GUEST, "--config", config)[2].endswith(
        "vm.conf:1: dice: 'maybe' will not do: say on or off\n")


def test_explain_shows_it(toy, build):
    out = call(toy, "explain", *machine(build))[1]
    section = out.split("\ndev-dice: throws of dice\n")[1].split("\n\n")[0]
    assert "4 vhost-user channel" in section and "GAIN" in section
    assert "\ndev-rng: " not in out


def test_audit_holds_it_to_its_policy(toy, build):
    name = f"toy-{os.getpid()}"
    code, _, err = call(toy, "run", "--detach", "--name", name,
                        *[w for w in machine(build, "tests/guest/powerbutton.elf")
                          if w not in ("--console", "raw")])
    assert code == 0, err
    try:
        code, out, err = call(toy, "audit", name)
        assert code == 0 and "dev-dice" in out, out + err
    finally:
        call(toy, "stop", name, "--now")


# ---- figures ----

def test_what_it_took():
    """Nothing outside its folder; the lines are printed."""
    took = {path.name: len(path.read_text().splitlines()) for path in sorted(TOY.iterdir())}
    print(f"\nthe toy device took {sum(took.values())} lines: {took}")
    tree = subprocess.run(["grep", "-rliE", "dev-dice|dice_kind", "cmd", "lib", "tools", "selinux",
                           "meson.build"], cwd=TOP, capture_output=True, text=True, check=False)
    assert tree.stdout == ""


def test_few_files_know_a_device():
    """Of what is built and installed; tests and documents are not counted. What knows it has to: the
    list of folders, the list of features with their ids, SELinux's module."""
    known = subprocess.run(["grep", "-rlE",
                            r"dev[-_]rng|virtio-rng|rng_t\b|rng_(kind|policy|declared)|RNG_FD|"
                            "VIRTIO_ID_RNG|FEATURE_RNG",
                            "cmd", "lib", "tools", "selinux", "meson.build"], cwd=TOP,
                           capture_output=True, text=True, check=True).stdout.split()
    known = [path for path in known if not path.startswith("cmd/dev-rng/")]
    print(f"\nfiles outside its own folder that know dev-rng: {len(known)}: {known}")
    assert len(known) <= 4
