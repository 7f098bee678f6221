/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a host: every kind of lack, alone and together, in one line. */
#include "tests/unit/unit.h"

#include "lib/sandbox/guarantee.h"

#include <string.h>

static char text[400];

static void test_every_row_is_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_GUARANTEES; i++) {
		assert_non_null(guarantees[i].name);
		assert_non_null(guarantees[i].promise);
		assert_non_null(guarantees[i].given_by);
		assert_non_null(guarantees[i].without);
	}
}

static void test_nothing_missing(void **state)
{
	const struct guarantee_report r = { { NULL } };

	(void)state;
	assert_int_equal(guarantees_say(&r, NEED_STRICT, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

static void test_reasons_are_said_once(void **state)
{
	const struct guarantee_report r = { {
		[GUARANTEE_IDS] = "one id",
		[GUARANTEE_PATHS] = "no Landlock",
		[GUARANTEE_MEMORY] = "no cgroup v2",
		[GUARANTEE_TASKS] = "no cgroup v2",
		[GUARANTEE_PORTS] = "no Landlock",
		[GUARANTEE_SCOPES] = "no Landlock",
	} };

	(void)state;
	assert_int_equal(guarantees_say(&r, NEED_STRICT, text, sizeof(text)), 4);
	assert_string_equal(text, "ids (one id), paths (no Landlock), memory limit, "
				  "task limit (no cgroup v2)");
	assert_int_equal(guarantees_say(&r, NEED_FURTHER, text, sizeof(text)), 2);
	assert_string_equal(text, "TCP ports, scopes (no Landlock)");
	assert_int_equal(guarantees_name(&r, NEED_STRICT, text, sizeof(text)), 4);
	assert_string_equal(text, "ids, paths, memory limit, task limit");
}

static void test_a_short_text_is_cut(void **state)
{
	const struct guarantee_report r = {
		{ [GUARANTEE_IDS] = "one id", [GUARANTEE_PATHS] = "no Landlock" }
	};

	(void)state;
	for (size_t cap = 1; cap < 40; cap++) {
		memset(text, 'x', sizeof(text));
		assert_int_equal(guarantees_say(&r, NEED_STRICT, text, cap), 2);
		assert_true(strlen(text) < cap);
		assert_int_equal(text[cap], 'x');
	}
}

static void test_what_was_looked_at_before(void **state)
{
	struct cgroup_place place = { .controllers = CGROUP_MEMORY };
	struct guarantee_report r;

	(void)state;
	guarantees_look(NULL, "nowhere", "no range", &r);
	assert_string_equal(r.missing[GUARANTEE_MEMORY], "nowhere");
	assert_string_equal(r.missing[GUARANTEE_TASKS], "nowhere");
	assert_string_equal(r.missing[GUARANTEE_IDS], "no range");
	guarantees_look(&place, NULL, "", &r);
	assert_null(r.missing[GUARANTEE_IDS]);
	assert_null(r.missing[GUARANTEE_MEMORY]);
	assert_string_equal(r.missing[GUARANTEE_TASKS], "its cgroup lacks the controller");
	assert_null(r.missing[GUARANTEE_NAMESPACES]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row_is_whole),
		cmocka_unit_test(test_nothing_missing),
		cmocka_unit_test(test_reasons_are_said_once),
		cmocka_unit_test(test_a_short_text_is_cut),
		cmocka_unit_test(test_what_was_looked_at_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
