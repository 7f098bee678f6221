/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filters that are made (lib/sandbox/filter.c) against those that libseccomp makes of the same policies: for
 * every process and thread that is declared, and for policies made at random, no call that one lets through is
 * refused by the other, with any argument value that either tells apart.
 */
#include "tests/unit/unit.h"

#include "lib/declared/declared.h"
#include "lib/sandbox/sandbox.h"
#include "lib/surface/surface.h"

#include <errno.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CONTROL 3
#define DEATH_CALL __NR_create_module

/* ---- libseccomp's ---- */

static struct scmp_arg_cmp compare(const struct sandbox_arg *a)
{
	switch (a->cmp) {
	case SB_EQ:
		return SCMP_CMP64(a->index, SCMP_CMP_EQ, a->value);
	case SB_MASKED_EQ:
		return SCMP_CMP64(a->index, SCMP_CMP_MASKED_EQ, a->mask, a->value);
	case SB_NO_BITS:
		return SCMP_CMP64(a->index, SCMP_CMP_MASKED_EQ, a->value, 0);
	case SB_OWN_PID:
		return SCMP_CMP64(a->index, SCMP_CMP_EQ, (uint64_t)getpid());
	case SB_NONE:
		break;
	}
	fail_msg("no comparison");
	return (struct scmp_arg_cmp){ 0 };
}

/* libseccomp, whose allocator that is, forgets nodes of rules that others cover; what we leak is looked for. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:zmalloc\n";
}

static void add_row(scmp_filter_ctx ctx, const struct sandbox_rule *rule)
{
	struct scmp_arg_cmp cmp[SANDBOX_MAX_ARGS];
	unsigned int n = 0;

	for (; n < SANDBOX_MAX_ARGS && rule->args[n].cmp != SB_NONE; n++)
		cmp[n] = compare(&rule->args[n]);
	assert_int_equal(seccomp_rule_add_exact_array(ctx, SCMP_ACT_ALLOW, rule->nr, n, cmp), 0);
}

static bool names(const struct sandbox_policy *p, int nr)
{
	for (size_t i = 0; i < p->n_rules; i++)
		if (p->rules[i].nr == nr)
			return true;
	return false;
}

static void read_back(scmp_filter_ctx ctx, struct sandbox_filter *ret)
{
	int fd = memfd_create("filter", MFD_CLOEXEC);
	ssize_t n;

	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	n = pread(fd, ret->code, sizeof(ret->code), 0);
	close(fd);
	assert_true(n > 0 && (size_t)n < sizeof(ret->code));
	ret->len = (unsigned short)((size_t)n / sizeof(ret->code[0]));
}

static void make_theirs(const struct sandbox_policy *p, int control_fd, struct sandbox_filter *ret)
{
	static const struct sandbox_rule restart = SB_CALL(restart_syscall);
	const struct sandbox_rule report = { __NR_sendmsg,
					     { { SB_EQ, 0, (uint64_t)control_fd, 0 },
					       { SB_EQ, 2, MSG_NOSIGNAL, 0 } } };
	bool trap = control_fd >= 0 || p->inherited;
	scmp_filter_ctx ctx = seccomp_init(trap ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS);

	assert_non_null(ctx);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	for (size_t i = 0; i < p->n_rules; i++)
		add_row(ctx, &p->rules[i]);
	if (!names(p, restart.nr))
		add_row(ctx, &restart);
	if (control_fd >= 0 && !names(p, report.nr))
		add_row(ctx, &report);
	if (control_fd >= 0)
		assert_int_equal(seccomp_rule_add_exact(ctx, SCMP_ACT_KILL_PROCESS, DEATH_CALL, 0),
				 0);
	read_back(ctx, ret);
	seccomp_release(ctx);
}

/* ---- the comparison ---- */

static struct surface_filters as_set(const struct sandbox_filter *f)
{
	return (struct surface_filters){ .program[0] = { f->code, f->len }, .n = 1 };
}

static void say_point(const char *who, const char *what, const struct surface_point *at)
{
	fail_msg("%s: %s: call %u (%#llx, %#llx, %#llx, %#llx, %#llx, %#llx)", who, what, at->nr,
		 (unsigned long long)at->args[0], (unsigned long long)at->args[1],
		 (unsigned long long)at->args[2], (unsigned long long)at->args[3],
		 (unsigned long long)at->args[4], (unsigned long long)at->args[5]);
}

static void compare_answers(const char *who, const struct surface_filters *ours,
			    const struct surface_filters *theirs, uint32_t arch, uint32_t nr)
{
	const struct seccomp_data d = { .nr = (int)nr, .arch = arch };
	uint32_t a = surface_action(ours, &d), b = surface_action(theirs, &d);

	if (a != b)
		fail_msg("%s: call %u of %#x: %#x, not %#x", who, nr, arch, a, b);
}

