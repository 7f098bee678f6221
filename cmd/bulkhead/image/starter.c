/* SPDX-License-Identifier: Apache-2.0 */
/* Starts jailed processes of no VM; see starter.h. */
#include "cmd/bulkhead/image/starter.h"

#include "cmd/bulkhead/image/policy.h"
#include "cmd/bulkhead/programs.h"
#include "lib/base/cleanup.h"
#include "lib/control/control.h"
#include "lib/imagefile/job.h"
#include "lib/sandbox/sandbox.h"
#include "lib/sandbox/userns_why.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

int starter_give(struct starter_task *t, int from, int to)
{
	t->fds[t->n_fds++] = (struct jail_fd){ from, to };
	return to;
}

/* ---- their programs ---- */

static int open_program(const char *name)
{
	char path[PATH_MAX + 128];
	int r = program_find(name, path, sizeof(path)), fd;

	if (r < 0)
		return r;
	fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* ---- the starter ---- */

static void say(int sock, const char *what, int error, const char *why)
{
	control_fail(sock, "this host does not let image processes be confined: %s: %s%s%s", what,
		     strerror(-error), *why ? ": " : "", why);
}

static int begin(struct starter_task *t, const struct jail_host *host, uid_t id,
		 const char **ret_what)
{
	static char text[STARTER_TEXT_BYTES];
	static const char *argv[STARTER_WORDS_MAX + 1];
	const struct jail_spec spec = { .name = t->program,
					.exe_fd = t->exe,
					.argv = (char *const *)argv,
					.fds = t->fds,
					.n_fds = t->n_fds,
					.id = id };
	int n = t->render(t->job, argv + 1, text, sizeof(text));

	*ret_what = "its words";
	argv[0] = t->program;
	return n < 0 ? n : jail_begin(host, &spec, &t->process, ret_what);
}

static int start_all(struct starter *p, const char **ret_what)
{
	struct jail_host host = JAIL_HOST_NONE;
	struct jail_ids ids = JAIL_IDS_NONE; /* the claims last as long as this process */
	int r = jail_ids_take((unsigned int)p->n + 1, &ids, ret_what);

	if (r == 0)
		r = jail_host_open(&host, &ids, ret_what);
	if (r == 0)
		r = jail_host_enter(&host, ret_what);
	for (size_t i = 0; i < p->n && r == 0; i++)
		r = begin(&p->tasks[i], &host, jail_id(&host, (unsigned int)i + 1), ret_what);
	for (size_t i = 0; i < p->n && r == 0; i++)
		r = jail_finish(&p->tasks[i].process, ret_what);
	jail_host_close(&host);
	return r;
}

/* Nothing but the processes, the life line and the channel is left open. */
static void let_go(struct starter *p)
{
	for (size_t i = 0; i < p->n; i++) {
		for (size_t k = 0; k < p->tasks[i].n_fds; k++)
			close(p->tasks[i].fds[k].from); /* some of them once more */
		closep(&p->tasks[i].exe);
	}
}

static int status_of(const struct starter_task *t, int status, int sock)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	control_fail(sock, "%s was killed by signal %s (%d)%s", t->program,
		     sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?",
		     WTERMSIG(status),
		     WTERMSIG(status) == SIGKILL ? ", by another program, or by the kernel if "
						   "memory ran out" :
						   "");
	return IMAGE_EXIT_FAILED;
}

/* Until the last of them has ended, or the command. */
static int await(struct starter *p)
{
	struct starter_task *last = &p->tasks[p->n - 1];
	struct pollfd polls[] = { { .fd = last->process.pidfd, .events = POLLIN },
				  { .fd = p->life, .events = POLLIN } };
	int status, r;

	for (;;) {
		if (poll(polls, ARRAY_SIZE(polls), -1) < 0 && errno != EINTR)
			return IMAGE_EXIT_FAILED;
		if (polls[1].revents) /* what it started dies with it */
			return IMAGE_EXIT_FAILED;
		r = jail_reap(&last->process, &status);
		if (r != 0)
			return r < 0 ? IMAGE_EXIT_FAILED : status_of(last, status, p->say);
	}
}

static void bind_life(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(IMAGE_EXIT_FAILED);
}

static _Noreturn void become_starter(struct starter *p, pid_t parent)
{
	const char *what = "?";
	int r;

	bind_life(parent);
	setsid(); /* the terminal's keys are the command's business */
	r = start_all(p, &what);
	if (r < 0) {
		say(p->say, what, r, userns_why(r));
		_exit(IMAGE_EXIT_FAILED);
	}
	bind_life(parent); /* new ids have ended it */
	let_go(p);
	r = sandbox_confine_self(&image_starter_policy, &what);
	if (r < 0) {
		say(p->say, what, r, "");
		_exit(IMAGE_EXIT_FAILED);
	}
	_exit(await(p));
}

/* ---- the command ---- */

static int open_programs(struct starter *s, const char **ret_what)
{
	static char what[64];

	for (size_t i = 0; i < s->n; i++) {
		s->tasks[i].exe = open_program(s->tasks[i].program);
		if (s->tasks[i].exe >= 0)
			continue;
		snprintf(what, sizeof(what), "the program %s", s->tasks[i].program);
		*ret_what = what;
		return s->tasks[i].exe;
	}
	return 0;
}

pid_t starter_start(struct starter *s, const int *ours, size_t n_ours, const char **ret_what)
{
	pid_t own = getpid(), pid;
	int r = open_programs(s, ret_what);

	if (r < 0)
		return r;
	*ret_what = "a process";
	pid = fork();
	if (pid == 0) {
		for (size_t i = 0; i < n_ours; i++)
			if (ours[i] >= 0)
				close(ours[i]);
		become_starter(s, own);
	}
	if (pid < 0)
		return -errno;
	let_go(s);
	closep(&s->life);
	closep(&s->say);
	return pid;
}
