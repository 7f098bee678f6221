/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the formats that are imported, most of them hostile: what cannot be is refused with a line that names
 * it, and no map says anything about bytes that the file does not have. */
#include "tests/unit/unit.h"

#include "tests/unit/testimport.h"

#include <errno.h>
#include <string.h>

static const char *const names[] = { "vhd-fixed", "vhd-dynamic", "vhdx", "vmdk", "vmdk-stream" };

static void test_what_is_right(void **state)
{
	static const uint64_t size[] = { 196608, 196608, 3U << 20, 196608, 196608 };
	static const uint64_t data[] = { 196608, 131072, 2U << 20, 131072, 131072 };

	(void)state;
	for (enum testimport_kind k = 0; k < N_TESTIMPORT; k++) {
		struct testimport t;
		struct import_error e;
		struct import i;

		testimport_make(&t, k);
		if (testimport_run(&t, &i, &e) < 0)
			fail_msg("%s: %s", names[k], e.text);
		assert_int_equal(i.info.size, size[k]);
		assert_int_equal(t.mapped, size[k]);
		assert_int_equal(t.data, data[k]);
		assert_false(t.wild);
		testimport_free(&t);
	}
}

/* One field with another value, its checksums right, and the words of the line. */
struct spoilt {
	enum testimport_kind kind;
	uint64_t at; /* END and more: from the file's end back */
	uint64_t value;
	unsigned int len;
	bool big; /* endian */
	const char *says;
};
#define END (UINT64_C(1) << 40)

