# SPDX-License-Identifier: Apache-2.0
#
# An ssh server that the host reaches without a network: port 22 of the vsock is joined to it. Beside it port 7 sends back, and
# port 80 of the host is called.
ip link set lo up
dropbear -F -E -m -s -r /etc/dropbear/key -p 127.0.0.1:22 &
vsock-serve 22 nc 127.0.0.1 22 &
vsock-call 80 2 100000 2
vsock-echo 7
