/* SPDX-License-Identifier: Apache-2.0 */
/* The surface of filters: of policies whose surface is known, and of filters made to hide one. */
#include "tests/unit/unit.h"

#include "lib/declared/declared.h"
#include "lib/surface/calls.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/seccomp.h>
#include <linux/vhost.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define VCPU_MOST 12
#define DEVICE_MOST 16
#define SWITCH_MOST 11
#define HELPER_MOST 9 /* of a device's thread beside its main one */
#define POOL_MOST 8U  /* of a thread that does what a ring would */
#define OPENING_MOST 14
#define LAUNCHER_MOST 90
#define ALL_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* A filter made of a policy. */
struct made {
	struct sandbox_filter filter;
	struct surface_filters f;
};

static void make_for(const struct sandbox_policy *p, int control_fd, struct made *ret)
{
	assert_int_equal(sandbox_make_filter(p, control_fd, &ret->filter), 0);
	ret->f = (struct surface_filters){ .program[0] = { ret->filter.code, ret->filter.len },
					   .n = 1 };
	assert_true(surface_check(&ret->f));
}

static void make(const struct sandbox_policy *p, struct made *ret)
{
	make_for(p, 3, ret);
}

static size_t count(const struct surface_filters *f, enum surface_table table,
		    unsigned int *ret_takes)
{
	size_t n = 0;

	*ret_takes = 0;
	for (uint32_t nr = 0; nr < SURFACE_NUMBERS; nr++) {
		struct surface_call c;

		surface_call(f, table, nr, &c);
		n += c.verdict != SURFACE_NEVER;
		if (c.bounded)
			fail_msg("call %u: more forms than can be looked through", nr);
		*ret_takes |= calls_take(nr, &c);
	}
	return n;
}

/* most 0: none of its own. */
static void check_policy(const struct sandbox_policy *p, bool guest_facing, size_t most)
{
	static struct made m;
	unsigned int takes;
	size_t n;

	make(p, &m);
	n = count(&m.f, SURFACE_X86_64, &takes);
	assert_int_equal(n, sandbox_count_calls(p));
	if (most)
		assert_in_range(n, 1, most);
	if (guest_facing)
		assert_int_equal(takes, 0);
	assert_int_equal(count(&m.f, SURFACE_X32, &takes), 0);
	assert_int_equal(count(&m.f, SURFACE_I386, &takes), 0);
}

static size_t most_of(const struct declared_process *d, const struct declared_thread *t)
{
	if (t->policy == d->policy)
		return DEVICE_MOST;
	if (t->no_ring)
		return POOL_MOST;
	if (!t->each_vcpu)
		return HELPER_MOST;
	return strcmp(t->accel, "kvm") == 0 ? VCPU_MOST : 0;
}

/* Of what a thread has until its process is ready, none is of a path or another process either. */
static void check_thread(const struct declared_process *d, const struct declared_thread *t)
{
	check_policy(t->policy, d->guest_facing, most_of(d, t));
	if (t->at_first)
		check_policy(t->at_first, d->guest_facing, OPENING_MOST);
}

static void test_policies(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_declared_all; i++) {
		const struct declared_process *d = declared_all[i];

		if (d->place != DECLARED_JAIL)
			continue;
		check_policy(d->policy, d->guest_facing,
			     strcmp(d->name, "vmm") == 0 ? 0 : DEVICE_MOST);
		for (size_t k = 0; k < d->n_threads; k++)
			check_thread(d, &d->threads[k]);
	}
}

/* Advice that puts pages among those that are merged, or guest RAM back into core dumps. */
static void test_no_advice_but_remove(void **state)
{
	static struct made m;

	(void)state;
	for (size_t i = 0; i < n_declared_all; i++) {
		if (declared_all[i]->place != DECLARED_JAIL)
			continue;
		make(declared_all[i]->policy, &m);
		for (uint64_t advice = 0; advice < 256; advice++) {
			const struct seccomp_data d = { .nr = __NR_madvise,
							.arch = AUDIT_ARCH_X86_64,
							.args = { 0, 4096, advice } };

			if (advice != MADV_REMOVE)
				assert_false(surface_passes(surface_action(&m.f, &d)));
		}
	}
}

/* ---- flags ---- */

/*
 * What flags, operations, levels and the like may be in any process at all. It is a list of its own, not
 * the policies', so that a rule which checks too little is found here; and it stands beside the ones that
 * have none, so that a call nobody has thought about is found, too.
 */
