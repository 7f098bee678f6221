# SPDX-License-Identifier: Apache-2.0
#
# One of two guests on one wire. bh.net=1 serves bh.bytes of random data over HTTP until the other has said that it
# is done; bh.net=2 pings it, fetches them bh.times times, and compares.
number=$(param bh.net)
say "net mac $(cat /sys/class/net/eth0/address) mtu $(cat /sys/class/net/eth0/mtu)"
say "net queues $(ls /sys/class/net/eth0/queues | grep -c rx-)"
ip link set lo up
ip link set eth0 up
ip addr add "10.9.0.$number/24" dev eth0

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

case $number in
1) serve ;;
2) fetch ;;
esac
status=$?
dmesg -r | grep -E '^<[0-4]>' | grep -E 'virtio|eth0|NETDEV' && status=1
exit $status
