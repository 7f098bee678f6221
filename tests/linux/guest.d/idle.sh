# SPDX-License-Identifier: Apache-2.0
#
# Sleeps for bh.seconds (default 10) and shows how many interrupts that took.
interrupts() {
	sed -n 's/^intr \([0-9]*\) .*/\1/p' /proc/stat
}

seconds=$(param bh.seconds 10)
before=$(interrupts)
say "idle for $seconds s"
sleep "$seconds"
say "idle interrupts $(($(interrupts) - before))"
