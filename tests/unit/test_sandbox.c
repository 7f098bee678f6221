/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policies to filters: the filter is made and run over calls that are and are not allowed. What it does in the kernel is tests/device/test_sandbox.py's.
 */
#include "tests/unit/unit.h"

#include "lib/control/control.h"
#include "lib/sandbox/sandbox.h"
#include "lib/surface/bpf.h"

#include <linux/audit.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#define CONTROL 3
#define DEATH_CALL __NR_create_module

static const struct sandbox_rule rules[] = {
	SB_CALL(read),
	SB_IOCTL(0xae80),
	SB_IOCTL(0xc0045678),
	{ .nr = __NR_mmap, .args = { { SB_NO_BITS, 2, PROT_EXEC, 0 } } },
	{ .nr = __NR_mprotect, .args = { { SB_NO_BITS, 2, PROT_EXEC, 0 } } },
	SB_CALL_EQ(fcntl, 1, 3),
	{ .nr = __NR_openat, .args = { { SB_NO_BITS, 2, 0x41, 0 } } },
	{ .nr = __NR_socket, .args = { { SB_EQ, 0, 1, 0 }, { SB_MASKED_EQ, 1, 5, 0xf } } },
	SB_CALL(read),
};

static const struct sandbox_policy policy = { .name = "test",
					      .rules = rules,
					      .n_rules = ARRAY_SIZE(rules) };

/* ---- filters, made and run ---- */

static void make(const struct sandbox_policy *p, int control, struct sandbox_filter *ret)
{
	assert_int_equal(sandbox_make_filter(p, control, ret), 0);
}

static uint32_t run(const struct sandbox_filter *f, const struct seccomp_data *d)
{
	const struct bpf_program bpf = { f->code, f->len };

	assert_true(bpf_check(&bpf));
	return bpf_run(&bpf, d, NULL, NULL);
}

static uint32_t verdict(int control, int nr, uint64_t a0, uint64_t a1, uint64_t a2)
{
	const struct seccomp_data d = { .nr = nr,
					.arch = AUDIT_ARCH_X86_64,
					.args = { a0, a1, a2 } };
	static struct sandbox_filter f;

	make(&policy, control, &f);
	return run(&f, &d);
}

