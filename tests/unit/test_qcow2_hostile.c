/* SPDX-License-Identifier: Apache-2.0 */
/* Images that were made to do harm: refused by the field's name, or an error for what concerns them. */
#include "lib/base/cleanup.h"
#include "lib/image/qcow2/format.h"
#include "lib/image/qcow2/qcow2.h"
#include "teststore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define CLUSTER 4096U
#define DISK (8U << 20) /* four L2 tables */
/* Where qcow2_create puts things, in clusters, and what is written first takes. */
#define REFTABLE 1U
#define BLOCK 2U
#define L1 3U
#define L2 4U
#define DATA 5U

/* The first word of a header extension. */
#define EXTENSION(type, len) ((uint64_t)(type) << 32 | (len))

static struct memory file;
static struct volume_error why;

static void put64(uint64_t at, uint64_t v)
{
	put_be64(file.bytes + at, v);
}

static void put32(uint64_t at, uint32_t v)
{
	put_be32(file.bytes + at, v);
}

static uint64_t at_cluster(uint64_t n)
{
	return n * CLUSTER;
}

static int open_image(bool readonly, struct volume **ret)
{
	const struct qcow2_options options = { .readonly = readonly };

	return qcow2_open(&file.store, &options, ret, &why);
}

static void make(const struct qcow2_create_options *o)
{
	memory_free(&file);
	memory_open(&file, 1U << 20);
	assert_int_equal(qcow2_create(&file.store, o, &why), 0);
}

/* An image whose first two clusters are written. */
static void make_used(void)
{
	static uint8_t bytes[2 * CLUSTER];
	struct volume *v;

	make(&(struct qcow2_create_options){ .size = DISK, .cluster_size = CLUSTER });
	memset(bytes, 0x5a, sizeof(bytes));
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_write(v, bytes, sizeof(bytes), 0), 0);
	volume_close(v);
	assert_int_equal(get_be64(file.bytes + at_cluster(L1)), at_cluster(L2) | ENTRY_COPIED);
	assert_int_equal(get_be64(file.bytes + at_cluster(L2)), at_cluster(DATA) | ENTRY_COPIED);
}

static void expect_refusal(const char *words, int error)
{
	struct qcow2_info info;
	struct volume *v;
	int r = open_image(true, &v);

	if (r != error || !strstr(why.text, words))
		fail_msg("%d \"%s\", not %d with \"%s\"", r, why.text, error, words);
	why.text[0] = '\0';
	r = qcow2_read_info(&file.store, &info, &why);
	if (r != error || !strstr(why.text, words))
		fail_msg("info: %d \"%s\", not %d with \"%s\"", r, why.text, error, words);
}

