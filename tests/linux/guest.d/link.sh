# SPDX-License-Identifier: Apache-2.0
#
# A network card whose cable is pulled and put back, and whose receive modes, address and filters Linux changes.
carrier() {
	until [ "$(cat /sys/class/net/eth0/carrier)" = "$1" ]; do sleep 0.1; done
}

ip link set eth0 up
ip addr add 10.9.0.2/24 dev eth0
carrier 1
ip link set eth0 promisc on
ip link set eth0 allmulticast on
ip link set eth0 promisc off
ip link set eth0 allmulticast off
ip link set eth0 address 02:00:00:00:be:ef || exit 1
say "link ready"
carrier 0
# which the kernel tells of a moment later, in work of its own
until said=$(ip link show eth0 | grep -o NO-CARRIER); do sleep 0.1; done
say "link $said"
carrier 1
say "link again"
carrier 0
say "link gone"
carrier 1
say "link back"
dmesg -r | grep -E '^<[0-4]>' | grep -E 'virtio|eth0|NETDEV|net_ratelimit|promisc|MAC' && exit 1
exit 0
