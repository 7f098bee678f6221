# SPDX-License-Identifier: Apache-2.0
#
# Sends back what the host's programs say to port 7, and meanwhile calls ports of the host, until the host says the end there.
vsock-echo 7 &
echo=$!
vsock-call 80 1 524288 8 || exit 1
vsock-call 80 25 1000 8 || exit 1
vsock-call 81 2 10 1
vsock-call 99 2 10 1
while kill -0 $echo 2>/dev/null; do
	vsock-call 80 2 65536 4 || exit 1
done
