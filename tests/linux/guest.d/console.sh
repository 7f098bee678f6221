# SPDX-License-Identifier: Apache-2.0
#
# Copies bh.lines (default 10) lines from hvc0 to ttyS0 and then as many from ttyS0 to hvc0, and
# prints the checksum of each direction. Without hvc0, ttyS0 is both.
lines=$(param bh.lines 10)
other=/dev/hvc0
[ -c $other ] || other=/dev/ttyS0

# copy_lines FROM TO
copy_lines() {
	head -n "$lines" <"$1" | tee "$2" | sha256sum | cut -d ' ' -f 1
}

# Held open, since some drivers forget a terminal's modes with its last user.
exec 8<>/dev/ttyS0 9<>$other
stty -F /dev/ttyS0 raw -echo
stty -F $other raw -echo
say "console ready for $lines lines on $other"
say "console $other to ttyS0 sha256 $(copy_lines $other /dev/ttyS0)"
say "console ready for $lines lines on /dev/ttyS0"
say "console ttyS0 to $other sha256 $(copy_lines /dev/ttyS0 $other)"
stty -F /dev/ttyS0 sane