static void test_header_fields(void **state)
{
	static const struct {
		unsigned int at, bytes;
		uint64_t value;
		const char *words;
		int error;
	} rows[] = {
		{ 0, 4, 0x514649fa, "not a qcow2 image", -EINVAL },
		{ 4, 4, 1, "version 1", -ENOTSUP },
		{ 4, 4, 4, "version 4", -ENOTSUP },
		{ 20, 4, 8, "cluster_bits is 8", -EINVAL },
		{ 20, 4, 22, "cluster_bits is 22", -EINVAL },
		{ 20, 4, 0xffffffff, "cluster_bits", -EINVAL },
		{ H_SIZE, 8, UINT64_MAX, "8 EiB", -EINVAL },
		{ H_SIZE, 8, INT64_MAX, "32 MiB", -EINVAL },
		{ H_SIZE, 8, DISK * 2, "too small", -EINVAL },
		{ 32, 4, 1, "encrypted (AES)", -ENOTSUP },
		{ 32, 4, 2, "encrypted (LUKS)", -ENOTSUP },
		{ H_L1_SIZE, 4, 3, "too small", -EINVAL },
		{ H_L1_SIZE, 4, 0xffffffff, "32 MiB", -EINVAL },
		{ H_L1_OFFSET, 8, 0, "L1 table lies", -EINVAL },
		{ H_L1_OFFSET, 8, 100, "L1 table does not begin", -EINVAL },
		{ H_L1_OFFSET, 8, UINT64_MAX - CLUSTER + 1, "L1 table lies", -EINVAL },
		{ H_REFTABLE_OFFSET, 8, 0, "refcount table lies", -EINVAL },
		{ H_REFTABLE_OFFSET, 8, 513, "refcount table does not begin", -EINVAL },
		{ H_REFTABLE_CLUSTERS, 4, 0, "no refcount table", -EINVAL },
		{ H_REFTABLE_CLUSTERS, 4, 0xffffffff, "8 MiB", -EINVAL },
		{ H_N_SNAPSHOTS, 4, 65537, "65536 snapshots", -EINVAL },
		{ H_N_SNAPSHOTS, 4, 1, "snapshot table lies", -EINVAL },
		{ H_INCOMPATIBLE, 8, BIT(5), "incompatible feature bit 5", -ENOTSUP },
		{ H_INCOMPATIBLE, 8, BIT(63), "incompatible feature bit 63", -ENOTSUP },
		{ H_INCOMPATIBLE, 8, BIT(3), "compression_type is 0", -EINVAL },
		{ H_INCOMPATIBLE, 8, BIT(4), "16 KiB", -EINVAL },
		{ 96, 4, 7, "refcount_order is 7", -EINVAL },
		{ 100, 4, 103, "header_length is 103", -EINVAL },
		{ 100, 4, 0, "header_length is 0", -EINVAL },
		{ 100, 4, 8192, "header_length is 8192", -EINVAL },
		{ 104, 1, 1, "compression_type is 1", -EINVAL },
		{ 104, 1, 2, "unknown compression_type 2", -ENOTSUP },
		{ 112, 4, EXT_CRYPTO, "encrypted (LUKS)", -ENOTSUP },
		{ 116, 4, 0xffffffff, "ends behind the header", -EINVAL },
		{ 112, 8, EXTENSION(EXT_BACKING_FORMAT, QCOW2_NAME_MAX),
		  "the backing format has 1024 bytes: 1023 at most", -EINVAL },
		{ 112, 8, EXTENSION(EXT_DATA_FILE, QCOW2_NAME_MAX),
		  "the data file has 1024 bytes: 1023 at most", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		make_used();
		if (rows[i].bytes == 8)
			put64(rows[i].at, rows[i].value);
		else if (rows[i].bytes == 4)
			put32(rows[i].at, (uint32_t)rows[i].value);
		else
			file.bytes[rows[i].at] = (uint8_t)rows[i].value;
		expect_refusal(rows[i].words, rows[i].error);
	}
}

static void test_names_in_the_header(void **state)
{
	(void)state;
	make_used();
	put64(8, 8); /* on the header's own fields */
	put32(16, 10);
	expect_refusal("outside the first cluster", -EINVAL);
	put64(8, CLUSTER - 5);
	expect_refusal("outside the first cluster", -EINVAL);
	put64(8, 1024);
	put32(16, 1024);
	expect_refusal("over 1023 bytes", -EINVAL);
}

static void test_feature_by_name(void **state)
{
	(void)state;
	make_used();
	/* the row of bit 4 gets bit 9 */
	assert_string_equal((char *)file.bytes + 120 + 4 * 48 + 2, "extended L2 entries");
	file.bytes[120 + 4 * 48 + 1] = 9;
	put64(H_INCOMPATIBLE, BIT(9));
	expect_refusal("\"extended L2 entries\" (incompatible bit 9)", -ENOTSUP);
}

static void test_cut_off_anywhere(void **state)
{
	struct volume *v;
	uint8_t b[512];

	(void)state;
	make_used();
	for (uint64_t len = file.store.size; len--;) {
		if (len > 200 && len % 251)
			continue;
		file.store.size = len;
		if (open_image(true, &v) < 0)
			continue;
		(void)!volume_read(v, b, sizeof(b), 0);
		(void)!volume_read(v, b, sizeof(b), DISK - 512);
		volume_close(v);
	}
}

static void refuse_to_write(const char *words)
{
	struct volume *v;
	int r = open_image(false, &v);

	if (r != -EINVAL || !strstr(why.text, words))
		fail_msg("%d \"%s\", not \"%s\"", r, why.text, words);
}

static void test_tables_on_each_other(void **state)
{
	(void)state;
	make_used();
	put64(at_cluster(L1) + 8, at_cluster(L2) | ENTRY_COPIED); /* twice the same L2 table */
	refuse_to_write("L2 table 1 lies on other metadata");
	make_used();
	put64(at_cluster(L1), at_cluster(L1) | ENTRY_COPIED);
	refuse_to_write("L2 table 0 lies on other metadata");
	put64(at_cluster(L1), at_cluster(BLOCK) | ENTRY_COPIED);
	refuse_to_write("L2 table 0 lies on other metadata");
	put64(at_cluster(L1), (at_cluster(L2) + 512) | ENTRY_COPIED);
	refuse_to_write("L2 table 0 does not begin at a cluster");
	make_used();
	put64(at_cluster(REFTABLE) + 8, at_cluster(BLOCK));
	refuse_to_write("refcount block 1 lies on other metadata");
	make_used();
	put64(H_L1_OFFSET, at_cluster(REFTABLE));
	refuse_to_write("L1 table lies on the refcount table");
}

static void expect_corrupt_bit(void)
{
	struct volume *v;

	assert_true(get_be64(file.bytes + H_INCOMPATIBLE) & INCOMPATIBLE_CORRUPT);
	assert_int_equal(open_image(false, &v), -EUCLEAN);
	assert_non_null(strstr(why.text, "marked corrupt"));
	assert_int_equal(open_image(true, &v), 0); /* to save what can be */
	volume_close(v);
}

static void test_data_on_metadata(void **state)
{
	static const uint64_t targets[] = { REFTABLE, BLOCK, L1, L2 };
	const uint8_t b[512] = { 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		static uint8_t before[CLUSTER];
		struct extent x;
		struct volume *v;

		make_used();
		put64(at_cluster(L2), at_cluster(targets[i]) | ENTRY_COPIED);
		memcpy(before, file.bytes + at_cluster(targets[i]), CLUSTER);
		assert_int_equal(open_image(false, &v), 0);
		assert_int_equal(volume_map(v, 0, 512, &x), 0);
		assert_false(x.writable);
		assert_int_equal(volume_write(v, b, sizeof(b), 0), -EIO);
		assert_int_equal(volume_write(v, b, sizeof(b), CLUSTER), -EIO); /* no more */
		volume_close(v);
		assert_memory_equal(before, file.bytes + at_cluster(targets[i]), CLUSTER);
		expect_corrupt_bit();
	}
}

static void test_used_clusters_without_refcounts(void **state)
{
	const uint8_t b[512] = { 1 };
	struct volume *v;

	(void)state;
	make_used();
	put_be16(file.bytes + at_cluster(BLOCK) + 2 * L2, 0); /* the allocator's first choice */
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_write(v, b, sizeof(b), 4 * CLUSTER), -EIO);
	volume_close(v);
	expect_corrupt_bit();

	make_used();
	put_be16(file.bytes + at_cluster(BLOCK) + 2 * DATA, 0);
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_discard(v, 0, CLUSTER), 0);
	assert_int_equal(volume_flush(v), -EIO); /* it would become -1 */
	volume_close(v);
	expect_corrupt_bit();
}

