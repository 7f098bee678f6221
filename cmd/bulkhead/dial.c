/* SPDX-License-Identifier: Apache-2.0 */
/* See dial.h. The dialer is the supervisor's executable: cmd/supervisor/dialer.h says its words. */
#include "cmd/bulkhead/dial.h"

#include "cmd/bulkhead/programs.h"
#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
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

static int spawn(const char *word, const char *address, int channel, int ready, pid_t *ret)
{
	static char *const empty[] = { NULL };
	char *const argv[] = { (char[]){ "supervisor" }, (char[]){ "--dial" },
			       (char *)(uintptr_t)word, (char *)(uintptr_t)address, NULL };
	posix_spawn_file_actions_t actions;
	char path[PATH_MAX + 64];
	int r = program_find("supervisor", path, sizeof(path));

	if (r < 0)
		return r;
	posix_spawn_file_actions_init(&actions);
	r = posix_spawn_file_actions_adddup2(&actions, channel, THEIR_CHANNEL);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, ready, THEIR_READY);
	if (r == 0)
		r = posix_spawn(ret, path, &actions, NULL, argv, empty);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
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

int dial_start(const char *word, const char *address, char *why, size_t cap)
{
	_cleanup_(closep) int ours = -1, theirs = -1, in = -1, out = -1;
	int pair[2], pipes[2], r;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
		ours = raise_fd(pair[0]);
		theirs = raise_fd(pair[1]);
	}
	if (pipe2(pipes, O_CLOEXEC) == 0) {
		in = raise_fd(pipes[0]);
		out = raise_fd(pipes[1]);
	}
	r = ours < 0 || theirs < 0 || in < 0 || out < 0 ? -EMFILE :
							  spawn(word, address, theirs, out, &pid);
	if (r < 0) {
		snprintf(why, cap, "%s: the dialer cannot be started: %s", word, strerror(-r));
		return r;
	}
	closep(&out);
	r = await(in, pid, why, cap);
	return r < 0 ? r : take_fd(&ours);
}
