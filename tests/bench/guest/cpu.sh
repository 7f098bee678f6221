# SPDX-License-Identifier: Apache-2.0
#
# The CPU's kernels one after the other (bh.divisor, bh.kernel), each behind a line from the console with
# bh.wait; then idle for bh.seconds.
[ -z "$(param bh.wait)" ] || export CPU_BENCH_WAIT=1
/bin/cpu_bench "$(param bh.divisor 1)" $(param bh.kernel)
seconds=$(param bh.seconds 0)
say "idle for $seconds s"
sleep "$seconds"