/* Refcounts of 64 bits have room for what becomes of 0. */
static void test_a_free_cluster_is_given_up(void **state)
{
	const uint8_t b[512] = { 1 };
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){
		.size = DISK, .cluster_size = CLUSTER, .refcount_bits = 64 });
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_write(v, b, sizeof(b), 0), 0);
	volume_close(v);
	assert_int_equal(get_be64(file.bytes + at_cluster(BLOCK) + 8 * DATA), 1);
	put64(at_cluster(BLOCK) + 8 * DATA, 0);
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_discard(v, 0, CLUSTER), 0);
	assert_int_equal(volume_flush(v), -EIO);
	volume_close(v);
	expect_corrupt_bit();
	assert_int_equal(get_be64(file.bytes + at_cluster(BLOCK) + 8 * DATA), 0);
}

/* A tool opens that. What is read as an L2 table is not written as refcounts. */
static void test_a_table_of_two_kinds(void **state)
{
	const struct qcow2_options tool = { .tool = true };
	static uint8_t before[CLUSTER];
	uint8_t b[512] = { 0 };
	struct volume *v;

	(void)state;
	make_used();
	put64(at_cluster(L1), at_cluster(BLOCK) | ENTRY_COPIED);
	memcpy(before, file.bytes + at_cluster(BLOCK), CLUSTER);
	assert_int_equal(qcow2_open(&file.store, &tool, &v, &why), 0);
	(void)!volume_read(v, b, sizeof(b), DISK / 8);
	assert_int_equal(volume_write(v, b, sizeof(b), DISK / 8), -EIO);
	volume_close(v);
	assert_memory_equal(before, file.bytes + at_cluster(BLOCK), CLUSTER);
	assert_true(get_be64(file.bytes + H_INCOMPATIBLE) & INCOMPATIBLE_CORRUPT);
}

