# SPDX-License-Identifier: Apache-2.0
#
# Calls port 80 of the host twice.
vsock-call 80 2 65536 1
