/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets, by a clock of the test's own. */
#include "tests/unit/unit.h"

#include "lib/base/bucket.h"

#define SECOND 1000000000ULL

static unsigned int take_all(struct bucket *b, uint64_t now)
{
	unsigned int n = 0;

	while (n < 1000 && bucket_take(b, now))
		n++;
	return n;
}

static void test_holds_its_size(void **state)
{
	struct bucket b = bucket_full(5, SECOND, 7 * SECOND);

	(void)state;
	assert_int_equal(take_all(&b, 7 * SECOND), 5);
	assert_false(bucket_has(&b, 7 * SECOND));
	assert_false(bucket_take(&b, 8 * SECOND - 1));
	assert_int_equal(take_all(&b, 8 * SECOND), 1);
	assert_int_equal(take_all(&b, 1000 * SECOND), 5);
}

static void test_parts_of_an_interval_add_up(void **state)
{
	struct bucket b = bucket_full(2, SECOND, 0);
	unsigned int n = 0;

	(void)state;
	assert_int_equal(take_all(&b, 0), 2);
	for (uint64_t t = 0; t < 10 * SECOND; t += SECOND / 4)
		n += take_all(&b, t);
	assert_int_equal(n, 9);
}

/* Idle time is not saved up beside the size. */
static void test_full_gathers_nothing(void **state)
{
	struct bucket b = bucket_full(3, SECOND, 0);

	(void)state;
	assert_true(bucket_has(&b, 10 * SECOND + SECOND / 2));
	assert_int_equal(take_all(&b, 10 * SECOND + SECOND / 2), 3);
	assert_int_equal(take_all(&b, 11 * SECOND), 0);
	assert_int_equal(take_all(&b, 11 * SECOND + SECOND / 2), 1);
}

static void test_clock_that_goes_back(void **state)
{
	struct bucket b = bucket_full(1, SECOND, 100 * SECOND);

	(void)state;
	assert_int_equal(take_all(&b, 50 * SECOND), 1);
	assert_int_equal(take_all(&b, 0), 0);
	assert_int_equal(take_all(&b, 101 * SECOND), 1);
}

static void test_extremes(void **state)
{
	struct bucket b = bucket_full(UINT32_MAX, 1, 0), none = bucket_full(0, SECOND, 0);

	(void)state;
	assert_true(bucket_take(&b, UINT64_MAX));
	assert_true(bucket_take(&b, UINT64_MAX));
	assert_false(bucket_take(&none, UINT64_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holds_its_size),
		cmocka_unit_test(test_parts_of_an_interval_add_up),
		cmocka_unit_test(test_full_gathers_nothing),
		cmocka_unit_test(test_clock_that_goes_back),
		cmocka_unit_test(test_extremes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
