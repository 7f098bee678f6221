/* SPDX-License-Identifier: Apache-2.0 */
/* The byte buffer and checked arithmetic at every edge. */
#include "tests/unit/unit.h"

#include "lib/base/bytes.h"
#include "lib/base/checked.h"

#include <errno.h>
#include <string.h>

static const uint8_t wire[15] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
				  0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f };

static void get_all(struct bytes_reader *r, uint64_t v[4])
{
	v[0] = bytes_get8(r);
	v[1] = bytes_get16(r);
	v[2] = bytes_get32(r);
	v[3] = bytes_get64(r);
}

static void reads_little_endian(void **state)
{
	struct bytes_reader r = bytes_reader(wire, sizeof(wire));
	uint64_t v[4];

	(void)state;
	get_all(&r, v);
	assert_int_equal(v[0], 0x01);
	assert_int_equal(v[1], 0x0302);
	assert_int_equal(v[2], 0x07060504);
	assert_int_equal(v[3], 0x0f0e0d0c0b0a0908);
	assert_int_equal(bytes_left(&r), 0);
	assert_int_equal(bytes_finish(&r), 0);
}

static void truncation_at_every_byte_is_found(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(wire); len++) {
		struct bytes_reader r = bytes_reader(wire, len);
		uint64_t v[4];

		get_all(&r, v);
		assert_true(r.failed);
		assert_int_equal(v[3], 0); /* what was cut reads as zero */
		assert_int_equal(bytes_finish(&r), -EBADMSG);
	}
}

static void failure_sticks(void **state)
{
	struct bytes_reader r = bytes_reader(wire, 3);

	(void)state;
	assert_int_equal(bytes_get32(&r), 0);
	assert_int_equal(bytes_get8(&r), 0); /* a byte is left, but not for us */
	bytes_skip(&r, 0);
	assert_true(r.failed);
	assert_int_equal(bytes_finish(&r), -EBADMSG);
}

static void leftover_is_an_error(void **state)
{
	struct bytes_reader r = bytes_reader(wire, 5);

	(void)state;
	(void)bytes_get32(&r);
	assert_int_equal(bytes_finish(&r), -EBADMSG);
	bytes_skip(&r, 1);
	assert_int_equal(bytes_finish(&r), 0);
}

static void skip_and_get_stop_at_the_end(void **state)
{
	struct bytes_reader r = bytes_reader(wire, 8);
	uint8_t out[9];

	(void)state;
	memset(out, 0xaa, sizeof(out));
	bytes_get(&r, out, sizeof(out));
	for (size_t i = 0; i < sizeof(out); i++)
		assert_int_equal(out[i], 0);
	assert_true(r.failed);
	r = bytes_reader(wire, 8);
	bytes_skip(&r, SIZE_MAX);
	assert_true(r.failed);
	r = bytes_reader(wire, 8);
	bytes_skip(&r, 8);
	assert_int_equal(bytes_finish(&r), 0);
}

static void nothing_at_all_is_legal(void **state)
{
	struct bytes_reader r = bytes_reader(NULL, 0);
	struct bytes_writer w = bytes_writer(NULL, 0);

	(void)state;
	bytes_get(&r, NULL, 0);
	assert_int_equal(bytes_finish(&r), 0);
	bytes_put(&w, NULL, 0);
	assert_int_equal(bytes_written(&w), 0);
	bytes_put8(&w, 1);
	assert_int_equal(bytes_written(&w), -EMSGSIZE);
}

static void put_all(struct bytes_writer *w)
{
	bytes_put8(w, 0x01);
	bytes_put16(w, 0x0302);
	bytes_put32(w, 0x07060504);
	bytes_put64(w, 0x0f0e0d0c0b0a0908);
}

static void writes_what_is_read(void **state)
{
	uint8_t out[16] = { 0 };
	struct bytes_writer w = bytes_writer(out, sizeof(out));

	(void)state;
	put_all(&w);
	assert_int_equal(bytes_written(&w), 15);
	assert_memory_equal(out, wire, 15);
}

static void writer_never_passes_its_capacity(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < sizeof(wire); cap++) {
		uint8_t out[32];
		struct bytes_writer w = bytes_writer(out, cap);
		size_t at;

		memset(out, 0xaa, sizeof(out));
		put_all(&w);
		at = w.at;
		bytes_put8(&w, 0x55); /* may fit again, must not land */
		assert_int_equal(w.at, at);
		assert_int_equal(bytes_written(&w), -EMSGSIZE);
		for (size_t i = cap; i < sizeof(out); i++)
			assert_int_equal(out[i], 0xaa);
		assert_true(w.at <= cap);
	}
}

static void checked_sums_and_products(void **state)
{
	uint64_t v = 7;
	uint32_t v32 = 7;
	size_t vs = 7;

	(void)state;
	assert_false(u64_add(UINT64_MAX, 1, &v));
	assert_false(u64_mul(1ULL << 32, 1ULL << 32, &v));
	assert_false(u32_add(UINT32_MAX, 1, &v32));
	assert_false(size_add(SIZE_MAX, 1, &vs));
	assert_int_equal(v, 7);
	assert_int_equal(v32, 7);
	assert_int_equal(vs, 7);
	assert_true(u64_add(UINT64_MAX - 1, 1, &v));
	assert_true(v == UINT64_MAX);
	assert_true(u64_mul(1ULL << 32, (1ULL << 32) - 1, &v));
	assert_true(v == 0xffffffff00000000ULL);
	assert_true(u32_add(UINT32_MAX - 1, 1, &v32));
	assert_true(size_add(SIZE_MAX - 1, 1, &vs));
}

static void ranges_at_their_edges(void **state)
{
	(void)state;
	assert_true(range_within(0, 0, 0));
	assert_true(range_within(8, 0, 8));
	assert_true(range_within(0, 8, 8));
	assert_true(range_within(7, 1, 8));
	assert_false(range_within(8, 1, 8));
	assert_false(range_within(9, 0, 8));
	assert_false(range_within(1, UINT64_MAX, 8));
	assert_false(range_within(UINT64_MAX, 2, 8));
	assert_true(range_within(UINT64_MAX, 0, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_little_endian),
		cmocka_unit_test(truncation_at_every_byte_is_found),
		cmocka_unit_test(failure_sticks),
		cmocka_unit_test(leftover_is_an_error),
		cmocka_unit_test(skip_and_get_stop_at_the_end),
		cmocka_unit_test(nothing_at_all_is_legal),
		cmocka_unit_test(writes_what_is_read),
		cmocka_unit_test(writer_never_passes_its_capacity),
		cmocka_unit_test(checked_sums_and_products),
		cmocka_unit_test(ranges_at_their_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
