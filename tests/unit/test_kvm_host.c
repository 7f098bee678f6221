/* SPDX-License-Identifier: Apache-2.0 */
/* lib/kvm/host.h, with a KVM that is played. */
#include "lib/kvm/host.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <cmocka.h>

static int version;
static int absent; /* capability, or -1 */

int __wrap_ioctl(int fd, unsigned long request, unsigned long arg);
int __wrap_ioctl(int fd, unsigned long request, unsigned long arg)
{
	assert_int_equal(fd, 7);
	if (request == KVM_GET_API_VERSION)
		return version;
	assert_int_equal(request, KVM_CHECK_EXTENSION);
	return (int)arg != absent;
}

static void test_all_there(void **state)
{
	const char *why = "untouched";

	(void)state;
	version = KVM_API_VERSION;
	absent = -1;
	assert_int_equal(kvm_host_check(7, &why), 0);
	assert_string_equal(why, "untouched");
}

static void test_another_interface(void **state)
{
	const char *why = NULL;

	(void)state;
	absent = -1;
	for (version = -1; version < KVM_API_VERSION; version++) {
		assert_int_equal(kvm_host_check(7, &why), -ENODEV);
		assert_string_equal(why, "/dev/kvm is not KVM with API version 12");
	}
}

static void test_each_capability_counts(void **state)
{
	static const int caps[] = { KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_IRQFD,
				    KVM_CAP_IOEVENTFD_ANY_LENGTH, KVM_CAP_SIGNAL_MSI,
				    KVM_CAP_IMMEDIATE_EXIT };

	(void)state;
	version = KVM_API_VERSION;
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		const char *why = NULL;

		absent = caps[i];
		assert_int_equal(kvm_host_check(7, &why), -ENODEV);
		assert_memory_equal(why, "/dev/kvm has no ", 16);
	}
}

static void test_what_keeps_to_the_machine(void **state)
{
	(void)state;
	absent = -1;
	assert_null(kvm_host_lacks(7));
	absent = KVM_CAP_X86_MSR_FILTER;
	assert_string_equal(kvm_host_lacks(7), "KVM has no filter of MSRs");
	absent = KVM_CAP_ENFORCE_PV_FEATURE_CPUID;
	assert_string_equal(kvm_host_lacks(7), "KVM does not enforce paravirtual features");
}

static void test_what_keeps_to_hyper_v(void **state)
{
	static const int caps[] = { KVM_CAP_X86_MSR_FILTER, KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
				    KVM_CAP_HYPERV_SYNIC, KVM_CAP_SYS_HYPERV_CPUID,
				    KVM_CAP_HYPERV_ENFORCE_CPUID };

	(void)state;
	absent = -1;
	assert_null(kvm_host_lacks_hyperv(7));
	for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
		absent = caps[i];
		assert_memory_equal(kvm_host_lacks_hyperv(7), "KVM ", 4);
		assert_int_equal(!kvm_host_lacks(7), i >= 2);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_there),
		cmocka_unit_test(test_another_interface),
		cmocka_unit_test(test_each_capability_counts),
		cmocka_unit_test(test_what_keeps_to_the_machine),
		cmocka_unit_test(test_what_keeps_to_hyper_v),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
