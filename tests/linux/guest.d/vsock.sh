# SPDX-License-Identifier: Apache-2.0
#
# Sends back what the host's programs say to port 7.
vsock-echo 7