static void read_with_entry(uint64_t entry, int expected)
{
	struct volume *v;
	uint8_t b[512];

	put64(at_cluster(L2), entry);
	assert_int_equal(open_image(true, &v), 0);
	assert_int_equal(volume_read(v, b, sizeof(b), 0), expected);
	assert_int_equal(volume_read(v, b, sizeof(b), CLUSTER), 0);
	assert_int_equal(b[0], 0x5a);
	volume_close(v);
}

static void test_entries(void **state)
{
	(void)state;
	make_used();
	read_with_entry((at_cluster(DATA) + 512) | ENTRY_COPIED, -EIO);
	read_with_entry(OFFSET_MASK & ~(uint64_t)(CLUSTER - 1), 0); /* zeroes: behind the end */
	read_with_entry(ENTRY_COMPRESSED | OFFSET_MASK, -EIO);
	read_with_entry(ENTRY_COMPRESSED | 0x3fffffffffffffffU, -EIO);
	read_with_entry(ENTRY_COMPRESSED | at_cluster(DATA), -EIO); /* not a stream */
	read_with_entry(ENTRY_COMPRESSED, -EIO);
	put32(4, 2);
	read_with_entry(ENTRY_ZERO, -EIO); /* version 2 has none */
}

/* A frame of zstd (RFC 8878) that is one byte n times: n of 256 and more has two bytes of length, less 256. */
static size_t put_frame(uint8_t *at, uint32_t n)
{
	const bool is_long = n >= 256;
	const uint32_t len = is_long ? n - 256 : n, block = n << 3 | 1 << 1 | 1; /* RLE, the last */
	const uint8_t bytes[] = { 0x28,	      0xb5,    0x2f, 0xfd, is_long ? 0x60 : 0x20,
				  len & 0xff, len >> 8 };
	const uint8_t rest[] = { block & 0xff, block >> 8 & 0xff, block >> 16, 0x5a };
	size_t head = is_long ? sizeof(bytes) : sizeof(bytes) - 1;

	memcpy(at, bytes, head);
	memcpy(at + head, rest, sizeof(rest));
	return head + sizeof(rest);
}

static void read_frames(const uint32_t *n, size_t n_frames, int expected)
{
	uint8_t *at = file.bytes + at_cluster(DATA), b[CLUSTER];
	struct volume *v;

	memset(at, 0, CLUSTER);
	for (size_t i = 0; i < n_frames; i++)
		at += put_frame(at, n[i]);
	assert_int_equal(open_image(true, &v), 0);
	assert_int_equal(volume_read(v, b, sizeof(b), 0), expected);
	if (expected == 0)
		assert_int_equal(b[CLUSTER - 1], 0x5a);
	volume_close(v);
}

