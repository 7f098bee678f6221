/* SPDX-License-Identifier: Apache-2.0 */
/* What system calls can name; see calls.h. */
#include "lib/surface/calls.h"

#include "lib/base/cleanup.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ANY = -1 };

/* What a call takes, unless the argument can only be the value, or can never have the bits. */
struct row {
	long nr;
	unsigned int takes;
	int arg; /* ANY: whatever the arguments are */
	uint64_t harmless;
	uint32_t harmful_bits;
};

/* clang-format off */
#define PATHS(name) { __NR_##name, CALL_PATH, ANY, 0, 0 }
#define PROCESS(name) { __NR_##name, CALL_PROCESS, ANY, 0, 0 }
#define ADDRESS(name) { __NR_##name, CALL_ADDRESS, ANY, 0, 0 }
#define OPENS(name) { __NR_##name, CALL_OPENS, ANY, 0, 0 }
/* clang-format on */

/* Numbers that Debian's headers do not have yet. */
#define NR_FCHMODAT2 452
#define NR_STATMOUNT 457
#define NR_LISTMOUNT 458
#define NR_SETXATTRAT 463
#define NR_OPEN_TREE_ATTR 467

/* clang-format off */
static const struct row rows[] = {
	PATHS(open), PATHS(openat), PATHS(openat2), PATHS(creat), PATHS(stat), PATHS(lstat),
	PATHS(newfstatat), PATHS(statx), PATHS(access), PATHS(faccessat), PATHS(faccessat2),
	PATHS(readlink), PATHS(readlinkat), PATHS(rename), PATHS(renameat), PATHS(renameat2),
	PATHS(unlink), PATHS(unlinkat), PATHS(mkdir), PATHS(mkdirat), PATHS(rmdir), PATHS(link),
	PATHS(linkat), PATHS(symlink), PATHS(symlinkat), PATHS(chmod), PATHS(fchmodat),
	PATHS(chown), PATHS(lchown), PATHS(fchownat), PATHS(truncate), PATHS(statfs), PATHS(chdir),
	PATHS(chroot), PATHS(mount), PATHS(umount2), PATHS(pivot_root), PATHS(mknod),
	PATHS(mknodat), PATHS(utime), PATHS(utimes), PATHS(utimensat), PATHS(futimesat),
	PATHS(setxattr), PATHS(lsetxattr), PATHS(getxattr), PATHS(lgetxattr), PATHS(listxattr),
	PATHS(llistxattr), PATHS(removexattr), PATHS(lremovexattr), PATHS(inotify_add_watch),
	PATHS(fanotify_mark), PATHS(name_to_handle_at), PATHS(open_by_handle_at), PATHS(open_tree),
	PATHS(move_mount), PATHS(fspick), PATHS(fsconfig), PATHS(mount_setattr), PATHS(swapon),
	PATHS(swapoff), PATHS(acct), PATHS(quotactl), PATHS(uselib), PATHS(execve),
	PATHS(execveat), PATHS(mq_open), PATHS(mq_unlink),
	PATHS(_sysctl), { NR_FCHMODAT2, CALL_PATH, ANY, 0, 0 },
	{ NR_STATMOUNT, CALL_PATH, ANY, 0, 0 }, { NR_LISTMOUNT, CALL_PATH, ANY, 0, 0 },
	{ NR_SETXATTRAT, CALL_PATH, ANY, 0, 0 }, { NR_SETXATTRAT + 1, CALL_PATH, ANY, 0, 0 },
	{ NR_SETXATTRAT + 2, CALL_PATH, ANY, 0, 0 }, { NR_SETXATTRAT + 3, CALL_PATH, ANY, 0, 0 },
	{ NR_OPEN_TREE_ATTR, CALL_PATH, ANY, 0, 0 },

	PROCESS(kill), PROCESS(tkill), PROCESS(tgkill), PROCESS(rt_sigqueueinfo),
	PROCESS(rt_tgsigqueueinfo), PROCESS(pidfd_open), PROCESS(ptrace),
	PROCESS(process_vm_readv), PROCESS(process_vm_writev), PROCESS(kcmp), PROCESS(wait4),
	PROCESS(setpgid), PROCESS(getpgid), PROCESS(getsid), PROCESS(sched_setaffinity),
	PROCESS(sched_getaffinity), PROCESS(sched_setscheduler), PROCESS(sched_getscheduler),
	PROCESS(sched_setparam), PROCESS(sched_getparam), PROCESS(sched_setattr),
	PROCESS(sched_getattr), PROCESS(sched_rr_get_interval), PROCESS(setpriority),
	PROCESS(getpriority), PROCESS(ioprio_set), PROCESS(ioprio_get), PROCESS(migrate_pages),
	PROCESS(move_pages), PROCESS(capget), PROCESS(capset), PROCESS(get_robust_list),
	PROCESS(clone), PROCESS(clone3), PROCESS(fork), PROCESS(vfork), { __NR_waitid, CALL_PROCESS, 0, P_PIDFD, 0 },
	{ __NR_prlimit64, CALL_PROCESS, 0, 0, 0 },

	ADDRESS(connect), ADDRESS(bind), { __NR_sendto, CALL_ADDRESS, 4, 0, 0 },

	OPENS(socket), OPENS(bpf), OPENS(perf_event_open), OPENS(userfaultfd),
	OPENS(io_uring_setup), OPENS(io_uring_register), OPENS(unshare), OPENS(setns),
	OPENS(memfd_create), OPENS(memfd_secret), OPENS(add_key), OPENS(request_key), OPENS(keyctl),
	OPENS(shmget), OPENS(shmat), OPENS(msgget), OPENS(semget), OPENS(fanotify_init),
	OPENS(inotify_init), OPENS(inotify_init1), OPENS(fsopen), OPENS(init_module),
	OPENS(finit_module), OPENS(kexec_load), OPENS(kexec_file_load), OPENS(pidfd_getfd),

	{ __NR_mmap, CALL_CODE, 2, 0, PROT_EXEC }, { __NR_mprotect, CALL_CODE, 2, 0, PROT_EXEC },
	{ __NR_pkey_mprotect, CALL_CODE, 2, 0, PROT_EXEC },
	{ __NR_remap_file_pages, CALL_CODE, ANY, 0, 0 }, { __NR_shmat, CALL_CODE, ANY, 0, 0 },
	{ __NR_uselib, CALL_CODE, ANY, 0, 0 }, { __NR_execve, CALL_CODE, ANY, 0, 0 },
	{ __NR_execveat, CALL_CODE, ANY, 0, 0 },
};
/* clang-format on */

/* Only values that are known pass, and none with one of the bits. */
static bool has_none(const struct surface_arg *a, uint32_t bits)
{
	for (size_t i = 0; i < a->n_values; i++)
		if (a->value[i] & bits)
			return false;
	return !a->others && !a->more;
}

static bool is_harmless(const struct row *r, const struct surface_call *c)
{
	const struct surface_arg *a;

	if (r->arg == ANY || c->bounded)
		return false;
	a = &c->arg[r->arg];
	if (!a->matters)
		return false;
	if (r->harmful_bits)
		return (a->no_bits & r->harmful_bits) == r->harmful_bits ||
		       has_none(a, r->harmful_bits);
	return !a->others && a->n_values == 1 && a->value[0] == r->harmless;
}

unsigned int calls_take(uint32_t nr, const struct surface_call *c)
{
	unsigned int takes = 0;

	if (c->verdict == SURFACE_NEVER)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].nr == (long)nr && !is_harmless(&rows[i], c))
			takes |= rows[i].takes;
	return takes;
}