static const struct flags {
	int nr;
	unsigned int arg;
	uint64_t may[8]; /* ends at the first 0 behind another */
} flagged[] = {
	{ __NR_epoll_ctl, 1, { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD } },
	{ __NR_ppoll, 3, { 0 } },
	{ __NR_futex, 1, { 0x80, 0x81, 0x189 } }, /* wait, wake, wait for a condition: all private */
	{ __NR_sendmsg, 2, { MSG_NOSIGNAL, MSG_NOSIGNAL | MSG_DONTWAIT } },
	{ __NR_recvmsg, 2, { MSG_CMSG_CLOEXEC, MSG_CMSG_CLOEXEC | MSG_DONTWAIT } },
	{ __NR_sendmmsg, 2, { 1 } },
	{ __NR_sendmmsg, 3, { MSG_NOSIGNAL | MSG_DONTWAIT } },
	{ __NR_recvmmsg, 2, { 1 } },
	{ __NR_recvmmsg, 3, { MSG_CMSG_CLOEXEC | MSG_DONTWAIT } },
	{ __NR_recvmmsg, 4, { 0 } },
	{ __NR_sendto, 3, { MSG_NOSIGNAL | MSG_DONTWAIT } },
	{ __NR_sendto, 4, { 0 } },
	{ __NR_recvfrom, 3, { MSG_DONTWAIT, MSG_DONTWAIT | MSG_PEEK } },
	{ __NR_recvfrom, 4, { 0 } },
	{ __NR_accept4, 1, { 0 } },
	{ __NR_accept4, 3, { SOCK_CLOEXEC | SOCK_NONBLOCK } },
	{ __NR_shutdown, 1, { SHUT_WR } },
	{ __NR_getsockopt, 1, { SOL_SOCKET } },
	{ __NR_getsockopt, 2, { SO_PEERCRED } },
	{ __NR_socketpair, 0, { AF_UNIX } },
	{ __NR_socketpair, 1, { SOCK_STREAM | SOCK_CLOEXEC } },
	{ __NR_socketpair, 2, { 0 } },
	{ __NR_socket, 0, { AF_UNIX, AF_INET, AF_INET6 } },
	{ __NR_socket, 1, { SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK } },
	{ __NR_socket, 2, { 0 } },
	{ __NR_setsockopt, 1, { SOL_SOCKET, IPPROTO_TCP } },
	{ __NR_setsockopt,
	  2,
	  { TCP_NODELAY, SO_KEEPALIVE, SO_LINGER, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT,
	    TCP_USER_TIMEOUT } },
	{ __NR_mmap, 0, { 0 } },
	{ __NR_mmap, 2, { PROT_READ, PROT_READ | PROT_WRITE } },
	{ __NR_mmap, 3, { MAP_SHARED, MAP_PRIVATE | MAP_ANONYMOUS } },
	{ __NR_madvise, 2, { MADV_REMOVE } },
	{ __NR_fcntl, 1, { F_SETFL, F_GET_SEALS, F_ADD_SEALS } },
	{ __NR_fcntl, 2, { 0, O_NONBLOCK, ALL_SEALS } },
	{ __NR_preadv2, 5, { 0, RWF_NOWAIT } },
	{ __NR_eventfd2, 1, { EFD_CLOEXEC | EFD_NONBLOCK } },
	{ __NR_timerfd_create, 0, { CLOCK_MONOTONIC } },
	{ __NR_timerfd_create, 1, { TFD_CLOEXEC | TFD_NONBLOCK } },
	{ __NR_timerfd_settime, 1, { 0 } },
	{ __NR_timer_settime, 1, { 0, TIMER_ABSTIME } },
	{ __NR_clock_gettime, 0, { CLOCK_REALTIME, CLOCK_MONOTONIC } },
	{ __NR_clock_nanosleep, 0, { CLOCK_MONOTONIC } },
	{ __NR_clock_nanosleep, 1, { 0 } },
	{ __NR_getrandom, 2, { 0 } },
	{ __NR_fallocate, 1, { FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE } },
	{ __NR_io_uring_enter, 3, { 0, IORING_ENTER_GETEVENTS } },
	{ __NR_io_uring_enter, 4, { 0 } },
	{ __NR_waitid, 0, { P_PIDFD } },
	{ __NR_waitid, 3, { WEXITED, WEXITED | WNOHANG } },
	{ __NR_wait4, 2, { 0 } },
	{ __NR_pidfd_send_signal, 1, { SIGKILL } },
	{ __NR_pidfd_send_signal, 3, { 0 } },
	{ __NR_unlinkat, 2, { AT_REMOVEDIR } },
	{ __NR_openat, 2, { O_RDWR | O_CLOEXEC } }, /* test_the_dialer_opens_what_its_table_says */
	/* less than before: a file's size, or calls */
	{ __NR_prlimit64, 0, { 0 } },
	{ __NR_prlimit64, 1, { RLIMIT_FSIZE } },
	{ __NR_prlimit64, 3, { 0 } },
	{ __NR_seccomp, 0, { SECCOMP_SET_MODE_FILTER } },
	{ __NR_seccomp, 1, { 0 } },
};

static const int flagless[] = {
	/* clang-format off */
	__NR_read, __NR_write, __NR_close, __NR_fstat, __NR_munmap, __NR_brk, __NR_exit_group,
	__NR_restart_syscall, __NR_epoll_wait, __NR_poll, __NR_rt_sigreturn, __NR_pread64,
	__NR_preadv, __NR_pwritev, __NR_fdatasync, __NR_ftruncate, __NR_dup2, __NR_getpid, __NR_gettid, __NR_tgkill,
	__NR_rt_sigaction, __NR_rt_sigprocmask,
	__NR_connect, /* of an address in the dialer's table: test_the_dialer_connects_to_its_table */
	__NR_ioctl, /* a list of numbers, which the process's tables and drills have */
	/* clang-format on */
};

/* Of the processes of `bulkhead image`, instead: files are made there, and grow. A switch keeper looks what a socket is. */
static const struct flags tool_flagged[] = {
	{ __NR_fallocate, 1, { 0, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE } },
	{ __NR_lseek, 2, { SEEK_SET, SEEK_DATA, SEEK_HOLE } },
	{ __NR_fcntl, 1, { F_GETFL } },
	{ __NR_unlinkat, 2, { 0 } },
	{ __NR_recvfrom,
	  3,
	  { 0 } }, /* of a socket that never blocks: image-fetch, as libcurl does it */
	{ __NR_recvfrom, 4, { 0 } },
	{ __NR_sendto, 3, { MSG_NOSIGNAL } },
	{ __NR_sendto, 4, { 0 } },
	{ __NR_getsockopt, 1, { SOL_SOCKET } },
	{ __NR_getsockopt, 2, { SO_PEERCRED, SO_DOMAIN, SO_TYPE } },
	/* passt's guard: of passt alone */
	{ __NR_wait4, 2, { 0, WNOHANG } },
	{ __NR_clock_gettime, 0, { 0, CLOCK_MONOTONIC, PASST_CLOCK_BOTH, PASST_CLOCK_USER } },
};

