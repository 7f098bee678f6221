# SPDX-License-Identifier: Apache-2.0
#
# Writes bh.lines lines (default 4000, of 50 bytes) to ttyS0 and powers off.
lines=$(param bh.lines 4000)
i=0
while [ $i -lt "$lines" ]; do
	printf 'line %06d of the output, which a slow reader gets\n' $i
	i=$((i + 1))
done >/dev/ttyS0
