# SPDX-License-Identifier: Apache-2.0
#
# One program alone, then two at once: hundredths of a second by the guest's clock.
hundredths() {
	sed 's/^\([0-9]*\)\.\([0-9]*\) .*/\1\2/' /proc/uptime
}

program() {
	/bin/cpu_bench "$(param bh.divisor 1)" calls >/dev/null
}

for round in 1 2 3 4 5; do
	start=$(hundredths)
	program
	middle=$(hundredths)
	program &
	program
	wait
	say "pair $((middle - start)) $(($(hundredths) - middle)) end"
done