/* And of image-seed, who it is and on what it runs. */
static const int tool_flagless[] = { __NR_pwrite64, __NR_pwritev,  __NR_ftruncate, __NR_fdatasync,
				     __NR_fsync,    __NR_renameat, __NR_uname,	   __NR_time,
				     __NR_getuid,   __NR_getgid };

static bool may_be(const struct flags *f, uint64_t value)
{
	for (size_t i = 0; i < ARRAY_SIZE(f->may) && (i == 0 || f->may[i]); i++)
		if (f->may[i] == value)
			return true;
	return false;
}

static bool is_flagless(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(flagless); i++)
		if (flagless[i] == nr)
			return true;
	return false;
}

/* That the call passes with these values and no others, as a search over what the filter compares. */
static void check_values(const char *who, const struct flags *f, const struct surface_call *c)
{
	const struct surface_arg *a = &c->arg[f->arg];
	char name[32];

	sandbox_call_name(f->nr, name, sizeof(name));
	if (!a->matters || a->others || a->more)
		fail_msg("%s: %s: argument %u is not checked to the bit", who, name, f->arg);
	for (size_t i = 0; i < a->n_values; i++)
		if (!may_be(f, a->value[i]))
			fail_msg("%s: %s: argument %u may be %#llx", who, name, f->arg,
				 (unsigned long long)a->value[i]);
}

/* The same without the search: each form that passes, with each bit of the argument turned over. */
static void check_bits(const char *who, const struct surface_filters *filters,
		       const struct sandbox_rule *rule, const struct flags *f)
{
	struct seccomp_data d = { .nr = rule->nr, .arch = AUDIT_ARCH_X86_64 };

	for (size_t i = 0; i < SANDBOX_MAX_ARGS && rule->args[i].cmp <= SB_MASKED_EQ; i++)
		d.args[rule->args[i].index] |= rule->args[i].value;
	assert_true(surface_passes(surface_action(filters, &d)));
	for (unsigned int bit = 0; bit < 64; bit++) {
		d.args[f->arg] ^= UINT64_C(1) << bit;
		if (surface_passes(surface_action(filters, &d)) && !may_be(f, d.args[f->arg]))
			fail_msg("%s: call %d passes with %#llx in argument %u", who, f->nr,
				 (unsigned long long)d.args[f->arg], f->arg);
		d.args[f->arg] ^= UINT64_C(1) << bit;
	}
}

/* Whether the list has the call. */
static bool check_list(const struct flags *list, size_t n, const struct sandbox_policy *p,
		       const struct surface_filters *filters, const struct surface_call *c, int nr)
{
	bool known = false;

	for (size_t i = 0; i < n; i++) {
		if (list[i].nr != nr)
			continue;
		known = true;
		check_values(p->name, &list[i], c);
		for (size_t k = 0; k < p->n_rules; k++)
			if (p->rules[k].nr == nr)
				check_bits(p->name, filters, &p->rules[k], &list[i]);
	}
	return known;
}

static void check_call(const struct sandbox_policy *p, bool tool,
		       const struct surface_filters *filters, const struct surface_call *c, int nr)
{
	bool known = is_flagless(nr);

	for (size_t i = 0; tool && i < ARRAY_SIZE(tool_flagless); i++)
		known |= tool_flagless[i] == nr;
	if (tool)
		known |= check_list(tool_flagged, ARRAY_SIZE(tool_flagged), p, filters, c, nr);
	if (!known)
		known = check_list(flagged, ARRAY_SIZE(flagged), p, filters, c, nr);
	if (!known)
		fail_msg("%s: call %d: say here which flags it takes, or that it takes none",
			 p->name, nr);
}

static void check_flags_of(const struct sandbox_policy *p, bool tool, int control_fd)
{
	static struct made m;

	make_for(p, control_fd, &m);
	for (uint32_t nr = 0; nr < SURFACE_NUMBERS; nr++) {
		struct surface_call c;

		surface_call(&m.f, SURFACE_X86_64, nr, &c);
		if (c.verdict != SURFACE_NEVER && nr != __NR_create_module)
			check_call(p, tool, &m.f, &c, (int)nr);
	}
}

static void check_flags(const struct sandbox_policy *p, int control_fd)
{
	check_flags_of(p, false, control_fd);
}

static void check_thread_flags(const struct declared_thread *t)
{
	check_flags(t->policy, 3);
	if (t->at_first)
		check_flags(t->at_first, 3);
}

static void test_flags(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_declared_all; i++) {
		const struct declared_process *d = declared_all[i];

		if (d == &launcher_declared) /* test_launcher */
			continue;
		check_flags(d->policy, d->place == DECLARED_JAIL ? 3 : -1);
		for (size_t k = 0; k < d->n_threads; k++)
			check_thread_flags(&d->threads[k]);
	}
}

