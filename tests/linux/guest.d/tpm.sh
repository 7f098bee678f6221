# SPDX-License-Identifier: Apache-2.0
# The TPM: what its PCRs hold, before and after one is extended, and the response to a command that is none. With
# bh.tpm=reboot the first boot ends so, and the second one does it again; with bh.tpm=hold it is extended once more after a line, and
# again after another.

# The response to the command whose bytes are said in hexadecimal.
tpm() {
	exec 3<>/dev/tpm0 || return 1
	printf "$(echo "$1" | sed 's/../\\x&/g')" >&3 || return 1
	dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -e '1/1 "%02x"'
	exec 3>&-
}

pcr() {
	say "pcr $1 $(cat /sys/class/tpm/tpm0/pcr-sha256/"$1")"
}

measured() {
	local log=/sys/kernel/security/tpm0/binary_bios_measurements

	mount -t securityfs security /sys/kernel/security 2>/dev/null
	[ -e $log ] && say "event log $(wc -c <$log)"
	for n in 0 4 7; do
		pcr $n
	done
}

extend() {
	pcr 16
	# TPM2_PCR_Extend of PCR 16 by an empty password, SHA-256
	say "extend $(tpm "80020000004100000182000000100000000940000009000000000000000001000b$(printf '%064d' 1)")"
	pcr 16
}

say "version $(cat /sys/class/tpm/tpm0/tpm_version_major)"
measured
extend
say "random $(tpm 80010000000c0000017b0010)"
say "unknown $(tpm 80010000000a20000000)"
case $(param bh.tpm) in
reboot)
	[ "$(state_byte)" = 66 ] && exit 0
	state_byte 66
	reboot -f
	sleep 1000
	;;
hold)
	for line in 1 2; do
		say "holds $line"
		read -r
		extend
	done
	;;
esac