static void check(const struct sandbox_policy *p, int control_fd)
{
	static struct sandbox_filter ours, theirs;
	struct surface_filters a, b;
	struct surface_point at;

	assert_int_equal(sandbox_make_filter(p, control_fd, &ours), 0);
	make_theirs(p, control_fd, &theirs);
	a = as_set(&ours);
	b = as_set(&theirs);
	assert_true(surface_check(&a) && surface_check(&b));
	for (enum surface_table t = 0; t < SURFACE_N_TABLES; t++)
		for (uint32_t nr = 0; nr < SURFACE_NUMBERS; nr++) {
			if (surface_exceeds(&a, &b, t, nr, &at))
				say_point(p->name, "allowed, and not by libseccomp's", &at);
			if (surface_exceeds(&b, &a, t, nr, &at))
				say_point(p->name, "refused, and not by libseccomp's", &at);
		}
	for (uint32_t nr = 0; nr < SURFACE_NUMBERS; nr++) {
		compare_answers(p->name, &a, &b, AUDIT_ARCH_X86_64, nr);
		compare_answers(p->name, &a, &b, AUDIT_ARCH_X86_64, nr | 0x40000000);
		compare_answers(p->name, &a, &b, AUDIT_ARCH_I386, nr);
	}
}

static void check_process(const struct declared_process *d)
{
	int control_fd = d->place == DECLARED_JAIL ? CONTROL : -1;

	check(d->policy, control_fd);
	for (size_t i = 0; i < d->n_threads; i++) {
		check(d->threads[i].policy, control_fd);
		if (d->threads[i].at_first)
			check(d->threads[i].at_first, control_fd);
	}
}

/* ---- tests ---- */

static void test_declared(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_declared_all; i++)
		check_process(declared_all[i]);
	for (size_t i = 0; i < n_declared_tools; i++)
		check_process(declared_tools[i]);
}

static uint64_t seed = 1;

static uint64_t any(uint64_t below)
{
	seed = seed * 6364136223846793005U + 1442695040888963407U;
	return (seed >> 33) % below;
}

/* With halves that are empty, full, alike and odd. */
static uint64_t any_value(void)
{
	static const uint32_t halves[] = { 0, 0, 1, 3, 0x80000000, 0xfffffffe, UINT32_MAX };
	uint64_t high = halves[any(ARRAY_SIZE(halves))];

	return high << 32 | halves[any(ARRAY_SIZE(halves))];
}

/* A comparison's value lies within its mask: else no call matches, and no policy says that. */
static struct sandbox_arg any_arg(unsigned int index)
{
	static const enum sandbox_cmp kinds[] = { SB_EQ, SB_EQ, SB_MASKED_EQ, SB_NO_BITS,
						  SB_OWN_PID };
	struct sandbox_arg a = { kinds[any(ARRAY_SIZE(kinds))], index, any_value(), any_value() };

	if (a.cmp == SB_MASKED_EQ)
		a.value &= a.mask;
	return a;
}

static struct sandbox_rule any_rule(void)
{
	static const int numbers[] = { 0, 1, 7, 16, 16, 16, 72, 72, 334, 435 };
	struct sandbox_rule rule = { .nr = numbers[any(ARRAY_SIZE(numbers))] };
	unsigned int n = (unsigned int)any(SANDBOX_MAX_ARGS + 1), first = (unsigned int)any(4);

	for (unsigned int i = 0; i < n; i++)
		rule.args[i] = any_arg(first + i);
	return rule;
}

static void test_random(void **state)
{
	struct sandbox_rule rules[12];
	const struct sandbox_policy p = { .name = "random", .rules = rules };

	(void)state;
	for (int round = 0; round < 40; round++) {
		struct sandbox_policy q = p;

		q.n_rules = any(ARRAY_SIZE(rules) + 1);
		for (size_t i = 0; i < q.n_rules; i++)
			rules[i] = any_rule();
		q.inherited = any(2);
		check(&q, any(2) ? CONTROL : -1);
	}
}

/* An argument that no call has, wherever it stands. */
static void test_no_such_argument(void **state)
{
	struct sandbox_filter f;

	(void)state;
	for (size_t i = 0; i < SANDBOX_MAX_ARGS; i++) {
		struct sandbox_rule rule = {
			.nr = __NR_read,
			.args = { { SB_EQ, 0, 0, 0 }, { SB_EQ, 1, 0, 0 }, { SB_EQ, 2, 0, 0 } }
		};
		const struct sandbox_policy p = { .rules = &rule, .n_rules = 1 };

		rule.args[i].index = 6;
		assert_int_equal(sandbox_make_filter(&p, CONTROL, &f), -EINVAL);
		rule.args[i].index = UINT32_MAX;
		assert_int_equal(sandbox_make_filter(&p, -1, &f), -EINVAL);
	}
}

/* A filter that has no room is refused, not cut: as many rows as fit, and then one more. */
static void test_length(void **state)
{
	static struct sandbox_rule rules[2048];
	static struct sandbox_filter f;
	struct sandbox_policy p = { .rules = rules, .name = "long" };
	int r = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		rules[i] = (struct sandbox_rule)SB_IOCTL(i);
	while (p.n_rules < ARRAY_SIZE(rules) && r == 0) {
		p.n_rules++;
		r = sandbox_make_filter(&p, CONTROL, &f);
	}
	assert_int_equal(r, -E2BIG);
	p.n_rules--;
	check(&p, CONTROL);
	p.n_rules = ARRAY_SIZE(rules);
	assert_int_equal(sandbox_make_filter(&p, CONTROL, &f), -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_declared),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_no_such_argument),
		cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
