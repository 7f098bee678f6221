/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The storage is cut at every write of recorded runs: there is no corruption, and what was flushed is
 * there. Each run once with the first writes (the next one torn), once with any of those since the last
 * flush missing.
 */
#include "qcow2_cuts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define COMPARE_EVERY 8U

static size_t n_cuts;

static const char *look(struct cuts *c, struct memory *image, size_t at, void *arg)
{
	size_t *n = arg;

	return cuts_check(c, image, at, (*n)++ % COMPARE_EVERY == 0);
}

static void cut(const struct cuts_options *o, bool lost)
{
	struct cuts c;
	const char *bad = cuts_record(&c, o);
	size_t n = 0, looked = 0;

	if (bad)
		fail_msg("recording: %s", bad);
	bad = cuts_for_each(&c, lost, look, &looked, &n);
	if (bad)
		fail_msg("cut %zu of %zu (%s): %s", n, c.file.n_log, lost ? "lost" : "first", bad);
	n_cuts += n;
	cuts_free(&c);
}

static void both(struct cuts_options o)
{
	cut(&o, false);
	cut(&o, true);
}

static void test_small_clusters(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 256 << 10, .cluster_size = 512 },
				    .n_requests = 400,
				    .cache_bytes = 16 << 10,
				    .seed = 1,
				    .tools = true });
}

/* Every few clusters need a new refcount block, and soon the table is too short. */
static void test_refcount_table_grows(void **state)
{
	(void)state;
	both((struct cuts_options){
		.create = { .size = 4 << 20, .cluster_size = 512, .refcount_bits = 64 },
		.n_requests = 300,
		.cache_bytes = 8 << 10,
		.seed = 2 });
}

static void test_default_like(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 3 << 20, .cluster_size = 4096 },
				    .n_requests = 1000,
				    .seed = 3,
				    .no_holes = true,
				    .tools = true });
}

static void test_tiny_cache(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 1 << 20, .cluster_size = 512 },
				    .n_requests = 300,
				    .cache_bytes = 1,
				    .no_holes = true,
				    .seed = 4 });
}

static void test_extended_entries(void **state)
{
	(void)state;
	both((struct cuts_options){
		.create = { .size = 2 << 20, .cluster_size = 16384, .extended_l2 = true },
		.n_requests = 500,
		.seed = 5,
		.tools = true });
}

static void test_version_2(void **state)
{
	(void)state;
	both((struct cuts_options){
		.create = { .size = 1 << 20, .version = 2, .cluster_size = 1024 },
		.n_requests = 400,
		.seed = 6,
		.tools = true });
}

/* Runs after the others. */
static void test_there_were_enough_cuts(void **state)
{
	(void)state;
	printf("%zu cuts\n", n_cuts);
	assert_true(n_cuts >= 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_clusters),
		cmocka_unit_test(test_refcount_table_grows),
		cmocka_unit_test(test_default_like),
		cmocka_unit_test(test_tiny_cache),
		cmocka_unit_test(test_extended_entries),
		cmocka_unit_test(test_version_2),
		cmocka_unit_test(test_there_were_enough_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
