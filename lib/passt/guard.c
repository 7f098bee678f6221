/* SPDX-License-Identifier: Apache-2.0 */
/* The guard of a passt; see guard.h. */
#include "lib/passt/guard.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534
#define EXIT_FAILED 1
#define LOOKS_EACH_S 2
#define FD_PROC (PASST_GUARD_FD_READY + 1) /* until it has its label */
/*
 * Whatever passt does for a guest it does by calls, which take it longer than what it computes between them. In so much time
 * of its own without as good as any in the kernel it does nothing for anybody. Time of the CPU's, so that a slow host is
 * none to it.
 */
#define ALONE_NS (5 * INT64_C(1000000000))
#define A_CALL_NS (40 * INT64_C(1000000)) /* the kernel may count by ticks, of 10 ms at most */

/* ---- before the sandbox ---- */

bool guard_drop_root(void)
{
	if (geteuid() != 0)
		return true;
	return setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
	       setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

/* The first process that passt is ends with 0 once another, its child and by then this one's, serves. */
static int start(const struct guard *g)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		g->become(g->owner);
		_exit(EXIT_FAILED);
	}
	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, 0) != pid)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ECHILD;
}

static int keep_fds(const struct guard *g)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t child;
	int fds[] = { null, null, null, g->stream, -1, g->ready, g->proc_fd };

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	fds[PASST_GUARD_FD_ENDED] = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	return null < 0 || fds[PASST_GUARD_FD_ENDED] < 0 ? -errno : fds_place(fds, ARRAY_SIZE(fds));
}

/* What the end of the first process has left. */
static void forget_signals(void)
{
	struct signalfd_siginfo info;

	(void)!read(PASST_GUARD_FD_ENDED, &info, sizeof(info));
}

static int prepare(const struct guard *g)
{
	sigset_t all;
	int r;

	sigfillset(&all);
	if (sigprocmask(SIG_SETMASK, &all, NULL) < 0)
		return -errno;
	setsid(); /* fails for who leads one, as is wanted */
	prctl(PR_SET_NAME, passt_guard_declared.name);
	r = start(g);
	if (r == 0)
		r = keep_fds(g);
	if (r == 0 && !guard_drop_root())
		r = -errno;
	if (r == 0)
		r = selinux_become(g->labels, FD_PROC, SELINUX_PASST_GUARD);
	close(FD_PROC);
	if (r < 0)
		return r;
	forget_signals();
	return sandbox_confine_self(passt_guard_declared.policy, NULL);
}

/* ---- its watch ---- */

struct spent {
	int64_t user, kernel; /* nanoseconds */
};

static int64_t clock_of(int64_t clock)
{
	struct timespec t;

	return syscall(SYS_clock_gettime, clock, &t) < 0 ?
		       -1 :
		       t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static bool read_clocks(struct spent *ret)
{
	int64_t both = clock_of(PASST_CLOCK_BOTH), user = clock_of(PASST_CLOCK_USER);

	*ret = (struct spent){ .user = user, .kernel = both - user };
	return both >= 0 && user >= 0;
}

/* *mark: when it was last seen to make calls. */
static bool computes_alone(struct spent *mark)
{
	struct spent now;

	if (!read_clocks(&now))
		return false; /* it has ended */
	if (now.kernel - mark->kernel >= A_CALL_NS)
		*mark = now;
	return now.user - mark->user >= ALONE_NS;
}

static bool has_ended(void)
{
	return syscall(SYS_wait4, -1L, NULL, WNOHANG, NULL) != 0;
}

/* Until its passt is to end, or has. */
static void watch(struct spent *mark)
{
	struct pollfd p[] = { { PASST_GUARD_FD_STREAM, POLLRDHUP, 0 },
			      { PASST_GUARD_FD_ENDED, POLLIN, 0 } };
	const struct timespec look = { .tv_sec = LOOKS_EACH_S };
	int n = 0;

	while (n == 0 && !has_ended() && !computes_alone(mark))
		n = ppoll(p, ARRAY_SIZE(p), &look, NULL);
}

void guard_run(const struct guard *g)
{
	struct spent mark;

	if (prepare(g) < 0 || !read_clocks(&mark) || write(PASST_GUARD_FD_READY, "g", 1) != 1)
		_exit(EXIT_FAILED);
	close(PASST_GUARD_FD_READY);
	watch(&mark);
	_exit(0); /* and the kernel ends passt */
}
