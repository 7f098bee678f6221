# SPDX-License-Identifier: Apache-2.0
#
# Which hypervisor the kernel believes in, whose clock and timers it uses, and whether a second and a disk are as long as they
# should be by them.
clock=/sys/devices/system/clocksource/clocksource0

interrupts_of() {
	grep "^ *$1:" /proc/interrupts | tr -s ' ' '\n' | awk '/^[0-9]+$/ { n += $1; if ($1) cpus++ } END { print n + 0, cpus + 0 }'
}

say "clock now $(cat $clock/current_clocksource), there is $(cat $clock/available_clocksource)"
say "timers $(grep -c '^Clock Event Device: Hyper-V clockevent' /proc/timer_list) of Hyper-V," \
	"$(grep -c '^Clock Event Device: lapic' /proc/timer_list) of the LAPIC"
dmesg | grep -E 'Hypervisor detected|Hyper-V:|kvm-clock' | while read -r line; do
	say "log $line"
done

cpu=0
while [ $cpu -lt "$(nproc)" ]; do
	taskset -c $cpu sleep 0.2 || exit 1
	cpu=$((cpu + 1))
done
before=$(date +%s)
sleep 2
say "slept $(($(date +%s) - before))"
say "interrupts of Hyper-V's timers $(interrupts_of HVS)"
say "interrupts of the LAPIC's timer $(interrupts_of LOC)"

disk=$(scratch_disk) || exit 1
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
dd if=/tmp/data of="/dev/$disk" bs=1M conv=notrunc,fsync 2>/dev/null || exit 1
echo 3 >/proc/sys/vm/drop_caches
dd if="/dev/$disk" iflag=direct bs=1M count=4 2>/dev/null | cmp - /tmp/data || exit 1
dmesg -r | grep -E '^<[0-3]>' | while read -r line; do
	say "complaint $line"
done
