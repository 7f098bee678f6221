# SPDX-License-Identifier: Apache-2.0
#
# Trains of datagrams to its host and back, by both versions of IP: bh.trains of each; in between its host says when to
# go on. Linux sends them whole only where it is told to.
say "uso features $(cut -c55-57 /sys/class/net/eth0/device/features)"
echo 0 >/proc/sys/net/ipv6/conf/eth0/accept_dad
net-feature eth0 tx-udp-segmentation || exit 1
ip link set lo up
ip link set eth0 up
ip addr add 10.9.0.2/24 dev eth0
ip addr add fd09::2/64 dev eth0
udp-trains 10.9.0.1 4002 "$(param bh.trains)" || exit 1
say "uso trains of 10.9.0.1"
until echo | nc 10.9.0.1 4001; do sleep 1; done
udp-trains fd09::1 4002 "$(param bh.trains)" || exit 1
dmesg -r | grep -E '^<[0-4]>' | grep -E 'virtio|eth0|NETDEV' && exit 1
exit 0
