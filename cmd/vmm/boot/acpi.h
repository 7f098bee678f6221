/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables for a hardware-reduced machine (ACPI 6.4, 4.1): RSDP, XSDT, FADT, MADT, MCFG, DSDT, TPM2 of a
 * machine that has one.
 * The DSDT declares the PCI host bridge with its windows and ECAM, the UART, the GED with the power
 * button, pvpanic and the CPUs.
 */
#ifndef BULKHEAD_VMM_BOOT_ACPI_H
#define BULKHEAD_VMM_BOOT_ACPI_H

#include "lib/guestmem/guestmem.h"

#include <stdbool.h>

#define ACPI_IMAGE_MAX 8192U
#define ACPI_TABLES_MAX 8

#define ACPI_RSDP_LEN 36
#define ACPI_RSDP_V1_LEN 20
#define ACPI_RSDP_CHECKSUM_AT 8
#define ACPI_RSDP_EXTENDED_CHECKSUM_AT 32
#define ACPI_LENGTH_AT 4
#define ACPI_CHECKSUM_AT 9 /* of a table */
/* The first table behind the RSDP. */
#define ACPI_TABLES_AT 48

struct acpi_config {
	unsigned int n_vcpus; /* LAPIC ids 0 to n - 1 */
	bool serial;
	bool tpm;
	uint32_t pci_start; /* of the window in which BARs are, and its end; ECAM may lie in it */
	uint32_t pci_end;
};

/* The tables as bytes, the RSDP first, and what a move of them has to put right. */
struct acpi_image {
	uint8_t bytes[ACPI_IMAGE_MAX];
	size_t len;
	size_t tables[ACPI_TABLES_MAX]; /* where each begins, but for the RSDP */
	size_t n_tables;
	size_t pointers[ACPI_TABLES_MAX]; /* where there are 8 bytes with the address of a table */
	size_t n_pointers;
};

/* For byte 0 at address base. -ENOSPC. */
[[nodiscard]] int acpi_make(const struct acpi_config *cfg, uint64_t base, struct acpi_image *ret);
/* Writes the tables at ACPI_START; *ret_rsdp is the RSDP's address. -ENOSPC, -EFAULT. */
[[nodiscard]] int acpi_build(const struct guestmem *mem, const struct acpi_config *cfg,
			     gpa_t *ret_rsdp);

#endif
