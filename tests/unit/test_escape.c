/* SPDX-License-Identifier: Apache-2.0 */
/* The relay's keys: Ctrl-] and what follows, however the bytes are cut. */
#include "cmd/bulkhead/escape.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Feeds in pieces of step bytes; keys become Q and H in *seen, in order. */
static void feed(const char *in, size_t len, size_t step, char *out, char *seen)
{
	struct escape e;

	escape_init(&e);
	for (size_t at = 0; at < len;) {
		size_t piece = len - at < step ? len - at : step;
		size_t end = at + piece;

		while (at < end) {
			enum escape_key key;
			size_t n;
			size_t took = escape_feed(&e, (const uint8_t *)in + at, end - at,
						  (uint8_t *)out, &n, &key);

			assert_true(took > 0 && took <= end - at && n <= took);
			if (key != ESCAPE_NONE)
				*seen++ = key == ESCAPE_QUIT ? 'Q' : 'H';
			else
				assert_int_equal(took, end - at);
			out += n;
			at += took;
		}
	}
	*out = *seen = 0;
}

static void check(const char *in, const char *want_out, const char *want_seen)
{
	for (size_t step = 1; step <= strlen(in); step++) {
		char out[64];
		char seen[64];

		feed(in, strlen(in), step, out, seen);
		assert_string_equal(out, want_out);
		assert_string_equal(seen, want_seen);
	}
}

static void test_keys(void **state)
{
	(void)state;
	check("ls\r\003\004\032\034", "ls\r\003\004\032\034", "");
	check("a\035qb", "ab", "Q");
	check("a\035Qb", "ab", "Q");
	check("a\035?b", "ab", "H");
	check("a\035hb", "ab", "H");
	check("\035q\035q\035?", "", "QQH");
	check("a\035\035b", "a\035b", "");
	check("a\035\035q", "a\035q", "");
	check("a\035\035\035q", "a\035", "Q");
	check("a\035xb", "ab", "");
	check("a\035", "a", "");
	check("q?", "q?", "");
}

static void test_in_place(void **state)
{
	uint8_t bytes[] = "a\035xb\035\035c";
	struct escape e;
	enum escape_key key;
	size_t n;

	(void)state;
	escape_init(&e);
	assert_int_equal(escape_feed(&e, bytes, sizeof(bytes) - 1, bytes, &n, &key),
			 sizeof(bytes) - 1);
	assert_int_equal(n, 4);
	assert_memory_equal(bytes, "ab\035c", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_in_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
