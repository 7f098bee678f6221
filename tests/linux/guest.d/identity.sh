# SPDX-License-Identifier: Apache-2.0
#
# What the kernel found of SMBIOS tables: each name and value, who may read the tables, and the strings for programs
# in them. bh.again=1: and restarts once.
for name in sys_vendor product_name product_serial product_uuid chassis_type bios_vendor; do
	file=/sys/class/dmi/id/$name
	[ ! -e $file ] || say "dmi $name: $(cat $file)"
done
tables=/sys/firmware/dmi/tables
say "dmi tables $(stat -c %a $tables/DMI) $(stat -c %s $tables/DMI)"
say "dmi entry $(base64 -w 0 $tables/smbios_entry_point)"
base64 -w 4096 $tables/DMI | while read -r line; do
	say "dmi bytes $line"
done
if [ "$(param bh.again 0)" = 1 ] && [ "$(state_byte)" != 2 ]; then
	state_byte 2
	reboot -f
fi
