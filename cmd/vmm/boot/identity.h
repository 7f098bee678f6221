/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest is told of itself: SMBIOS tables (lib/smbios), made once of what the supervisor says. */
#ifndef BULKHEAD_VMM_BOOT_IDENTITY_H
#define BULKHEAD_VMM_BOOT_IDENTITY_H

#include "lib/guestmem/guestmem.h"
#include "lib/smbios/tables.h"

/*
 * Reads the memfd, which is trusted but checked, closes it, and makes the tables: for a machine of so many bytes of RAM. A
 * descriptor that is not open: a guest without identity. -EBADMSG, -ENOSPC, or the error of the read.
 */
[[nodiscard]] int identity_take(int fd, uint64_t ram_size, unsigned int n_vcpus, bool uefi,
				struct smbios_tables *ret);
/* Entry point and tables to where a kernel without firmware looks for them. -EFAULT. */
[[nodiscard]] int identity_load(const struct guestmem *mem, const struct smbios_tables *t);

#endif
