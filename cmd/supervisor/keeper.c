/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper: the supervisor's parent, outside the VM's control group. It hears nobody, and is there
 * to remove the group when the supervisor has ended, however that was; see group.h.
 */
#include "cmd/supervisor/group.h"
#include "cmd/supervisor/own_id.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define EXIT_FAILED 5
#define REMOVE_PAUSE_MS 5
#define REMOVE_ATTEMPTS 2000 /* the kernel may need a moment to let the last task go */

#define N_FDS (KEEPER_FD_KILL_NETWORK + 1)

/* What it needs, in fixed places; all else closed, the terminal too. */
static int keep_fds(struct cgroup *g)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fds[N_FDS] = { null,
			   null,
			   null,
			   g->place,
			   g->all,
			   g->vm,
			   g->kill < 0 ? null : g->kill,
			   g->kill_network < 0 ? null : g->kill_network };

	g->place = KEEPER_FD_PLACE;
	g->all = KEEPER_FD_ALL;
	g->vm = KEEPER_FD_VM;
	g->kill = KEEPER_FD_KILL;
	g->kill_network = KEEPER_FD_KILL_NETWORK;
	return fds_place(fds, N_FDS);
}

static int confine(const struct cgroup *g)
{
	/* an id of its own, but for the files that it is to remove */
	int r = geteuid() == 0 ? own_id_take(CGROUP_KEEPER_ID, cgroup_keeper_file_id(g)) : 0;

	return r < 0 ? r : sandbox_confine_self(keeper_declared.policy, NULL);
}

static int prepare(struct cgroup *g)
{
	sigset_t all;
	int r;

	sigfillset(&all);
	/* orphans of the VM become its children, so that it can see the last of them go */
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return -errno;
	prctl(PR_SET_NAME, "keeper");
	cgroup_sweep(g);
	r = keep_fds(g);
	return r < 0 ? r : confine(g);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return EXIT_FAILED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : KEEPER_STATUS_SIGNAL + WTERMSIG(status);
}

static void remove_group(const struct cgroup *g)
{
	const struct timespec pause = { .tv_nsec = REMOVE_PAUSE_MS * 1000000L };

	(void)!write(g->kill, "1", 1);
	(void)!write(g->kill_network, "1", 1);
	while (waitpid(-1, NULL, 0) > 0)
		;
	for (int i = 0; i < REMOVE_ATTEMPTS && cgroup_remove(g) == -EBUSY; i++)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

int keeper_run(struct cgroup *g, pid_t supervisor)
{
	int r = prepare(g), status;

	if (r < 0)
		return EXIT_FAILED; /* the supervisor sees it and ends */
	status = wait_for(supervisor);
	remove_group(g);
	return status;
}
