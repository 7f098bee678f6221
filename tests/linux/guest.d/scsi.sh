# SPDX-License-Identifier: Apache-2.0
#
# All disks at once, those behind virtio-scsi and others: bh.disks of them are waited for, what each is is said, each that
# may be is written and read back past the page cache bh.loops times, at other places each time, and what is on it is said.
scsi_disks || exit 1
tries=0
until [ "$(ls -d /sys/block/sd* /sys/block/vd* 2>/dev/null | wc -l)" = "$(param bh.disks 1)" ] || [ $((tries += 1)) -gt 300 ]; do
	sleep 0.1
done
loops=$(param bh.loops 4)

# work DISK
work() {
	local n=0 at file=/tmp/$1

	while [ $((n += 1)) -le "$loops" ]; do
		at=$((n * 7 % 16))
		dd if=/dev/urandom of="$file" bs=256k count=1 2>/dev/null
		dd if="$file" of="/dev/$1" bs=256k seek=$at oflag=direct conv=notrunc,fsync 2>"$file.errors" &&
			dd if="/dev/$1" of="$file.back" bs=256k skip=$at count=1 iflag=direct 2>"$file.errors" &&
			cmp "$file" "$file.back" && continue
		say "scsi: $1 FAILED in round $n: $(cat "$file.errors")"
		return
	done
}

for path in /sys/block/sd* /sys/block/vd*; do
	[ -d "$path" ] || continue
	disk=${path##*/}
	say "scsi: $disk serial $(serial_of $disk) sectors $(cat $path/size) ro $(cat $path/ro)" \
		"block $(cat $path/queue/logical_block_size) $(cat $path/queue/physical_block_size)" \
		"cache $(cat $path/queue/write_cache) fua $(cat $path/queue/fua)" \
		"rotates $(cat $path/queue/rotational) queues $(ls $path/mq | wc -l)" \
		"discard $(cat $path/queue/discard_max_bytes)"
	[ "$(cat $path/ro)" = 1 ] || work $disk &
done
say "scsi: works"
wait
sync
echo 3 >/proc/sys/vm/drop_caches
for disk in $(ls -d /sys/block/sd* /sys/block/vd* 2>/dev/null); do
	disk=${disk##*/}
	say "scsi: $disk sha256 $(sha256sum <"/dev/$disk" | cut -d ' ' -f 1)"
done
dmesg -r | grep -E '^<[0-4]>' | grep -E '[sv]d[a-z]|virtio|I/O error|hung' && exit 1
exit 0
