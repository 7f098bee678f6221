/* SPDX-License-Identifier: Apache-2.0 */
/* lib/base/cmdline.h: what a command line says of a panic. */
#include "tests/unit/unit.h"

#include "lib/base/cleanup.h"
#include "lib/base/cmdline.h"

static void test_says(void **state)
{
	(void)state;
	assert_true(cmdline_says_panic("panic=-1"));
	assert_true(cmdline_says_panic("quiet\t panic=10 x"));
	assert_false(cmdline_says_panic(""));
	assert_false(cmdline_says_panic("oops=panic xpanic=1 panic reboot=panic_warm"));
}

static void test_tells(void **state)
{
	static const char *const yes[] = {
		"reboot=panic_warm",	  "panic=-1 reboot=panic_w quiet",
		"reboot=acpi,panic_warm", "reboot=k reboot=panic_warm",
		"reboot=panic_warm,cold", " reboot=panic_warm ",
	};
	static const char *const no[] = {
		/* clang-format off */
		"", " ", "reboot=", "reboot=,", "reboot=panic_cold", "reboot=warm", "xreboot=panic_warm",
		"reboot=acpi panic_warm", "reboot=warm,panic_warm", "reboot=panic_warm,w",
		"reboot=panic_warm reboot=w", "reboot=acpi ,panic_warm", "reboot=xpanic_warm",
		/* clang-format on */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (!cmdline_tells_panic(yes[i]))
			fail_msg("%s", yes[i]);
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (cmdline_tells_panic(no[i]))
			fail_msg("%s", no[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says),
		cmocka_unit_test(test_tells),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
