/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/net/unix, whose names anybody chooses. The waits are test_vmlink.c's. */
#include "tests/unit/unit.h"

#include "lib/names/internal.h"

#include <stdio.h>
#include <string.h>

#define HEAD "0000000000000000: 00000002 00000000 00010000 0005 01 12345 "
#define N64 "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.-"

static struct names_found f;

static void test_whole_lines(void **state)
{
	(void)state;
	assert_true(line_decode(HEAD "@bulkhead/1000/vm1\n", 1000, &f));
	assert_string_equal(f.name, "vm1");
	assert_string_equal(f.rest, "");
	assert_true(line_decode(HEAD "@bulkhead/0/a.b_c-d#0123456789abcdef", 0, &f));
	assert_string_equal(f.name, "a.b_c-d");
	assert_string_equal(f.rest, "#0123456789abcdef");
	assert_true(
		line_decode(HEAD "@bulkhead/4294967295/" N64 "#00000000ffffffff", UINT32_MAX, &f));
	assert_string_equal(f.name, N64);
}

static void test_others(void **state)
{
	static const char *const lines[] = {
		"",
		"Num       RefCount Protocol Flags    Type St Inode Path",
		HEAD,
		HEAD "@bulkhead/1001/vm1",
		HEAD "@bulkhead/01000/vm1",
		HEAD "@bulkhead/+1000/vm1",
		HEAD "@bulkhead/4294968296/vm1", /* 1000 in 32 bits */
		HEAD "@bulkhead/1000/",
		HEAD "@bulkhead/1000/.",
		HEAD "@bulkhead/1000/../x",
		HEAD "@bulkhead/1000/.hidden",
		HEAD "@bulkhead/1000/a/b",
		HEAD "@bulkhead/1000/a@",
		HEAD "@bulkhead/1000/a\x1b[31m",
		HEAD "@bulkhead/1000/" N64 "x",
		HEAD "@bulkhead/1000/vm1#",
		HEAD "@bulkhead/1000/vm1#0123456789abcde",
		HEAD "@bulkhead/1000/vm1#0123456789abcdef0",
		HEAD "@bulkhead/1000/vm1#0123456789abcdeF",
		HEAD "@bulkhead/1000/#0123456789abcdef",
		HEAD "bulkhead/1000/vm1",
		HEAD "/run/bulkhead/1000/vm1",
		"0: 2 0 00000000 0005 01 1 @bulkhead/1000/vm1", /* does not listen */
		"0: 2 0 00010000 0001 01 1 @bulkhead/1000/vm1", /* a stream */
		"0: 2 0 00010000 0005 01 @bulkhead/1000/vm1",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (line_decode(lines[i], 1000, &f))
			fail_msg("%s", lines[i]);
}

static void test_long_lines(void **state)
{
	static char line[4096];

	(void)state;
	strcpy(line, HEAD "@bulkhead/1000/");
	memset(line + strlen(line), 'x', 2000);
	assert_false(line_decode(line, 1000, &f));
	memset(line, '1', sizeof(line) - 1);
	assert_false(line_decode(line, 1000, &f));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_lines),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_long_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
