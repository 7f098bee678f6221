# SPDX-License-Identifier: Apache-2.0
#
# Several cards, a wire each: card N of bh.cards, the first is 1, has 10.9.N.2, and 10.9.N.1 is at the other end. All are
# pinged in turn, bh.loops times over; a host that kills a card's process has 60 tries' time to start another.
reach() {
	local tries=0

	until ping -c 1 -W 1 -s 1400 "$1" >/dev/null; do
		[ $((tries += 1)) -lt 60 ] || return 1
	done
}

cards=$(seq "$(param bh.cards)")
for n in $cards; do
	ip link set "eth$((n - 1))" up
	ip addr add "10.9.$n.2/24" dev "eth$((n - 1))"
done
for i in $(seq "$(param bh.loops)"); do
	for n in $cards; do
		reach "10.9.$n.1" || {
			say "cards: nobody at $n"
			exit 1
		}
	done
	say "cards: round $i"
done
