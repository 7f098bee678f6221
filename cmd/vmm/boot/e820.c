/* SPDX-License-Identifier: Apache-2.0 */
/* The memory map that the guest is told. */
#include "cmd/vmm/boot/internal.h"

#include "cmd/vmm/layout.h"

static void add(struct memmap_entry *entries, size_t *n, uint64_t start, uint64_t end,
		uint32_t type)
{
	entries[(*n)++] = (struct memmap_entry){ start, end - start, type };
}

size_t memmap_build(uint64_t ram_size, struct memmap_entry entries[MEMMAP_MAX])
{
	uint64_t low_end = ram_size < LOW_RAM_MAX ? ram_size : LOW_RAM_MAX;
	size_t n = 0;

	add(entries, &n, 0, EBDA_START, MEMMAP_RAM);
	add(entries, &n, EBDA_START, KIB(640), MEMMAP_RESERVED);
	add(entries, &n, ACPI_START, ACPI_END, MEMMAP_ACPI);
	add(entries, &n, HIGH_LOAD_START, low_end, MEMMAP_RAM);
	add(entries, &n, ECAM_START, ECAM_START + ECAM_SIZE, MEMMAP_RESERVED);
	/* On Intel hosts KVM keeps pages of its own here. */
	add(entries, &n, KVM_IDENTITY_MAP, KVM_TSS_START + 3 * KIB(4), MEMMAP_RESERVED);
	if (ram_size > LOW_RAM_MAX)
		add(entries, &n, HIGH_RAM_START, HIGH_RAM_START + ram_size - LOW_RAM_MAX,
		    MEMMAP_RAM);
	return n;
}
