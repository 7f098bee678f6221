/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory, made-up kernels and boot_load, for unit tests and fuzzers. */
#ifndef BULKHEAD_TESTS_UNIT_BOOTENV_H
#define BULKHEAD_TESTS_UNIT_BOOTENV_H

#include "cmd/vmm/boot/boot.h"

struct bootenv {
	struct guestmem mem;
	int ram_fd;
	struct boot_source src; /* kernel_fd and initrd_fd are closed with it */
	struct cpu_boot_state cpu;
	const char *why; /* NULL: none given */
};

/* A guest with this much zeroed RAM, one vCPU, a UART, an empty command line and no files. Aborts
 * when the host has no memory. */
void bootenv_open(struct bootenv *e, uint64_t ram_size);
void bootenv_close(struct bootenv *e);
/* A file with these bytes. */
int bootenv_file(const void *data, size_t len);
/* Loads a kernel (and an initrd of initrd_len bytes 0xa5; 0: none). */
int bootenv_load(struct bootenv *e, const void *kernel, size_t len, size_t initrd_len);

/* A right bzImage for 16 MiB: one setup sector, BZ_CODE_LEN bytes 0x90 of code. */
#define BZ_CODE_AT 1024
#define BZ_CODE_LEN 4096
#define BZ_LEN (BZ_CODE_AT + BZ_CODE_LEN)
#define BZ_START 0x1000000
#define BZ_INIT_SIZE 0x100000
void bootenv_bzimage(uint8_t out[BZ_LEN]);

/* A right PVH kernel: two segments, one with zeroes behind its bytes, and notes. */
#define ELF_LEN 0x1000
#define ELF_ENTRY 0x100010
#define ELF_TEXT_AT 0x400 /* 0x200 bytes 0xcc to 0x100000, 0x1000 in memory */
#define ELF_DATA_AT 0x800 /* 0x400 bytes 0xdd to 0x200000 */
#define ELF_NOTES_AT 0xc00
#define ELF_PHDR_AT 64
void bootenv_elf(uint8_t out[ELF_LEN]);

#endif
