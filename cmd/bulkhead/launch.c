/* SPDX-License-Identifier: Apache-2.0 */
/* Starts a VM's supervisor; see launch.h. */
#include "cmd/bulkhead/launch.h"

#include "cmd/bulkhead/programs.h"
#include "cmd/bulkhead/verbs.h"
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define THEIR_CONTROL 3
#define THEIR_STREAM 4
#define ABOVE_THEIRS LINKS_ABOVE

/* Both ends above the numbers that they get in the supervisor. */
static int make_pair(int type, int pair[2])
{
	int low[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, low) < 0)
		return -errno;
	pair[0] = fcntl(low[0], F_DUPFD_CLOEXEC, ABOVE_THEIRS);
	pair[1] = fcntl(low[1], F_DUPFD_CLOEXEC, ABOVE_THEIRS);
	close(low[0]);
	close(low[1]);
	return pair[0] < 0 || pair[1] < 0 ? -EMFILE : 0;
}

static int spawn(const char *path, char **argv, int control, int stream, const struct links *links,
		 pid_t *ret)
{
	static char *const empty[] = { NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	int r;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSID);
	posix_spawnattr_setsigmask(&attr, &none);
	r = posix_spawn_file_actions_adddup2(&actions, control, THEIR_CONTROL);
	if (r == 0 && stream >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, stream, THEIR_STREAM);
	if (r == 0 && links->seed >= 0)
		r = posix_spawn_file_actions_adddup2(&actions, links->seed, SUPERVISOR_FD_SEED);
	for (size_t i = 0; i < links->n && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(&actions, links->fds[i],
						     SUPERVISOR_FD_LINKS + (int)i);
	if (r == 0)
		r = posix_spawn(ret, path, &actions, &attr, argv, empty);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int render(const struct vm_config *c, bool seed, uint64_t since_ns, char **argv, char *text,
		  size_t cap)
{
	static char name[] = "supervisor", seed_word[] = "--seed";
	static char since[40], runtime[PATH_MAX + 32];
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int n = 0;

	snprintf(since, sizeof(since), "--since=%llu", (unsigned long long)since_ns);
	argv[n++] = name;
	argv[n++] = since;
	/* it has no environment */
	if (dir &&
	    snprintf(runtime, sizeof(runtime), "--runtime-dir=%s", dir) < (int)sizeof(runtime))
		argv[n++] = runtime;
	if (seed)
		argv[n++] = seed_word;
	return config_render(c, argv + n, text, cap);
}

int supervisor_spawn(const struct vm_config *c, struct links *links, uint64_t since_ns,
		     struct supervisor *ret, const char **ret_what)
{
	static char text[CONFIG_WORDS_BYTES];
	char *argv[CONFIG_WORDS_MAX + 4];
	char path[PATH_MAX + 64];
	int control[2] = { -1, -1 }, stream[2] = { -1, -1 };
	bool with_stream = !c->detach && c->console != CONSOLE_NONE;
	pid_t pid = 0;
	int r = program_find("supervisor", path, sizeof(path));

	*ret_what = "the program supervisor is not installed";
	if (r < 0)
		return r;
	*ret_what = "the configuration";
	r = render(c, links->seed >= 0, since_ns, argv, text, sizeof(text));
	if (r < 0)
		return r;
	*ret_what = "its channels";
	r = make_pair(SOCK_SEQPACKET, control);
	if (r == 0 && with_stream)
		r = make_pair(SOCK_STREAM, stream);
	if (r == 0) {
		*ret_what = "the supervisor";
		r = spawn(path, argv, control[1], stream[1], links, &pid);
	}
	closep(&control[1]);
	closep(&stream[1]);
	links_close(links);
	if (r < 0) {
		closep(&control[0]);
		closep(&stream[0]);
		return r;
	}
	*ret = (struct supervisor){ .pid = pid, .control = control[0], .stream = stream[0] };
	return 0;
}

/* 0: none. */
static int signal_in(int status)
{
	if (WIFSIGNALED(status))
		return WTERMSIG(status);
	if (WIFEXITED(status) && WEXITSTATUS(status) > KEEPER_STATUS_SIGNAL)
		return WEXITSTATUS(status) - KEEPER_STATUS_SIGNAL;
	return 0;
}

int supervisor_wait(struct supervisor *s, int *ret_signal)
{
	int status;

	*ret_signal = 0;
	while (waitpid(s->pid, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_FAILED;
	*ret_signal = signal_in(status);
	return *ret_signal ? EXIT_FAILED : WEXITSTATUS(status);
}
