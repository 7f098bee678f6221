/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints the system calls that each filter allows, counted, from the policies themselves; status 1
 * if one is over its limit or allows a call that names a path, a process or a socket address.
 */
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#define VCPU_MOST 12
#define DEVICE_MOST 16

/* Calls that take a path, a process id or a socket address. */
static const int naming[] = {
	__NR_open,
	__NR_openat,
	__NR_openat2,
	__NR_stat,
	__NR_lstat,
	__NR_newfstatat,
	__NR_statx,
	__NR_access,
	__NR_faccessat,
	__NR_faccessat2,
	__NR_readlink,
	__NR_readlinkat,
	__NR_rename,
	__NR_renameat,
	__NR_renameat2,
	__NR_unlink,
	__NR_unlinkat,
	__NR_mkdir,
	__NR_mkdirat,
	__NR_rmdir,
	__NR_link,
	__NR_linkat,
	__NR_symlink,
	__NR_symlinkat,
	__NR_chmod,
	__NR_fchmodat,
	__NR_chown,
	__NR_lchown,
	__NR_fchownat,
	__NR_truncate,
	__NR_statfs,
	__NR_chdir,
	__NR_chroot,
	__NR_mount,
	__NR_umount2,
	__NR_pivot_root,
	__NR_execve,
	__NR_execveat,
	__NR_creat,
	__NR_mknod,
	__NR_mknodat,
	__NR_kill,
	__NR_tkill,
	__NR_tgkill,
	__NR_rt_sigqueueinfo,
	__NR_rt_tgsigqueueinfo,
	__NR_pidfd_open,
	__NR_ptrace,
	__NR_process_vm_readv,
	__NR_process_vm_writev,
	__NR_kcmp,
	__NR_prlimit64,
	__NR_wait4,
	__NR_waitid,
	__NR_setpgid,
	__NR_getpgid,
	__NR_sched_setaffinity,
	__NR_sched_setscheduler,
	__NR_connect,
	__NR_bind,
	__NR_sendto,
	__NR_recvfrom,
	__NR_accept,
	__NR_accept4,
	__NR_socket,
	__NR_socketpair,
	__NR_name_to_handle_at,
	__NR_open_by_handle_at,
	__NR_bpf,
	__NR_perf_event_open,
	__NR_userfaultfd,
	__NR_io_uring_setup,
	__NR_io_uring_register,
	__NR_clone,
	__NR_clone3,
	__NR_fork,
	__NR_vfork,
	__NR_unshare,
	__NR_setns,
	__NR_mprotect,
	__NR_memfd_create,
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

/* most 0: no limit of its own. False if it is over its limit, or names something and may not. */
static bool print_policy(const struct sandbox_policy *p, size_t most, bool guest_facing)
{
	size_t n = sandbox_count_calls(p), bad;

	printf("  %-13s %3zu calls:", p->name, n);
	bad = print_calls(p);
	return (most == 0 || n <= most) && !(guest_facing && bad);
}

static bool print_process(const struct declared_process *d)
{
	bool device = d->guest_facing && d->n_threads == 0;
	bool good = print_policy(d->policy, device ? DEVICE_MOST : 0, d->guest_facing);

	for (size_t i = 0; i < d->n_threads; i++)
		good = print_policy(d->threads[i].policy, 0, d->guest_facing) && good;
	return good;
}

/* The target is for KVM's; the software CPU's needs two more. */
static bool check_vcpu(void)
{
	return sandbox_count_calls(vmm_declared.threads[0].policy) <= VCPU_MOST;
}

int main(void)
{
	bool good = check_vcpu();

	for (size_t i = 0; i < n_declared_all; i++)
		good = print_process(declared_all[i]) && good;
	return good ? 0 : 1;
}
