/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bulkhead/paragraph.h. */
#include "cmd/bulkhead/paragraph.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static char *said;
static size_t said_len;
static FILE *real;

static int listen_in(void **state)
{
	(void)state;
	real = stdout;
	stdout = open_memstream(&said, &said_len);
	return stdout ? 0 : -1;
}

static const char *heard(void)
{
	fflush(stdout);
	return said;
}

static int stop_listening(void **state)
{
	(void)state;
	fclose(stdout);
	stdout = real;
	free(said);
	return 0;
}

static void test_one_line(void **state)
{
	(void)state;
	paragraph("label", "text %d", 7);
	assert_string_equal(heard(), "  label             text 7\n");
}

static void test_empty(void **state)
{
	(void)state;
	paragraph("", "%s", "");
	assert_string_equal(heard(), "                    \n");
}

static void test_lines_break_at_blanks(void **state)
{
	char word[61];

	(void)state;
	memset(word, 'w', 60);
	word[60] = '\0';
	paragraph("a", "%s %s", word, word);
	assert_memory_equal(heard(), "  a                 wwww", 24);
	assert_int_equal(said_len, 2 * (20 + 60 + 1));
	assert_memory_equal(said + 81, "                    wwww", 24);
}

/* A word that is too long for a line is cut; nothing is lost. */
static void test_long_words_are_cut(void **state)
{
	char word[201];
	size_t n = 0;

	(void)state;
	memset(word, 'w', 200);
	word[200] = '\0';
	paragraph("", "%s", word);
	for (const char *at = heard(); *at; at++)
		n += *at == 'w';
	assert_int_equal(n, 200);
	assert_int_equal(said_len, 200 + 3 * 21);
}

static void test_nothing_drives_the_terminal(void **state)
{
	(void)state;
	paragraph("", "%s", "a\033[31m\nb\xc3\xa9\x7f");
	assert_string_equal(heard(), "                    a?[31m?b???\n");
}

static void test_list(void **state)
{
	struct list l = { .len = 0 };

	(void)state;
	list_add(&l, "%s", "a");
	list_add(&l, "b %d", 2);
	assert_string_equal(l.text, "a, b 2");
	assert_int_equal(l.len, 6);
}

static void test_a_full_list_is_cut(void **state)
{
	struct list l = { .len = 0 };

	(void)state;
	for (int i = 0; i < 3000; i++) {
		list_add(&l, "%d", i);
		assert_true(l.len < sizeof(l.text));
		assert_int_equal(strlen(l.text), l.len);
	}
}

#define LISTENING(test) cmocka_unit_test_setup_teardown(test, listen_in, stop_listening)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LISTENING(test_one_line),
		LISTENING(test_empty),
		LISTENING(test_lines_break_at_blanks),
		LISTENING(test_long_words_are_cut),
		LISTENING(test_nothing_drives_the_terminal),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_a_full_list_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
