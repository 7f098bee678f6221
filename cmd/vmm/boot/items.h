/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware is told of its machine (lib/fwcfg): RAM, CPUs, the ACPI tables with orders how to put them
 * where it likes, and SMBIOS tables. It is written once, before any hostile byte, and nobody can change it afterwards.
 */
#ifndef BULKHEAD_VMM_BOOT_ITEMS_H
#define BULKHEAD_VMM_BOOT_ITEMS_H

#include "lib/fwcfg/fwcfg.h"
#include "lib/smbios/tables.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a virtio disk on the one bus. */
struct items_place {
	unsigned int slot, function;
	bool scsi; /* it is the first unit behind an adapter there */
};

struct items_source {
	uint64_t ram_size; /* bytes */
	unsigned int n_vcpus;
	bool serial;
	bool tpm;
	const struct items_place *boot;	    /* disks, in the order in which firmware tries them */
	unsigned int n_boot;		    /* 0: firmware goes by itself */
	const struct smbios_tables *smbios; /* NULL: none */
};

/* Into FWCFG_IMAGE_SIZE zero bytes. -ENOSPC. */
[[nodiscard]] int items_make(const struct items_source *src, uint8_t *image);
/* The same into the memfd of that size, which it seals and closes. 0 or a negative errno. */
[[nodiscard]] int items_write(const struct items_source *src, int fd);
/* Where BARs may lie from on, in a machine of so much RAM that boots firmware. */
uint32_t items_pci_start(uint64_t ram_size);

#endif
