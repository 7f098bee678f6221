# SPDX-License-Identifier: Apache-2.0
#
# One of two guests on one wire. bh.net=1 serves bh.bytes of random data over HTTP until the other has said that it
# is done; bh.net=2 pings it, fetches them bh.times times, and compares. bh.net=user has an address of DHCP, and
# fetches from bh.server, but not from bh.foreign; on port 7 it then answers, if bh.listen is said.
number=$(param bh.net)
say "net mac $(cat /sys/class/net/eth0/address) mtu $(cat /sys/class/net/eth0/mtu)"
ip link set lo up
ip link set eth0 up
[ "$number" = user ] || ip addr add "10.9.0.$number/24" dev eth0

serve() {
	mkdir -p /tmp/www
	dd if=/dev/urandom of=/tmp/www/data bs=64k count=$(($(param bh.bytes) / 65536)) 2>/dev/null
	sha256sum </tmp/www/data >/tmp/www/sum
	httpd -h /tmp/www
	say "net serves"
	nc -l -p 4001 >/tmp/end
	[ "$(cat /tmp/end)" = done ]
}

fetch() {
	until wget -q -O /tmp/sum http://10.9.0.1/sum; do sleep 1; done
	ping -c 5 -i 0.2 10.9.0.1 >/tmp/ping || return 1
	say "net ping $(grep -c 'bytes from' /tmp/ping)"
	ping -c 3 -i 0.2 -s 1400 10.9.0.1 >/tmp/ping || return 1
	say "net fetches"
	for _ in $(seq "$(param bh.times 1)"); do
		wget -q -O - http://10.9.0.1/data | sha256sum >/tmp/got
		cmp /tmp/sum /tmp/got || return 1
		say "net fetched"
	done
	until echo done | nc 10.9.0.1 4001; do sleep 1; done
}

lease() {
	cat >/tmp/lease <<-'END'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip addr add "$ip/$mask" dev "$interface" && ip route add default via "$router" dev "$interface"
	END
	chmod +x /tmp/lease
	udhcpc -n -q -i eth0 -s /tmp/lease >/tmp/udhcpc 2>&1 || return 1
	say "net leased $(ip -4 -o addr show dev eth0 | awk '{print $4}')"
	wget -q -O - "http://$(param bh.server)/data" | sha256sum >/tmp/got || return 1
	wget -q -O - "http://$(param bh.server)/sum" | cmp - /tmp/got || return 1
	say "net fetched"
	! wget -T 5 -q -O - "http://$(param bh.foreign)/data" >/tmp/foreign || return 1
	say "net refused"
	[ "$(param bh.listen)" ] || return 0
	printf '#!/bin/sh\necho hello\nread x\n[ "$x" = hi ] && touch /tmp/heard\n' >/tmp/answer
	chmod +x /tmp/answer
	until [ -e /tmp/heard ]; do nc -l -p 7 -e /tmp/answer; done
	say "net heard"
}

case $number in
1) serve ;;
2) fetch ;;
user) lease ;;
esac
status=$?
dmesg -r | grep -E '^<[0-4]>' | grep -E 'virtio|eth0|NETDEV' && status=1
exit $status
