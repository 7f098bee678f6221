/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest is offered of Hyper-V's interface, whatever KVM says of itself: less than all is refused, more is left
 * out. KVM is played.
 */
#include "cmd/vmm/accel/kvm/hyperv.h"
#include "tests/unit/unit.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define KVM_FD 1000
#define VCPU_FD 1001
#define FEATURES 0xafeU
#define MISC (1U << 8 | 1U << 10 | 1U << 19)
#define HINTS (1U << 3 | 1U << 5 | 1U << 9)

/* ---- a KVM ---- */

static struct kvm_cpuid_entry2 says[64];
static unsigned int n_says, n_said; /* as it counts, and as there are */
static int fails;		    /* errno of its answer; 0: it gives one */
static uint32_t calls[8];	    /* capabilities, and an MSR */
static unsigned int n_calls, fail_at;

static int refuse(int err)
{
	errno = err;
	return -1;
}

static int answer(struct kvm_cpuid2 *c)
{
	assert_true(c->nent >= 10 && c->nent <= 64);
	if (fails)
		return refuse(fails);
	memcpy(c->entries, says, (n_said < c->nent ? n_said : c->nent) * sizeof(says[0]));
	c->nent = n_says;
	return 0;
}

static int note(uint32_t call, int good)
{
	assert_true(n_calls < ARRAY_SIZE(calls));
	calls[n_calls++] = call;
	return n_calls == fail_at ? refuse(EINVAL) : good;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	const struct kvm_enable_cap *cap = arg;
	const struct kvm_msrs *msrs = arg;

	if (request == KVM_GET_SUPPORTED_HV_CPUID) {
		assert_int_equal(fd, KVM_FD);
		return answer(arg);
	}
	assert_int_equal(fd, VCPU_FD);
	if (request == KVM_ENABLE_CAP) {
		assert_int_equal(cap->args[0], cap->cap == KVM_CAP_HYPERV_ENFORCE_CPUID);
		return note(cap->cap, 0);
	}
	assert_int_equal(request, KVM_SET_MSRS);
	assert_int_equal(msrs->nmsrs, 1);
	assert_int_equal(msrs->entries[0].data, 1ULL << 63);
	return note(msrs->entries[0].index, 1);
}

static void say(uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t edx)
{
	says[n_said++] =
		(struct kvm_cpuid_entry2){ .function = leaf, .eax = eax, .ebx = ebx, .edx = edx };
	n_says = n_said;
}

/* As Linux 6.1 does. */
static void say_all(void)
{
	n_said = 0;
	fails = 0;
	say(0x40000000, 0x40000082, 0, 0);
	say(0x40000001, 0x31237648, 0, 0);
	say(0x40000002, 0x3839, 0xa0000, 0);
	say(0x40000003, 0x2eff, 0x100870, 0x1d0d14);
	say(0x40000004, 0x2e2c, 0xfff, 0);
	say(0x40000005, 1024, 64, 0);
	say(0x4000000a, 0x60101, 1, 0);
	say(0x40000080, 0x40000082, 0, 0);
}

/* ---- a table of CPUID ---- */

static struct accel a = { .kvm_fd = KVM_FD };
static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 room[KVM_CPUID_MAX];
} table, before;

static void begin(void)
{
	static const uint32_t leaves[] = { 0,	       1,	   0x40000000, 7,
					   0x40000001, 0x3fffffff, 0x4fffffff, 0x50000000,
					   0x80000000, 0x40000100, 0x40000101 };

	memset(&table, 0, sizeof(table));
	a.cpuid = &table.head;
	a.hyperv = true;
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		table.room[table.head.nent++] =
			(struct kvm_cpuid_entry2){ .function = leaves[i], .eax = leaves[i] ^ 0x5a };
	before = table;
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (unsigned int i = 0; i < table.head.nent; i++) {
		if (table.room[i].function != function)
			continue;
		assert_null(found);
		found = &table.room[i];
	}
	assert_non_null(found);
	return found;
}

