# SPDX-License-Identifier: Apache-2.0
#
# A guest on the user's network. Its address is DHCP's; it fetches from bh.server, but not from bh.foreign.
# With bh.index it does what people do: by both versions of IP and by name it fetches a package index of that host,
# pings it, and, but for bh.back=off, sends what it got back to port 4002. Then it answers, if bh.listen is said: on port 7 by TCP, or on port 9
# by UDP, or to who logs in, until it was asked.
mkdir -p /etc
ip link set lo up
ip link set eth0 up

lease() {
	cat >/tmp/lease <<-'END'
		#!/bin/sh
		[ "$1" = bound ] || exit 0
		ip addr add "$ip/$mask" dev "$interface" && ip route add default via "$router" dev "$interface"
		echo "$mtu" >/tmp/mtu
		for server in $dns; do echo "nameserver $server"; done >/etc/resolv.conf
	END
	chmod +x /tmp/lease
	udhcpc -n -q -i eth0 -s /tmp/lease >/tmp/udhcpc 2>&1 || return 1
	say "user leased $(ip -4 -o addr show dev eth0 | awk '{print $4}') mtu $(cat /tmp/mtu)"
}

fetch() {
	wget -q -O - "http://$(param bh.server)/data" | sha256sum >/tmp/got || return 1
	wget -q -O - "http://$(param bh.server)/sum" | cmp - /tmp/got || return 1
	say "user fetched"
	! timeout 10 wget -q -O - "http://$(param bh.foreign)/data" >/tmp/foreign || return 1
	say "user refused"
}

# The address that it makes itself of what the router advertises.
address6() {
	until ip -6 -o addr show dev eth0 scope global | grep -v tentative | grep -q inet6; do sleep 0.2; done
	say "user address6 $(ip -6 -o addr show dev eth0 scope global | awk '{print $4; exit}')"
	say "user router6 $(ip -6 route show default | awk '{print $3; exit}')"
}

# index NAME VERSION: a package index as apt gets it: a release file that has the sum of the list.
index() {
	rm -f /tmp/Release /tmp/Packages
	wget -q -O /tmp/Release "http://$1/dists/stable/Release" || return 1
	wget -q -O /tmp/Packages "http://$1/dists/stable/main/binary-amd64/Packages" || return 1
	grep -q "^ $(sha256sum </tmp/Packages | cut -d ' ' -f 1) " /tmp/Release || return 1
	"$2" -c 3 -i 0.2 "$1" >/tmp/ping || return 1
	say "user index $1 $(grep -c ^Package: /tmp/Packages) ping $(grep -c 'bytes from' /tmp/ping)"
	[ "$(param bh.back on)" = on ] || return 0
	: >/tmp/sum
	# the stream stays open until then: Debian 12's passt loses the end of who was told an end before
	{ cat /tmp/Packages && until [ -s /tmp/sum ]; do sleep 0.2; done; } | nc "$1" 4002 >/tmp/sum
	[ "$(cat /tmp/sum)" = "$(sha256sum </tmp/Packages | cut -d ' ' -f 1)" ] || return 1
	say "user sent back $1"
}

answer_tcp() {
	printf '#!/bin/sh\necho hello\nread x\n[ "$x" = hi ] && touch /tmp/heard\n' >/tmp/answer
	chmod +x /tmp/answer
	until [ -e /tmp/heard ]; do nc -l -p 7 -e /tmp/answer; done
	say "user heard"
}

# Who may log in was put there by the test.
answer_ssh() {
	mkdir -p /dev/pts
	dropbear -r /etc/dropbear/key -p 22 -s -E 2>/tmp/dropbear || return 1
	until [ -e /tmp/heard ]; do sleep 0.2; done
	say "user heard"
}

everything() {
	address6 && index "$(param bh.index)" ping && index "6.$(param bh.index)" ping6
}

lease && fetch || exit 1
[ -z "$(param bh.index)" ] || everything || exit 1
[ -z "$(param bh.listen)" ] || say "user listens"
case $(param bh.listen) in
tcp) answer_tcp ;;
udp) udp-echo 9 && say "user heard" ;;
ssh) answer_ssh ;;
esac
status=$?
dmesg -r | grep -E '^<[0-4]>' | grep -E 'virtio|eth0|NETDEV' && status=1
exit $status
