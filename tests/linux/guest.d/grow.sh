# SPDX-License-Identifier: Apache-2.0
#
# Writes to the scratch disk and reads back, over and over, while it becomes larger outside; says each size that
# Linux shows of it, and works on its new end. bh.sizes=N: ends after so many.
disk=$(scratch_disk) || exit 1
dev=/dev/$disk
n=0

size() { cat /sys/block/$disk/size; }

# check AT: 64 KiB of other bytes each time, at that block of 64 KiB.
check() {
	dd if=/dev/urandom of=/tmp/block bs=64k count=1 2>/dev/null
	dd if=/tmp/block of="$dev" bs=64k seek="$1" oflag=direct conv=notrunc 2>/tmp/errors || return 1
	dd if="$dev" of=/tmp/back bs=64k skip="$1" count=1 iflag=direct 2>/tmp/errors || return 1
	cmp /tmp/block /tmp/back
}

failed() {
	say "grow failed at $1: $(cat /tmp/errors)"
	exit 1
}

while [ "$n" -lt "$(param bh.sizes 1)" ]; do
	before=$(size)
	say "grow ready $before"
	while [ "$(size)" = "$before" ]; do
		check 3 || failed 3
	done
	now=$(size)
	check $((now / 128 - 1)) || failed "the end of $now"
	say "grow sectors $now"
	n=$((n + 1))
done
dmesg -r | grep -E '^<[0-4]>' | grep -vE 'sd[a-z]|Capacity data has changed' | grep -E 'vd[a-z]|virtio|I/O error|hung' && exit 1
dmesg | grep -qE "$disk.*: detected capacity change" || exit 1
say "grow cost nothing"
