# SPDX-License-Identifier: Apache-2.0
#
# Does nothing: what is tested is the power-off that follows every test.
true
