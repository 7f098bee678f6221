/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The flash memory of a firmware's variables: what its file may be. The file is the store, byte for byte as
 * firmware's own template of it; while a machine that wrote to it runs, or after one that was cut off, there is a log
 * behind it (cmd/dev-flash/store.h), of which the file's size alone tells.
 */
#ifndef BULKHEAD_FWCFG_FLASH_H
#define BULKHEAD_FWCFG_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#define FLASH_VIEW_NAME "firmware-vars" /* as maps and audits show it */
#define FLASH_SECTOR UINT64_C(4096)	/* what is erased at once */
#define FLASH_SIZE_MAX (UINT64_C(1) << 20)
#define FLASH_LOG_HEAD 512U
/* Room for the whole store, in pieces of whatever sectors, with what is said of each. */
#define FLASH_LOG_LEN(size) ((size) + (size) / FLASH_SECTOR * 8 + FLASH_LOG_HEAD)

/* Bytes of the store in a file of that size; 0: it is none. */
static inline uint64_t flash_size(uint64_t file_size, bool *ret_has_log)
{
	const uint64_t sectors = file_size / (2 * FLASH_SECTOR + 8), size = sectors * FLASH_SECTOR;

	*ret_has_log = file_size % FLASH_SECTOR != 0;
	if (!*ret_has_log)
		return file_size <= FLASH_SIZE_MAX ? file_size : 0;
	return size && size <= FLASH_SIZE_MAX && size + FLASH_LOG_LEN(size) == file_size ? size : 0;
}

/* Firmware and the store below it end where the address space of 32 bits does, and are made for one another: all of it has a
 * power of two. */
static inline bool flash_fits(uint64_t firmware, uint64_t size)
{
	const uint64_t all = firmware + size;

	return size && (all & (all - 1)) == 0;
}

#endif