static void check_offered(void)
{
	static const uint32_t others[] = { 0, 1, 7, 0x3fffffff, 0x50000000, 0x80000000 };

	assert_int_equal(kvm_hyperv_offer(&a), 0);
	assert_int_equal(table.head.nent, ARRAY_SIZE(others) + 6);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(table.room[i].function, others[i]);
		assert_int_equal(table.room[i].eax, others[i] ^ 0x5a);
	}
	assert_int_equal(leaf(0x40000000)->eax, 0x40000005);
	assert_memory_equal(&leaf(0x40000000)->ebx, "Microsoft Hv", 12);
	assert_memory_equal(&leaf(0x40000001)->eax, "Hv#1", 4);
	assert_int_equal(leaf(0x40000003)->eax, FEATURES);
	assert_int_equal(leaf(0x40000003)->ebx, 0);
	assert_int_equal(leaf(0x40000003)->ecx, 0);
	assert_int_equal(leaf(0x40000003)->edx, MISC);
	assert_int_equal(leaf(0x40000004)->eax, HINTS);
	assert_int_equal(leaf(0x40000004)->ebx, UINT32_MAX);
	assert_int_equal(leaf(0x40000005)->eax, VCPUS_MAX);
}

static void check_refused(int why)
{
	assert_int_equal(kvm_hyperv_offer(&a), why);
	assert_memory_equal(&table, &before, sizeof(table));
}

/* ---- leaves ---- */

static void test_what_is_offered(void **state)
{
	(void)state;
	say_all();
	begin();
	check_offered();
}

static void test_more_is_left_out(void **state)
{
	(void)state;
	say_all();
	for (unsigned int i = 0; i < n_said; i++)
		says[i].eax = says[i].ebx = says[i].ecx = says[i].edx = UINT32_MAX;
	say(0x40000006, UINT32_MAX, UINT32_MAX, UINT32_MAX);
	begin();
	check_offered();
}

static void test_less_is_refused(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 32; bit++) {
		say_all();
		begin();
		says[3].eax &= ~(1U << bit);
		if (FEATURES >> bit & 1)
			check_refused(-ENOTSUP);
		else
			check_offered();
		say_all();
		begin();
		says[3].edx &= ~(1U << bit);
		if (MISC >> bit & 1)
			check_refused(-ENOTSUP);
		else
			check_offered();
		say_all();
		begin();
		says[4].eax &= ~(1U << bit);
		if (HINTS >> bit & 1)
			check_refused(-ENOTSUP);
		else
			check_offered();
	}
}

static void test_answers_that_are_none(void **state)
{
	(void)state;
	say_all();
	begin();
	n_says = 0;
	check_refused(-ENOTSUP);
	n_says = 3; /* without the features */
	check_refused(-ENOTSUP);
	n_says = 4; /* without the hints */
	check_refused(-ENOTSUP);
	n_says = UINT32_MAX; /* more than there was room for */
	check_offered();
	say_all();
	begin();
	says[3].function = 0x40000013;
	n_says = UINT32_MAX;
	check_refused(-ENOTSUP);
	say_all();
	begin();
	says[0] =
		(struct kvm_cpuid_entry2){ .function =
						   0x40000003 }; /* said twice: the first counts */
	check_refused(-ENOTSUP);
	fails = E2BIG;
	check_refused(-E2BIG);
	fails = ENOTTY;
	check_refused(-ENOTTY);
}

static void test_a_table_that_is_full(void **state)
{
	(void)state;
	say_all();
	begin();
	for (uint32_t i = table.head.nent; i < KVM_CPUID_MAX; i++)
		table.room[table.head.nent++].function = 0x100 + i;
	/* five of its leaves give way to six */
	assert_int_equal(kvm_hyperv_offer(&a), -E2BIG);
	begin();
	for (uint32_t i = table.head.nent; i < KVM_CPUID_MAX - 1; i++)
		table.room[table.head.nent++].function = 0x100 + i;
	assert_int_equal(kvm_hyperv_offer(&a), 0);
	assert_int_equal(table.head.nent, KVM_CPUID_MAX);
}