/* Of no VM: none of those that read an image, or a guest's frames, takes a path, and image-import writes to no file. */
static void test_processes_of_no_vm(void **state)
{
	static struct made m;

	(void)state;
	for (size_t i = 0; i < n_declared_tools; i++) {
		const struct declared_process *d = declared_tools[i];
		bool jailed = d->place == DECLARED_JAIL;

		check_flags_of(d->policy, true, jailed ? 3 : -1);
		if (jailed)
			check_policy(d->policy, true, 0);
		for (size_t k = 0; k < d->n_threads; k++) {
			check_policy(d->threads[k].policy, true, 0);
			check_flags_of(d->threads[k].policy, true, 3);
		}
	}
	check_policy(net_switch_declared.policy, true, SWITCH_MOST);
	make(image_import_declared.policy, &m);
	for (size_t k = 0; k < ARRAY_SIZE(tool_flagless); k++) {
		const struct seccomp_data s = { .nr = tool_flagless[k], .arch = AUDIT_ARCH_X86_64 };

		assert_false(surface_passes(surface_action(&m.f, &s)));
	}
	assert_int_equal(image_import_declared.policy->limits.fsize, 0);
}

/* ---- the launcher, whose filter those that it starts inherit ---- */

static void check_within(const struct sandbox_policy *p, const struct surface_filters *filters)
{
	for (size_t k = 0; k < p->n_rules; k++) {
		struct seccomp_data d = { .nr = p->rules[k].nr, .arch = AUDIT_ARCH_X86_64 };

		for (size_t a = 0; a < SANDBOX_MAX_ARGS && p->rules[k].args[a].cmp; a++)
			d.args[p->rules[k].args[a].index] = p->rules[k].args[a].value;
		if (!surface_passes(surface_action(filters, &d)))
			fail_msg("%s: row %zu, call %d, is not the launcher's", p->name, k, d.nr);
	}
}

static void check_thread_within(const struct declared_thread *t,
				const struct surface_filters *filters)
{
	check_within(t->policy, filters);
	if (t->at_first)
		check_within(t->at_first, filters);
}

/* So that one that is started again is as good as the first. */
static void test_launcher_lets_devices_serve(void **state)
{
	static struct made m;

	(void)state;
	make_for(launcher_declared.policy, -1, &m);
	for (size_t i = 0; i < n_declared_all; i++) {
		const struct declared_process *d = declared_all[i];

		if (d->place != DECLARED_JAIL || d->channels_from)
			continue;
		check_within(d->policy, &m.f);
		for (size_t k = 0; k < d->n_threads; k++)
			check_thread_within(&d->threads[k], &m.f);
	}
}

/* And what it refuses is told of by a device's own handler, but in its start. */
static void test_launcher_refuses(void **state)
{
	static const struct {
		int nr;
		uint64_t args[6];
	} refused[] = {
		{ __NR_execve, { 0 } },
		{ __NR_execveat, { 7, 0, 0, 0, 0 } }, /* by a path */
		{ __NR_open, { 0 } },
		{ __NR_openat, { 5, 0, O_RDWR | O_CLOEXEC } },
		{ __NR_openat, { 5, 0, O_WRONLY | O_CREAT | O_CLOEXEC } },
		{ __NR_openat2, { 5 } },
		{ __NR_socket, { AF_UNIX, SOCK_STREAM } },
		{ __NR_socket, { AF_INET, SOCK_STREAM } },
		{ __NR_socketpair, { AF_INET, SOCK_STREAM | SOCK_CLOEXEC } },
		{ __NR_connect, { 3 } },
		{ __NR_bind, { 3 } },
		{ __NR_accept4, { 3 } },
		{ __NR_ptrace, { 0 } },
		{ __NR_process_vm_readv, { 1 } },
		{ __NR_process_vm_writev, { 1 } },
		{ __NR_pidfd_getfd, { 7 } },
		{ __NR_pidfd_open, { 1 } },
		{ __NR_kill, { 1, 9 } },
		{ __NR_tgkill, { 1, 1, 9 } },
		{ __NR_pidfd_send_signal, { 7, SIGSTOP } },
		{ __NR_setns, { 7 } },
		{ __NR_unshare, { 0x10000000 } },
		{ __NR_mount, { 1, 0, 0, 0x4000 | 0x40000 } }, /* of a device */
		{ __NR_mount, { 0, 0, 0, 0x1000 } },
		{ __NR_open_tree, { 0 } },
		{ __NR_fspick, { 0 } },
		{ __NR_chroot, { 0 } },
		{ __NR_mknodat, { 0 } },
		{ __NR_unlinkat, { 0 } },
		{ __NR_keyctl, { 0 } },
		{ __NR_keyctl, { 11 } },
		{ __NR_add_key, { 0 } },
		{ __NR_bpf, { 0 } },
		{ __NR_perf_event_open, { 0 } },
		{ __NR_userfaultfd, { 0 } },
		{ __NR_init_module, { 0 } },
		{ __NR_clone, { 0 } },
		{ __NR_fork, { 0 } },
		{ __NR_vfork, { 0 } },
		{ __NR_prctl, { 22 } },	   /* PR_SET_SECCOMP */
		{ __NR_prctl, { 15 } },	   /* PR_SET_NAME */
		{ __NR_prlimit64, { 1 } }, /* of another process */
		{ __NR_mprotect, { 0x1000, 4096, PROT_READ | PROT_EXEC } },
		{ __NR_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, 7 } },
		{ __NR_mmap, { 0, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, 7 } },
		{ __NR_setresuid + 1000, { 0 } },
		{ __NR_setuid, { 0 } },
		{ __NR_setgroups, { 0 } },
	};
	static struct made m;
	unsigned int takes;

	(void)state;
	make_for(launcher_declared.policy, -1, &m);
	assert_in_range(count(&m.f, SURFACE_X86_64, &takes), 1, LAUNCHER_MOST);
	assert_int_equal(count(&m.f, SURFACE_X32, &takes), 0);
	assert_int_equal(count(&m.f, SURFACE_I386, &takes), 0);
	for (size_t k = 0; k < ARRAY_SIZE(refused); k++) {
		struct seccomp_data d = { .nr = refused[k].nr, .arch = AUDIT_ARCH_X86_64 };
		uint32_t action;

		memcpy(d.args, refused[k].args, sizeof(d.args));
		action = surface_action(&m.f, &d);
		if (action != SECCOMP_RET_TRAP)
			fail_msg("row %zu, call %d: %#x", k, d.nr, action);
	}
}

