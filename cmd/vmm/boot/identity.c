/* SPDX-License-Identifier: Apache-2.0 */
/* SMBIOS tables in the guest; see identity.h. */
#include "cmd/vmm/boot/identity.h"

#include "cmd/vmm/layout.h"
#include "lib/base/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define TABLES_AT 32 /* behind the entry point */

static_assert(SMBIOS_ENTRY_LEN <= TABLES_AT);
static_assert(SMBIOS_START + TABLES_AT + SMBIOS_TABLES_MAX <= RESET_VECTOR);
static_assert(SMBIOS_START >= ACPI_START && RESET_VECTOR < ACPI_END); /* reserved in the map */

static int make(const struct smbios_identity *id, uint64_t ram_size, unsigned int n_vcpus,
		bool uefi, struct smbios_tables *ret)
{
	const uint64_t low = ram_size < LOW_RAM_MAX ? ram_size : LOW_RAM_MAX;
	const struct smbios_machine m = { .identity = id,
					  .n_vcpus = n_vcpus,
					  .uefi = uefi,
					  .n_ram = ram_size > low ? 2 : 1,
					  .ram = { { 0, low },
						   { HIGH_RAM_START, ram_size - low } } };

	return smbios_make(&m, ret);
}

int identity_take(int fd, uint64_t ram_size, unsigned int n_vcpus, bool uefi,
		  struct smbios_tables *ret)
{
	uint8_t bytes[SMBIOS_IDENTITY_MAX + 1];
	_cleanup_(closep) int own = fd;
	struct smbios_identity id = { .n_strings = 0 };
	const ssize_t n = pread(own, bytes, sizeof(bytes), 0);
	int r;

	if (n < 0 && errno == EBADF)
		return make(&id, ram_size, n_vcpus, uefi, ret);
	r = n < 0 ? -errno : smbios_identity_get(bytes, (size_t)n, &id);
	if (r == 0)
		r = make(&id, ram_size, n_vcpus, uefi, ret);
	explicit_bzero(bytes, sizeof(bytes));
	return r;
}

int identity_load(const struct guestmem *mem, const struct smbios_tables *t)
{
	uint8_t entry[SMBIOS_ENTRY_LEN];
	int r;

	smbios_entry(t, SMBIOS_START + TABLES_AT, entry);
	r = guest_write(mem, GPA(SMBIOS_START), entry, sizeof(entry));
	return r < 0 ? r : guest_write(mem, GPA(SMBIOS_START + TABLES_AT), t->bytes, t->len);
}
