/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SMBIOS tables (DMTF DSP0134, 3.0): firmware, system, chassis, processor, strings for the guest's programs, memory,
 * boot status; and the 64-bit entry point, by which a guest finds them.
 */
#ifndef BULKHEAD_SMBIOS_TABLES_H
#define BULKHEAD_SMBIOS_TABLES_H

#include "lib/smbios/identity.h"

#include <stdbool.h>

#define SMBIOS_ENTRY_LEN 24
#define SMBIOS_TABLES_MAX (32U << 10) /* an identity of any size fits */

/* Memory as the guest's processors address it. */
struct smbios_range {
	uint64_t start;
	uint64_t len; /* bytes */
};

struct smbios_machine {
	const struct smbios_identity *identity;
	unsigned int n_vcpus;
	bool uefi; /* firmware is what boots it */
	size_t n_ram;
	struct smbios_range ram[2];
};

struct smbios_tables {
	size_t len; /* 0: there are none */
	uint8_t bytes[SMBIOS_TABLES_MAX];
};

/* -ENOSPC: they are larger than that. */
[[nodiscard]] int smbios_make(const struct smbios_machine *m, struct smbios_tables *ret);
/* For tables that begin at that address. */
void smbios_entry(const struct smbios_tables *t, uint64_t address, uint8_t ret[SMBIOS_ENTRY_LEN]);

#endif