/* One of each, as they were asked for in anger. */
static void test_what_flags_reached(void **state)
{
	static const struct {
		int nr;
		uint64_t args[6];
	} refused[] = {
		{ __NR_sendmsg, { 3, 0, MSG_OOB | MSG_NOSIGNAL } }, /* CVE-2025-38236 */
		{ __NR_recvmsg, { 3, 0, MSG_OOB | MSG_CMSG_CLOEXEC } },
		{ __NR_recvmsg, { 3, 0, MSG_PEEK | MSG_CMSG_CLOEXEC } },
		{ __NR_sendmsg, { 3, 0, MSG_ZEROCOPY | MSG_NOSIGNAL } },
		{ __NR_sendmmsg, { 3, 0, 1, MSG_OOB | MSG_NOSIGNAL | MSG_DONTWAIT } },
		{ __NR_sendmmsg, { 3, 0, 2, MSG_NOSIGNAL | MSG_DONTWAIT } },
		{ __NR_recvmmsg, { 3, 0, 1, MSG_PEEK | MSG_CMSG_CLOEXEC | MSG_DONTWAIT } },
		{ __NR_recvmmsg, { 3, 0, 1, MSG_CMSG_CLOEXEC | MSG_DONTWAIT, 0x1000 } },
		{ __NR_futex, { 0, FUTEX_LOCK_PI_PRIVATE } },
		{ __NR_futex, { 0, FUTEX_CMP_REQUEUE_PI_PRIVATE } },
		{ __NR_futex, { 0, FUTEX_WAIT } }, /* of a page that is shared */
		{ __NR_futex, { 0, 0x189, 0, 0, 0, 1 } },
		{ __NR_mmap,
		  { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
		    (uint64_t)-1 } },
		{ __NR_mmap,
		  { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN,
		    (uint64_t)-1 } },
		{ __NR_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, 7 } },
		{ __NR_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_SYNC, 7 } },
		{ __NR_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, 7 } },
		{ __NR_mmap,
		  { 0x200000, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    (uint64_t)-1 } },
		{ __NR_fcntl, { 7, F_SETFL, O_NONBLOCK | O_ASYNC } },
		{ __NR_fcntl, { 7, F_SETFL, 0 } },
		{ __NR_fcntl, { 7, F_SETOWN, 1 } },
		{ __NR_fcntl, { 7, F_NOTIFY, 1 } },
		{ __NR_getrandom, { 0, 1, 2 } },
		{ __NR_timerfd_create, { CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK } },
		{ __NR_timerfd_settime, { 7, 3 } },
		{ __NR_io_uring_enter, { 7, 1, 0, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG } },
	};
	static struct made m;

	(void)state;
	for (size_t i = 0; i < n_declared_all; i++) {
		if (!declared_all[i]->guest_facing)
			continue;
		make(declared_all[i]->policy, &m);
		for (size_t k = 0; k < ARRAY_SIZE(refused); k++) {
			struct seccomp_data d = { .nr = refused[k].nr, .arch = AUDIT_ARCH_X86_64 };

			memcpy(d.args, refused[k].args, sizeof(d.args));
			if (surface_passes(surface_action(&m.f, &d)))
				fail_msg("%s: row %zu passes", declared_all[i]->name, k);
		}
	}
}

static struct surface_call call_of(const struct surface_filters *f, uint32_t nr)
{
	struct surface_call c;

	surface_call(f, SURFACE_X86_64, nr, &c);
	return c;
}

static void test_arguments(void **state)
{
	static const struct sandbox_rule rules[] = {
		SB_IOCTL(0xae80),
		SB_IOCTL(0x4020ae46),
		SB_IOCTL(3),
		{ .nr = __NR_mmap, .args = { { SB_NO_BITS, 2, PROT_EXEC, 0 } } },
		SB_CALL_EQ(sendto, 4, 0),
		SB_CALL(connect),
		{ .nr = __NR_socket, .args = { { SB_EQ, 0, 1, 0 }, { SB_MASKED_EQ, 1, 5, 0xf } } },
	};
	const struct sandbox_policy p = { .name = "test",
					  .rules = rules,
					  .n_rules = ARRAY_SIZE(rules) };
	static struct made m;
	struct surface_call c;

	(void)state;
	make(&p, &m);
	c = call_of(&m.f, __NR_ioctl);
	assert_int_equal(c.verdict, SURFACE_SOMETIMES);
	assert_true(c.arg[1].matters && !c.arg[1].others);
	assert_int_equal(c.arg[1].n_values, 3);
	assert_false(c.arg[0].matters || c.arg[2].matters);
	c = call_of(&m.f, __NR_mmap);
	assert_int_equal(c.verdict, SURFACE_SOMETIMES);
	assert_int_equal(c.arg[2].no_bits, PROT_EXEC);
	assert_int_equal(calls_take(__NR_mmap, &c), 0);
	c = call_of(&m.f, __NR_sendto);
	assert_int_equal(calls_take(__NR_sendto, &c), 0);
	c = call_of(&m.f, __NR_connect);
	assert_int_equal(c.verdict, SURFACE_ALWAYS);
	assert_int_equal(calls_take(__NR_connect, &c), CALL_ADDRESS);
	c = call_of(&m.f, __NR_socket);
	assert_int_equal(c.verdict, SURFACE_SOMETIMES);
	assert_int_equal(c.arg[0].n_values, 1);
	assert_int_equal(c.arg[0].value[0], 1);
	assert_int_equal(calls_take(__NR_socket, &c), CALL_OPENS);
	c = call_of(&m.f, __NR_getpid);
	assert_int_equal(c.verdict, SURFACE_NEVER);
}

