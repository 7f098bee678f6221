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

static size_t n_cuts, n_dirty;

static const struct cuts_options *options;

static const char *look(struct cuts *c, struct memory *image, size_t at, void *arg)
{
	size_t *n = arg;

	const char *bad = cuts_check(c, image, at, *n % COMPARE_EVERY == 0);

	/* last, as it changes the image */
	if (!bad && options->settles && *n % (options->redo ? 2 : COMPARE_EVERY) == 1)
		bad = cuts_recover(c, image, at, c->lost || !options->writes);
	(*n)++;
	return bad;
}

static void cut(const struct cuts_options *o, bool lost)
{
	struct cuts c;
	const char *bad = cuts_record(&c, o);
	size_t n = 0, looked = 0;

	options = o;
	if (bad)
		fail_msg("recording: %s", bad);
	bad = cuts_for_each(&c, lost, look, &looked, &n);
	if (bad)
		fail_msg("cut %zu of %zu (%s): %s", n, c.file.n_log, lost ? "lost" : "first", bad);
	n_cuts += n;
	n_dirty += c.n_dirty;
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

/* As a device does it: tables are written after each request, and at times it is killed. */
static void test_settled(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 1 << 20, .cluster_size = 512 },
				    .n_requests = 300,
				    .cache_bytes = 16 << 10,
				    .seed = 7,
				    .settles = true,
				    .kill_every = 29,
				    .reserve = 40 });
	both((struct cuts_options){ .create = { .size = 2 << 20, .cluster_size = 4096 },
				    .n_requests = 300,
				    .seed = 8,
				    .settles = true,
				    .no_holes = true,
				    .kill_every = 41,
				    .reserve = 24 });
}

/* What was copied must be there before anything refers to it. */
static void test_with_backing(void **state)
{
	(void)state;
	both((struct cuts_options){
		.create = { .size = 1 << 20, .cluster_size = 512, .backing_file = "b" },
		.n_requests = 150,
		.seed = 14,
		.backing = true });
	both((struct cuts_options){
		.create = { .size = 2 << 20, .cluster_size = 4096, .backing_file = "b" },
		.n_requests = 200,
		.seed = 13,
		.settles = true,
		.backing = true,
		.kill_every = 41,
		.reserve = 24 });
}

/* All that there is may have been reserved: the next one has to look at everything. */
static void test_killed_often(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 256 << 10, .cluster_size = 512 },
				    .n_requests = 300,
				    .seed = 15,
				    .settles = true,
				    .kill_every = 7,
				    .reserve = 4096 });
}

static void test_settled_with_tools(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 1 << 20, .cluster_size = 1024 },
				    .n_requests = 400,
				    .seed = 9,
				    .settles = true,
				    .tools = true,
				    .kill_every = 50,
				    .reserve = 50 });
	both((struct cuts_options){
		.create = { .size = 2 << 20, .cluster_size = 16384, .extended_l2 = true },
		.n_requests = 300,
		.seed = 10,
		.settles = true,
		.kill_every = 37,
		.reserve = 8 });
	both((struct cuts_options){
		.create = { .size = 1 << 20, .version = 2, .cluster_size = 1024 },
		.n_requests = 200,
		.seed = 11,
		.settles = true,
		.kill_every = 37 });
}

/* What is reserved when a process is killed is not lost. */
static void test_a_kill_leaks_nothing(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 3 << 20, .cluster_size = 4096 },
				    .n_requests = 200,
				    .seed = 12,
				    .writes = true,
				    .settles = true,
				    .kill_every = 23,
				    .reserve = 32 });
}

/* What was settled is in a log beside the file: a killed process leaves it, and a power cut takes it away. */
static void test_redo_log(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 1 << 20, .cluster_size = 512 },
				    .n_requests = 150,
				    .cache_bytes = 16 << 10,
				    .seed = 21,
				    .settles = true,
				    .kill_every = 13,
				    .reserve = 40,
				    .redo = 16 });
	both((struct cuts_options){
		.create = { .size = 2 << 20, .cluster_size = 4096, .backing_file = "b" },
		.n_requests = 150,
		.seed = 22,
		.settles = true,
		.backing = true,
		.kill_every = 17,
		.reserve = 24,
		.redo = MAX_REDO });
	both((struct cuts_options){ .create = { .size = 1 << 20,
						.version = 2,
						.cluster_size = 1024,
						.backing_file = "b" },
				    .n_requests = 150,
				    .seed = 23,
				    .settles = true,
				    .backing = true,
				    .kill_every = 11,
				    .redo = MAX_REDO });
}

static void test_redo_log_with_tools(void **state)
{
	(void)state;
	both((struct cuts_options){ .create = { .size = 1 << 20, .cluster_size = 1024 },
				    .n_requests = 300,
				    .seed = 24,
				    .settles = true,
				    .tools = true,
				    .kill_every = 50,
				    .reserve = 50,
				    .redo = MAX_REDO });
	both((struct cuts_options){
		.create = { .size = 2 << 20, .cluster_size = 16384, .extended_l2 = true },
		.n_requests = 150,
		.seed = 25,
		.settles = true,
		.kill_every = 19,
		.tools = true,
		.redo = 64 });
}

/* Two files, each of which has its own flush: an entry is not there before what it refers to. */
static void test_data_file(void **state)
{
	(void)state;
	both((struct cuts_options){
		.create = { .size = 1 << 20, .cluster_size = 512, .data_file = "d" },
		.n_requests = 150,
		.cache_bytes = 16 << 10,
		.seed = 31,
		.data = true });
	both((struct cuts_options){
		.create = { .size = 2 << 20, .cluster_size = 4096, .data_file = "d" },
		.n_requests = 150,
		.seed = 32,
		.settles = true,
		.no_holes = true,
		.data = true,
		.kill_every = 19,
		.reserve = 24 });
	both((struct cuts_options){ .create = { .size = 1 << 20,
						.cluster_size = 1024,
						.data_file = "d",
						.data_file_raw = true },
				    .n_requests = 150,
				    .seed = 33,
				    .settles = true,
				    .tools = true,
				    .data = true,
				    .kill_every = 50,
				    .reserve = 50 });
}

static void test_data_file_with_redo_log(void **state)
{
	(void)state;
	both((struct cuts_options){
		.create = { .size = 1 << 20, .cluster_size = 512, .data_file = "d" },
		.n_requests = 150,
		.cache_bytes = 16 << 10,
		.seed = 34,
		.settles = true,
		.data = true,
		.kill_every = 13,
		.reserve = 40,
		.redo = 16 });
	both((struct cuts_options){ .create = { .size = 2 << 20,
						.cluster_size = 16384,
						.extended_l2 = true,
						.data_file = "d" },
				    .n_requests = 150,
				    .seed = 35,
				    .settles = true,
				    .data = true,
				    .kill_every = 19,
				    .redo = 64 });
}

/* Runs after the others. */
static void test_there_were_enough_cuts(void **state)
{
	(void)state;
	printf("%zu cuts; %zu made anew\n", n_cuts, n_dirty);
	assert_true(n_cuts >= 10000);
	assert_true(n_dirty >= 1000);
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
		cmocka_unit_test(test_settled),
		cmocka_unit_test(test_killed_often),
		cmocka_unit_test(test_with_backing),
		cmocka_unit_test(test_settled_with_tools),
		cmocka_unit_test(test_a_kill_leaks_nothing),
		cmocka_unit_test(test_redo_log),
		cmocka_unit_test(test_redo_log_with_tools),
		cmocka_unit_test(test_data_file),
		cmocka_unit_test(test_data_file_with_redo_log),
		cmocka_unit_test(test_there_were_enough_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
