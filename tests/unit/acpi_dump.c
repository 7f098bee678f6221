/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the ACPI tables into files for iasl: `acpi_dump VCPUS on|off DIR` makes DIR/XSDT.dat and
 * so on, the second word saying whether there is a UART. Walks them as a guest does, from the RSDP.
 */
#include "cmd/vmm/boot/acpi.h"
#include "cmd/vmm/layout.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TABLE_MAX KIB(64)
#define XSDT_ENTRIES_AT 36
#define FADT_X_DSDT_AT 140

static const char *dir;
static struct guestmem mem;
static uint8_t table[TABLE_MAX];

static uint64_t number(size_t at, unsigned int bytes)
{
	uint64_t v = 0;

	memcpy(&v, table + at, bytes);
	return v;
}

/* Reads a table into `table` and its file; returns its length. */
static size_t dump(uint64_t address)
{
	char path[4096];
	size_t len;
	FILE *f;

	if (guest_read(&mem, GPA(address), table, 36) < 0)
		errx(1, "no table at %#llx", (unsigned long long)address);
	len = number(4, 4);
	if (len < 36 || len > sizeof(table) || guest_read(&mem, GPA(address), table, len) < 0)
		errx(1, "%.4s: length %zu", (char *)table, len);
	snprintf(path, sizeof(path), "%s/%.4s.dat", dir, (char *)table);
	f = fopen(path, "w");
	if (!f || fwrite(table, 1, len, f) != len || fclose(f) != 0)
		err(1, "%s", path);
	return len;
}

static void dump_all(uint64_t rsdp)
{
	uint64_t entries[16];
	size_t n;

	if (guest_read(&mem, GPA(rsdp), table, 36) < 0 || memcmp(table, "RSD PTR ", 8) != 0)
		errx(1, "no RSDP at %#llx", (unsigned long long)rsdp);
	n = (dump(number(24, 8)) - XSDT_ENTRIES_AT) / 8;
	if (n > 16)
		errx(1, "XSDT: %zu entries", n);
	memcpy(entries, table + XSDT_ENTRIES_AT, n * 8);
	for (size_t i = 0; i < n; i++) {
		dump(entries[i]);
		if (memcmp(table, "FACP", 4) == 0)
			dump(number(FADT_X_DSDT_AT, 8));
	}
}

int main(int argc, char **argv)
{
	struct acpi_config cfg;
	gpa_t rsdp;
	int fd = memfd_create("guest", MFD_CLOEXEC);

	if (argc != 4)
		errx(2, "usage: acpi_dump VCPUS on|off DIR");
	cfg.n_vcpus = (unsigned int)atoi(argv[1]);
	cfg.pci_start = PCI_MMIO32_START;
	cfg.pci_end = PCI_MMIO32_END;
	cfg.serial = strcmp(argv[2], "on") == 0;
	dir = argv[3];
	guestmem_init(&mem);
	if (fd < 0 || ftruncate(fd, (off_t)MIB(1)) < 0 ||
	    guestmem_add(&mem, GPA(0), MIB(1), 0, fd, 0) < 0)
		err(1, "guest memory");
	if (acpi_build(&mem, &cfg, &rsdp) < 0)
		errx(1, "the tables cannot be built");
	dump_all(rsdp.v);
	return 0;
}
