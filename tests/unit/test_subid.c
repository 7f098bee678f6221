/* SPDX-License-Identifier: Apache-2.0 */
/* Subordinate ids: whose lines count, which ranges may be taken, and that no two blocks overlap. */
#include "tests/unit/unit.h"

#include "lib/sandbox/subid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define USED 15U

static struct subid_ranges r;
static char name[8];

/* A copy without a NUL behind it, at the end of its allocation: a read past it is seen. */
static char *exact(const char *text)
{
	char *copy = malloc(strlen(text) + 1);

	assert_non_null(copy);
	memcpy(copy, text, strlen(text));
	return realloc(copy, strlen(text) ? strlen(text) : 1);
}

static void parse(const char *text)
{
	char *copy = exact(text);

	subid_parse(copy, strlen(text), "alice", 1000, 1000, &r);
	free(copy);
}

static int name_of(const char *text, uid_t uid)
{
	char *copy = exact(text);
	int e = subid_user_name(copy, strlen(text), uid, name, sizeof(name));

	free(copy);
	return e;
}

static void expect_one(const char *text, uint32_t first, uint32_t count)
{
	parse(text);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.range[0].first, first);
	assert_int_equal(r.range[0].count, count);
}

static void expect_none(const char *text)
{
	parse(text);
	assert_int_equal(r.n, 0);
}

static void test_whose(void **state)
{
	(void)state;
	expect_one("alice:100000:65536\n", 100000, 65536);
	expect_one("alice:100000:65536", 100000, 65536);
	expect_one("1000:100000:65536\n", 100000, 65536);
	expect_one("bob:100000:65536\nalice:165536:65536\n10:1000:1\n", 165536, 65536);
	expect_none("");
	expect_none("\n\n\n");
	expect_none("bob:100000:65536\n");
	expect_none("alic:100000:65536\nalice2:100000:65536\nALICE:100000:65536\n");
	expect_none("01000:100000:65536\n10000:100000:65536\n100:100000:65536\n");
	expect_none(" alice:100000:65536\nalice :100000:65536\n#alice:100000:65536\n");
}

static void test_without_a_name(void **state)
{
	static const char text[] = ":100000:65536\nalice:1:2\n1000:200000:20\n";

	(void)state;
	subid_parse(text, strlen(text), NULL, 1000, 1000, &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.range[0].first, 200000);
}

static void test_malformed_lines(void **state)
{
	static const char *const lines[] = {
		"alice",
		"alice:",
		"alice:100000",
		"alice:100000:",
		"alice::65536",
		"alice:100000:65536:",
		"alice:100000:65536:x",
		"alice:-100000:65536",
		"alice:+100000:65536",
		"alice: 100000:65536",
		"alice:100000 :65536",
		"alice:100000:65536 ",
		"alice:100000:65536\r",
		"alice:0x186a0:65536",
		"alice:1e5:65536",
		"alice:100000:65536x",
		"alice:4294967296:16",
		"alice:18446744073709651616:65536",
		"alice:100000:99999999999999999999",
		"alice:100000:0",
		"::",
		":::::::",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char text[128];

		expect_none(lines[i]);
		snprintf(text, sizeof(text), "%s\nalice:200000:20\n", lines[i]);
		expect_one(text, 200000, 20);
		snprintf(text, sizeof(text), "alice:200000:20\n%s", lines[i]);
		expect_one(text, 200000, 20);
	}
}

static void test_nul_bytes(void **state)
{
	static const char text[] = "alice\0:100000:65536\nali\0ce:1:1\n\0\nalice:100\0000:65536\n"
				   "alice:200000:20";

	(void)state;
	subid_parse(text, sizeof(text) - 1, "alice", 1000, 1000, &r);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.range[0].first, 200000);
}

static void test_ranges_that_are_not_to_be_taken(void **state)
{
	(void)state;
	expect_none("alice:0:4294967295\nalice:0:65536\nalice:999:100000\n");
	expect_none("alice:1000:1\nalice:1000:100\n"); /* its own */
	expect_one("alice:1001:64535\n", 1001, 64535);
	expect_none("alice:4294967295:1\nalice:4294967295:4294967295\nalice:4294967280:16\n");
	expect_one("alice:4294967280:15\n", 4294967280U, 15);
	expect_one("alice:1001:4294966294\n", 1001, 4294966294U);
	expect_none("alice:1001:4294966295\n");
	subid_parse("alice:100000:100\n", 17, "alice", 1000, 100099, &r);
	assert_int_equal(r.n, 0);
	subid_parse("alice:100000:100\n", 17, "alice", 1000, 100100, &r);
	assert_int_equal(r.n, 1);
}

static void test_a_range_that_overlaps_an_earlier_one(void **state)
{
	(void)state;
	expect_one("alice:100000:65536\n1000:100000:65536\n", 100000, 65536);
	expect_one("alice:100000:100\nalice:100099:1\nalice:99999:2\nalice:5000:4000000000\n",
		   100000, 100);
	parse("alice:100000:100\nalice:100100:1\nalice:99999:1\n");
	assert_int_equal(r.n, 3);
}

static void test_several_ranges_and_no_more(void **state)
{
	char text[4096] = "";
	size_t at = 0;

	(void)state;
	for (unsigned int i = 0; i < 3 * SUBID_MAX_RANGES; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s:%u:16\n",
				       i % 2 ? "alice" : "1000", 100000 + i * 16);
	parse(text);
	assert_int_equal(r.n, SUBID_MAX_RANGES);
	for (unsigned int i = 0; i < SUBID_MAX_RANGES; i++)
		assert_int_equal(r.range[i].first, 100000 + i * 16);
}

