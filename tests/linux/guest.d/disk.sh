# SPDX-License-Identifier: Apache-2.0
#
# Writes bh.mib (default 8) MiB of random bytes to the scratch disk at bh.at MiB (default 0),
# reads them back past the page cache, zeroes and discards the second half, and prints the
# checksum of the whole disk, which the host compares with that of the image.
disk=$(scratch_disk) || exit 1
device=/dev/$disk
mib=$(param bh.mib 8)
at=$(param bh.at 0)
queue=/sys/block/$disk/queue

sum_of() {
	sha256sum | cut -d ' ' -f 1
}

# read_back OFFSET COUNT, in MiB
read_back() {
	echo 3 >/proc/sys/vm/drop_caches
	dd if="$device" iflag=direct bs=1M skip="$1" count="$2" 2>/dev/null | sum_of
}

check() {
	if [ "$2" = "$3" ]; then
		say "disk $1 ok"
	else
		say "disk $1 wrong: $2 and not $3"
		failed=1
	fi
}

failed=0
say "disk $disk bytes $(($(cat /sys/block/$disk/size) * 512)) read-only $(cat /sys/block/$disk/ro)" \
	"serial $(serial_of $disk) block $(cat $queue/logical_block_size)" \
	"cache $(cat $queue/write_cache) discard $(cat $queue/discard_max_bytes)" \
	"zeroes $(cat $queue/write_zeroes_max_bytes) queues $(ls /sys/block/$disk/mq | wc -l)"

dd if=/dev/urandom of=/tmp/data bs=1M count="$mib" 2>/dev/null
dd if=/tmp/data of="$device" bs=1M seek="$at" conv=notrunc,fsync 2>/dev/null || failed=1
check "write and read" "$(read_back "$at" "$mib")" "$(sum_of </tmp/data)"

dd if=/tmp/data of="$device" oflag=direct bs=4k seek=$((at * 256)) count=64 conv=notrunc 2>/dev/null ||
	failed=1
check "direct write" "$(read_back "$at" "$mib")" "$(sum_of </tmp/data)"

half=$((mib / 2))
zero-out "$device" $(((at + half) << 20)) $(((mib - half) << 20)) || failed=1
check "write zeroes" "$(read_back $((at + half)) $((mib - half)))" \
	"$(dd if=/dev/zero bs=1M count=$((mib - half)) 2>/dev/null | sum_of)"
check "rest kept" "$(read_back "$at" "$half")" "$(head -c $((half << 20)) /tmp/data | sum_of)"

if [ "$(cat $queue/discard_max_bytes)" -gt 0 ]; then
	blkdiscard -o $(((at + half) << 20)) -l $(((mib - half) << 20)) "$device" || failed=1
	check "rest kept after discard" "$(read_back "$at" "$half")" \
		"$(head -c $((half << 20)) /tmp/data | sum_of)"
else
	say "disk offers no discard"
fi

sync
echo 3 >/proc/sys/vm/drop_caches
say "disk sha256 $(sum_of <"$device")"
exit $failed
