# SPDX-License-Identifier: Apache-2.0
#
# Reads /dev/hwrng: full length, not constant, not the same twice.
say "rng current $(cat /sys/class/misc/hw_random/rng_current)"
first=$(dd if=/dev/hwrng bs=4096 count=1 iflag=fullblock 2>/dev/null | tee /tmp/rng | sha256sum)
[ "$(stat -c %s /tmp/rng)" = 4096 ] || {
	say "short read"
	exit 1
}
second=$(dd if=/dev/hwrng bs=4096 count=1 iflag=fullblock 2>/dev/null | sha256sum)
distinct=$(hexdump -v -e '/1 "%02x\n"' /tmp/rng | sort -u | wc -l)
say "rng distinct bytes $distinct"
[ "$first" != "$second" ] && [ "$distinct" -gt 200 ]