static void test_a_long_line(void **state)
{
	size_t len = 1 << 20;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, '9', len);
	memcpy(text, "alice:", 6);
	subid_parse(text, len, "alice", 1000, 1000, &r);
	assert_int_equal(r.n, 0);
	memset(text, ':', len);
	subid_parse(text, len, "alice", 1000, 1000, &r);
	assert_int_equal(r.n, 0);
	free(text);
}

static void test_user_names(void **state)
{
	static const char text[] = "root:x:0:0:root:/root:/bin/sh\n:x:7::::\nshort\n+::::::\n"
				   "bad:x:1000x:0\nbad:x::0\nalice:x:1000:1000::/:/bin/sh\n"
				   "second:x:1000:1000\ntoolongname:x:1001:0\nn:x:1002";

	(void)state;
	assert_int_equal(name_of(text, 1000), 0);
	assert_string_equal(name, "alice");
	assert_int_equal(name_of(text, 1002), 0);
	assert_string_equal(name, "n");
	assert_int_equal(name_of(text, 0), 0);
	assert_string_equal(name, "root");
	assert_int_equal(name_of(text, 7), -ENOENT);
	assert_int_equal(name_of(text, 1001), -ENOENT);
	assert_int_equal(name_of(text, 100), -ENOENT);
	assert_int_equal(name_of("", 0), -ENOENT);
	assert_int_equal(subid_user_name("a\0b:x:5:5\n", 10, 5, name, sizeof(name)), -ENOENT);
}

/* ---- blocks ---- */

static void expect_blocks(const char *text, uint32_t n)
{
	parse(text);
	assert_int_equal(subid_count_blocks(&r, USED), n);
}

static void test_blocks_of_a_range(void **state)
{
	(void)state;
	expect_blocks("", 0);
	expect_blocks("alice:100000:65536\n", 4096);
	expect_blocks("alice:100000:15\n", 1);
	expect_blocks("alice:100000:14\n", 0);
	expect_blocks("alice:100000:16\n", 1);
	expect_blocks("alice:100000:30\n", 1);
	expect_blocks("alice:100000:31\n", 2);
	expect_blocks("alice:100001:29\n", 0);			 /* from 100016 on there are 14 */
	for (uint32_t first = 100000; first < 100016; first++) { /* any 30 have a block */
		r = (struct subid_ranges){ .range = { { first, 30 } }, .n = 1 };
		assert_int_equal(subid_count_blocks(&r, USED), 1);
	}
	expect_blocks("alice:4294967280:15\n", 1);
	assert_int_equal(subid_block(&r, USED, 0), 4294967280U);
	expect_blocks("alice:4294967270:25\n", 1);
	expect_blocks("alice:4294967281:14\n", 0);
	expect_blocks("alice:1001:4294966294\n",
		      (uint32_t)((UINT64_C(4294967295) - 1008 - 15) / 16 + 1));
}

static bool is_inside(uint32_t first)
{
	for (size_t i = 0; i < r.n; i++)
		if (first >= r.range[i].first &&
		    first - r.range[i].first + USED <= r.range[i].count)
			return true;
	return false;
}

static void test_each_block_is_of_the_ranges_and_apart(void **state)
{
	uint32_t n;

	(void)state;
	parse("alice:100005:100\nalice:7000:3\n1000:200000:47\nalice:100105:32\nalice:100137:15\n");
	n = subid_count_blocks(&r, USED);
	assert_int_equal(n, 5 + 0 + 3 + 1 + 0);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t first = subid_block(&r, USED, i);

		assert_true(is_inside(first));
		assert_int_equal(first % SUBID_BLOCK, 0);
		for (uint32_t k = 0; k < i; k++)
			assert_int_not_equal(first, subid_block(&r, USED, k));
	}
	assert_int_equal(subid_block(&r, USED, 0), 100016);
	assert_int_equal(subid_block(&r, USED, 4), 100080);
	assert_int_equal(subid_block(&r, USED, 5), 200000);
	assert_int_equal(subid_block(&r, USED, 8), 100112);
}

static void test_the_most_blocks_can_be_counted(void **state)
{
	const uint32_t each = 0xfffffff - 63; /* from 1008 to 0xffffffe0 */

	(void)state;
	for (r.n = 0; r.n < SUBID_MAX_RANGES; r.n++)
		r.range[r.n] = (struct subid_range){ 1001, UINT32_MAX - 1001 };
	assert_int_equal(subid_count_blocks(&r, SUBID_BLOCK), each * SUBID_MAX_RANGES);
	assert_int_equal(subid_block(&r, SUBID_BLOCK, 0), 1008);
	assert_int_equal(subid_block(&r, SUBID_BLOCK, each * SUBID_MAX_RANGES - 1), 0xffffffe0U);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose),
		cmocka_unit_test(test_without_a_name),
		cmocka_unit_test(test_malformed_lines),
		cmocka_unit_test(test_nul_bytes),
		cmocka_unit_test(test_ranges_that_are_not_to_be_taken),
		cmocka_unit_test(test_a_range_that_overlaps_an_earlier_one),
		cmocka_unit_test(test_several_ranges_and_no_more),
		cmocka_unit_test(test_a_long_line),
		cmocka_unit_test(test_user_names),
		cmocka_unit_test(test_blocks_of_a_range),
		cmocka_unit_test(test_each_block_is_of_the_ranges_and_apart),
		cmocka_unit_test(test_the_most_blocks_can_be_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
