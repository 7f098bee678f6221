/* SPDX-License-Identifier: Apache-2.0 */
/* Rates of a disk: what passes in any time is the rate's share and one burst, whatever is asked for. */
#include "tests/unit/unit.h"

#include "lib/storagekit/throttle.h"

static struct throttle made(enum throttle_what what, uint64_t rate, uint64_t burst)
{
	struct throttle_rates r = { .burst_s = burst };
	struct throttle t;

	r.rate[what] = rate;
	throttle_init(&t, &r);
	return t;
}

static unsigned int take_all(struct throttle *t, bool writes, uint64_t bytes)
{
	unsigned int n = 0;

	while (n < 1000000 && throttle_take(t, writes, bytes))
		n++;
	return n;
}

static void without_a_bound_everything_passes(void **state)
{
	struct throttle t = made(THROTTLE_OPS, 0, 1);

	(void)state;
	assert_false(throttle_bounds(&t));
	assert_int_equal(take_all(&t, true, 1 << 20), 1000000);
}

static void operations_by_the_second(void **state)
{
	struct throttle t = made(THROTTLE_OPS, 100, 1);
	unsigned int n = 0;

	(void)state;
	assert_true(throttle_bounds(&t));
	assert_int_equal(take_all(&t, false, 4096), 100); /* the burst */
	for (unsigned int ms = 0; ms < 10000; ms += 5) {
		throttle_pass_ms(&t, 5);
		n += take_all(&t, ms % 10, 1 << 20);
	}
	assert_int_equal(n, 1000);
	throttle_pass_ms(&t, UINT64_MAX);
	assert_int_equal(take_all(&t, false, 0), 100); /* no more than the burst was saved up */
}

static void bytes_by_the_second_whatever_their_pieces(void **state)
{
	static const uint64_t sizes[] = { 512, 4096, 65536, 1 << 20 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct throttle t = made(THROTTLE_BYTES, 1 << 20, 2);
		uint64_t n = take_all(&t, true, sizes[i]) * sizes[i];

		assert_int_equal(n, 2 << 20);
		for (unsigned int ms = 0; ms < 20000; ms++) {
			throttle_pass_ms(&t, 1);
			n += take_all(&t, true, sizes[i]) * sizes[i];
		}
		assert_true(n <= (22U << 20) && n >= (21U << 20));
	}
}

static void what_is_larger_than_the_burst_passes_and_is_paid_back(void **state)
{
	struct throttle t = made(THROTTLE_BYTES_WRITE, 1000, 1);
	unsigned int ms = 0;

	(void)state;
	assert_true(throttle_take(&t, true, 1 << 20));
	assert_false(throttle_take(&t, true, 1));
	while (!throttle_take(&t, true, 1000) && ms < 10000000) {
		throttle_pass_ms(&t, 5);
		ms += 5;
	}
	/* until the bucket is full again: 1048576 bytes by 1000 a second */
	assert_int_equal(ms, 1048580);
}

static void reads_and_writes_have_their_own(void **state)
{
	struct throttle t = made(THROTTLE_OPS_READ, 3, 1), u = made(THROTTLE_OPS_WRITE, 3, 1);

	(void)state;
	assert_int_equal(take_all(&t, false, 0), 3);
	assert_int_equal(take_all(&t, true, 0), 1000000);
	assert_int_equal(take_all(&u, true, 0), 3);
	assert_int_equal(take_all(&u, false, 0), 1000000);
}

static void one_that_is_refused_costs_nothing(void **state)
{
	struct throttle_rates r = { .burst_s = 1 };
	struct throttle t;

	(void)state;
	r.rate[THROTTLE_OPS] = 10;
	r.rate[THROTTLE_BYTES] = 4096;
	throttle_init(&t, &r);
	assert_true(throttle_take(&t, false, 4096));
	for (int i = 0; i < 100; i++)
		assert_false(throttle_take(&t, false, 1));
	assert_int_equal(take_all(&t, false, 0), 9);
}

static void one_may_count_as_several(void **state)
{
	struct throttle t = made(THROTTLE_OPS_WRITE, 10, 1);

	(void)state;
	assert_true(throttle_take_all(&t, true, 8, 1));
	assert_false(throttle_take_all(&t, true, 3, 1));
	assert_true(throttle_take_all(&t, false, 3, 1));
	assert_true(throttle_take_all(&t, true, 2, 1));
	throttle_pass_ms(&t, 1000);
	/* alone, and paid back */
	assert_true(throttle_take_all(&t, true, 44, 1));
	throttle_pass_ms(&t, 3400);
	assert_false(throttle_take(&t, true, 1));
	throttle_pass_ms(&t, 100);
	assert_true(throttle_take(&t, true, 1));
}

static void the_largest_rates_do_not_overflow(void **state)
{
	struct throttle t = made(THROTTLE_BYTES, THROTTLE_RATE_MAX, THROTTLE_BURST_MAX);

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(throttle_take(&t, true, UINT32_MAX));
	throttle_pass_ms(&t, UINT64_MAX);
	throttle_pass_ms(&t, 1);
	assert_true(throttle_take(&t, true, UINT64_MAX));
	t = made(THROTTLE_OPS, 1, 1);
	assert_int_equal(take_all(&t, true, 0), 1);
	throttle_pass_ms(&t, 999);
	assert_int_equal(take_all(&t, true, 0), 0);
	throttle_pass_ms(&t, 1);
	assert_int_equal(take_all(&t, true, 0), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_bound_everything_passes),
		cmocka_unit_test(operations_by_the_second),
		cmocka_unit_test(bytes_by_the_second_whatever_their_pieces),
		cmocka_unit_test(what_is_larger_than_the_burst_passes_and_is_paid_back),
		cmocka_unit_test(reads_and_writes_have_their_own),
		cmocka_unit_test(one_that_is_refused_costs_nothing),
		cmocka_unit_test(one_may_count_as_several),
		cmocka_unit_test(the_largest_rates_do_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
