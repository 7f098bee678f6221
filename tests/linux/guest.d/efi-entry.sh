# SPDX-License-Identifier: Apache-2.0
#
# UEFI's variables: the first time an entry of the boot menu is made, first in its order, that leads to the same program;
# the second time it is there, and was what booted.
global=8be4df61-93ca-11d2-aa0d-00e098032b8c

load_module_of_tests efivarfs || exit 1
mount -t efivarfs efivarfs /sys/firmware/efi/efivars && cd /sys/firmware/efi/efivars || exit 1

# Bytes behind the attributes: lasting, and there in the boot and while the system runs.
put() {
	printf "\\x07\\x00\\x00\\x00$2" >/tmp/variable
	dd if=/tmp/variable of="$1-$global" bs=4k 2>/dev/null
}

# What is behind its attributes, as hexadecimal digits. No seeking in these files.
get() {
	hexdump -v -e '/1 "%02x"' "$1-$global" | cut -c 9-
}

current=$(get BootCurrent | sed 's/\(..\)\(..\)/\2\1/' | tr a-f A-F)
say "booted by entry $current"
if [ -f "Boot00AB-$global" ]; then
	[ "$current" = 00AB ] || exit 1
	say "the entry is there"
	exit 0
fi
# Active; the length of the path; "Bulkhead"; and the path that the entry has which booted now.
was=$(get "Boot$current")
length=$(echo "$was" | cut -c 9-12)
bytes=$((0x$(echo "$length" | cut -c 3-4)$(echo "$length" | cut -c 1-2)))
rest=${was#????????????}
while [ "${rest#0000}" = "$rest" ]; do
	rest=${rest#????}
done
path=$(echo "${rest#0000}" | cut -c 1-$((2 * bytes)))
put Boot00AB "$(echo "01000000${length}420075006c006b0068006500610064000000$path" | sed 's/../\\x&/g')" || exit 1
put BootOrder '\xab\x00' || exit 1
say "an entry is made"
sync
sleep 1000
