# SPDX-License-Identifier: Apache-2.0
#
# What the guest's /init and the test scripts share. Shell functions, to be sourced.

say() {
	echo "bulkhead-guest: $*"
}

# param NAME [DEFAULT]: the value of NAME=value on the kernel's command line.
param() {
	local word

	for word in $(cat /proc/cmdline); do
		case $word in
		"$1="*)
			echo "${word#*=}"
			return
			;;
		esac
	done
	echo "${2-}"
}

# Disks behind virtio-scsi, of which the first is sda.
scsi_disks() {
	local tries=0

	load_module_of_tests virtio_scsi && load_module_of_tests sd_mod || return 1
	until [ -b /dev/sda ] || [ $((tries += 1)) -gt 100 ]; do
		sleep 0.1
	done
}

# The disk that a test may overwrite: bh.disk=NAME, or the second disk.
scratch_disk() {
	local name

	name=$(param bh.disk vdb)
	case $name in
	sd*) scsi_disks || return 1 ;;
	esac
	[ -b "/dev/$name" ] || {
		say "no disk $name" >&2
		return 1
	}
	echo "$name"
}

# serial_of DISK
serial_of() {
	if [ -f "/sys/block/$1/serial" ]; then
		cat "/sys/block/$1/serial"
	else
		tail -c +5 "/sys/block/$1/device/vpd_pg80"
	fi
}

# A byte that outlives a reboot, in the boot sector of the second disk or else the first, which
# no file system of Linux uses. Without an argument it is read, else written.
state_byte() {
	local disk

	for disk in /dev/vdb /dev/vda; do
		[ -b "$disk" ] || continue
		if [ $# -eq 0 ]; then
			dd if="$disk" bs=1 count=1 2>/dev/null | hexdump -e '/1 "%u"'
		else
			printf "\\x$(printf %x "$1")" | dd of="$disk" bs=1 conv=notrunc,fsync 2>/dev/null
		fi
		return
	done
	say "no disk for the state byte" >&2
	return 1
}

# load_module_of_tests NAME: with what it needs, which comes before it; others that this machine refuses are none of it.
load_module_of_tests() {
	local module

	while read -r module; do
		insmod "/modules-of-tests/$module" 2>/dev/null
	done </modules-of-tests/order
	grep -q "^$1 " /proc/modules || {
		say "no module $1" >&2
		return 1
	}
}

stop_machine() {
	sync
	poweroff -f
	# Nobody switched the machine off: stay quiet instead of a panic.
	while :; do
		sleep 1000
	done
}

run_test() {
	local status

	if [ -f "/tests/$1.sh" ]; then
		sh -c ". /lib/guest.sh; . /tests/$1.sh"
		status=$?
	else
		say "no test $1"
		status=127
	fi
	say "test $1 status $status"
}
