/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables for a hardware-reduced machine (ACPI 6.4, 4.1): RSDP, XSDT, FADT, MADT, MCFG, DSDT.
 * The DSDT declares the PCI host bridge with its windows and ECAM, the UART, the GED with the power
 * button, pvpanic and the CPUs.
 */
#ifndef BULKHEAD_VMM_BOOT_ACPI_H
#define BULKHEAD_VMM_BOOT_ACPI_H

#include "lib/guestmem/guestmem.h"

#include <stdbool.h>

struct acpi_config {
	unsigned int n_vcpus; /* LAPIC ids 0 to n - 1 */
	bool serial;
};

/* Writes the tables at ACPI_START; *ret_rsdp is the RSDP's address. -ENOSPC, -EFAULT. */
[[nodiscard]] int acpi_build(const struct guestmem *mem, const struct acpi_config *cfg,
			     gpa_t *ret_rsdp);

#endif