static bool is_whole_address(uint64_t at, uint64_t len)
{
	const uint64_t in = at % DIALER_ADDRESS_LEN;

	return at < DIALER_TABLE_LEN &&
	       (in == 0 ? len == sizeof(struct sockaddr_in) || len == sizeof(struct sockaddr_in6) :
			  in == DIALER_PATH_AT && len == sizeof(struct sockaddr_un));
}

/* Nobody else may connect at all, and the dialer with nothing that lies elsewhere, or between two addresses, or is a part of
 * one. */
static void test_the_dialer_connects_to_its_table(void **state)
{
	static const uint64_t lens[] = { 0, 2, 15, 16, 17, 28, 109, 110, 111, 1ULL << 32 | 16 };
	static struct made m;

	(void)state;
	for (size_t i = 0; i < n_declared_all; i++) {
		const struct declared_process *d = declared_all[i];
		bool dials = d == &dialer_declared;
		struct seccomp_data q = { .nr = __NR_connect, .arch = AUDIT_ARCH_X86_64 };

		make_for(d->policy, d->place == DECLARED_JAIL ? 3 : -1, &m);
		for (uint64_t n = 0; n < 2 * DIALER_TABLE_LEN / 8 * ARRAY_SIZE(lens); n++) {
			const uint64_t at = n / ARRAY_SIZE(lens) * 8;

			q.args[1] = DIALER_TABLE + at;
			q.args[2] = lens[n % ARRAY_SIZE(lens)];
			assert_int_equal(surface_passes(surface_action(&m.f, &q)),
					 dials && is_whole_address(at, q.args[2]));
		}
		for (unsigned int bit = 16; bit < 64; bit++) {
			q.args[1] = DIALER_TABLE ^ UINT64_C(1) << bit;
			q.args[2] = sizeof(struct sockaddr_in);
			assert_false(surface_passes(surface_action(&m.f, &q)));
		}
	}
	/* and what is there stays */
	make_for(dialer_declared.policy, -1, &m);
	assert_int_equal(call_of(&m.f, __NR_mmap).verdict, SURFACE_NEVER);
	assert_int_equal(call_of(&m.f, __NR_mprotect).verdict, SURFACE_NEVER);
	assert_int_equal(call_of(&m.f, __NR_munmap).verdict, SURFACE_NEVER);
	assert_int_equal(call_of(&m.f, __NR_mremap).verdict, SURFACE_NEVER);
}

/* By a path that begins where an address of its table does, and in no other directory; nobody else in a jail or beside it. */
static void test_the_dialer_opens_what_its_table_says(void **state)
{
	static struct made m;

	(void)state;
	for (size_t i = 0; i < n_declared_all; i++) {
		const struct declared_process *d = declared_all[i];
		const bool opens = d == &dialer_declared;
		struct seccomp_data q = { .nr = __NR_openat,
					  .arch = AUDIT_ARCH_X86_64,
					  .args = { (uint32_t)AT_FDCWD, 0, O_RDWR | O_CLOEXEC } };

		if (d->place != DECLARED_JAIL && !opens)
			continue;
		make_for(d->policy, opens ? -1 : 3, &m);
		for (uint64_t at = 0; at < 2 * DIALER_TABLE_LEN; at += 8) {
			q.args[1] = DIALER_TABLE + at;
			assert_int_equal(surface_passes(surface_action(&m.f, &q)),
					 opens && at < DIALER_TABLE_LEN &&
						 at % DIALER_ADDRESS_LEN == 0);
		}
		q.args[1] = DIALER_TABLE;
		for (q.args[0] = 0; q.args[0] < 64; q.args[0]++)
			assert_false(surface_passes(surface_action(&m.f, &q)));
	}
}

