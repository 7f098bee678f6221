/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a VM's user says of its identity: UUID, serial number, and strings for the guest's programs. The supervisor
 * puts it into one memfd, for some of it is secret; the vmm reads it once.
 *
 * Its bytes: the UUID (16, as RFC 4122 has it, all zeros: none), then texts that a NUL ends each: the serial number,
 * which may be empty, and any number of strings, which may not.
 */
#ifndef BULKHEAD_SMBIOS_IDENTITY_H
#define BULKHEAD_SMBIOS_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

#define SMBIOS_UUID_LEN 16
#define SMBIOS_SERIAL_MAX 64U  /* bytes without NUL */
#define SMBIOS_STRING_MAX 1024 /* of one that its user writes; a credential's is longer */
#define SMBIOS_STRINGS_MAX 64
#define SMBIOS_IDENTITY_MAX (28U << 10) /* bytes of it all */
/* Bytes of a structure with its strings, unless it has one that is longer: Linux hands out a page at a time, and systemd
 * before 257 takes the first for all. */
#define SMBIOS_STRUCTURE_MAX 4096U

struct smbios_identity {
	uint8_t uuid[SMBIOS_UUID_LEN];
	const char *serial; /* NULL or "": none */
	size_t n_strings;
	const char *strings[SMBIOS_STRINGS_MAX];
};

/* "01234567-89ab-cdef-0123-456789abcdef", but neither all zeros nor all ones, which mean that there is none. -EINVAL. */
[[nodiscard]] int smbios_uuid_parse(const char *text, uint8_t ret[SMBIOS_UUID_LEN]);

/* Into cap bytes. Their number, or -E2BIG. */
[[nodiscard]] int smbios_identity_put(const struct smbios_identity *id, uint8_t *out, size_t cap);
/* Texts in *ret point into the bytes. -EBADMSG: none that smbios_identity_put makes. */
[[nodiscard]] int smbios_identity_get(const uint8_t *bytes, size_t len,
				      struct smbios_identity *ret);

#endif