static const struct spoilt spoilt[] = {
	/* VHD: the footer */
	{ IMPORT_VHD_FIXED, END + 512, 0, 8, true, "no VHD image" },
	{ IMPORT_VHD_FIXED, END + 512 - 48, 1ULL << 40, 8, true, "truncated" },
	{ IMPORT_VHD_FIXED, END + 512 - 48, 0, 8, true, "its size of 0" },
	{ IMPORT_VHD_FIXED, END + 512 - 48, 1000, 8, true, "its size of 1000" },
	{ IMPORT_VHD_FIXED, END + 512 - 48, UINT64_MAX - 511, 8, true, "its size" },
	{ IMPORT_VHD_FIXED, END + 512 - 60, 4, 4, true, "differencing" },
	{ IMPORT_VHD_FIXED, END + 512 - 60, 9, 4, true, "its type 9" },
	/* VHD: the dynamic header and the table */
	{ IMPORT_VHD_DYNAMIC, END + 512 - 16, UINT64_MAX, 8, true, "dynamic disk header" },
	{ IMPORT_VHD_DYNAMIC, END + 512 - 16, UINT64_MAX - 1023, 8, true, "dynamic disk header" },
	{ IMPORT_VHD_DYNAMIC, 512, 0, 8, true, "header is missing" },
	{ IMPORT_VHD_DYNAMIC, 512 + 32, 0, 4, true, "block size 0" },
	{ IMPORT_VHD_DYNAMIC, 512 + 32, 65537, 4, true, "block size 65537" },
	{ IMPORT_VHD_DYNAMIC, 512 + 32, 1U << 31, 4, true, "block size" },
	{ IMPORT_VHD_DYNAMIC, 512 + 28, 2, 4, true, "not enough" },
	{ IMPORT_VHD_DYNAMIC, 512 + 28, UINT32_MAX, 4, true, "not enough" },
	{ IMPORT_VHD_DYNAMIC, 512 + 16, UINT64_MAX - 3, 8, true, "block table" },
	{ IMPORT_VHD_DYNAMIC, 1536, 100000, 4, true, "one of its blocks" },
	{ IMPORT_VHD_DYNAMIC, 1536, UINT32_MAX - 1, 4, true, "one of its blocks" },
	/* VHDX */
	{ IMPORT_VHDX, 0, 0, 8, false, "no VHDX image" },
	{ IMPORT_VHDX, 131072 + 66, 2, 2, false, "its version 2" },
	{ IMPORT_VHDX, 131072 + 48, 1, 1, false, "its log is not empty" },
	{ IMPORT_VHDX, 196608 + 8, 2048, 4, false, "2048 entries" },
	{ IMPORT_VHDX, 196608 + 8, UINT32_MAX, 4, false, "entries" },
	{ IMPORT_VHDX, 196608 + 8, 1, 4, false, "lacks the metadata" },
	{ IMPORT_VHDX, 196608 + 8, 0, 4, false, "lacks the block table" },
	{ IMPORT_VHDX, 196608 + 16, 0, 1, false, "not known here" },
	{ IMPORT_VHDX, 196608 + 32, 65536, 8, false, "1 MiB or more" },
	{ IMPORT_VHDX, 196608 + 32, UINT64_MAX, 8, false, "a region" },
	{ IMPORT_VHDX, 196608 + 40, UINT32_MAX, 4, false, "a region" },
	{ IMPORT_VHDX, (1 << 20) + 131072, 0, 8, false, "metadata table" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 10, 2048, 2, false, "metadata table" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 10, 2, 2, false, "lack the disk's size" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 32 + 16, UINT32_MAX, 4, false, "an item" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 32 + 16, 0, 4, false, "an item" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 32 + 20, 1 << 20, 4, false, "an item" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 32 + 20, 64, 4, false, "an item" },
	{ IMPORT_VHDX, (1 << 20) + 131072 + 32 + 20, 4, 4, false, "an item" },
	{ IMPORT_VHDX, (1 << 20) + 196608, 0, 4, false, "block size 0" },
	{ IMPORT_VHDX, (1 << 20) + 196608, 3 << 20, 4, false, "block size" },
	{ IMPORT_VHDX, (1 << 20) + 196608 + 4, 2, 4, false, "differencing" },
	{ IMPORT_VHDX, (1 << 20) + 196608 + 16, 1ULL << 60, 8, false, "its size" },
	{ IMPORT_VHDX, (1 << 20) + 196608 + 16, 1ULL << 45, 8, false, "its block table" },
	{ IMPORT_VHDX, (1 << 20) + 196608 + 32, 520, 4, false, "sectors of 520" },
	{ IMPORT_VHDX, (1 << 20), 4 << 20 | 6, 8, false, "one of its blocks" },
	{ IMPORT_VHDX, (1 << 20), ~0xfffffULL | 6, 8, false, "one of its blocks" },
	{ IMPORT_VHDX, (1 << 20), 2 << 20 | 7, 8, false, "state 7" },
	{ IMPORT_VHDX, (1 << 20), 2 << 20 | 4, 8, false, "state 4" },
	/* VMDK */
	{ IMPORT_VMDK, 0, 0, 4, false, "no VMDK image" },
	{ IMPORT_VMDK, 0, 0x44574f43, 4, false, "COWD" },
	{ IMPORT_VMDK, 4, 4, 4, false, "its version 4" },
	{ IMPORT_VMDK, 73, 0x0a0a0d0a, 4, false, "transfer as text" },
	{ IMPORT_VMDK, 12, 0, 8, false, "capacity of 0" },
	{ IMPORT_VMDK, 12, UINT64_MAX, 8, false, "capacity" },
	{ IMPORT_VMDK, 20, 0, 8, false, "grains of 0" },
	{ IMPORT_VMDK, 20, 129, 8, false, "grains of 129" },
	{ IMPORT_VMDK, 20, 1ULL << 32, 8, false, "grains" },
	{ IMPORT_VMDK, 44, 0, 4, false, "tables of 0" },
	{ IMPORT_VMDK, 44, UINT32_MAX, 4, false, "grain tables" },
	{ IMPORT_VMDK, 28, 0, 8, false, "no descriptor" },
	{ IMPORT_VMDK, 28, UINT64_MAX, 8, false, "its descriptor" },
	{ IMPORT_VMDK, 36, UINT64_MAX, 8, false, "its descriptor" },
	{ IMPORT_VMDK, 36, 0, 8, false, "no descriptor" },
	{ IMPORT_VMDK, 56, UINT64_MAX, 8, false, "footer is missing" },
	{ IMPORT_VMDK, 56, UINT64_MAX - 1, 8, false, "grain directory" },
	{ IMPORT_VMDK, 56, 512, 8, false, "grain directory" },
	{ IMPORT_VMDK, 8, 0x10007, 4, false, "compressed by algorithm 0" },
	{ IMPORT_VMDK, 21 * 512, UINT32_MAX, 4, false, "one of its grain tables" },
	{ IMPORT_VMDK, 22 * 512, UINT32_MAX, 4, false, "one of its grains" },
	{ IMPORT_VMDK, 512 + 55, 0x30303030, 4, false, "parent" },
	{ IMPORT_VMDK, 512 + 78, 0x58, 1, false, "of type" },
	{ IMPORT_VMDK_STREAM, 77, 2, 2, false, "algorithm 2" },
	{ IMPORT_VMDK_STREAM, 256 * 512 + 8, 0, 4, false, "grain of 0 bytes" },
	{ IMPORT_VMDK_STREAM, 256 * 512 + 8, UINT32_MAX, 4, false, "compressed grain" },
	{ IMPORT_VMDK_STREAM, 384 * 512 + 8, 100000, 4, false, "one of its grains" },
	{ IMPORT_VMDK_STREAM, 22 * 512, UINT32_MAX, 4, false, "one of its grains" },
};