/* Of all requests to the kernel's vhost and to a tap that there could be: no owner, no log, no other interface. */
static void test_what_may_be_asked_of_vhost(void **state)
{
	static const uint32_t may[] = {
		VHOST_SET_FEATURES,    VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE,  VHOST_GET_VRING_BASE, VHOST_SET_VRING_ADDR,
		VHOST_SET_VRING_KICK,  VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,
		VHOST_NET_SET_BACKEND, TUNSETOFFLOAD,	     TUNSETQUEUE,
	};
	static const unsigned int types[] = { VHOST_VIRTIO, 'T' };
	static struct made m;
	size_t n_passed = 0;

	(void)state;
	for (size_t i = 0; i < n_declared_all; i++)
		if (strcmp(declared_all[i]->name, "dev-vhost-net") == 0)
			make_for(declared_all[i]->policy, 3, &m);
	for (uint32_t k = 0; k < ARRAY_SIZE(types) * 4 * 256 * 128; k++) {
		const uint32_t request = _IOC(k >> 15 & 3, types[k >> 17], k >> 7 & 255, k & 127);
		const struct seccomp_data d = { .nr = __NR_ioctl,
						.arch = AUDIT_ARCH_X86_64,
						.args = { 8, request, 0 } };
		bool listed = false;

		for (size_t i = 0; i < ARRAY_SIZE(may); i++)
			listed |= may[i] == request;
		assert_int_equal(surface_passes(surface_action(&m.f, &d)), listed);
		n_passed += listed;
	}
	assert_int_equal(n_passed, ARRAY_SIZE(may));
}

/* Whole messages of its two pages, each over its socket, and one byte when it is ready. */
static bool keeper_may_write(uint64_t fd, uint64_t at, uint64_t len)
{
	const uint64_t page = fd == NET_KEEPER_FD_ROUTE ? NET_KEEPER_ROUTE : NET_KEEPER_NFTABLES;

	if (fd == NET_KEEPER_FD_READY)
		return len == 1;
	return (fd == NET_KEEPER_FD_ROUTE || fd == NET_KEEPER_FD_NFTABLES) &&
	       at - page < NET_KEEPER_PAGE_LEN && at % NET_KEEPER_MESSAGE_LEN == 0 &&
	       len == NET_KEEPER_MESSAGE_LEN;
}

static void test_the_net_keeper_sends_its_pages(void **state)
{
	static const uint64_t lens[] = { 0, 1, 127, 128, 129, 256, 4096, 1ULL << 32 | 128 };
	struct seccomp_data q = { .nr = __NR_write, .arch = AUDIT_ARCH_X86_64 };
	static struct made m;

	(void)state;
	make_for(net_keeper_declared.policy, -1, &m);
	for (uint64_t fd = 0; fd < 9; fd++)
		for (uint64_t at = 0; at < 4 * NET_KEEPER_PAGE_LEN; at += 8)
			for (size_t i = 0; i < ARRAY_SIZE(lens); i++) {
				q.args[0] = fd;
				q.args[1] = NET_KEEPER_ROUTE - NET_KEEPER_PAGE_LEN + at;
				q.args[2] = lens[i];
				assert_int_equal(surface_passes(surface_action(&m.f, &q)),
						 keeper_may_write(fd, q.args[1], lens[i]));
			}
	for (unsigned int bit = 13; bit < 64; bit++) {
		q.args[0] = NET_KEEPER_FD_ROUTE;
		q.args[1] = NET_KEEPER_ROUTE ^ UINT64_C(1) << bit;
		q.args[2] = NET_KEEPER_MESSAGE_LEN;
		assert_false(surface_passes(surface_action(&m.f, &q)));
	}
	/* and what is there stays */
	assert_int_equal(call_of(&m.f, __NR_mmap).verdict, SURFACE_NEVER);
	assert_int_equal(call_of(&m.f, __NR_mprotect).verdict, SURFACE_NEVER);
	assert_int_equal(call_of(&m.f, __NR_munmap).verdict, SURFACE_NEVER);
	assert_int_equal(call_of(&m.f, __NR_mremap).verdict, SURFACE_NEVER);
}

static void test_no_filter(void **state)
{
	const struct surface_filters none = { .n = 0 };
	struct surface_call c = call_of(&none, __NR_openat);

	(void)state;
	assert_int_equal(c.verdict, SURFACE_ALWAYS);
	assert_int_equal(calls_take(__NR_openat, &c), CALL_PATH);
	c = call_of(&none, __NR_mprotect);
	assert_int_equal(calls_take(__NR_mprotect, &c), CALL_CODE);
	c = call_of(&none, __NR_waitid);
	assert_int_equal(calls_take(__NR_waitid, &c), CALL_PROCESS);
}

/* ---- filters that hide what they let through ---- */

#define LOW(arg) (16 + 8 * (arg))
#define HIGH(arg) (20 + 8 * (arg))
#define LOAD(at) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (at))
#define EQ(k, jt, jf) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (k), (jt), (jf))
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define KILL BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

static const struct sock_filter hidden[][12] = {
	/* one value of 64 bits */
	{ LOAD(LOW(3)), EQ(0xdeadbeef, 0, 2), LOAD(HIGH(3)), EQ(0x1234, 1, 0), KILL, ALLOW, KILL },
	/* bits in the middle */
	{ LOAD(LOW(0)), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff0), EQ(0x120, 0, 1), ALLOW, KILL },
	/* above a number, below another */
	{ LOAD(LOW(1)), BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 1000, 0, 2),
	  BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 1002, 1, 0), ALLOW, KILL },
	/* one bit of the upper half */
	{ LOAD(HIGH(2)), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40000, 0, 1), ALLOW, KILL },
	/* two arguments together */
	{ LOAD(LOW(0)), EQ(7, 0, 2), LOAD(LOW(5)), EQ(9, 1, 0), KILL, ALLOW, KILL },
	/* through memory and the other register */
	{ LOAD(LOW(4)), BPF_STMT(BPF_ST, 5), BPF_STMT(BPF_LDX | BPF_MEM, 5),
	  BPF_STMT(BPF_LD | BPF_IMM, 77), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1), ALLOW,
	  KILL },
};

