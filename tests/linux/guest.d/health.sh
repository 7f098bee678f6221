# SPDX-License-Identifier: Apache-2.0
#
# What the kernel thinks of the CPU that it found, and every line of its log from level warning on.
log=/tmp/log
for file in /sys/devices/system/cpu/vulnerabilities/*; do
	say "vulnerability ${file##*/}: $(cat "$file")"
done
dmesg -r -s 1048576 >$log
grep -q 'Linux version' $log || say "the log has lost its beginning"
grep '^<[0-4]>' $log | while read -r line; do
	say "warning: $line"
done
say "lines of log: $(grep -c . $log)"