#define ALLOWED(nr, a0, a1, a2) \
	assert_int_equal(verdict(CONTROL, __NR_##nr, a0, a1, a2), SECCOMP_RET_ALLOW)
#define TRAPPED(nr, a0, a1, a2) \
	assert_int_equal(verdict(CONTROL, __NR_##nr, a0, a1, a2), SECCOMP_RET_TRAP)

/* ---- tests ---- */

static void test_count(void **state)
{
	static const struct sandbox_rule more[] = { SB_CALL(sendmsg), SB_CALL(restart_syscall) };
	const struct sandbox_policy named = { .rules = more, .n_rules = 2 };
	const struct sandbox_policy empty = { .name = "empty" };

	(void)state;
	assert_int_equal(sandbox_count_calls(&policy), 7 + 2);
	assert_int_equal(sandbox_count_calls(&named), 2);
	assert_int_equal(sandbox_count_calls(&empty), 2);
}

/* The count is the truth: so many numbers have any allowed form at all. */
static void test_every_number(void **state)
{
	struct sandbox_filter f;
	size_t n = 0;

	(void)state;
	make(&policy, CONTROL, &f);
	for (int nr = 0; nr < 1024; nr++) {
		const struct seccomp_data plain = { .nr = nr, .arch = AUDIT_ARCH_X86_64 };
		uint32_t v = run(&f, &plain);
		bool filtered = nr == __NR_ioctl || nr == __NR_fcntl || nr == __NR_socket ||
				nr == __NR_sendmsg;

		if (nr == DEATH_CALL)
			assert_int_equal(v, SECCOMP_RET_KILL_PROCESS);
		else if (v == SECCOMP_RET_ALLOW || filtered)
			n++;
		else
			assert_int_equal(v, SECCOMP_RET_TRAP);
	}
	assert_int_equal(n, sandbox_count_calls(&policy));
}

static void test_ioctl(void **state)
{
	(void)state;
	ALLOWED(ioctl, 0, 0xae80, 0);
	ALLOWED(ioctl, 9, 0xc0045678, UINT64_MAX);
	TRAPPED(ioctl, 0, 0xae81, 0);
	TRAPPED(ioctl, 0, 0, 0);
	/* the upper half counts: what the kernel would cut off is not let through */
	TRAPPED(ioctl, 0, 0x100000000ae80, 0);
	TRAPPED(ioctl, 0, 0xffffffffc0045678, 0);
}

static void test_no_exec(void **state)
{
	(void)state;
	for (uint64_t prot = 0; prot < 8; prot++) {
		if (prot & 4) {
			TRAPPED(mmap, 0, 4096, prot);
			TRAPPED(mprotect, 0, 4096, prot);
		} else {
			ALLOWED(mmap, 0, 4096, prot);
			ALLOWED(mprotect, 0, 4096, prot);
		}
	}
	TRAPPED(mmap, 0, 4096, 0x1000007);
	ALLOWED(mmap, UINT64_MAX, UINT64_MAX, 0xfffffffb);
}

static void test_comparisons(void **state)
{
	(void)state;
	ALLOWED(fcntl, 7, 3, 0);
	TRAPPED(fcntl, 7, 4, 0);
	TRAPPED(fcntl, 7, 0x100000003, 0);
	ALLOWED(openat, 0, 0, 0x80000);
	TRAPPED(openat, 0, 0, 0x40);
	TRAPPED(openat, 0, 0, 1);
	ALLOWED(socket, 1, 5, 0);
	ALLOWED(socket, 1, 0x80005, 0);
	TRAPPED(socket, 1, 1, 0);
	TRAPPED(socket, 2, 5, 0);
}

static void test_report(void **state)
{
	(void)state;
	ALLOWED(sendmsg, CONTROL, 0, MSG_NOSIGNAL);
	TRAPPED(sendmsg, CONTROL, 0, 0);
	TRAPPED(sendmsg, CONTROL, 0, MSG_NOSIGNAL | MSG_OOB);
	TRAPPED(sendmsg, CONTROL + 1, 0, MSG_NOSIGNAL);
	TRAPPED(sendmsg, 0x100000003, 0, MSG_NOSIGNAL);
	ALLOWED(restart_syscall, 0, 0, 0);
	assert_int_equal(verdict(CONTROL, DEATH_CALL, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
}

static void test_outside_a_jail_a_refused_call_kills(void **state)
{
	(void)state;
	assert_int_equal(verdict(-1, __NR_read, 0, 0, 0), SECCOMP_RET_ALLOW);
	assert_int_equal(verdict(-1, __NR_getpid, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(verdict(-1, __NR_sendmsg, 3, 0, 0), SECCOMP_RET_KILL_PROCESS);
}

static void test_other_architectures(void **state)
{
	const struct seccomp_data i386 = { .nr = 3, .arch = AUDIT_ARCH_I386 };
	const struct seccomp_data x32 = { .nr = 0x40000000, .arch = AUDIT_ARCH_X86_64 };
	const struct seccomp_data minus = { .nr = -1, .arch = AUDIT_ARCH_X86_64 };
	struct sandbox_filter f;

	(void)state;
	make(&policy, CONTROL, &f);
	assert_int_equal(run(&f, &i386), SECCOMP_RET_KILL_PROCESS);
	assert_int_equal(run(&f, &x32), SECCOMP_RET_KILL_PROCESS);
	assert_int_not_equal(run(&f, &minus), SECCOMP_RET_ALLOW);
}

static void test_policies_that_defeat_the_trap(void **state)
{
	static const struct sandbox_rule handler[] = { SB_CALL(rt_sigaction) };
	static const struct sandbox_rule death[] = { SB_CALL(create_module) };
	static const struct sandbox_rule bad[] = {
		{ .nr = __NR_read, .args = { { (enum sandbox_cmp)9, 0, 0, 0 } } },
	};
	const struct sandbox_policy policies[] = {
		{ .rules = handler, .n_rules = 1 },
		{ .rules = death, .n_rules = 1 },
		{ .rules = bad, .n_rules = 1 },
	};
	struct sandbox_filter f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++)
		assert_int_equal(sandbox_make_filter(&policies[i], CONTROL, &f), -22);
}

/* The handler's message is what control.h says; the process dies by SIGSYS all the same. */
static void test_trap_handler(void **state)
{
	struct control_msg m;
	int s[2], fd = -1, status;
	pid_t pid;

	(void)state;
	make_pair(SOCK_SEQPACKET, s);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		siginfo_t info = { .si_signo = SIGSYS, .si_code = 1 };
		struct sigaction sa;

		info.si_syscall = 0x12345;
		if (sandbox_trap_install(s[1]) < 0 || sigaction(SIGSYS, NULL, &sa) < 0)
			_exit(1);
		alarm(1); /* without a filter the last call does not kill */
		sa.sa_sigaction(SIGSYS, &info, NULL);
		_exit(2);
	}
	closep(&s[1]);
	assert_int_equal(control_recv(s[0], &m, &fd), 1);
	assert_int_equal(m.type, CTL_DENIED);
	assert_int_equal(m.number, 0x12345);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status)); /* it never returned */
	close_pair(s);
}

static void test_thread_filter_needs_the_handler(void **state)
{
	static struct sandbox_filter filter;

	(void)state;
	assert_int_equal(sandbox_prepare_thread(&policy, &filter), -22);
	assert_int_equal(sandbox_trap_install(-1), -9);
}

static void test_enter_refuses_outside_a_jail(void **state)
{
	const char *what = NULL;

	(void)state;
	assert_int_equal(sandbox_enter(&policy, CONTROL, &what), -1);
	assert_string_equal(what, "a process namespace of its own");
	assert_int_equal(sandbox_enter(&policy, -1, &what), -9);
}

static void test_names(void **state)
{
	char name[64], cut[4];

	(void)state;
	sandbox_call_name(__NR_openat, name, sizeof(name));
	assert_string_equal(name, "openat");
	sandbox_call_name(99999, name, sizeof(name));
	assert_string_equal(name, "unknown");
	sandbox_call_name(-1, name, sizeof(name));
	assert_string_equal(name, "unknown");
	sandbox_call_name(__NR_openat, cut, sizeof(cut));
	assert_string_equal(cut, "ope");
}

/* ---- scopes ---- */

/* An abstract socket that listens, with a name that the kernel chooses. */
static int listen_abstract(struct sockaddr_un *ret, socklen_t *ret_len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	assert_int_equal(bind(fd, (struct sockaddr *)ret, sizeof(sa_family_t)), 0);
	assert_int_equal(listen(fd, 1), 0);
	*ret_len = sizeof(*ret);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, ret_len), 0);
	return fd;
}

static int try_connect(const struct sockaddr_un *sa, socklen_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = connect(fd, (const struct sockaddr *)sa, len) < 0 ? errno : 0;

	close(fd);
	return r;
}

/* Bits of what went otherwise than expected. */
static int scoped_child(pid_t outside, const struct sockaddr_un *sa, socklen_t len, int denied)
{
	pid_t inside;
	int wrong = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || sandbox_scope_self() < 0)
		return 1;
	if ((kill(outside, 0) < 0 ? errno : 0) != denied)
		wrong |= 2;
	if (try_connect(sa, len) != denied)
		wrong |= 4;
	inside = fork();
	if (inside == 0) {
		pause();
		_exit(0);
	}
	if (kill(inside, SIGKILL) < 0 || waitpid(inside, NULL, 0) != inside)
		wrong |= 8;
	return wrong;
}

static void test_scopes(void **state)
{
	int denied = sandbox_landlock_abi() >= 6 ? EPERM : 0;
	struct sockaddr_un sa;
	socklen_t len;
	int listener = listen_abstract(&sa, &len), status;
	pid_t outside = getpid(), child = fork();

	(void)state;
	if (child == 0)
		_exit(scoped_child(outside, &sa, len, denied));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(listener);
}

/* ---- an address in a message, which no filter sees ---- */

/* 0, or errno, of a message on one end of a connected pair that names a listener outside. */
static int send_to(int type, const struct sockaddr_un *sa, socklen_t len, bool *ret_peer_got)
{
	char out = 'x';
	struct iovec iov = { &out, 1 };
	struct msghdr mh = { .msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_name = (void *)(uintptr_t)sa,
			     .msg_namelen = len };
	char byte;
	int s[2], r;

	make_pair(type, s);
	r = sendmsg(s[0], &mh, MSG_NOSIGNAL) < 0 ? errno : 0;
	*ret_peer_got = recv(s[1], &byte, 1, MSG_DONTWAIT) == 1;
	close_pair(s);
	return r;
}

/* What the threat model says of it: the two types that processes hold never follow one. */
static void test_addresses_in_messages(void **state)
{
	int outside = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	bool peer_got;
	char byte;

	(void)state;
	assert_int_equal(bind(outside, (struct sockaddr *)&sa, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(outside, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(send_to(SOCK_STREAM, &sa, len, &peer_got), EISCONN);
	assert_false(peer_got);
	assert_int_equal(send_to(SOCK_SEQPACKET, &sa, len, &peer_got), 0);
	assert_true(peer_got);
	assert_int_equal(recv(outside, &byte, 1, MSG_DONTWAIT), -1);
	/* why there is no datagram socket anywhere */
	assert_int_equal(send_to(SOCK_DGRAM, &sa, len, &peer_got), 0);
	assert_false(peer_got);
	assert_int_equal(recv(outside, &byte, 1, MSG_DONTWAIT), 1);
	close(outside);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_thread_filter_needs_the_handler),
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_every_number),
		cmocka_unit_test(test_ioctl),
		cmocka_unit_test(test_no_exec),
		cmocka_unit_test(test_comparisons),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_outside_a_jail_a_refused_call_kills),
		cmocka_unit_test(test_other_architectures),
		cmocka_unit_test(test_policies_that_defeat_the_trap),
		cmocka_unit_test(test_trap_handler),
		cmocka_unit_test(test_enter_refuses_outside_a_jail),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_scopes),
		cmocka_unit_test(test_addresses_in_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
