/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files to load from. They may be hostile, and may shrink while they are read: a short read is an
 * error, never a shorter kernel.
 */
#ifndef BULKHEAD_VMM_BOOT_FILE_H
#define BULKHEAD_VMM_BOOT_FILE_H

#include "lib/guestmem/guestmem.h"

struct boot_file {
	int fd;
	uint64_t size; /* bytes when it was looked at */
};

/* -EINVAL: not a regular file. */
[[nodiscard]] int boot_file_open(int fd, struct boot_file *ret);
/* Reads exactly len bytes; -ENODATA when the file ends before. */
[[nodiscard]] int boot_file_read(const struct boot_file *f, uint64_t offset, void *out, size_t len);
/* Reads exactly len bytes into guest RAM; -EFAULT when [gpa, gpa + len) is not all RAM. */
[[nodiscard]] int boot_file_load(const struct boot_file *f, uint64_t offset,
				 const struct guestmem *mem, gpa_t gpa, uint64_t len);

#endif
