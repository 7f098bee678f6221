# SPDX-License-Identifier: Apache-2.0
#
# Takes bh.bytes bytes from ttyS0 as they are, while another program prints there, and says their
# checksum.
bytes=$(param bh.bytes 200000)
exec 8<>/dev/ttyS0
stty -F /dev/ttyS0 raw -echo
while :; do
	echo "noise: $(cat /proc/uptime)"
	sleep 0.05
done >/dev/ttyS0 &
noise=$!
say "input ready for $bytes bytes"
sum=$(head -c "$bytes" </dev/ttyS0 | sha256sum | cut -d ' ' -f 1)
kill $noise
wait $noise
stty -F /dev/ttyS0 sane
say "input sha256 $sum"
