/* SPDX-License-Identifier: Apache-2.0 */
/* See dial.h. The dialer is the supervisor's executable: cmd/supervisor/dialer.h says its words. */
#include "cmd/bulkhead/dial.h"

#include "cmd/bulkhead/programs.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define THEIR_CHANNEL 3
#define THEIR_READY 4
#define ABOVE_THEIRS 5

/* A descriptor above its numbers, in the place of one that is closed. */
static int raise_fd(int fd)
{
	int high = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE_THEIRS);

	close(fd);
	return high;
}

static _Noreturn void become(const char *path, char *const argv[], int channel, int ready)
{
	static char *const empty[] = { NULL };

	if (dup2(channel, THEIR_CHANNEL) == THEIR_CHANNEL &&
	    dup2(ready, THEIR_READY) == THEIR_READY)
		execve(path, argv, empty);
	_exit(1);
}

/* The kernel lets a user put a process only into groups below one that is his, together with the one that it is in. */
static pid_t fork_beside(pid_t supervisor, const char *word)
{
	_cleanup_(closep) int group = cgroup_open_of(supervisor);
	pid_t child;

	if (group == -ENOENT)
		return cgroup_fork(-1);
	child = group < 0 ? -1 : cgroup_fork(group);
	if (child >= 0)
		return child;
	complain(0,
		 "attach: %s: warning: its dialer is outside of the VM's control group: %s: run "
		 "attach below the place that the VM's group is in",
		 word, strerror(group < 0 ? -group : errno));
	return cgroup_fork(-1);
}

static int spawn(pid_t supervisor, char *const argv[], int channel, int ready, pid_t *ret)
{
	char path[PATH_MAX + 64];
	int r = program_find("supervisor", path, sizeof(path));

	if (r < 0)
		return r;
	*ret = fork_beside(supervisor, argv[3]);
	if (*ret == 0)
		become(path, argv, channel, ready);
	return *ret < 0 ? -errno : 0;
}

/* One byte, or a line of why not. */
static int await(int ready, pid_t pid, char *why, size_t cap)
{
	char text[400];
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(text) - 1 && (got = read(ready, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	text[n] = '\0';
	if (n == 1)
		return 0;
	(void)waitpid(pid, NULL, 0);
	snprintf(why, cap, "%s", n ? text : "the dialer cannot be confined");
	return -EPERM;
}

int dial_start(pid_t supervisor, const char *word, const char *address, char *why, size_t cap)
{
	char whose[16];
	char *const argv[] = { (char[]){ "supervisor" }, (char[]){ "--dial" },	     whose,
			       (char *)(uintptr_t)word,	 (char *)(uintptr_t)address, NULL };
	_cleanup_(closep) int ours = -1, theirs = -1, in = -1, out = -1;
	int pair[2], pipes[2], r;
	pid_t pid = 0;

	snprintf(whose, sizeof(whose), "%d", (int)supervisor);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		ours = raise_fd(pair[0]);
		theirs = raise_fd(pair[1]);
	}
	if (pipe2(pipes, O_CLOEXEC) == 0) {
		in = raise_fd(pipes[0]);
		out = raise_fd(pipes[1]);
	}
	r = ours < 0 || theirs < 0 || in < 0 || out < 0 ?
		    -EMFILE :
		    spawn(supervisor, argv, theirs, out, &pid);
	if (r < 0) {
		snprintf(why, cap, "%s: the dialer cannot be started: %s", word, strerror(-r));
		return r;
	}
	closep(&out);
	r = await(in, pid, why, cap);
	return r < 0 ? r : take_fd(&ours);
}
