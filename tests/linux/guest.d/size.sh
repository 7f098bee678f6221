# SPDX-License-Identifier: Apache-2.0
#
# Says hvc0's size whenever it is another one, until it is 77 rows high.
exec 9<>/dev/hvc0
size=
while [ "${size%% *}" != 77 ]; do
	now=$(stty -F /dev/hvc0 size 2>&1)
	[ "$now" = "$size" ] || say "size $now"
	size=$now
	sleep 0.05
done
