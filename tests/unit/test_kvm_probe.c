/* SPDX-License-Identifier: Apache-2.0 */
/* lib/kvm/probe.h, with a measurement that is played. */
#include "lib/kvm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static enum { ANSWERS, FAILS, DIES, HANGS } plays;

int __wrap_kvm_speed_measure(struct kvm_speed_vm *vm, int kvm_fd, struct kvm_speed *ret,
			     const char **ret_what);
int __wrap_kvm_speed_measure(struct kvm_speed_vm *vm, int kvm_fd, struct kvm_speed *ret,
			     const char **ret_what)
{
	*vm = KVM_SPEED_VM_NONE;
	switch (plays) {
	case ANSWERS:
		*ret = (struct kvm_speed){ .rounds = 2, .per_second = (uint64_t)kvm_fd };
		return 0;
	case FAILS:
		*ret_what = "cannot create a VM";
		return -EPERM;
	case DIES:
		_exit(3);
	case HANGS:
		pause();
	}
	return -EIO;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Nothing is left: no descriptor, no child. */
static int probed(struct kvm_speed *speed, char what[KVM_PROBE_WHAT_MAX])
{
	struct kvm_probe p = KVM_PROBE_NONE;
	int before = count_fds();
	int r = kvm_probe_run(&p, 77, speed, what);

	assert_int_equal(count_fds(), before);
	assert_true(p.pid > 0);
	kvm_probe_end(&p);
	assert_int_equal(p.pid, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	return r;
}

static void test_answer(void **state)
{
	char what[KVM_PROBE_WHAT_MAX];
	struct kvm_speed s = { 0 };

	(void)state;
	plays = ANSWERS;
	assert_int_equal(probed(&s, what), 0);
	assert_int_equal(s.rounds, 2);
	assert_int_equal(s.per_second, 77);
}

static void expect_failure(int error, const char *text)
{
	char what[KVM_PROBE_WHAT_MAX];
	struct kvm_speed s = { .rounds = 9 };

	assert_int_equal(probed(&s, what), error);
	assert_string_equal(what, text);
	assert_int_equal(s.rounds, 9);
}

static void test_failure(void **state)
{
	(void)state;
	plays = FAILS;
	expect_failure(-EPERM, "cannot create a VM");
}

static void test_a_child_that_dies(void **state)
{
	(void)state;
	plays = DIES;
	expect_failure(-EIO, "cannot be measured");
}

/* A KVM that never comes back from its guest holds nobody up for long. */
static void test_a_child_that_hangs(void **state)
{
	(void)state;
	plays = HANGS;
	expect_failure(-ETIMEDOUT, "cannot be measured");
}

static void test_nothing_to_end(void **state)
{
	struct kvm_probe p = KVM_PROBE_NONE;

	(void)state;
	kvm_probe_end(&p);
	kvm_probe_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_a_child_that_dies),
		cmocka_unit_test(test_a_child_that_hangs),
		cmocka_unit_test(test_nothing_to_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
