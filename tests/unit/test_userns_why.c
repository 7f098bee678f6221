/* SPDX-License-Identifier: Apache-2.0 */
/* What is said where a host refuses user namespaces: the certain reason first, and what to do. */
#include "tests/unit/unit.h"

#include "lib/sandbox/userns_why.h"

#include <errno.h>
#include <string.h>

/* A host that has no such restriction. */
static const struct userns_facts plain = { .root = true,
					   .unprivileged = -1,
					   .apparmor_restricts = -1,
					   .most = 1000 };

static void expect(struct userns_facts f, int error, const char *part)
{
	const char *said = userns_reason(&f, error);

	if (!strstr(said, part))
		fail_msg("\"%s\" is not in \"%s\"", part, said);
	assert_true(strlen(said) < 250); /* with what comes before it: one line of the command */
}

static void test_numbers(void **state)
{
	struct userns_facts f = plain;

	(void)state;
	expect(f, -ENOSPC, "as many as the sysctl user.max_user_namespaces allows");
	f.most = 0;
	expect(f, -ENOSPC, "user.max_user_namespaces is 0");
	expect(f, -EUSERS, "user.max_user_namespaces is 0");
}

static void test_rights(void **state)
{
	static const int errors[] = { -EPERM, -EACCES, -ENOSYS };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct userns_facts f = plain;

		expect(f, errors[i], "security module");
		f.filtered = true;
		expect(f, errors[i], "--security-opt seccomp=unconfined");
		f.apparmor_restricts = 1;
		expect(f, errors[i], "--security-opt"); /* of ordinary users only */
		f.unprivileged = 0;
		expect(f, errors[i], "--security-opt"); /* likewise */
		f.root = false;
		expect(f, errors[i], "kernel.unprivileged_userns_clone is 0");
		f.unprivileged = 1;
		expect(f, errors[i], "kernel.apparmor_restrict_unprivileged_userns to 0");
		f.chrooted = true;
		expect(f, errors[i], "chroot");
		expect(f, errors[i], "pivot_root");
	}
}

static void test_others(void **state)
{
	(void)state;
	expect(plain, -EINVAL, "CONFIG_USER_NS");
	assert_string_equal(userns_reason(&plain, -ENOMEM), "");
	assert_string_equal(userns_reason(&plain, -EMFILE), "");
}

/* Where this test runs, whatever that is. */
static void test_look(void **state)
{
	struct userns_facts f = { .most = -2 };

	(void)state;
	userns_look(&f);
	assert_true(f.most >= -1);
	assert_true(f.unprivileged >= -1 && f.apparmor_restricts >= -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_rights),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_look),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
