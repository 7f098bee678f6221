# SPDX-License-Identifier: Apache-2.0
#
# Reboots the first time and succeeds the second time.
case $(state_byte) in
'') exit 1 ;;
66)
	state_byte 0
	say "second boot"
	;;
*)
	state_byte 66
	say "first boot"
	reboot -f
	sleep 1000
	;;
esac
