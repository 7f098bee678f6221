/* SPDX-License-Identifier: Apache-2.0 */
/* What the two loaders share. */
#ifndef BULKHEAD_VMM_BOOT_INTERNAL_H
#define BULKHEAD_VMM_BOOT_INTERNAL_H

#include "cmd/vmm/boot/boot.h"
#include "cmd/vmm/boot/file.h"

struct boot_loader {
	const struct guestmem *mem;
	const struct boot_source *src;
	struct boot_file kernel;
	struct boot_file initrd; /* size 0: none */
	uint64_t low_ram_end;	 /* bytes: where RAM below 4 GiB ends */
	gpa_t rsdp;
	const char **ret_why;
};

/* A range of guest memory; len 0: none. */
struct boot_range {
	uint64_t start;
	uint64_t len;
};

/* Makes the line for the user, in storage that the next call overwrites; returns err. */
[[nodiscard]] int boot_fail(const struct boot_loader *l, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Loads the initrd, if there is one, as high as possible: above kernel_end and at most up to
 * addr_max (the highest address that its last byte may have), page-aligned.
 */
[[nodiscard]] int boot_load_initrd(const struct boot_loader *l, uint64_t kernel_end,
				   uint64_t addr_max, struct boot_range *ret);

/* bzimage.c: head is the kernel's first bytes. */
#define BZIMAGE_HEAD_LEN 1024
[[nodiscard]] bool bzimage_probe(const uint8_t head[BZIMAGE_HEAD_LEN]);
[[nodiscard]] int bzimage_load(const struct boot_loader *l, const uint8_t head[BZIMAGE_HEAD_LEN],
			       struct cpu_boot_state *ret);

/* elf_pvh.c */
[[nodiscard]] bool elf_probe(const uint8_t head[BZIMAGE_HEAD_LEN]);
[[nodiscard]] int elf_pvh_load(const struct boot_loader *l, const uint8_t head[BZIMAGE_HEAD_LEN],
			       struct cpu_boot_state *ret);

/* e820.c: types of Linux's E820 and of PVH's memory map alike. */
#define MEMMAP_RAM 1
#define MEMMAP_RESERVED 2
#define MEMMAP_ACPI 3
#define MEMMAP_MAX 8

struct memmap_entry {
	uint64_t start;
	uint64_t len; /* bytes */
	uint32_t type;
};

/* Returns the number of entries, sorted by start. */
size_t memmap_build(uint64_t ram_size, struct memmap_entry entries[MEMMAP_MAX]);

/* pagetables.c: write the GDT, and for 64-bit mode an identity map of 4 GiB, and set what of the
 * CPU state follows from them. The rest of *ret is not touched. */
[[nodiscard]] int cpu_state_flat32(const struct guestmem *mem, struct cpu_boot_state *ret);
[[nodiscard]] int cpu_state_long64(const struct guestmem *mem, struct cpu_boot_state *ret);

#endif