/* ---- MSRs ---- */

static bool is_allowed(const uint8_t *bits, uint32_t msr)
{
	const uint32_t at = msr - KVM_MSR_HYPERV;

	return bits[at / 8] >> at % 8 & 1;
}

static void test_msrs_that_pass(void **state)
{
	static const struct {
		uint32_t first, last;
	} all[] = { { 0x00, 0x03 }, { 0x20, 0x23 }, { 0x70, 0x73 },  { 0x80, 0x84 },
		    { 0x90, 0x9f }, { 0xb0, 0xb7 }, { 0x100, 0x105 } };
	static uint8_t bits[KVM_HYPERV_MSRS / 8], expected[KVM_HYPERV_MSRS / 8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (uint32_t k = all[i].first; k <= all[i].last; k++)
			expected[k / 8] |= (uint8_t)(1U << k % 8);
	kvm_hyperv_allow(bits);
	assert_memory_equal(bits, expected, sizeof(bits));
	for (size_t i = 0; i < kvm_hyperv_n_kept; i++)
		assert_true(is_allowed(bits, kvm_hyperv_kept[i]));
}

static void test_what_is_not_offered_is_refused(void **state)
{
	struct accel_vcpu v = { .accel = &a, .fd = VCPU_FD };

	(void)state;
	n_calls = fail_at = 0;
	assert_int_equal(kvm_hyperv_enforce(&v), 0);
	assert_int_equal(n_calls, 3);
	assert_int_equal(calls[0], KVM_CAP_HYPERV_SYNIC);
	assert_int_equal(calls[1], KVM_CAP_HYPERV_ENFORCE_CPUID);
	assert_int_equal(calls[2], 0x40000105);
	for (fail_at = 1; fail_at <= 3; fail_at++) {
		n_calls = 0;
		assert_true(kvm_hyperv_enforce(&v) < 0);
		assert_int_equal(n_calls, fail_at);
	}
}

/* ---- exits ---- */

static void test_exits(void **state)
{
	static struct kvm_run run;
	struct accel_exit e;

	(void)state;
	run.exit_reason = KVM_EXIT_SYSTEM_EVENT;
	for (uint32_t type = 0; type < 64; type++) {
		run.system_event.type = type;
		kvm_hyperv_exit(&run, &e);
		assert_int_equal(e.kind, type == KVM_SYSTEM_EVENT_RESET ? ACCEL_EXIT_RESET :
					 type == KVM_SYSTEM_EVENT_CRASH ? ACCEL_EXIT_PANIC :
									  ACCEL_EXIT_BROKEN);
		assert_int_equal(!!e.why, e.kind == ACCEL_EXIT_BROKEN);
	}
	memset(&run, 0x5a, sizeof(run));
	run.exit_reason = KVM_EXIT_HYPERV;
	run.hyperv.type = KVM_EXIT_HYPERV_HCALL;
	kvm_hyperv_exit(&run, &e);
	assert_int_equal(e.kind, ACCEL_EXIT_NONE);
	assert_int_equal(run.hyperv.u.hcall.result, 2);
	for (uint32_t type = 0; type < 8; type++) {
		run.hyperv.type = type;
		kvm_hyperv_exit(&run, &e);
		assert_int_equal(e.kind, ACCEL_EXIT_NONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_offered),
		cmocka_unit_test(test_more_is_left_out),
		cmocka_unit_test(test_less_is_refused),
		cmocka_unit_test(test_answers_that_are_none),
		cmocka_unit_test(test_a_table_that_is_full),
		cmocka_unit_test(test_msrs_that_pass),
		cmocka_unit_test(test_what_is_not_offered_is_refused),
		cmocka_unit_test(test_exits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
