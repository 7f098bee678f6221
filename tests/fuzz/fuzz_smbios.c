/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of an identity: what is taken for one is written as it was read, and makes tables that a guest can walk, with
 * all of its strings. The first byte chooses the machine.
 */
#include "lib/smbios/tables.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#define STRINGS 11
#define END 127

static struct smbios_tables tables;

/* Behind the structure there, whose strings are counted. */
static size_t next(size_t at, size_t *ret_strings)
{
	size_t n = 0;

	require(at + 4 <= tables.len && tables.bytes[at + 1] >= 4);
	at += tables.bytes[at + 1];
	while (at + 1 < tables.len && (tables.bytes[at] || tables.bytes[at + 1])) {
		const size_t len = strnlen((const char *)tables.bytes + at, tables.len - at);

		require(len && at + len < tables.len);
		n++;
		at += len;
		if (!tables.bytes[at + 1])
			break;
		at++;
	}
	require(at + 2 <= tables.len);
	*ret_strings = n;
	return at + 2;
}

static void walk(const struct smbios_identity *id)
{
	size_t n = 0, seen = 0;

	for (size_t at = 0; at < tables.len;) {
		const uint8_t type = tables.bytes[at];

		at = next(at, &n);
		if (type == STRINGS)
			seen += n;
		if (type == END)
			require(at == tables.len);
	}
	require(seen == id->n_strings);
}

static void check(const struct smbios_identity *id, uint8_t what, const uint8_t *bytes, size_t len)
{
	static uint8_t again[SMBIOS_IDENTITY_MAX];
	const struct smbios_machine m = {
		.identity = id,
		.n_vcpus = 1 + (what & 15),
		.n_ram = 1 + (what >> 7),
		.ram = { { 0, 3ULL << 30 }, { 4ULL << 30, 1ULL << (20 + (what >> 4 & 7)) } }
	};

	require(smbios_identity_put(id, again, sizeof(again)) == (int)len);
	require(memcmp(again, bytes, len) == 0);
	require(smbios_make(&m, &tables) == 0);
	walk(id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct smbios_identity id;
	uint8_t uuid[SMBIOS_UUID_LEN], *bytes;
	char *text;

	if (size < 1)
		return 0;
	bytes = malloc(size);
	text = calloc(1, size);
	require(bytes && text);
	memcpy(bytes, data + 1, size - 1);
	memcpy(text, data + 1, size - 1);
	if (smbios_identity_get(bytes, size - 1, &id) == 0)
		check(&id, data[0], bytes, size - 1);
	if (smbios_uuid_parse(text, uuid) == 0)
		require(strlen(text) == 36);
	free(bytes);
	free(text);
	return 0;
}
