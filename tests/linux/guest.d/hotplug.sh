# SPDX-License-Identifier: Apache-2.0
#
# Works a disk and a source of random numbers that come and go: says what it waits for, and the host does
# it. The disk's file system is the host's; what is written to it is found again when it comes back.
# bh.disk=NAME is what it becomes, vda else. bh.reboot=1: reboots first when the disk is there the first time.
disk=$(param bh.disk vda)
rng=/sys/class/misc/hw_random/rng_available

# await WORDS COMMAND...: says the words, and waits until the command succeeds.
await() {
	local words=$1

	shift
	say "hotplug waits: $words"
	until "$@"; do
		sleep 0.1
	done
}

disk_there() { [ -b /dev/$disk ]; }
disk_gone() { [ ! -e /sys/block/$disk ] && [ ! -e /dev/$disk ]; }
rng_there() { grep -q virtio_rng $rng; }
rng_gone() { ! grep -q virtio_rng $rng; }

case $disk in
sd*) load_module_of_tests virtio_scsi && load_module_of_tests sd_mod || exit 1 ;;
esac
await "disk to come" disk_there
if [ "$(param bh.reboot 0)" = 1 ] && [ "$(state_byte)" != 66 ]; then
	state_byte 66
	say "hotplug reboots"
	reboot -f
	sleep 1000
fi
say "hotplug disk bytes $(($(cat /sys/block/$disk/size) * 512)) serial $(serial_of $disk)"
mkdir -p /mnt
mount -t ext4 /dev/$disk /mnt || exit 1
dd if=/dev/urandom of=/mnt/data bs=64k count=8 2>/dev/null
sum=$(sha256sum </mnt/data)
umount /mnt || exit 1
await "disk to go" disk_gone
await "disk to come back" disk_there
mount -t ext4 /dev/$disk /mnt || exit 1
[ "$(sha256sum </mnt/data)" = "$sum" ] || {
	say "hotplug data differ"
	exit 1
}
say "hotplug data kept"
umount /mnt || exit 1
await "rng to come" rng_there
[ "$(dd if=/dev/hwrng bs=64 count=4 iflag=fullblock 2>/dev/null | wc -c)" = 256 ] || exit 1
say "hotplug random numbers"
await "rng to go" rng_gone
await "disk to go again" disk_gone
say "hotplug all gone"
