/* SPDX-License-Identifier: Apache-2.0 */
/* lib/kvm/speed.h, with a KVM and a clock that are played. */
#include "lib/kvm/speed.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#define RUN_LEN 4096
#define N_SHORT 4 /* runs before the timed ones */

static struct {
	uint64_t ns;	       /* thread's time */
	uint64_t ns_a_loop[8]; /* of each run */
	uint64_t exit_ns[8];   /* what else each takes */
	unsigned int runs;
	unsigned long fails;	  /* this request does */
	unsigned int interrupted; /* so many times does a run or a VM's making come back first */
	uint32_t exit_reason;
	int vcpu;
	uint64_t loops;
	const uint8_t *page;
} kvm;

int __wrap_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	assert_int_equal(id, CLOCK_THREAD_CPUTIME_ID);
	*t = (struct timespec){ .tv_sec = (time_t)(kvm.ns / 1000000000U),
				.tv_nsec = (long)(kvm.ns % 1000000000U) };
	return 0;
}

static int make_fd(void)
{
	int fd = memfd_create("kvm", 0);

	assert_true(fd >= 0 && ftruncate(fd, RUN_LEN) == 0);
	return fd;
}

static bool is_interrupted(void)
{
	if (!kvm.interrupted)
		return false;
	kvm.interrupted--;
	errno = EINTR;
	return true;
}

static int run(void)
{
	if (is_interrupted())
		return -1;
	assert_true(kvm.runs < ARRAY_SIZE(kvm.ns_a_loop));
	kvm.ns += kvm.exit_ns[kvm.runs] + kvm.loops * kvm.ns_a_loop[kvm.runs];
	kvm.runs++;
	assert_int_equal(pwrite(kvm.vcpu, &kvm.exit_reason, sizeof(kvm.exit_reason),
				offsetof(struct kvm_run, exit_reason)),
			 sizeof(kvm.exit_reason));
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (request == kvm.fails) {
		errno = EPERM;
		return -1;
	}
	switch (request) {
	case KVM_CREATE_VM:
		return is_interrupted() ? -1 : make_fd();
	case KVM_CREATE_VCPU:
		kvm.vcpu = make_fd();
		return kvm.vcpu;
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_LEN;
	case KVM_SET_USER_MEMORY_REGION:
		kvm.page = (const uint8_t *)(uintptr_t)((struct kvm_userspace_memory_region *)arg)
				   ->userspace_addr;
		return 0;
	case KVM_SET_REGS:
		kvm.loops = ((struct kvm_regs *)arg)->rcx;
		return 0;
	case KVM_RUN:
		assert_int_equal(fd, kvm.vcpu);
		assert_int_equal(kvm.page[5], 0xf4); /* its code ends with a halt */
		return run();
	}
	return 0;
}

static int reset(void **state)
{
	(void)state;
	memset(&kvm, 0, sizeof(kvm));
	kvm.exit_reason = KVM_EXIT_HLT;
	return 0;
}

static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* Measures with this time a loop in each timed run; nothing is left open. */
static struct kvm_speed measured(uint64_t first, uint64_t second, uint64_t third)
{
	const uint64_t loops[] = { first, second, third };
	struct kvm_speed s = { 0 };
	struct kvm_speed_vm vm;
	const char *what = NULL;
	int before = count_fds();

	for (size_t i = 0; i < N_SHORT; i++)
		kvm.ns_a_loop[i] = third;
	memcpy(kvm.ns_a_loop + N_SHORT, loops, sizeof(loops));
	assert_int_equal(kvm_speed_measure(&vm, 9, &s, &what), 0);
	assert_int_equal(count_fds(), before + 2); /* the VM is still there, and its vCPU */
	kvm_speed_close(&vm);
	assert_int_equal(count_fds(), before);
	return s;
}

static void set_exits(uint64_t ns)
{
	for (size_t i = 0; i < ARRAY_SIZE(kvm.exit_ns); i++)
		kvm.exit_ns[i] = ns;
}

static void test_real(void **state)
{
	struct kvm_speed s;

	(void)state;
	set_exits(2000);
	kvm.exit_ns[0] = 100000000; /* the first run pays for all there is */
	s = measured(2, 2, 2);
	assert_true(kvm_speed_is_real(&s));
	assert_int_equal(s.rounds, 1); /* one is proof */
	assert_int_equal(kvm.runs, N_SHORT + 1);
}

static void test_emulated(void **state)
{
	struct kvm_speed s;

	(void)state;
	set_exits(8500);
	s = measured(1800, 1700, 1900);
	assert_false(kvm_speed_is_real(&s));
	assert_int_equal(s.rounds, KVM_SPEED_ROUNDS);
	assert_in_range(s.per_second, 2300000, 2400000); /* the best of them */
}