/* All that they hold together is one cluster. */
static void test_frames_of_zstd(void **state)
{
	const uint8_t b[512] = { 1 };
	struct volume *v;

	(void)state;
	make(&(struct qcow2_create_options){
		.size = DISK, .cluster_size = CLUSTER, .compression = QCOW2_ZSTD });
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_write(v, b, sizeof(b), 0), 0);
	volume_close(v);
	put64(at_cluster(L2), ENTRY_COMPRESSED | UINT64_C(3) << 58 | at_cluster(DATA));
	read_frames((uint32_t[]){ CLUSTER }, 1, 0);
	read_frames((uint32_t[]){ 1, 1000, CLUSTER - 1001 }, 3, 0);
	read_frames((uint32_t[]){ CLUSTER + 1 }, 1, -EIO);
	read_frames((uint32_t[]){ 1, CLUSTER }, 2, -EIO);
	read_frames((uint32_t[]){ CLUSTER - 1, 2 }, 2, -EIO);
	read_frames((uint32_t[]){ 1, 2 }, 2, -EIO);
}

static void test_extended_entries(void **state)
{
	static const uint64_t bad[][2] = {
		{ 0, 1 },	    /* allocated nowhere */
		{ 0, BIT(32) | 1 }, /* both */
		{ ENTRY_ZERO, 0 },  /* not with these */
		{ ENTRY_COMPRESSED | (5U << 14), 1 },
	};
	struct volume *v;
	uint8_t b[512];

	(void)state;
	make(&(struct qcow2_create_options){
		.size = DISK, .cluster_size = 16384, .extended_l2 = true });
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(volume_write(v, b, sizeof(b), 0), 0);
	volume_close(v);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put64(4 * 16384, bad[i][0]);
		put64(4 * 16384 + 8, bad[i][1]);
		assert_int_equal(open_image(true, &v), 0);
		assert_int_equal(volume_read(v, b, sizeof(b), 0), -EIO);
		volume_close(v);
	}
}

static void test_snapshot_tables(void **state)
{
	struct qcow2_check_result c;
	struct qcow2_snapshot *list;
	struct volume *v;
	size_t n;
	uint8_t *row;

	(void)state;
	make_used();
	put32(H_N_SNAPSHOTS, 3);
	put64(H_SNAPSHOTS_OFFSET, at_cluster(1000)); /* behind the end */
	refuse_to_write("ends behind the file");
	assert_int_equal(open_image(true, &v), 0);
	assert_int_equal(qcow2_snapshot_list(v, &list, &n, &why), -EINVAL);
	assert_int_equal(qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why), 0);
	assert_int_equal(c.corruptions, 1);
	volume_close(v);
	put64(H_SNAPSHOTS_OFFSET, at_cluster(DATA));
	row = file.bytes + at_cluster(DATA);
	memset(row, 0, 40);
	put_be64(row, 512);
	refuse_to_write("snapshot 1: its L1 table lies");
	put_be64(row, at_cluster(L1));
	put_be32(row + 8, 0xffffffff);
	refuse_to_write("snapshot 1: its L1 table lies");
	put_be32(row + 8, 4);
	put_be32(row + 36, 0xfffffff0);
	refuse_to_write("snapshot 1: over 1024 bytes");
}

static void test_what_the_caller_must_give(void **state)
{
	struct volume_raw raw;
	struct memory base;
	struct volume *v;
	struct qcow2_options options = { .backing = &raw.volume };

	(void)state;
	memory_open(&base, 4096);
	base.store.size = 4096;
	assert_int_equal(volume_raw_open(&raw, &base.store), 0);
	make_used();
	assert_int_equal(qcow2_open(&file.store, &options, &v, &why), -EINVAL);
	assert_non_null(strstr(why.text, "backing file was given"));
	make(&(struct qcow2_create_options){ .size = DISK, .backing_file = "/etc/shadow" });
	refuse_to_write("\"/etc/shadow\", and none was given");
	make(&(struct qcow2_create_options){ .size = DISK, .data_file = "json:{}" });
	refuse_to_write("a data file, and none was given");
	make_used();
	file.store.readonly = true;
	assert_int_equal(open_image(false, &v), -EROFS);
	memory_free(&base);
}

