/* SPDX-License-Identifier: Apache-2.0 */
/* See deadman.h. */
#include "cmd/bulkhead/deadman.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static timer_t timer;
static bool is_armed;

int deadman_bind(int parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

int deadman_renew(void)
{
	const struct itimerspec t = { .it_value = { .tv_sec = DEADMAN_S } };
	struct sigevent kill = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };

	if (!is_armed && timer_create(CLOCK_MONOTONIC, &kill, &timer) < 0)
		return -errno;
	is_armed = true;
	return timer_settime(timer, 0, &t, NULL) < 0 ? -errno : 0;
}

void deadman_release(void)
{
	if (is_armed)
		timer_delete(timer);
	is_armed = false;
}

int deadman_run(int (*fn)(void *owner), void *owner)
{
	const pid_t own = getpid(), child = fork();
	sigset_t set;
	int status;

	if (child < 0)
		return -errno;
	if (child == 0)
		_exit(deadman_bind(own) < 0 ? 1 : fn(owner));
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL); /* the child's business, whose end is told here */
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	return WTERMSIG(status) == SIGKILL ? -ETIMEDOUT : -EINTR;
}
