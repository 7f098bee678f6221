/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user namespace that has ids; see internal.h. It is made by a process that is there only until a
 * descriptor keeps the namespace: who is inside cannot give itself ids of the host, and who stays
 * outside can go in afterwards.
 */
#include "lib/base/cleanup.h"
#include "lib/base/said.h"
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NEWUIDMAP "/usr/bin/newuidmap"
#define NEWGIDMAP "/usr/bin/newgidmap"

/* ---- who is inside meanwhile ---- */

struct holder {
	pid_t pid;
	int end; /* it is there as long as this is open */
};

static int holder_start(struct holder *ret)
{
	struct clone_args args = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
	_cleanup_(closep) int theirs = -1;
	int ends[2];
	char byte;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	theirs = ends[0];
	ret->end = ends[1];
	ret->pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (ret->pid == 0) {
		closep(&ret->end);
		_exit(read(theirs, &byte, 1) != 0);
	}
	if (ret->pid < 0) {
		int r = -errno;

		closep(&ret->end);
		return r;
	}
	return 0;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Returns its namespace, once it has its ids, when r is 0; else r. */
static int holder_end(struct holder *h, int r)
{
	char path[40];
	int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)h->pid);
	if (r == 0) {
		fd = open(path, O_RDONLY | O_CLOEXEC);
		r = fd < 0 ? -errno : fd;
	}
	closep(&h->end);
	(void)!wait_for(h->pid);
	return r;
}

/* ---- by root ---- */

int userns_make_by_root(const struct jail_ids *ids)
{
	_cleanup_(closep) int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct holder h = { .pid = 0, .end = -1 };
	char map[96];
	int r = proc < 0 ? -errno : holder_start(&h);

	if (r < 0)
		return r;
	snprintf(map, sizeof(map), "%u %u %u\n%u 0 1\n", ids->base, ids->base, ids->n, ids->owner);
	r = proc_write(proc, h.pid, "uid_map", map);
	if (r == 0)
		r = proc_write(proc, h.pid, "gid_map", map);
	return holder_end(&h, r);
}

/* ---- by the host's set-uid programs ---- */

struct helper {
	const char *program;
	uint32_t first; /* that the ids are outside */
	uint32_t own;
	pid_t pid;
};

/* What it says goes to `out`. */
static int helper_start(struct helper *h, pid_t target, const struct jail_ids *ids, int out)
{
	static char *const nothing[] = { NULL };
	const uint32_t numbers[] = { (uint32_t)target, ids->base, h->first, ids->n,
				     ids->owner,       h->own,	  1 };
	char words[ARRAY_SIZE(numbers)][16];
	char *argv[ARRAY_SIZE(numbers) + 2] = { (char *)h->program };
	posix_spawn_file_actions_t a;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		snprintf(words[i], sizeof(words[i]), "%u", numbers[i]);
		argv[i + 1] = words[i];
	}
	posix_spawn_file_actions_init(&a);
	r = posix_spawn_file_actions_addopen(&a, 0, "/dev/null", O_RDONLY, 0);
	for (int fd = 1; fd <= 2 && r == 0; fd++)
		r = posix_spawn_file_actions_adddup2(&a, out, fd);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(&a, 3);
	if (r == 0)
		r = posix_spawn(&h->pid, h->program, &a, NULL, argv, nothing);
	posix_spawn_file_actions_destroy(&a);
	return -r;
}

/* Side by side. On failure *ret_program is who failed. */
static int run_helpers(struct helper h[2], pid_t target, const struct jail_ids *ids, int out,
		       const char **ret_program)
{
	int r = 0;
	size_t n = 0;

	while (n < 2 && r == 0) {
		*ret_program = h[n].program;
		r = helper_start(&h[n], target, ids, out);
		n += r == 0;
	}
	for (size_t i = 0; i < n; i++) {
		int ended = wait_for(h[i].pid);

		if (ended < 0 && r == 0) {
			*ret_program = h[i].program;
			r = ended;
		}
	}
	return r;
}

/* The first line of what they said, as far as it can be shown; "" when they said nothing. */
static void take_words(int fd, char *ret, size_t cap)
{
	ssize_t n = read(fd, ret, cap - 1);

	ret[n < 0 ? 0 : n] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	said_clean(ret);
}

static int map_by_helpers(pid_t target, const struct jail_ids *ids, gid_t first_gid, char *why,
			  size_t cap)
{
	struct helper h[2] = { { NEWUIDMAP, ids->base, geteuid(), 0 },
			       { NEWGIDMAP, first_gid, getegid(), 0 } };
	_cleanup_(closep) int theirs = -1;
	_cleanup_(closep) int ours = -1;
	const char *program = "";
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	ours = ends[0];
	theirs = ends[1];
	r = run_helpers(h, target, ids, theirs, &program);
	if (r < 0) {
		take_words(ours, why, cap);
		if (!*why)
			snprintf(why, cap, "%s: %s", program, strerror(-r));
	}
	return r;
}

int userns_make_by_helpers(const struct jail_ids *ids, gid_t first_gid, char *why, size_t cap)
{
	struct holder h = { .pid = 0, .end = -1 };
	int r = holder_start(&h);

	if (r < 0) {
		snprintf(why, cap, "no user namespace: %s", strerror(-r));
		return r;
	}
	return holder_end(&h, map_by_helpers(h.pid, ids, first_gid, why, cap));
}