static void spoil(struct testimport *t, const struct spoilt *s)
{
	uint64_t at = s->at >= END ? t->file.size - (s->at - END) : s->at;

	for (unsigned int i = 0; i < s->len; i++)
		t->bytes[at + i] = (uint8_t)(s->value >> 8 * (s->big ? s->len - 1 - i : i));
	testimport_seal(t);
}

static void test_fields_that_cannot_be(void **state)
{
	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(spoilt); k++) {
		struct testimport t;
		struct import_error e;
		struct import i;
		int r;

		testimport_make(&t, spoilt[k].kind);
		spoil(&t, &spoilt[k]);
		r = testimport_run(&t, &i, &e);
		if (r >= 0 || !strstr(e.text, spoilt[k].says))
			fail_msg("row %zu, %s: %d: %s", k, names[spoilt[k].kind], r, e.text);
		assert_false(t.wild);
		testimport_free(&t);
	}
}

/* One that goes on behind what is read of it: what is right in it stands at its beginning. */
static void test_a_long_descriptor(void **state)
{
	struct spoilt longer = { IMPORT_VMDK, 36, 100, 8, false, "" };
	struct testimport t;
	struct import_error e;
	struct import i;

	(void)state;
	testimport_make(&t, IMPORT_VMDK);
	spoil(&t, &longer);
	assert_int_equal(testimport_run(&t, &i, &e), 0);
	assert_string_equal(i.info.kind, "monolithicSparse");
	testimport_free(&t);
}

/* A byte of what a checksum covers, without a new checksum. */
static void test_checksums(void **state)
{
	static const struct {
		enum testimport_kind kind;
		uint64_t at;
	} rows[] = { { IMPORT_VHD_FIXED, END + 100 }, { IMPORT_VHD_DYNAMIC, 512 + 900 } };
	struct testimport t;
	struct import_error e;
	struct import i;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		testimport_make(&t, rows[k].kind);
		t.bytes[rows[k].at >= END ? t.file.size - (rows[k].at - END) : rows[k].at] ^= 1;
		assert_int_equal(testimport_run(&t, &i, &e), -EINVAL);
		assert_non_null(strstr(e.text, "checksum"));
		testimport_free(&t);
	}
	/* of VHDX one of each two will do */
	testimport_make(&t, IMPORT_VHDX);
	t.bytes[65536 + 900] ^= 1;
	t.bytes[196608 + 900] ^= 1;
	assert_int_equal(testimport_run(&t, &i, &e), 0);
	t.bytes[131072 + 900] ^= 1;
	assert_int_equal(testimport_run(&t, &i, &e), -EINVAL);
	testimport_free(&t);
}

/* The file ends anywhere: a line, or a map within what there is. */
static void test_cut_anywhere(void **state)
{
	(void)state;
	for (enum testimport_kind k = 0; k < N_TESTIMPORT; k++) {
		struct testimport t;
		struct import_error e;
		struct import i;
		uint64_t whole;

		testimport_make(&t, k);
		whole = t.file.size;
		for (uint64_t cut = 0; cut < whole; cut += k == IMPORT_VHDX ? 65521 : 509) {
			t.file.size = cut;
			if (testimport_run(&t, &i, &e) < 0)
				assert_true(*e.text);
			assert_false(t.wild);
		}
		testimport_free(&t);
	}
}

