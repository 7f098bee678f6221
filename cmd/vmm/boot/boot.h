/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading a kernel. Kernel and initrd are HOSTILE files: every number in them is checked before
 * use, and they are read by pread from descriptors straight into guest RAM through guestmem.
 */
#ifndef BULKHEAD_VMM_BOOT_BOOT_H
#define BULKHEAD_VMM_BOOT_BOOT_H

#include "cmd/vmm/accel/accel.h"
#include "lib/guestmem/guestmem.h"
#include "lib/smbios/tables.h"

struct boot_source {
	int kernel_fd;
	int initrd_fd;	     /* -1: none */
	const char *cmdline; /* at most CMDLINE_MAX - 1 bytes */
	uint64_t ram_size;   /* bytes, low and high together */
	unsigned int n_vcpus;
	bool serial;			    /* a UART is at PORT_SERIAL */
	bool tpm;			    /* a TPM is at TPM_CRB_BASE */
	const struct smbios_tables *smbios; /* NULL: none */
};

/*
 * Loads a bzImage (64-bit boot protocol; Linux Documentation/arch/x86/boot.rst) or an ELF with a
 * PVH note (XEN_ELFNOTE_PHYS32_ENTRY; Xen docs/misc/pvh.pandoc), told apart by their magic, with
 * initrd, command line, memory map, ACPI and SMBIOS tables, and says how to enter it. RAM must be zero.
 * Done again for every guest reset. 0, or a negative errno and in *ret_why a line for the user
 * that names the field and what would be right (static string or storage of the callee's).
 */
[[nodiscard]] int boot_load(const struct guestmem *mem, const struct boot_source *src,
			    struct cpu_boot_state *ret, const char **ret_why);

#endif
