/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal filter: what passes, what does not, and that cutting the input changes nothing. */
#include "cmd/bulkhead/termfilter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROOM 8192

struct row {
	const char *in;
	const char *out;
};

/* Filters in pieces of step bytes. */
static size_t filter(bool utf8, const char *in, size_t len, size_t step, char out[ROOM])
{
	struct termfilter f;
	size_t n = 0;

	termfilter_init(&f, utf8);
	for (size_t at = 0; at < len; at += step) {
		size_t k = len - at < step ? len - at : step;
		size_t got = termfilter_feed(&f, in + at, k, out + n);

		assert_true(got <= k + TERMFILTER_PENDING_MAX);
		n += got;
	}
	return n;
}

static void check(bool utf8, const char *in, const char *want)
{
	char out[ROOM];

	for (size_t step = 1; step <= strlen(in); step++) {
		size_t n = filter(utf8, in, strlen(in), step, out);

		out[n] = 0;
		assert_string_equal(out, want);
	}
}

static void check_all(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(true, rows[i].in, rows[i].out);
}

#define CHECK(...)                                                \
	do {                                                      \
		static const struct row rows[] = { __VA_ARGS__ }; \
		check_all(rows, sizeof(rows) / sizeof(rows[0]));  \
	} while (0)

static void test_text_passes(void **state)
{
	(void)state;
	CHECK({ "login: \r\n\tpassword\b\b", "login: \r\n\tpassword\b\b" },
	      { " !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~",
		" !\"#$%&'()*+,-./09:;<=>?@AZ[\\]^_`az{|}~" },
	      { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xa2",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xa2" });
}

static void test_controls_are_dropped(void **state)
{
	char out[ROOM];
	char c;

	(void)state;
	for (int i = 0; i < 0x20; i++) {
		c = (char)i;
		if (c != '\n' && c != '\r' && c != '\t' && c != '\b')
			assert_int_equal(filter(true, &c, 1, 1, out), 0);
	}
	c = 0x7f;
	assert_int_equal(filter(true, &c, 1, 1, out), 0);
}

static void test_allowed_sequences(void **state)
{
	(void)state;
	CHECK({ "\033[m", "\033[m" }, { "\033[0m", "\033[0m" },
	      { "\033[1;31;48;5;200m", "\033[1;31;48;5;200m" },
	      { "\033[38:2::1:2:3m", "\033[38:2::1:2:3m" }, { "\033[K", "\033[K" },
	      { "\033[2K", "\033[2K" }, { "\033[12C\033[D\033[1G", "\033[12C\033[D\033[1G" },
	      { "\033[4@\033[4P\033[4X", "\033[4@\033[4P\033[4X" }, { "\033[J", "\033[J" },
	      { "\033[0J", "\033[0J" });
}

static void test_refused_sequences(void **state)
{
	(void)state;
	CHECK({ "a\033[cb", "ab" }, { "a\033[>0cb", "ab" }, { "a\033[5nb", "ab" },
	      { "a\033[6nb", "ab" }, { "a\033[18tb", "ab" }, { "a\033[?1049hb", "ab" },
	      { "a\033[4lb", "ab" }, { "a\033[5ib", "ab" }, { "a\033[2Jb", "ab" },
	      { "a\033[3Jb", "ab" }, { "a\033[1Jb", "ab" }, { "a\033[00Jb", "ab" },
	      { "a\033[Ab", "ab" }, { "a\033[Bb", "ab" }, { "a\033[1;1Hb", "ab" },
	      { "a\033[1;1fb", "ab" }, { "a\033[db", "ab" }, { "a\033[Eb", "ab" },
	      { "a\033[Lb", "ab" }, { "a\033[Mb", "ab" }, { "a\033[Sb", "ab" },
	      { "a\033[rb", "ab" }, { "a\033[sb", "ab" }, { "a\033[ub", "ab" },
	      { "a\033[9bb", "ab" }, { "a\033[!pb", "ab" }, { "a\033[0 qb", "ab" },
	      { "a\033[?25mb", "ab" }, { "a\033[>4;1mb", "ab" }, { "a\033[1$mb", "ab" },
	      { "a\033[1:2Kb", "ab" }, { "a\033[12345mb", "ab" }, { "a\033[1;99999Cb", "ab" });
}

static void test_other_escapes(void **state)
{
	(void)state;
	CHECK({ "a\033cb", "ab" }, { "a\0337\0338b", "ab" }, { "a\033Mb", "ab" },
	      { "a\033Zb", "ab" }, { "a\033(0b", "ab" }, { "a\033#8b", "ab" }, { "a\033%Gb", "ab" },
	      { "a\033=\033>b", "ab" }, { "a\033\\b", "ab" }, { "a\033\033[1mb", "a\033[1mb" },
	      { "a\033", "a" }, { "a\033[", "a" }, { "a\033[1\nb", "a\nb" },
	      { "a\033[1\033[2mb", "a\033[2mb" });
}

