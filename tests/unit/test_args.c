/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a process's command line. */
#include "lib/base/cleanup.h"
#include "lib/devkit/args.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <cmocka.h>

struct options {
	bool flag;
	uint64_t number;
	const char *text;
};

static const struct option rows[] = {
	{ .name = "flag", .type = OPTION_ONOFF, OPTION_FIELD(struct options, flag) },
	{ .name = "number",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct options, number),
	  .min = 2,
	  .max = 16,
	  .initial = "7" },
	{ .name = "text",
	  .type = OPTION_TEXT,
	  OPTION_FIELD(struct options, text),
	  .min = 1,
	  .max = 4,
	  .flags = OPTION_INNER },
};

static const struct device_kind kind = { .options = rows, .n_options = ARRAY_SIZE(rows) };

static int parse(struct options *o, const char *a, const char *b, const char **ret_bad)
{
	char words[3][64] = { "name" };
	char *argv[3] = { words[0], words[1], words[2] };

	strcpy(words[1], a);
	strcpy(words[2], b ? b : "");
	return args_parse(&kind, b ? 3 : 2, argv, o, ret_bad);
}

static void test_words(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(&o, "--flag=on", NULL, NULL), 0);
	assert_true(o.flag);
	assert_int_equal(o.number, 7);
	assert_int_equal(parse(&o, "--number=16", "--flag=off", NULL), 0);
	assert_int_equal(o.number, 16);
	assert_false(o.flag);
	assert_int_equal(parse(&o, "--text=a =~", NULL, NULL), 0);
}

static void test_wrong_words(void **state)
{
	static const char *const bad[] = {
		"flag=on",     "--flag",      "--flag=",
		"--flag=yes",  "--flags=on",  "-flag=on",
		"--number=",   "--number=1",  "--number=17",
		"--number=x",  "--number=-3", "--number=18446744073709551618",
		"--number=3 ", "--text=",     "--text=longer",
		"--text=\n",   "--text=\x80", "",
		"--",	       "--=",
	};
	struct options o = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *word = NULL;

		assert_int_equal(parse(&o, bad[i], NULL, &word), -EINVAL);
		assert_non_null(word);
	}
	assert_int_equal(parse(&o, "--flag=on", "--flag=on", NULL), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_wrong_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
