# SPDX-License-Identifier: Apache-2.0
#
# Writes to the scratch disk, reads back, draws random numbers and prints a numbered line, over and over,
# while devices' processes are killed outside; ends once a line comes from the terminal.
disk=/dev/$(scratch_disk) || exit 1
failed=0
n=0

# One round: 64 KiB of other bytes each time, at another place.
round() {
	at=$((n % 64))
	dd if=/dev/urandom of=/tmp/block bs=64k count=1 2>/dev/null
	dd if=/tmp/block of="$disk" bs=64k seek=$at oflag=direct conv=notrunc 2>/tmp/errors || return 1
	dd if="$disk" of=/tmp/back bs=64k skip=$at count=1 iflag=direct 2>/tmp/errors || return 1
	cmp /tmp/block /tmp/back || return 1
	[ "$(dd if=/dev/hwrng bs=16 count=1 2>/dev/null | wc -c)" = 16 ]
}

stty -echo
{ read -r word </dev/console; : >/tmp/stop; } &
say "kills ready"
until [ -e /tmp/stop ]; do
	round || { say "round $n: $(cat /tmp/errors)"; failed=1; break; }
	say "round $n 0123456789abcdefghijklmnopqrstuvwxyz"
	n=$((n + 1))
done
say "rounds $n"
dmesg -r | grep -E '^<[0-4]>' | grep -E '[sv]d[a-z]|virtio|hwrng|ttyS|I/O error|hung' && failed=1
[ $failed = 0 ] && say "kills cost nothing"
exit $failed