static void test_not_closed(void **state)
{
	struct qcow2_check_result c;
	struct volume *v;

	(void)state;
	make_used();
	put64(H_INCOMPATIBLE, INCOMPATIBLE_DIRTY);
	put_be16(file.bytes + at_cluster(BLOCK) + 2 * DATA, 0);
	put_be16(file.bytes + at_cluster(BLOCK) + 2 * 50, 7);
	assert_int_equal(open_image(true, &v), 0); /* reading needs no refcounts */
	volume_close(v);
	assert_int_equal(get_be64(file.bytes + H_INCOMPATIBLE), INCOMPATIBLE_DIRTY);
	assert_int_equal(open_image(false, &v), 0);
	assert_int_equal(qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why), 0);
	assert_int_equal(c.corruptions + c.leaks, 0);
	volume_close(v);
	assert_int_equal(get_be64(file.bytes + H_INCOMPATIBLE), 0);
}

static void test_what_vouches_is_cleared(void **state)
{
	struct volume *v;

	(void)state;
	make_used();
	put64(H_AUTOCLEAR, BIT(0) | BIT(40));
	assert_int_equal(open_image(true, &v), 0);
	volume_close(v);
	assert_int_equal(get_be64(file.bytes + H_AUTOCLEAR), BIT(0) | BIT(40));
	assert_int_equal(open_image(false, &v), 0);
	volume_close(v);
	assert_int_equal(get_be64(file.bytes + H_AUTOCLEAR), 0);
}

/* Whatever fails, from whatever write on or only that: the image has no corruption. */
static void fail_anywhere(bool once)
{
	static uint8_t bytes[3 * CLUSTER];
	const struct qcow2_options tool = { .readonly = true, .tool = true };
	struct qcow2_check_result c;
	uint64_t n = 0;
	bool failed = true;

	for (; failed; n++) {
		struct volume *v;
		int r;

		make_used();
		assert_int_equal(open_image(false, &v), 0);
		file.fail = -ENOSPC;
		file.fail_after = n;
		file.fail_once = once;
		r = volume_settle(v);
		r |= volume_write(v, bytes, sizeof(bytes), 3U << 20);
		r |= volume_settle(v);
		r |= volume_discard(v, 0, CLUSTER);
		r |= volume_flush(v);
		r |= qcow2_snapshot_create(v, "s", 0, 0, &why);
		r |= volume_write(v, bytes, sizeof(bytes), (3U << 20) + 512);
		r |= volume_flush(v);
		r |= qcow2_snapshot_delete(v, "s", &why);
		r |= qcow2_resize(v, 20U << 20, false, NULL, &why);
		failed = once ? !file.fail : r < 0;
		volume_close(v);
		file.fail = 0;
		assert_int_equal(qcow2_open(&file.store, &tool, &v, &why), 0);
		assert_int_equal(qcow2_check(v, QCOW2_REPAIR_NOTHING, NULL, NULL, &c, &why), 0);
		assert_int_equal(c.corruptions, 0);
		volume_close(v);
	}
	assert_true(n > 20);
}

static void test_a_store_that_fails(void **state)
{
	(void)state;
	fail_anywhere(false);
	fail_anywhere(true);
}

static int end_group(void **state)
{
	(void)state;
	memory_free(&file);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_names_in_the_header),
		cmocka_unit_test(test_feature_by_name),
		cmocka_unit_test(test_cut_off_anywhere),
		cmocka_unit_test(test_tables_on_each_other),
		cmocka_unit_test(test_data_on_metadata),
		cmocka_unit_test(test_used_clusters_without_refcounts),
		cmocka_unit_test(test_a_free_cluster_is_given_up),
		cmocka_unit_test(test_a_table_of_two_kinds),
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_frames_of_zstd),
		cmocka_unit_test(test_extended_entries),
		cmocka_unit_test(test_snapshot_tables),
		cmocka_unit_test(test_what_the_caller_must_give),
		cmocka_unit_test(test_not_closed),
		cmocka_unit_test(test_what_vouches_is_cleared),
		cmocka_unit_test(test_a_store_that_fails),
	};

	return cmocka_run_group_tests(tests, NULL, end_group);
}
