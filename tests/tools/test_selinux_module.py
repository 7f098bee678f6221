# SPDX-License-Identifier: Apache-2.0
"""The SELinux module compiles, and its processes have no right that they must never have."""

import pathlib
import re
import subprocess

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
MODULE = TOP / "selinux/bulkhead.cil"
COMPILE = TOP / "tests/selinux/compile"


def compile_(tmp_path, text):
    module = tmp_path / "module.cil"
    module.write_text(text)
    return subprocess.run([COMPILE, tmp_path / "policy", module], capture_output=True, text=True,
                          timeout=60, check=False)


def test_it_compiles(tmp_path):
    done = compile_(tmp_path, MODULE.read_text())
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "policy").stat().st_size > 10000


# The compiler itself holds the rights against these.
NEVER = ["(neverallow bulkhead_process self (process (execmem execstack execheap)))",
         "(neverallow bulkhead_process self (process (setexec setcurrent dyntransition)))",
         "(neverallow bulkhead_process host_all (file (open execute_no_trans execmod)))",
         "(neverallow bulkhead_process host_all (dir (write add_name remove_name create)))",
         "(neverallow bulkhead_process host_all (process (all)))",
         "(neverallow bulkhead_process bulkhead_own (process (ptrace signal sigkill transition)))",
         "(neverallow bulkhead_process self (unix_stream_socket (create connect bind)))",
         "(neverallow bulkhead_process self (capability (all)))",
         "(neverallow bulkhead_process self (cap_userns (all)))",
         "(neverallow bulkhead_swtpm_t self (process (execmem execstack execheap setexec setcurrent dyntransition fork)))",
         "(neverallow bulkhead_swtpm_t bulkhead_file_of_user (file (write append create unlink execute_no_trans execmod)))",
         "(neverallow bulkhead_swtpm_t bulkhead_file_of_user (dir (write add_name remove_name create)))",
         "(neverallow bulkhead_swtpm_t host_all (process (all)))",
         "(neverallow bulkhead_swtpm_t bulkhead_own (process (ptrace signal sigkill transition)))",
         "(neverallow bulkhead_swtpm_t bulkhead_image_t (file (read write)))",
         "(neverallow bulkhead_swtpm_t bulkhead_memory_t (file (read write)))",
         "(neverallow bulkhead_swtpm_t self (unix_stream_socket (create connect bind)))",
         "(neverallow bulkhead_swtpm_t self (capability (all)))",
         "(neverallow bulkhead_process bulkhead_keys_t (file (all)))",
         "(neverallow bulkhead_domain host_all (chr_file (create mounton relabelfrom relabelto setattr)))",
         "(neverallow bulkhead_process host_all (chr_file (open)))",
         "(neverallow bulkhead_domain tun_tap_device_t (chr_file (open)))",
         "(neverallow bulkhead_domain vhost_device_t (chr_file (open)))",
         "(neverallow bulkhead_domain kvm_device_t (chr_file (open)))",
         "(neverallow bulkhead_domain self (tun_socket (all)))",
         "(neverallow bulkhead_domain host_all (tun_socket (create relabelfrom relabelto)))",
         "(neverallow bulkhead_net_t tun_tap_device_t (chr_file (ioctl)))",
         "(neverallow bulkhead_supervisor_t tun_tap_device_t (chr_file (ioctl)))",
         "(neverallow bulkhead_launcher_t tun_tap_device_t (chr_file (ioctl)))",
         "(neverallowx bulkhead_domain tun_tap_device_t (ioctl chr_file (range 0x5400 0x54cf)))",
         "(neverallow bulkhead_supervisor_t bulkhead_own (file (open execute)))",
         "(neverallow bulkhead_switchkeeper_t host_all (file (all)))",
         "(neverallow bulkhead_switchkeeper_t self (process (fork setexec setcurrent dyntransition execmem)))",
         "(neverallow bulkhead_switchkeeper_t self (unix_stream_socket (create connect bind)))",
         "(neverallow bulkhead_switch_t bulkhead_image_t (file (all)))",
         "(neverallow bulkhead_passt_t self (process (execmem execstack execheap setexec setcurrent dyntransition)))",
         "(neverallow bulkhead_passt_t host_all (file (write append create unlink execute_no_trans execmod)))",
         "(neverallow bulkhead_passt_t host_all (dir (write add_name remove_name create)))",
         "(neverallow bulkhead_passt_t file_t (file (all)))",
         "(neverallow bulkhead_passt_t bulkhead_object (file (all)))",
         "(neverallow bulkhead_passt_t self (capability (all)))",
         "(neverallow bulkhead_passt_t self (netlink_route_socket (nlmsg_write)))",
         "(neverallow bulkhead_passt_t self (rawip_socket (create)))",
         "(neverallow bulkhead_passt_t self (packet_socket (create)))",
         "(neverallow bulkhead_passtguard_t host_all (file (all)))",
         "(neverallow bulkhead_passtguard_t bulkhead_object (file (all)))",
         "(neverallow bulkhead_passtguard_t host_all (unix_stream_socket (all)))",
         "(neverallow bulkhead_passtguard_t self (process (fork setexec setcurrent dyntransition execmem)))",
         "(neverallow bulkhead_supervisor_t self (process (fork setexec setcurrent)))"]


@pytest.mark.parametrize("never", NEVER)
def test_never(tmp_path, never):
    done = compile_(tmp_path, MODULE.read_text() + never)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("never", NEVER)
def test_never_is_held(tmp_path, never):
    """The right itself, given: the compiler refuses the two together."""
    given = re.sub(r"^\(neverallow bulkhead_process", "(allow bulkhead_rng_t", never)
    given = given.replace("(neverallow", "(allow")
    assert compile_(tmp_path, MODULE.read_text() + given).returncode == 0
    assert compile_(tmp_path, MODULE.read_text() + given + never).returncode != 0
