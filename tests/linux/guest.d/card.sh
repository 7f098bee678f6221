# SPDX-License-Identifier: Apache-2.0
#
# A network card that comes and goes, bh.times times: each time user.sh works by it.
for _ in $(seq "$(param bh.times)"); do
	say "card: waits until it comes"
	until [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
	(. /tests/user.sh) || exit 1
	say "card: waits until it goes"
	while [ -e /sys/class/net/eth0 ]; do sleep 0.1; done
done
say "card: all gone"