static void test_strings_go_with_their_contents(void **state)
{
	(void)state;
	CHECK({ "a\033]0;title\ab", "ab" }, { "a\033]52;c;ZXZpbA==\033\\b", "ab" },
	      { "a\033]8;;http://x\033\\link\033]8;;\033\\b", "alinkb" },
	      { "a\033P$q\"p\033\\b", "ab" }, { "a\033_G\033\\b", "ab" },
	      { "a\033^x\033\\b", "ab" }, { "a\033Xx\033\\b", "ab" }, { "a\033]0;x\030b", "ab" },
	      { "a\033]never ended\nb", "a\nb" }, { "a\033]0;x\033[31mb", "a\033[31mb" });
}

static void test_8_bit_controls(void **state)
{
	(void)state;
	CHECK({ "a\x9b"
		"6nb",
		"a?6nb" },
	      { "a\xc2\x9b"
		"6nb",
		"a?6nb" },
	      { "a\xc2\x85"
		"b",
		"a?b" },
	      { "a\x9d"
		"0;x",
		"a?0;x" });
}

static void test_malformed_utf8(void **state)
{
	(void)state;
	CHECK({ "\xc0\xaf", "??" }, { "\xc1\xbf", "??" }, { "\xe0\x80\xaf", "?" },
	      { "\xed\xa0\x80", "?" }, { "\xf0\x80\x80\x80", "?" }, { "\xf4\x90\x80\x80", "?" },
	      { "\xf5\x80", "??" }, { "\xe2\x82x", "?x" }, { "\xe2\033[1m", "?\033[1m" },
	      { "\xe2\xe2\x82\xac", "?\xe2\x82\xac" }, { "\xff\xfe", "??" }, { "\x80", "?" });
}

static void test_characters_that_rearrange_others(void **state)
{
	(void)state;
	CHECK({ "\xe2\x80\xaa", "?" }, { "\xe2\x80\xae", "?" }, { "\xe2\x81\xa6", "?" },
	      { "\xe2\x81\xa9", "?" }, { "\xe2\x80\xa8", "?" }, { "\xe2\x80\xa9", "?" },
	      { "\xf3\xa0\x81\x81", "?" }, { "\xef\xbf\xbe", "?" }, { "\xef\xbf\xb9", "?" },
	      /* their neighbours stay */
	      { "\xe2\x80\xa7", "\xe2\x80\xa7" }, { "\xe2\x80\xaf", "\xe2\x80\xaf" },
	      { "\xe2\x81\xa5", "\xe2\x81\xa5" }, { "\xc2\xa0", "\xc2\xa0" },
	      { "\xef\xbf\xbd", "\xef\xbf\xbd" });
}

/* In another encoding a continuation byte may be a control. */
static void test_without_utf8(void **state)
{
	(void)state;
	check(false,
	      "a\xe2\x9b\x80"
	      "b",
	      "a???b");
}

static void test_string_is_bounded(void **state)
{
	static char in[TERMFILTER_STRING_MAX + 16];
	char out[ROOM];

	(void)state;
	memset(in, 'x', sizeof(in));
	memcpy(in, "\033]", 2);
	assert_int_equal(filter(true, in, 2 + TERMFILTER_STRING_MAX, 7, out), 0);
	assert_int_equal(filter(true, in, sizeof(in), 7, out), 14);
}

static void test_parameters_are_bounded(void **state)
{
	char in[3 * TERMFILTER_PARAM_MAX];
	char out[ROOM];

	(void)state;
	for (size_t n = TERMFILTER_PARAM_MAX - 1; n <= TERMFILTER_PARAM_MAX + 1; n++) {
		size_t want = n <= TERMFILTER_PARAM_MAX ? n + 3 : 0;

		memset(in, ';', sizeof(in));
		memcpy(in, "\033[", 2);
		in[2 + n] = 'm';
		assert_int_equal(filter(true, in, n + 3, 1, out), want);
		assert_int_equal(filter(true, in, n + 3, n + 3, out), want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_passes),
		cmocka_unit_test(test_controls_are_dropped),
		cmocka_unit_test(test_allowed_sequences),
		cmocka_unit_test(test_refused_sequences),
		cmocka_unit_test(test_other_escapes),
		cmocka_unit_test(test_strings_go_with_their_contents),
		cmocka_unit_test(test_8_bit_controls),
		cmocka_unit_test(test_malformed_utf8),
		cmocka_unit_test(test_characters_that_rearrange_others),
		cmocka_unit_test(test_without_utf8),
		cmocka_unit_test(test_string_is_bounded),
		cmocka_unit_test(test_parameters_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
