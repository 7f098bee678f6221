# SPDX-License-Identifier: Apache-2.0
#
# Runs the same work on every CPU at once, pinned, and compares the results.
cpus=$(nproc)
say "cpus $cpus"
cpu=0
while [ $cpu -lt "$cpus" ]; do
	taskset -c $cpu sh -c \
		'dd if=/dev/zero bs=64k count=64 2>/dev/null | sha256sum' >/tmp/cpu$cpu &
	cpu=$((cpu + 1))
done
wait
sums=$(cat /tmp/cpu* | sort -u | wc -l)
say "cpus with work done $(cat /tmp/cpu* | wc -l), different results $sums"
[ "$sums" -eq 1 ] && [ "$(cat /tmp/cpu* | wc -l)" -eq "$cpus" ]
