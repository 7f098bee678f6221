/* SPDX-License-Identifier: Apache-2.0 */
/* The ground on which a supervisor starts jailed processes; see jail.h. */
#include "lib/base/cleanup.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SET_MEMORY_MERGE 67 /* PR_SET_MEMORY_MERGE, of Linux 6.4 */

int jail_host_open(struct jail_host *h, struct jail_ids *ids, const char **ret_what)
{
	_cleanup_(closep) int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int null = -1;

	if (proc < 0) {
		if (ret_what)
			*ret_what = "/proc";
		return -errno;
	}
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0) {
		if (ret_what)
			*ret_what = "/dev/null";
		return -errno;
	}
	h->base = ids->base;
	h->n_ids = ids->n;
	h->owner = ids->owner;
	h->userns_fd = take_fd(&ids->userns);
	h->proc_fd = take_fd(&proc);
	h->null_fd = take_fd(&null);
	return 0;
}

void jail_host_close(struct jail_host *h)
{
	closep(&h->proc_fd);
	closep(&h->null_fd);
	closep(&h->userns_fd);
}

uid_t jail_id(const struct jail_host *h, unsigned int i)
{
	return h->n_ids == 1 ? h->base : h->base + i;
}

int proc_write(int proc_fd, pid_t pid, const char *name, const char *text)
{
	_cleanup_(closep) int fd = -1;
	char path[64];
	size_t len = strlen(text);

	snprintf(path, sizeof(path), "%d/%s", (int)pid, name);
	fd = openat(proc_fd, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len)
		return -errno;
	return 0;
}

int ids_map(int proc_fd, pid_t pid, const char *map)
{
	int r = proc_write(proc_fd, pid, "setgroups", "deny");

	if (r == 0)
		r = proc_write(proc_fd, pid, "uid_map", map);
	if (r == 0)
		r = proc_write(proc_fd, pid, "gid_map", map);
	return r;
}

static int take_base_id(const struct jail_host *h)
{
	if (setresgid(h->base, h->base, h->base) < 0 || setresuid(h->base, h->base, h->base) < 0)
		return -errno;
	/* else this process could not give its children their ids through /proc */
	return prctl(PR_SET_DUMPABLE, 1) < 0 ? -errno : 0;
}

static int enter_single(const struct jail_host *h)
{
	uid_t uid = geteuid(); /* inside, nobody's until they are mapped */
	gid_t gid = getegid();
	char map[32];
	int r = unshare(CLONE_NEWUSER) < 0 ? -errno : 0;

	snprintf(map, sizeof(map), "%u %u 1\n", h->base, uid);
	if (r == 0)
		r = proc_write(h->proc_fd, getpid(), "setgroups", "deny");
	if (r == 0)
		r = proc_write(h->proc_fd, getpid(), "uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1\n", h->base, gid);
	return r < 0 ? r : proc_write(h->proc_fd, getpid(), "gid_map", map);
}

/* Groups go in there, where an ordinary user may give them up too. */
static int enter_range(struct jail_host *h)
{
	if (setns(h->userns_fd, CLONE_NEWUSER) < 0 || setgroups(0, NULL) < 0)
		return -errno;
	closep(&h->userns_fd);
	return 0;
}

static int enter_users(struct jail_host *h)
{
	int r = h->userns_fd < 0 ? enter_single(h) : enter_range(h);

	return r < 0 ? r : take_base_id(h);
}

/*
 * What two VMs could learn of each other through what the kernel shares: pages that become one, and
 * the siblings of a core. Its processes inherit both. EINVAL: not in this kernel; ENODEV: a CPU
 * without siblings.
 */
static int share_nothing(void)
{
	if (prctl(SET_MEMORY_MERGE, 0, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	if (prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) <
		    0 &&
	    errno != EINVAL && errno != ENODEV)
		return -errno;
	return 0;
}

/* By the call itself: the C library says nothing of two signals of its own, which posix_spawn leaves ignored
 * in everything that it starts. */
static uint64_t ignored_signals(void)
{
	unsigned long action[4]; /* handler, flags, restorer, mask */
	uint64_t set = 0;

	for (int sig = 1; sig < NSIG; sig++)
		if (syscall(SYS_rt_sigaction, sig, NULL, action, 8UL) == 0 &&
		    action[0] == (unsigned long)SIG_IGN)
			set |= UINT64_C(1) << (sig - 1);
	return set;
}

int jail_host_enter(struct jail_host *h, const char **ret_what)
{
	const char *what = "memory and cores of its own";
	int r = share_nothing();

	h->ignored = ignored_signals();
	if (r == 0) {
		what = "a user namespace";
		r = enter_users(h);
	}
	if (r == 0) {
		what = "mount, ipc, uts and cgroup namespaces";
		if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
			    (h->cgroup_fd < 0 ? CLONE_NEWCGROUP : 0)) < 0)
			r = -errno;
	}
	if (r == 0) {
		what = "an empty root";
		r = root_make_empty();
	}
	if (r == 0) {
		what = "Landlock's scopes";
		r = sandbox_scope_self(); /* before the processes that it has to kill */
	}
	if (r < 0 && ret_what)
		*ret_what = what;
	return r;
}

int jail_host_leave(const struct jail_host *h)
{
	return h->cgroup_fd >= 0 && unshare(CLONE_NEWCGROUP) < 0 ? -errno : 0;
}
