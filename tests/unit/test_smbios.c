/* SPDX-License-Identifier: Apache-2.0 */
/* SMBIOS tables as a guest walks them, and the identity that they are made of: bytes that are none first. */
#include "lib/base/cleanup.h"
#include "lib/smbios/tables.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UUID "01234567-89ab-cdef-fedc-ba9876543210"
#define GIB_(n) ((uint64_t)(n) << 30)

static struct smbios_tables tables;

static uint64_t number(const uint8_t *at, unsigned int width)
{
	uint64_t v = 0;

	memcpy(&v, at, width);
	return v;
}

/* ---- identity ---- */

/* As long as its bytes, so that a read beyond them is seen. */
static int get(const void *bytes, size_t len, struct smbios_identity *ret)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	return smbios_identity_get(copy, len, ret);
}

static void identities_that_are_none(void **state)
{
	static const char uuid[16] = "0123456789abcdef";
	char bytes[SMBIOS_IDENTITY_MAX + 1] = "";
	struct smbios_identity id = { .n_strings = 7 };

	(void)state;
	for (size_t len = 0; len <= sizeof(uuid); len++)
		assert_int_equal(get(uuid, len, &id), -EBADMSG);
	memcpy(bytes, uuid, sizeof(uuid));
	memcpy(bytes + 16, "serial", 6); /* no NUL */
	assert_int_equal(get(bytes, 22, &id), -EBADMSG);
	memcpy(bytes + 16, "s\0text", 6);
	assert_int_equal(get(bytes, 22, &id), -EBADMSG);
	memcpy(bytes + 16, "s\0\0", 3); /* an empty string would end the list of a table's */
	assert_int_equal(get(bytes, 19, &id), -EBADMSG);
	memset(bytes + 16, 's', SMBIOS_SERIAL_MAX + 1);
	bytes[16 + SMBIOS_SERIAL_MAX + 1] = '\0';
	assert_int_equal(get(bytes, 16 + SMBIOS_SERIAL_MAX + 2, &id), -EBADMSG);
	memset(bytes, 'x', sizeof(bytes) - 1);
	bytes[20] = '\0';
	assert_int_equal(get(bytes, sizeof(bytes), &id), -EBADMSG); /* one byte too many */
	assert_int_equal(id.n_strings, 7);			    /* untouched */
}

static void as_many_strings_as_there_is_room_for(void **state)
{
	char bytes[17 + 2 * (SMBIOS_STRINGS_MAX + 1)] = "";
	struct smbios_identity id;

	(void)state;
	for (size_t i = 0; i <= SMBIOS_STRINGS_MAX; i++)
		bytes[17 + 2 * i] = 'a';
	assert_int_equal(get(bytes, sizeof(bytes), &id), -EBADMSG);
	assert_int_equal(get(bytes, sizeof(bytes) - 2, &id), 0);
	assert_int_equal(id.n_strings, SMBIOS_STRINGS_MAX);
}

