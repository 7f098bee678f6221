/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the system calls that each filter allows, counted, from the policies themselves; status 1
 * if one is over its limit or allows a call that names a path, a process or a socket address.
 */
#include "cmd/dev-blk/policy.h"
#include "cmd/dev-console/policy.h"
#include "cmd/dev-rng/rng.h"
#include "cmd/vmm/policy.h"
#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define VCPU_MOST 16
#define DEVICE_MOST 24

static const struct {
	const struct sandbox_policy *policy;
	size_t most; /* 0: no limit of its own */
} rows[] = {
	{ &vmm_vcpu_policy, VCPU_MOST },   { &vmm_policy, 0 },
	{ &blk_policy, DEVICE_MOST },      { &rng_policy, DEVICE_MOST },
	{ &console_policy, DEVICE_MOST },
};

/* Calls that take a path, a process id or a socket address. */
static const int naming[] = {
	__NR_open, __NR_openat, __NR_openat2, __NR_stat, __NR_lstat, __NR_newfstatat, __NR_statx,
	__NR_access, __NR_faccessat, __NR_faccessat2, __NR_readlink, __NR_readlinkat, __NR_rename,
	__NR_renameat, __NR_renameat2, __NR_unlink, __NR_unlinkat, __NR_mkdir, __NR_mkdirat,
	__NR_rmdir, __NR_link, __NR_linkat, __NR_symlink, __NR_symlinkat, __NR_chmod, __NR_fchmodat,
	__NR_chown, __NR_lchown, __NR_fchownat, __NR_truncate, __NR_statfs, __NR_chdir, __NR_chroot,
	__NR_mount, __NR_umount2, __NR_pivot_root, __NR_execve, __NR_execveat, __NR_creat,
	__NR_mknod, __NR_mknodat, __NR_kill, __NR_tkill, __NR_tgkill, __NR_rt_sigqueueinfo,
	__NR_rt_tgsigqueueinfo, __NR_pidfd_open, __NR_ptrace, __NR_process_vm_readv,
	__NR_process_vm_writev, __NR_kcmp, __NR_prlimit64, __NR_wait4, __NR_waitid, __NR_setpgid,
	__NR_getpgid, __NR_sched_setaffinity, __NR_sched_setscheduler, __NR_connect, __NR_bind,
	__NR_sendto, __NR_recvfrom, __NR_accept, __NR_accept4, __NR_socket, __NR_socketpair,
	__NR_name_to_handle_at, __NR_open_by_handle_at, __NR_bpf, __NR_perf_event_open,
	__NR_userfaultfd, __NR_io_uring_setup, __NR_io_uring_register, __NR_clone, __NR_clone3,
	__NR_fork, __NR_vfork, __NR_unshare, __NR_setns, __NR_mprotect, __NR_memfd_create,
};

static bool is_naming(int nr)
{
	for (size_t i = 0; i < ARRAY_SIZE(naming); i++)
		if (naming[i] == nr)
			return true;
	return false;
}

static bool seen_before(const struct sandbox_policy *p, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (p->rules[i].nr == p->rules[at].nr)
			return true;
	return false;
}

/* The names, each once; how many of them name something. */
static size_t print_calls(const struct sandbox_policy *p)
{
	size_t bad = 0;

	for (size_t i = 0; i < p->n_rules; i++) {
		char name[32];

		if (seen_before(p, i))
			continue;
		sandbox_call_name(p->rules[i].nr, name, sizeof(name));
		printf(" %s%s", name, is_naming(p->rules[i].nr) ? "(!)" : "");
		bad += is_naming(p->rules[i].nr);
	}
	printf("\n");
	return bad;
}

int main(void)
{
	int status = 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sandbox_policy *p = rows[i].policy;
		size_t n = sandbox_count_calls(p);

		printf("  %-12s %3zu calls:", p->name, n);
		if (print_calls(p) || (rows[i].most && n > rows[i].most))
			status = 1;
	}
	return status;
}
