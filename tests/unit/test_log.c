/* SPDX-License-Identifier: Apache-2.0 */
/* Logging: levels, cuts, and the gate that a guest runs into. */
#include "tests/unit/unit.h"

#include "lib/base/log.h"

#include <string.h>

struct record {
	int lines;
	enum log_level level;
	size_t len;
	char last[LOG_LINE_MAX + 1];
};

static void keep(void *ctx, enum log_level level, const char *line, size_t len)
{
	struct record *r = ctx;

	assert_true(len < LOG_LINE_MAX);
	r->lines++;
	r->level = level;
	r->len = len;
	memcpy(r->last, line, len);
	r->last[len] = 0;
}

static struct record the_record;

static int start(void **state)
{
	(void)state;
	the_record = (struct record){ 0 };
	log_set_sink(keep, &the_record);
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static void without_a_sink_nothing_happens(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	log_error("lost %d", 1);
	assert_int_equal(the_record.lines, 0);
}

static void levels_filter(void **state)
{
	(void)state;
	log_debug("no");
	assert_int_equal(the_record.lines, 0);
	log_info("yes %d %s", 42, "x");
	assert_int_equal(the_record.lines, 1);
	assert_int_equal(the_record.level, LOG_LEVEL_INFO);
	assert_string_equal(the_record.last, "yes 42 x");
	log_set_level(LOG_LEVEL_ERROR);
	log_warning("no");
	assert_int_equal(the_record.lines, 1);
	log_error("yes");
	assert_int_equal(the_record.lines, 2);
}

static void long_lines_are_cut(void **state)
{
	static const size_t sizes[] = { LOG_LINE_MAX - 2, LOG_LINE_MAX - 1, LOG_LINE_MAX,
					LOG_LINE_MAX + 1, LOG_LINE_MAX * 10 };
	char text[LOG_LINE_MAX * 10 + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		size_t want = sizes[i] < LOG_LINE_MAX ? sizes[i] : LOG_LINE_MAX - 1;

		memset(text, 'a', sizes[i]);
		text[sizes[i]] = 0;
		log_info("%s", text);
		assert_int_equal(the_record.len, want);
	}
}

static void the_gate_closes(void **state)
{
	struct log_gate gate = LOG_GATE(3);

	(void)state;
	for (int i = 0; i < 1000; i++)
		log_gated(&gate, LOG_LEVEL_WARNING, "guest did it %d", i);
	/* three lines and the one that says that more are left out */
	assert_int_equal(the_record.lines, 4);
	assert_non_null(strstr(the_record.last, "left out"));
}

static void standard_error_gets_a_prefix(void **state)
{
	_cleanup_(closep) int saved = dup(STDERR_FILENO);
	char got[256] = { 0 };
	int p[2];

	(void)state;
	assert_true(saved >= 0);
	assert_int_equal(pipe(p), 0);
	assert_true(dup2(p[1], STDERR_FILENO) >= 0);
	log_set_sink(log_sink_stderr, (void *)(uintptr_t) "bulkhead");
	log_warning("low %s", "water");
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_true(read(p[0], got, sizeof(got) - 1) > 0);
	assert_string_equal(got, "bulkhead: warning: low water\n");
	close_pair(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(without_a_sink_nothing_happens, start),
		cmocka_unit_test_setup(levels_filter, start),
		cmocka_unit_test_setup(long_lines_are_cut, start),
		cmocka_unit_test_setup(the_gate_closes, start),
		cmocka_unit_test_setup(standard_error_gets_a_prefix, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