/* KVM in an emulated machine: each exit takes long, and not always the same. */
static void test_costly_exits_are_no_emulation(void **state)
{
	struct kvm_speed s;

	(void)state;
	set_exits(60000);
	kvm.exit_ns[0] = 180000;
	kvm.exit_ns[N_SHORT] = 400000;
	kvm.exit_ns[N_SHORT + 1] = 150000;
	s = measured(3, 3, 3);
	assert_true(kvm_speed_is_real(&s));
	assert_int_equal(s.rounds, 2);
}

/* What the exits take is the least of some: a disturbed one makes nothing look fast. */
static void test_a_disturbed_short_run_is_no_proof(void **state)
{
	struct kvm_speed s;

	(void)state;
	set_exits(8500);
	kvm.exit_ns[1] = kvm.exit_ns[2] = 5000000;
	s = measured(1700, 1700, 1700);
	assert_false(kvm_speed_is_real(&s));
}

static void test_a_disturbed_round_is_forgiven(void **state)
{
	struct kvm_speed s = measured(100000, 3, 3);

	(void)state;
	assert_true(kvm_speed_is_real(&s));
	assert_int_equal(s.rounds, 2);
}

static void test_note(void **state)
{
	struct kvm_speed s = { 0 };

	(void)state;
	assert_false(kvm_speed_note(&s, 1000, 1000000));
	assert_int_equal(s.per_second, 1000000);
	assert_false(kvm_speed_note(&s, 1000, 1000000000)); /* worse than the first */
	assert_int_equal(s.per_second, 1000000);
	assert_true(kvm_speed_note(&s, 999, 100000)); /* the last */
	assert_false(kvm_speed_is_real(&s));
	s = (struct kvm_speed){ 0 };
	assert_true(kvm_speed_note(&s, 1000, 100000)); /* exactly enough */
	assert_true(kvm_speed_is_real(&s));
	s = (struct kvm_speed){ 0 };
	assert_true(kvm_speed_note(&s, 1000, 0)); /* faster than the clock */
	assert_true(kvm_speed_is_real(&s));
}

static void test_signals(void **state)
{
	struct kvm_speed s;

	(void)state;
	kvm.interrupted = 3;
	s = measured(2, 2, 2);
	assert_true(kvm_speed_is_real(&s));
}

static void expect_error(int error, const char *text)
{
	struct kvm_speed s = { .rounds = 77 };
	struct kvm_speed_vm vm;
	const char *what = NULL;
	int before = count_fds();

	assert_int_equal(kvm_speed_measure(&vm, 9, &s, &what), error);
	kvm_speed_close(&vm);
	assert_string_equal(what, text);
	assert_int_equal(s.rounds, 77);
	assert_int_equal(count_fds(), before);
}

static void test_each_step_can_fail(void **state)
{
	static const struct {
		unsigned long request;
		const char *what;
	} rows[] = {
		{ KVM_CREATE_VM, "cannot create a VM" },
		{ KVM_SET_USER_MEMORY_REGION, "cannot give a VM memory" },
		{ KVM_CREATE_VCPU, "cannot create a vCPU" },
		{ KVM_GET_VCPU_MMAP_SIZE, "cannot create a vCPU" },
		{ KVM_GET_SREGS, "cannot create a vCPU" },
		{ KVM_SET_SREGS, "cannot create a vCPU" },
		{ KVM_SET_REGS, "cannot run a loop of real-mode code" },
		{ KVM_RUN, "cannot run a loop of real-mode code" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		reset(state);
		kvm.fails = rows[i].request;
		expect_error(-EPERM, rows[i].what);
	}
}

static void test_another_exit_than_the_halt(void **state)
{
	(void)state;
	kvm.exit_reason = KVM_EXIT_INTERNAL_ERROR;
	expect_error(-ENOTSUP, "cannot run a loop of real-mode code");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_real, reset),
		cmocka_unit_test_setup(test_emulated, reset),
		cmocka_unit_test_setup(test_costly_exits_are_no_emulation, reset),
		cmocka_unit_test_setup(test_a_disturbed_short_run_is_no_proof, reset),
		cmocka_unit_test_setup(test_a_disturbed_round_is_forgiven, reset),
		cmocka_unit_test_setup(test_note, reset),
		cmocka_unit_test_setup(test_signals, reset),
		cmocka_unit_test_setup(test_each_step_can_fail, reset),
		cmocka_unit_test_setup(test_another_exit_than_the_halt, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
