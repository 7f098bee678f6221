/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts any process in a jail, for tests:
 *
 *	jailrun [--id=N] [--time] [FROM:TO,…] -- EXE [ARG…]
 *
 * Descriptor FROM of this one becomes TO of the process, which gets nothing else. N is the
 * process's number in the range of ids (default 1), where there is one.
 * Waits for it and exits with its status, or 128 and the signal that killed it. Dies with it when
 * killed. --time says on standard error how long the start took.
 */
#include "lib/base/cleanup.h"
#include "lib/sandbox/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <signal.h>
#include <time.h>

struct words {
	struct jail_fd fds[JAIL_MAX_FDS];
	size_t n_fds;
	unsigned int id;
	bool time;
	char **argv;
};

static int parse_fds(const char *text, struct words *w)
{
	const char *at = text;
	int from, to, used;

	while (*at) {
		if (w->n_fds == JAIL_MAX_FDS || sscanf(at, "%d:%d%n", &from, &to, &used) != 2)
			return -EINVAL;
		w->fds[w->n_fds++] = (struct jail_fd){ from, to };
		at += used;
		if (*at == ',')
			at++;
		else if (*at)
			return -EINVAL;
	}
	return 0;
}

static int parse(int argc, char **argv, struct words *w)
{
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--time") == 0)
			w->time = true;
		else if (sscanf(argv[i], "--id=%u", &w->id) == 1)
			continue;
		else if (parse_fds(argv[i], w) < 0)
			return -EINVAL;
	}
	if (i + 1 >= argc || w->id < 1 || w->id >= JAIL_N_IDS)
		return -EINVAL;
	w->argv = argv + i + 1;
	return 0;
}

static int fail(const char *what, int error)
{
	fprintf(stderr, "jailrun: %s: %s\n", what, strerror(-error));
	return 125;
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int wait_for(struct jail_process *p)
{
	struct pollfd pfd = { .fd = p->pidfd, .events = POLLIN };
	int status = 0, r;

	while ((r = jail_reap(p, &status)) == 0)
		(void)poll(&pfd, 1, -1);
	if (r < 0)
		return fail("waiting", r);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void close_theirs(const struct words *w)
{
	for (size_t i = 0; i < w->n_fds; i++)
		if (w->fds[i].from > 2)
			close(w->fds[i].from);
}

int main(int argc, char **argv)
{
	struct jail_ids ids = JAIL_IDS_NONE; /* claimed until the end */
	struct jail_host host = JAIL_HOST_NONE;
	struct jail_process p = JAIL_PROCESS_NONE;
	struct words w = { .id = 1 };
	_cleanup_(closep) int exe = -1;
	const char *what = "?";
	double start = now_ms(), entered;
	int r;

	if (parse(argc, argv, &w) < 0) {
		fprintf(stderr, "usage: jailrun [--id=N] [--time] [FROM:TO,...] -- EXE [ARG...]\n");
		return 125;
	}
	exe = open(w.argv[0], O_PATH | O_CLOEXEC);
	if (exe < 0)
		return fail(w.argv[0], -errno);
	r = jail_ids_take(JAIL_N_IDS, &ids, &what);
	if (r == 0)
		r = jail_host_open(&host, &ids, &what);
	if (r == 0)
		r = jail_host_enter(&host, &what);
	if (r < 0)
		return fail(what, r);
	entered = now_ms();
	r = jail_begin(&host,
		       &(struct jail_spec){ .name = w.argv[0],
					    .exe_fd = exe,
					    .argv = w.argv,
					    .fds = w.fds,
					    .n_fds = w.n_fds,
					    .id = jail_id(&host, w.id) },
		       &p, &what);
	if (r == 0)
		r = jail_finish(&p, &what);
	if (r < 0)
		return fail(what, r);
	if (w.time)
		fprintf(stderr, "jailrun: %.2f ms to enter, %.2f ms to start\n", entered - start,
			now_ms() - entered);
	close_theirs(&w); /* so that the peers see its end */
	return wait_for(&p);
}
