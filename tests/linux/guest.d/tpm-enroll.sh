# SPDX-License-Identifier: Apache-2.0
# systemd-cryptenroll and cryptsetup of Debian, whose files are on the first disk, at an encrypted disk, the second: with
# bh.tpm=enroll a key of the TPM for it, bound to PCR 16; then, as with bh.tpm=unlock, whether the TPM gives it, before that PCR is
# what it was, then, and after it was extended once more.

. /tests/tpm.sh # whose case has nothing to do for these words

inside() {
	chroot /root/debian /usr/bin/env PATH=/usr/bin:/usr/sbin PASSWORD=password "$@"
}

unlock() {
	inside cryptsetup open --test-passphrase --token-only --token-type systemd-tpm2 /dev/vdb </dev/null
	say "unlock $1 $?"
}

mkdir -p /root/debian
mount -t ext4 -o ro /dev/vda /root/debian || exit 1
while read -r module; do
	insmod "/root/debian/modules/$module"
done </root/debian/modules/order
for dir in dev proc sys; do
	mount --bind "/$dir" "/root/debian/$dir"
done
for dir in run tmp; do
	mount -t tmpfs none "/root/debian/$dir"
done
case $(param bh.tpm) in
enroll)
	inside systemd-cryptenroll --tpm2-device=/dev/tpmrm0 --tpm2-pcrs=16 /dev/vdb
	say "enroll $?"
	unlock measured
	extend
	unlock later
	;;
unlock)
	unlock measured
	extend
	unlock later
	;;
esac