/* Every read fails in turn. */
static void test_host_errors(void **state)
{
	(void)state;
	for (enum testimport_kind k = 0; k < N_TESTIMPORT; k++) {
		struct testimport t;
		struct import_error e;
		struct import i;
		unsigned int n = 0;

		testimport_make(&t, k);
		do
			t.fails_after = ++n;
		while (testimport_run(&t, &i, &e) == -EIO && strstr(e.text, "Input/output"));
		assert_in_range(n, 2, 100);
		assert_string_equal(e.text, "");
		testimport_free(&t);
	}
}

/* What a guest writes into the first sector of a fixed VHD does not say what the image is. */
static void test_guests_footer(void **state)
{
	struct testimport t, dynamic;
	struct import_error e;
	struct import i;

	(void)state;
	testimport_make(&t, IMPORT_VHD_FIXED);
	testimport_make(&dynamic, IMPORT_VHD_DYNAMIC);
	memcpy(t.bytes, dynamic.bytes + dynamic.file.size - 512, 512);
	memcpy(t.bytes + 512, dynamic.bytes + 512, 1024 + 512);
	assert_int_equal(testimport_run(&t, &i, &e), 0);
	assert_string_equal(i.info.kind, "fixed");
	assert_int_equal(t.data, t.mapped);
	testimport_free(&t);
	testimport_free(&dynamic);
}

/* By its geometry, as QEMU has it, unless who made it is known to mean the other number. */
static void test_sizes_of_vhd(void **state)
{
	struct testimport t;
	struct import_error e;
	struct import i;
	uint64_t at;

	(void)state;
	testimport_make(&t, IMPORT_VHD_FIXED);
	at = t.file.size - 512;
	memcpy(t.bytes + at + 28, "vpc ", 4);
	t.bytes[at + 57] = 10; /* cylinders, heads, sectors */
	t.bytes[at + 58] = 2;
	t.bytes[at + 59] = 17;
	testimport_seal(&t);
	assert_int_equal(testimport_run(&t, &i, &e), 0);
	assert_int_equal(i.info.size, 10 * 2 * 17 * 512);
	memcpy(t.bytes + at + 28, "qem2", 4);
	testimport_seal(&t);
	assert_int_equal(testimport_run(&t, &i, &e), 0);
	assert_int_equal(i.info.size, 196608);
	testimport_free(&t);
}

static void test_records(void **state)
{
	static const struct extents_record wrong[] = {
		{ .kind = 0, .len = 1 },
		{ .kind = EXTENTS_END + 1, .len = 1 },
		{ .kind = EXTENTS_ZERO, .len = 0 },
		{ .kind = EXTENTS_ZERO, .len = 1, .offset = 1 },
		{ .kind = EXTENTS_ZERO, .len = UINT64_MAX },
		{ .kind = EXTENTS_END, .len = 1 },
		{ .kind = EXTENTS_DATA, .len = 2, .offset = INT64_MAX - 1 },
		{ .kind = EXTENTS_DATA, .len = 1, .offset = UINT64_MAX },
		{ .kind = EXTENTS_DATA, .len = 1, .stored = 1 },
		{ .kind = EXTENTS_DEFLATED, .len = 1 },
		{ .kind = EXTENTS_DEFLATED, .len = EXTENTS_DEFLATED_MAX + 1, .stored = 1 },
		{ .kind = EXTENTS_DEFLATED, .len = 1, .stored = 2 * EXTENTS_DEFLATED_MAX + 1 },
	};
	uint8_t wire[EXTENTS_WIRE_LEN + 1];
	struct extents_record e;

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(wrong); k++) {
		extents_encode(&wrong[k], wire);
		assert_int_equal(extents_decode(wire, EXTENTS_WIRE_LEN, &e), -EBADMSG);
	}
	extents_encode(&(struct extents_record){ .kind = EXTENTS_END }, wire);
	assert_int_equal(extents_decode(wire, EXTENTS_WIRE_LEN, &e), 0);
	assert_int_equal(extents_decode(wire, EXTENTS_WIRE_LEN - 1, &e), -EBADMSG);
	assert_int_equal(extents_decode(wire, EXTENTS_WIRE_LEN + 1, &e), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_right),
		cmocka_unit_test(test_fields_that_cannot_be),
		cmocka_unit_test(test_a_long_descriptor),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_cut_anywhere),
		cmocka_unit_test(test_host_errors),
		cmocka_unit_test(test_guests_footer),
		cmocka_unit_test(test_sizes_of_vhd),
		cmocka_unit_test(test_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
