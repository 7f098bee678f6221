/* SPDX-License-Identifier: Apache-2.0 */
/* The words of a job of `bulkhead image`, there and back, and its progress. */
#include "tests/unit/unit.h"

#include "lib/imagefile/job.h"
#include "lib/imagefile/progress.h"

#include <errno.h>
#include <string.h>

static void test_words_there_and_back(void **state)
{
	static struct image_job job, back;
	static char text[65536];
	const char *argv[IMAGE_WORDS_MAX + 1];
	const char *bad = NULL;
	int n;

	(void)state;
	image_job_init(&job, IMAGE_CONVERT);
	assert_int_equal(job.cluster_size, 65536);
	assert_true(job.sync);
	job.size = 12345;
	job.compression = COMPRESSION_ZSTD;
	job.length = UINT64_MAX;
	job.sync = false;
	job.backing_name = "a b,c=\377";
	job.nodes[0] = (struct image_node){ .role = ROLE_SOURCE,
					    .format = FORMAT_VHDX,
					    .fd = 6,
					    .data_fd = 7,
					    .readonly = true,
					    .mapped = true,
					    .name = "/x, y" };
	job.nodes[1] = (struct image_node){
		.role = ROLE_TARGET, .format = FORMAT_QCOW2, .fd = 8, .data_fd = -1, .name = ""
	};
	job.n_nodes = 2;
	n = image_job_render(&job, argv, text, sizeof(text));
	assert_true(n > 0);
	assert_int_equal(image_job_parse(n, (char **)(uintptr_t)argv, &back, &bad), 0);
	assert_int_equal(back.verb, IMAGE_CONVERT);
	assert_int_equal(back.size, 12345);
	assert_int_equal(back.compression, COMPRESSION_ZSTD);
	assert_int_equal(back.length, UINT64_MAX);
	assert_false(back.sync);
	assert_null(back.snapshot_name);
	assert_string_equal(back.backing_name, job.backing_name);
	assert_int_equal(back.n_nodes, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(back.nodes[i].role, job.nodes[i].role);
		assert_int_equal(back.nodes[i].format, job.nodes[i].format);
		assert_int_equal(back.nodes[i].fd, job.nodes[i].fd);
		assert_int_equal(back.nodes[i].data_fd, job.nodes[i].data_fd);
		assert_int_equal(back.nodes[i].readonly, job.nodes[i].readonly);
		assert_int_equal(back.nodes[i].mapped, job.nodes[i].mapped);
		assert_string_equal(back.nodes[i].name, job.nodes[i].name);
	}
	assert_int_equal(image_job_render(&job, argv, text, 100), -E2BIG);
}

static void test_words_that_are_wrong(void **state)
{
	static const char *const wrong[] = {
		"--verb=fly",
		"--cluster_size=3M",
		"--refcount_bits=65",
		"--nothing=1",
		"--json",
		"s,raw,6,-1,1",
		"s,raw,5,-1,1,0,x",
		"x,raw,6,-1,1,0,name",
		"s,cow,6,-1,1,0,x",
		"raw,6,-1,1,0,x",
		"",
	};
	static struct image_job job;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		char *argv[] = { (char *)(uintptr_t)wrong[i], NULL };
		const char *bad = NULL;

		if (image_job_parse(1, argv, &job, &bad) != -EINVAL)
			fail_msg("row %zu", i);
		assert_string_equal(bad, wrong[i]);
	}
}

static void test_names_of_formats(void **state)
{
	(void)state;
	assert_int_equal(image_format_find("qcow2"), FORMAT_QCOW2);
	assert_int_equal(image_format_find("vhd"), FORMAT_VPC);
	assert_int_equal(image_format_find("vpc"), FORMAT_VPC);
	assert_int_equal(image_format_find("qcow"), N_FORMATS);
	assert_true(image_format_is_import(FORMAT_VMDK));
	assert_false(image_format_is_import(FORMAT_QCOW2));
	assert_non_null(image_option("cluster-size", 12));
	assert_null(image_option("cluster_siz", 11));
}

static void test_progress(void **state)
{
	static const struct {
		struct progress p;
		uint64_t ns;
		const char *line;
		uint64_t before;
	} rows[] = {
		{ { 0, 100 << 20 }, 0, "  0.0%  0.0 MiB/s" },
		{ { 50 << 20, 100 << 20 }, 1000000000, " 50.0%  50.0 MiB/s  0:01 left" },
		{ { 1 << 20, 3601ULL << 20 }, 1000000000, "  0.0%  1.0 MiB/s  1:00:00 left" },
		{ { 100 << 20, 100 << 20 }, 2000000000, "100.0%  50.0 MiB/s" },
		{ { 1, INT64_MAX }, UINT64_MAX, "  0.0%  0.0 MiB/s  days left" },
		{ { 0, 0 }, 5, "100.0%  0.0 MiB/s" },
		{ { 75 << 20, 100 << 20 }, 1000000000, " 75.0%  25.0 MiB/s  0:01 left", 50 << 20 },
		{ { 1, 3 }, 1000000000, " 33.3%  0.0 MiB/s", 2 },
		{ { 50 << 20, PROGRESS_UNKNOWN }, 1000000000, "50.0 MiB  50.0 MiB/s" },
	};
	uint8_t wire[PROGRESS_WIRE_LEN];
	struct progress back;
	char line[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		progress_encode(&rows[i].p, wire);
		assert_int_equal(progress_decode(wire, sizeof(wire), &back), 0);
		assert_memory_equal(&back, &rows[i].p, sizeof(back));
		progress_line(&back, rows[i].before, rows[i].ns, line, sizeof(line));
		assert_string_equal(line, rows[i].line);
	}
	progress_encode(&(struct progress){ 2, 1 }, wire);
	assert_int_equal(progress_decode(wire, sizeof(wire), &back), -EBADMSG);
	assert_int_equal(progress_decode(wire, sizeof(wire) - 1, &back), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words_there_and_back),
		cmocka_unit_test(test_words_that_are_wrong),
		cmocka_unit_test(test_names_of_formats),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
