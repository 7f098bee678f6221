# SPDX-License-Identifier: Apache-2.0
#
# A network card's speed against iperf3 at bh.server, for bh.seconds each: an address of bh.address, else by DHCP.
ip link set lo up
ip link set eth0 up
if [ -n "$(param bh.address)" ]; then
	ip addr add "$(param bh.address)" dev eth0
else
	printf '#!/bin/sh\n[ "$1" = bound ] || exit 0\nip addr add "$ip/$mask" dev "$interface"\n%s\n' \
		'ip route add default via "$router" dev "$interface"' >/tmp/lease
	chmod +x /tmp/lease
	udhcpc -n -q -i eth0 -s /tmp/lease >/dev/null 2>&1
fi
server=$(param bh.server)

# bench NAME COMMAND...: what it prints, between two lines.
bench() {
	say "bench begins $1"
	shift
	"$@" 2>&1
	say "bench ends"
}

# A flood may be the end of iperf3's own connection: it is tried again.
flow() {
	for _ in 1 2 3; do
		iperf3 -4 -f m -i 0 -t "$(param bh.seconds 3)" -c "$server" "$@" && return
		sleep 2
	done
}

until iperf3 -4 -t 1 -c "$server" >/dev/null 2>&1; do sleep 1; done
bench "guest to host, TCP" flow
bench "host to guest, TCP" flow -R
bench "guest to host, 64-byte packets" flow -u -b 0 -l 22
bench "host to guest, 64-byte packets" flow -u -b 0 -l 22 -R
bench "round trip" ping -q -c 200 -i 0.01 "$server"
