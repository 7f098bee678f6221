# SPDX-License-Identifier: Apache-2.0
#
# The CPU's kernels one after the other (bh.divisor, bh.kernel); then idle for bh.seconds.
/bin/cpu_bench "$(param bh.divisor 1)" $(param bh.kernel)
seconds=$(param bh.seconds 0)
say "idle for $seconds s"
sleep "$seconds"
