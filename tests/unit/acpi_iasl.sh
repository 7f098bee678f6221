#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Disassembles every ACPI table and compiles it again, for 1, 4 and 16 vCPUs with and without a UART:
# iasl must have nothing to say. usage: acpi_iasl.sh ACPI_DUMP. 77 (skipped) without iasl.
set -eu
dump=$(realpath "$1")
command -v iasl >/dev/null || { echo "iasl is not installed (acpica-tools)"; exit 77; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"

fail() {
	echo "$1:"
	cat log
	exit 1
}

for vcpus in 1 4 16; do
	for serial in on off; do
		mkdir "$vcpus-$serial"
		cd "$vcpus-$serial"
		"$dump" "$vcpus" "$serial" .
		[ "$(echo *.dat)" = "APIC.dat DSDT.dat FACP.dat MCFG.dat XSDT.dat" ]
		for table in APIC DSDT FACP MCFG XSDT; do
			iasl -d "$table.dat" >log 2>&1 || fail "$vcpus $serial: iasl -d $table"
			grep -iE 'error|warning|invalid' log && fail "$vcpus $serial: iasl -d $table"
			iasl -p "$table.again" "$table.dsl" >log 2>&1 || fail "$vcpus $serial: iasl $table"
			grep -q '0 Errors, 0 Warnings, 0 Remarks' log || fail "$vcpus $serial: iasl $table"
		done
		cd ..
	done
done
