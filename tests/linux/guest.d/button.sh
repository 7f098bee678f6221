# SPDX-License-Identifier: Apache-2.0
#
# Waits for the ACPI power button and says that it was pressed.
for input in /sys/class/input/event*; do
	[ "$(cat "$input/device/name" 2>/dev/null)" = "Power Button" ] || continue
	device=/dev/input/${input##*/}
done
[ -n "${device-}" ] || {
	say "no power button"
	exit 1
}
# Held open from before it is announced, so that no event is missed.
exec 3<"$device"
say "waiting for the power button on $device"
# struct input_event: a timeval of 16 bytes, then type, code and value: EV_KEY, KEY_POWER, down.
event=$(dd bs=24 count=1 <&3 2>/dev/null | dd bs=8 skip=2 2>/dev/null |
	hexdump -e '1/2 "%u" 1/2 " %u" 1/4 " %u"')
say "input event $event"
[ "$event" = "1 116 1" ] && say "power button pressed"