static void what_is_put_is_got(void **state)
{
	const struct smbios_identity id = {
		.uuid = { 1, 2, 3 }, .serial = "SN 1", .n_strings = 2, .strings = { "one", "two" }
	};
	struct smbios_identity seen;
	uint8_t bytes[64];
	const int len = smbios_identity_put(&id, bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(len, 16 + 5 + 4 + 4);
	assert_int_equal(smbios_identity_put(&id, bytes, (size_t)len - 1), -E2BIG);
	assert_int_equal(get(bytes, (size_t)len, &seen), 0);
	assert_memory_equal(seen.uuid, id.uuid, 16);
	assert_string_equal(seen.serial, "SN 1");
	assert_int_equal(seen.n_strings, 2);
	assert_string_equal(seen.strings[1], "two");
}

static void uuids(void **state)
{
	static const char *const bad[] = {
		"",
		"0",
		"0123456789abcdeffedcba9876543210",
		"01234567-89ab-cdef-fedc-ba987654321",
		"01234567-89ab-cdef-fedc-ba98765432100",
		"01234567-89ab-cdef-fedc-ba987654321g",
		"01234567-89ab-cdef-fedc_ba9876543210",
		"0123456-789ab-cdef-fedc-ba9876543210",
		"{1234567-89ab-cdef-fedc-ba987654321}",
		"01234567-89ab-cdef-fedc-ba98765432\xb1\xb2",
		"00000000-0000-0000-0000-000000000000",
		"ffffffff-FFFF-ffff-ffff-ffffffffffff",
	};
	uint8_t uuid[16] = { 9 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(smbios_uuid_parse(bad[i], uuid), -EINVAL);
	assert_int_equal(uuid[0], 9);
	assert_int_equal(smbios_uuid_parse("01234567-89AB-cdef-fedc-ba9876543210", uuid), 0);
	assert_memory_equal(uuid,
			    "\x01\x23\x45\x67\x89\xab\xcd\xef\xfe\xdc\xba\x98\x76\x54\x32\x10", 16);
}

/* ---- tables ---- */

static void make(const struct smbios_identity *id, uint64_t low, uint64_t high, unsigned int cpus)
{
	const struct smbios_machine m = { .identity = id,
					  .n_vcpus = cpus,
					  .n_ram = high ? 2 : 1,
					  .ram = { { 0, low }, { GIB_(4), high } } };

	memset(&tables, 0xee, sizeof(tables));
	assert_int_equal(smbios_make(&m, &tables), 0);
	assert_in_range(tables.len, 1, sizeof(tables.bytes));
}

/* Behind a structure's strings. */
static const uint8_t *next(const uint8_t *s)
{
	const uint8_t *at = s + s[1];

	while (at[0] || at[1])
		at++;
	return at + 2;
}

/* The nth of that type, walked to as a guest does; NULL: there is none. */
static const uint8_t *find(uint8_t type, unsigned int n)
{
	const uint8_t *end = tables.bytes + tables.len;

	for (const uint8_t *s = tables.bytes; s < end; s = next(s)) {
		assert_in_range(s[1], 4, end - s);
		if (s[0] == type && n-- == 0)
			return s;
		if (s[0] == 127) {
			assert_ptr_equal(next(s), end);
			break;
		}
	}
	return NULL;
}

static const char *text(const uint8_t *s, unsigned int n)
{
	const char *at = (const char *)s + s[1];

	if (n == 0)
		return NULL;
	while (--n > 0)
		at += strlen(at) + 1;
	return at;
}

static void every_structure_is_as_long_as_its_fields(void **state)
{
	static const struct {
		uint8_t type, len;
	} all[] = { { 0, 24 },	{ 1, 27 },  { 3, 22 },	{ 4, 48 },  { 11, 5 },
		    { 16, 23 }, { 17, 40 }, { 19, 31 }, { 32, 11 }, { 127, 4 } };
	const struct smbios_identity id = { .n_strings = 1, .strings = { "x" } };
	bool handles[1 << 16] = { false };

	(void)state;
	make(&id, GIB_(3), GIB_(2), 4);
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_non_null(find(all[i].type, 0));
		assert_int_equal(find(all[i].type, 0)[1], all[i].len);
	}
	for (const uint8_t *s = tables.bytes; s < tables.bytes + tables.len; s = next(s)) {
		assert_false(handles[number(s + 2, 2)]);
		handles[number(s + 2, 2)] = true;
	}
}

static void who_it_is(void **state)
{
	struct smbios_identity id = { .serial = "SN-1" };
	const uint8_t *s;

	(void)state;
	assert_int_equal(smbios_uuid_parse(UUID, id.uuid), 0);
	make(&id, GIB_(1), 0, 1);
	s = find(1, 0);
	assert_string_equal(text(s, s[4]), "Bulkhead");
	assert_string_equal(text(s, s[7]), "SN-1");
	assert_memory_equal(s + 8,
			    "\x67\x45\x23\x01\xab\x89\xef\xcd\xfe\xdc\xba\x98\x76\x54\x32\x10", 16);
	assert_null(find(11, 0));
	make(&(struct smbios_identity){ .serial = "" }, GIB_(1), 0, 1);
	s = find(1, 0);
	assert_null(text(s, s[7]));
	assert_int_equal(number(s + 8, 8) | number(s + 16, 8), 0); /* none */
}

static void memory_of_every_size(void **state)
{
	static const struct {
		uint64_t low, high;
		uint32_t capacity_kib, size_mib, extended_mib, ends_kib;
	} sizes[] = {
		{ 64 << 20, 0, 65536, 64, 0, 65535 },
		{ GIB_(3), 0, 3 << 20, 3072, 0, (3 << 20) - 1 },
		{ GIB_(3), 4096, (3 << 20) + 4, 3072, 0, (4 << 20) + 3 },
		{ GIB_(3), GIB_(1), 4 << 20, 4096, 0, (5 << 20) - 1 },
		{ GIB_(3), GIB_(29) - (2 << 20), (32 << 20) - 2048, 0x7ffe, 0, (33 << 20) - 2049 },
		{ GIB_(3), GIB_(29) - (1 << 20), (32 << 20) - 1024, 0x7fff, 0x7fff,
		  (33 << 20) - 1025 },
		{ GIB_(3), GIB_(61), 64 << 20, 0x7fff, 65536, (65 << 20) - 1 },
		{ GIB_(3), GIB_(2045), 0x80000000, 0x7fff, 2048 << 10, 0x800fffff },
		{ GIB_(3), GIB_(4093), 0x80000000, 0x7fff, 4096 << 10, 0xffffffff },
	};
	const struct smbios_identity id = { .n_strings = 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint64_t all = sizes[i].low + sizes[i].high;
		const uint8_t *s;

		make(&id, sizes[i].low, sizes[i].high, 1);
		s = find(16, 0);
		assert_int_equal(number(s + 7, 4), sizes[i].capacity_kib);
		assert_int_equal(number(s + 15, 8), sizes[i].capacity_kib == 0x80000000 ? all : 0);
		s = find(17, 0);
		assert_int_equal(number(s + 4, 2), number(find(16, 0) + 2, 2));
		assert_int_equal(number(s + 12, 2), sizes[i].size_mib);
		assert_int_equal(number(s + 28, 4), sizes[i].extended_mib);
		s = find(19, 0);
		assert_int_equal(number(s + 4, 4), 0);
		assert_int_equal(number(s + 8, 4), (sizes[i].low >> 10) - 1);
		if (sizes[i].high)
			s = find(19, 1);
		assert_null(find(19, sizes[i].high ? 2 : 1));
		assert_int_equal(number(s + 8, 4), sizes[i].ends_kib);
		if (sizes[i].ends_kib == 0xffffffff) {
			assert_int_equal(number(s + 15, 8), GIB_(4));
			assert_int_equal(number(s + 23, 8), GIB_(4) + sizes[i].high - 1);
		}
	}
}

static void processors(void **state)
{
	const struct smbios_identity id = { .n_strings = 0 };

	(void)state;
	for (unsigned int n = 1; n <= 16; n++) {
		const uint8_t *s;

		make(&id, GIB_(1), 0, n);
		s = find(4, 0);
		assert_null(find(4, 1));
		assert_int_equal(s[0x23], n); /* cores, those enabled, threads */
		assert_int_equal(s[0x24], n);
		assert_int_equal(s[0x25], n);
		assert_int_equal(number(s + 0x2a, 2), n);
	}
}

/* The largest identity that there is: its strings are there to the last. */
static void strings_of_every_length(void **state)
{
	static char texts[SMBIOS_STRINGS_MAX][SMBIOS_IDENTITY_MAX / SMBIOS_STRINGS_MAX];
	static uint8_t bytes[SMBIOS_IDENTITY_MAX];
	struct smbios_identity id = { .n_strings = SMBIOS_STRINGS_MAX };
	unsigned int seen = 0;
	const uint8_t *s;
	const size_t len = sizeof(texts[0]) - 2;

	(void)state;
	for (size_t i = 0; i < SMBIOS_STRINGS_MAX; i++) {
		memset(texts[i], 'A' + (int)(i % 26), len - i % 3);
		id.strings[i] = texts[i];
	}
	assert_true(smbios_identity_put(&id, bytes, sizeof(bytes)) > 0);
	make(&id, GIB_(1), 0, 1);
	for (unsigned int n = 0; (s = find(11, n)) != NULL; n++) {
		assert_in_range(next(s) - s, 6, 4096); /* no more than fit a page */
		for (unsigned int i = 1; i <= s[4]; i++)
			assert_string_equal(text(s, i), texts[seen++]);
	}
	assert_int_equal(seen, SMBIOS_STRINGS_MAX);
}

/* A page with its last byte, and one byte more; one that is longer than that is alone. */
static void strings_at_the_end_of_a_page(void **state)
{
	static char first[4096 - 5 - 1 - 2], longer[5000];
	struct smbios_identity id = { .n_strings = 2, .strings = { first } };

	(void)state;
	memset(first, 'x', sizeof(first) - 1);
	id.strings[1] = "y";
	make(&id, GIB_(1), 0, 1);
	assert_int_equal(next(find(11, 0)) - find(11, 0), 4096);
	assert_int_equal(find(11, 0)[4], 2);
	assert_null(find(11, 1));
	id.strings[1] = "yz";
	make(&id, GIB_(1), 0, 1);
	assert_int_equal(find(11, 0)[4], 1);
	assert_int_equal(find(11, 1)[4], 1);
	assert_string_equal(text(find(11, 1), 1), "yz");
	memset(longer, 'x', sizeof(longer) - 1);
	id.strings[0] = longer;
	make(&id, GIB_(1), 0, 1);
	assert_int_equal(find(11, 0)[4], 1);
	assert_string_equal(text(find(11, 0), 1), longer);
	assert_int_equal(find(11, 1)[4], 1);
}

static void more_than_fits(void **state)
{
	static char text[SMBIOS_TABLES_MAX];
	const struct smbios_identity id = { .n_strings = 1, .strings = { text } };
	const struct smbios_machine m = { .identity = &id, .n_vcpus = 1 };

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(smbios_make(&m, &tables), -ENOSPC);
	assert_int_equal(tables.len, 0);
}

static void entry_point(void **state)
{
	const struct smbios_identity id = { .n_strings = 0 };
	uint8_t e[SMBIOS_ENTRY_LEN], sum = 0;

	(void)state;
	make(&id, GIB_(1), 0, 1);
	smbios_entry(&tables, 0xf0020, e);
	assert_memory_equal(e, "_SM3_", 5);
	assert_int_equal(e[6], SMBIOS_ENTRY_LEN);
	assert_int_equal(e[7], 3);
	assert_int_equal(number(e + 12, 4), tables.len);
	assert_int_equal(number(e + 16, 8), 0xf0020);
	for (size_t i = 0; i < sizeof(e); i++)
		sum += e[i];
	assert_int_equal(sum, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identities_that_are_none),
		cmocka_unit_test(as_many_strings_as_there_is_room_for),
		cmocka_unit_test(what_is_put_is_got),
		cmocka_unit_test(uuids),
		cmocka_unit_test(every_structure_is_as_long_as_its_fields),
		cmocka_unit_test(who_it_is),
		cmocka_unit_test(memory_of_every_size),
		cmocka_unit_test(processors),
		cmocka_unit_test(strings_of_every_length),
		cmocka_unit_test(strings_at_the_end_of_a_page),
		cmocka_unit_test(more_than_fits),
		cmocka_unit_test(entry_point),
	};

	return cmocka_run_group_tests_name("smbios", tests, NULL, NULL);
}