static size_t length(const struct sock_filter *code)
{
	size_t n = 12;

	while (code[n - 1].code == 0 && code[n - 1].k == 0)
		n--;
	return n;
}

static void test_hidden_values_are_found(void **state)
{
	static const struct sock_filter refuse[] = { KILL };
	const struct surface_filters none = { .program[0] = { refuse, 1 }, .n = 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++) {
		const struct surface_filters f = { .program[0] = { hidden[i], length(hidden[i]) },
						   .n = 1 };
		struct surface_point point = { 0 };
		struct seccomp_data d = { .nr = __NR_openat, .arch = AUDIT_ARCH_X86_64 };

		assert_true(surface_check(&f));
		if (call_of(&f, __NR_openat).verdict != SURFACE_SOMETIMES)
			fail_msg("hidden filter %zu", i);
		assert_true(surface_exceeds(&f, &none, SURFACE_X86_64, __NR_openat, &point));
		memcpy(d.args, point.args, sizeof(d.args));
		assert_int_equal(surface_action(&f, &d), SECCOMP_RET_ALLOW);
		assert_false(surface_exceeds(&none, &f, SURFACE_X86_64, __NR_openat, NULL));
		assert_false(surface_exceeds(&f, &f, SURFACE_X86_64, __NR_openat, NULL));
	}
}

/* The stricter of two counts, whatever their order. */
static void test_two_filters(void **state)
{
	static const struct sock_filter all[] = { ALLOW };
	static const struct sock_filter log[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_LOG) };
	static const struct sock_filter kill[] = { KILL };
	static const struct sock_filter trace[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE) };
	struct surface_filters f = { .program = { { all, 1 }, { log, 1 } }, .n = 2 };
	struct surface_call c;

	(void)state;
	assert_int_equal(call_of(&f, 0).verdict, SURFACE_ALWAYS);
	f.program[0] = (struct bpf_program){ kill, 1 };
	assert_int_equal(call_of(&f, 0).verdict, SURFACE_NEVER);
	f.program[0] = (struct bpf_program){ trace, 1 };
	c = call_of(&f, 0);
	assert_int_equal(c.verdict, SURFACE_NEVER);
	assert_true(c.asks);
}

static void test_exceeds_policy(void **state)
{
	static const struct sandbox_rule less[] = {
		SB_IOCTL(1),
		SB_CALL(read),
		{ .nr = __NR_mmap, .args = { { SB_NO_BITS, 2, PROT_EXEC, 0 } } }
	};
	static const struct sandbox_rule more[] = { SB_IOCTL(1), SB_IOCTL(2), SB_CALL(read),
						    SB_CALL(mmap), SB_CALL(open) };
	const struct sandbox_policy few = { .rules = less, .n_rules = ARRAY_SIZE(less) };
	const struct sandbox_policy many = { .rules = more, .n_rules = ARRAY_SIZE(more) };
	static struct made a, b;
	struct surface_point point;

	(void)state;
	make(&few, &a);
	make(&many, &b);
	assert_true(surface_exceeds(&b.f, &a.f, SURFACE_X86_64, __NR_ioctl, &point));
	assert_int_equal(point.args[1], 2);
	assert_true(surface_exceeds(&b.f, &a.f, SURFACE_X86_64, __NR_mmap, &point));
	assert_true(point.args[2] & PROT_EXEC);
	assert_true(surface_exceeds(&b.f, &a.f, SURFACE_X86_64, __NR_open, NULL));
	assert_false(surface_exceeds(&b.f, &a.f, SURFACE_X86_64, __NR_read, NULL));
	for (uint32_t nr = 0; nr < SURFACE_NUMBERS; nr++)
		assert_false(surface_exceeds(&a.f, &b.f, SURFACE_X86_64, nr, NULL));
}

/* Compares all six arguments with hundreds of values: the work is bounded, and said to be. */
static void test_endless(void **state)
{
	static struct sock_filter code[BPF_PROGRAM_MAX];
	const struct surface_filters f = { .program[0] = { code, BPF_PROGRAM_MAX }, .n = 1 };
	struct surface_call c;

	(void)state;
	for (size_t i = 0; i < BPF_PROGRAM_MAX - 1; i++)
		code[i] = i % 2 ? (struct sock_filter)EQ((uint32_t)i * 7, 0, 0) :
				  (struct sock_filter)LOAD(16 + 4 * (i / 2 % 12));
	code[BPF_PROGRAM_MAX - 1] = (struct sock_filter)ALLOW;
	assert_true(surface_check(&f));
	c = call_of(&f, __NR_openat);
	assert_true(c.bounded);
	assert_int_not_equal(c.verdict, SURFACE_NEVER);
	assert_int_equal(calls_take(__NR_openat, &c), CALL_PATH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policies),
		cmocka_unit_test(test_no_advice_but_remove),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_processes_of_no_vm),
		cmocka_unit_test(test_launcher_lets_devices_serve),
		cmocka_unit_test(test_launcher_refuses),
		cmocka_unit_test(test_what_flags_reached),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_the_dialer_connects_to_its_table),
		cmocka_unit_test(test_the_dialer_opens_what_its_table_says),
		cmocka_unit_test(test_what_may_be_asked_of_vhost),
		cmocka_unit_test(test_the_net_keeper_sends_its_pages),
		cmocka_unit_test(test_no_filter),
		cmocka_unit_test(test_hidden_values_are_found),
		cmocka_unit_test(test_two_filters),
		cmocka_unit_test(test_exceeds_policy),
		cmocka_unit_test(test_endless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
