/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a jailed process, the parent's side; see jail.h. */
#include "lib/base/cleanup.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define JAIL_NAMESPACES \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

static pid_t clone_child(const struct jail_host *h, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = JAIL_NAMESPACES | CLONE_PIDFD |
			 (h->cgroup_fd < 0 ? 0 : CLONE_INTO_CGROUP) |
			 (h->for_parent ? CLONE_PARENT : 0),
		.cgroup = h->cgroup_fd < 0 ? 0 : (uint64_t)h->cgroup_fd,
		.pidfd = (uint64_t)(uintptr_t)ret_pidfd,
		.exit_signal = h->for_parent ? 0 : SIGCHLD, /* the caller's own, then */
	};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int reap(int pidfd, int *ret_status, int options)
{
	siginfo_t info = { 0 };

	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | options) < 0)
		if (errno != EINTR)
			return -errno;
	if (info.si_pid == 0)
		return 0;
	*ret_status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8 :
						   info.si_status & 0x7f;
	return 1;
}

void jail_forget(struct jail_process *p)
{
	closep(&p->pidfd);
	closep(&p->status_fd);
	*p = JAIL_PROCESS_NONE;
}

void jail_kill(struct jail_process *p)
{
	int status;

	if (p->pidfd >= 0)
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
	if (p->for_parent) {
		closep(&p->status_fd);
		return;
	}
	if (p->pidfd >= 0)
		(void)!reap(p->pidfd, &status, 0);
	jail_forget(p);
}

int jail_reap(const struct jail_process *p, int *ret_status)
{
	return p->pidfd < 0 ? -ESRCH : reap(p->pidfd, ret_status, WNOHANG);
}

/* A parent that cannot be traced has a child like it, whose files in /proc are root's until it is one that
 * can be. */
static int await_traceable(const struct jail_process *p)
{
	char byte;

	if (!p->for_parent)
		return 0;
	return recv(p->status_fd, &byte, 1, 0) == 1 && byte == 't' ? 0 : -EPIPE;
}

static int give_ids(const struct jail_host *h, const struct jail_process *p, uid_t id)
{
	char map[32];
	int r = await_traceable(p);

	if (r < 0)
		return r;

	snprintf(map, sizeof(map), "%u %u 1\n", id, id);
	r = ids_map(h->proc_fd, p->pid, map);
	if (r < 0)
		return r;
	return send(p->status_fd, "g", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int jail_begin(const struct jail_host *h, const struct jail_spec *spec, struct jail_process *ret,
	       const char **ret_what)
{
	struct jail_process p = JAIL_PROCESS_NONE;
	_cleanup_(closep) int theirs = -1;
	const char *what = "a process in new namespaces";
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	p.status_fd = pair[0];
	p.for_parent = h->for_parent;
	theirs = pair[1];
	p.pid = clone_child(h, &p.pidfd);
	if (p.pid == 0) {
		close(p.status_fd);
		jail_child(h, spec, theirs);
	}
	r = p.pid < 0 ? -errno : 0;
	closep(&theirs);
	if (r == 0) {
		what = "user and group ids";
		r = give_ids(h, &p, spec->id);
	} else {
		p.pidfd = -1;
	}
	if (r < 0) {
		jail_kill(&p);
		if (ret_what)
			*ret_what = what;
	}
	*ret = p;
	return r;
}

int jail_finish(struct jail_process *p, const char **ret_what)
{
	struct jail_failure f = { .step = -1 };
	const char *what;
	ssize_t n;

	if (p->status_fd < 0)
		return -EINVAL;
	do
		n = recv(p->status_fd, &f, sizeof(f), 0);
	while (n < 0 && errno == EINTR);
	if (n == 0) { /* closed by exec */
		closep(&p->status_fd);
		return 0;
	}
	what = n == sizeof(f) ? jail_step_name(f.step) : NULL;
	if (ret_what)
		*ret_what = what ? what : "the new process";
	jail_kill(p);
	return n == sizeof(f) && f.error < 0 ? f.error : -EIO;
}
