# SPDX-License-Identifier: Apache-2.0
#
# What cloud-init would find: the disk by its label, and each file on it, as base64. bh.mount: how it is mounted.
# bh.again=1: once more when a line comes from the terminal.
show() {
	for file in /tmp/seed/*; do
		say "cloud-init: ${file#/tmp/seed/} $(stat -c %a "$file") $(base64 -w 0 "$file")"
	done
}

load_module_of_tests isofs || exit 1
device=$(findfs LABEL="$(param bh.label cidata)") || {
	say "cloud-init: no disk of that label"
	exit 1
}
say "cloud-init: disk $device of $(cat /sys/block/${device#/dev/}/size) sectors, ro $(cat /sys/block/${device#/dev/}/ro)"
mkdir -p /tmp/seed
mount -t iso9660 -o "ro,$(param bh.mount map=normal)" "$device" /tmp/seed || exit 1
show
if [ "$(param bh.again 0)" = 1 ]; then
	say "cloud-init: waits"
	read -r word </dev/console
	echo 3 >/proc/sys/vm/drop_caches
	show
fi
dd if=/dev/zero of="$device" bs=512 count=1 conv=notrunc 2>/dev/null && say "cloud-init: WRITTEN"
umount /tmp/seed
say "cloud-init: done"
