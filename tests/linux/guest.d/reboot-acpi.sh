# SPDX-License-Identifier: Apache-2.0
#
# As reboot-once, by the reset register of the ACPI tables and nothing else.
echo acpi >/sys/kernel/reboot/type || exit 1
say "reboot type $(cat /sys/kernel/reboot/type)"
. /tests/reboot-once.sh
