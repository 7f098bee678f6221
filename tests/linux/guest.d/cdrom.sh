# SPDX-License-Identifier: Apache-2.0
#
# The CD-ROM as an installer has it: found, read whole, mounted, written in vain, and ejected. bh.loops=N: read N times
# over, each time past the page cache, and look N times for a medium that is none, for a host that kills its process meanwhile.
for module in virtio_scsi sr_mod isofs; do
	load_module_of_tests $module || exit 1
done
tries=0
until [ -b /dev/sr0 ] || [ $((tries += 1)) -gt 100 ]; do
	sleep 0.1
done
[ -b /dev/sr0 ] || {
	say "cdrom: none"
	exit 1
}
say "cdrom: $(cat /sys/block/sr0/device/vendor | tr -d ' ') type $(cat /sys/block/sr0/device/type)" \
	"removable $(cat /sys/block/sr0/removable) ro $(cat /sys/block/sr0/ro)" \
	"sectors $(cat /sys/block/sr0/size) block $(cat /sys/block/sr0/queue/logical_block_size)" \
	"devices $(ls -d /sys/class/scsi_device/* | wc -l)"
loops=$(param bh.loops 1)
i=0
while [ $((i += 1)) -le "$loops" ]; do
	say "cdrom: sha256 $(sha256sum </dev/sr0 | cut -d ' ' -f 1)"
	echo 3 >/proc/sys/vm/drop_caches
done
mkdir -p /tmp/cd
mount -t iso9660 -o ro /dev/sr0 /tmp/cd || exit 1
say "cdrom: holds $(cat /tmp/cd/hello.txt)"
tray /dev/sr0 open 2>/dev/null # the device refuses it, as the kernel's log says
cat /tmp/cd/hello.txt >/dev/null || say "cdrom: WITHOUT IT"
dd if=/dev/zero of=/dev/sr0 bs=2048 count=1 conv=notrunc 2>/dev/null && say "cdrom: WRITTEN"
umount /tmp/cd
dmesg | grep -iE 'sr 0|sr0|I/O error|Sense Key' | while read -r line; do
	say "cdrom: log $line"
done
tray /dev/sr0 open || say "cdrom: not ejected"
echo 0 >/proc/sys/dev/cdrom/autoclose # else who opens it closes the tray
say "cdrom: ejected, disks $(ls -d /sys/block/vd* 2>/dev/null | wc -l)"
i=0
while [ $((i += 1)) -le "$loops" ]; do
	dd if=/dev/sr0 of=/dev/null bs=2048 count=1 2>/dev/null && say "cdrom: READ WITHOUT A MEDIUM"
done
tray /dev/sr0 close
say "cdrom: again $(sha256sum </dev/sr0 | cut -d ' ' -f 1)"
