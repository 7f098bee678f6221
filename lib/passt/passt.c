/* SPDX-License-Identifier: Apache-2.0 */
/* A passt for a network card; see passt.h. */
#include "lib/passt/passt.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/said.h"
#include "lib/passt/guard.h"
#include "lib/passt/resolvers.h"
#include "lib/sandbox/cgroup.h"
#include "lib/sandbox/pidns.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ITS_STREAM 3
#define FAILED_TO_BEGIN 125 /* no status of passt's */
#define SAID_MAX 16
#define ARGUMENT_MAX 96
#define DESCRIPTORS 4096       /* two for each connection of the guest's */
#define ON_ITS_WAY MIB(1)      /* to the guest: bytes, of which the kernel counts half */
#define ADDRESS_SPACE MIB(256) /* all of its tables are of fixed sizes, 72 MiB in Debian 12's */

static const char *const places[] = { "/usr/bin/passt", "/usr/local/bin/passt" };

/* Both are above ITS_STREAM and close at execve. */
static bool place(int stream, int errors)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	return null >= 0 && dup2(null, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 &&
	       dup2(errors, STDERR_FILENO) >= 0 && dup2(stream, ITS_STREAM) >= 0 &&
	       close_range(ITS_STREAM + 1, ~0U, 0) == 0;
}

/* It raises the soft ones. One that its user has set lower stays. */
static bool limit(void)
{
	static const struct {
		__rlimit_resource_t what;
		rlim_t most;
	} rows[] = {
		{ RLIMIT_NOFILE, DESCRIPTORS },
		{ RLIMIT_AS, ADDRESS_SPACE },
		{ RLIMIT_FSIZE, 0 },
		{ RLIMIT_CORE, 0 },
	};
	struct rlimit l;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (getrlimit(rows[i].what, &l) < 0)
			return false;
		if (l.rlim_max > rows[i].most)
			l.rlim_max = rows[i].most;
		l.rlim_cur = l.rlim_max;
		if (setrlimit(rows[i].what, &l) < 0)
			return false;
	}
	return true;
}

struct arguments {
	const char *argv[SAID_MAX + 8 + 2 * RESOLVERS_MAX];
	char said[SAID_MAX][ARGUMENT_MAX];
	struct resolvers resolvers;
};

/* No address of its own stands for the host: its loopback stays its own. */
static void make_arguments(const struct kind_way *w, const void *options, struct arguments *ret)
{
	static const char *const first[] = { "passt", "--fd", "3", "--quiet", "--no-map-gw" };
	size_t n = 0;

	for (; n < ARRAY_SIZE(first); n++)
		ret->argv[n] = first[n];
	for (unsigned int i = 0;
	     i < SAID_MAX && w->argument && w->argument(options, i, ret->said[i], ARGUMENT_MAX);
	     i++)
		ret->argv[n++] = ret->said[i];
	resolvers_read(RESOLVERS_OF_HOST, RESOLVERS_BEHIND, &ret->resolvers);
	for (size_t i = 0; i < ret->resolvers.n; i++) {
		ret->argv[n++] = "--dns";
		ret->argv[n++] = ret->resolvers.text[i];
	}
	ret->argv[n] = NULL;
}

/* What the process that becomes it has of its parents'. */
struct child {
	const char *program;
	const struct arguments *arguments;
	const struct passt_birth *birth;
	int stream, errors;
};

static bool take_label(const struct passt_birth *b)
{
	char label[SELINUX_LABEL_MAX];

	selinux_label(b->labels, SELINUX_PASST, label);
	return !b->labels->on || selinux_at_exec(b->proc_fd, label) == 0;
}

/* What passt becomes where the CPU has it, which its domain does not let it: that may execute nothing. */
static const char *faster_program(const char *program)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s.avx2", program);
	return path;
}

/* The label before its id, with which /proc is no longer its own to write. */
static _Noreturn void become(const void *owner)
{
	static char *const nothing[] = { NULL };
	const struct child *c = owner;
	const struct passt_birth *b = c->birth;
	char *const *argv = (char *const *)(uintptr_t)c->arguments->argv;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (!take_label(b))
		_exit(FAILED_TO_BEGIN);
	if (place(c->stream, c->errors) && limit() && guard_drop_root()) {
		if (b->labels->on && __builtin_cpu_supports("avx2"))
			execve(faster_program(c->program), argv, nothing);
		execve(c->program, argv, nothing);
	}
	_exit(FAILED_TO_BEGIN);
}

/* Nobody waits for its guard, which is nobody's child. */
static _Noreturn void begin(const struct child *c, int ready)
{
	const struct guard guard = { .stream = c->stream,
				     .ready = ready,
				     .proc_fd = c->birth->proc_fd,
				     .labels = c->birth->labels,
				     .become = become,
				     .owner = c };
	pid_t pid = pidns_enter(c->birth->proc_fd) < 0 ? -1 : fork();

	if (pid == 0)
		guard_run(&guard);
	_exit(pid < 0 ? FAILED_TO_BEGIN : 0);
}

/* It says why not before it serves, and is then rid of standard error; the last line counts. */
static void read_line(int fd, char *out, size_t cap)
{
	char buf[512];
	const char *line;
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf + len, sizeof(buf) - 1 - len)) > 0 || (n < 0 && errno == EINTR))
		len += n > 0 ? (size_t)n : 0;
	buf[len] = 0;
	line = said_last_line(buf);
	snprintf(out, cap, "%s", line ? line : "");
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

/* Who starts it ends at once, and its guard says a byte once it serves. */
static int await(pid_t pid, int errors, int ready, const char **ret_why)
{
	static char line[256], why[300];
	char byte;
	int r = wait_for(pid);

	*ret_why = "this host lets no process ids be of its own, and so no end be sure";
	if (r < 0)
		return r;
	read_line(errors, line, sizeof(line));
	if (read(ready, &byte, 1) == 1)
		return 0;
	snprintf(why, sizeof(why), "passt does not start: %s", line[0] ? line : "it says nothing");
	*ret_why = why;
	return -ECHILD;
}

const char passt_missing[] = "passt is not installed: the package is passt";

const char *passt_program(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/*
 * passt has sent all that the guest's windows allow before it waits, and what then finds no room it drops and sends
 * anew, all of it; a guest that is slower than that hears the same bytes again and again. Given a descriptor it leaves
 * the size as it is. What the host does not allow its user becomes as much as it does.
 */
static void widen(int stream)
{
	const int bytes = ON_ITS_WAY;

	if (setsockopt(stream, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
		(void)setsockopt(stream, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* Both ends are above the numbers that its descriptors have. */
static int make_pipe(int *ret_ours, int *ret_theirs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	*ret_ours = ends[0];
	*ret_theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, ITS_STREAM + 1);
	close(ends[1]);
	return *ret_theirs < 0 ? -errno : 0;
}

static int make_stream(int *ret_ours, int *ret_theirs)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*ret_ours = ends[0];
	*ret_theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, ITS_STREAM + 1);
	close(ends[1]);
	if (*ret_theirs < 0)
		return -errno;
	widen(*ret_theirs);
	return 0;
}

int passt_open(const struct kind_way *way, const void *options, const struct passt_birth *birth,
	       const char **ret_why)
{
	static struct arguments arguments;
	_cleanup_(closep) int ours = -1, theirs = -1, errors = -1, said = -1, ready = -1,
			      guard = -1;
	struct child child = { passt_program(), &arguments, birth, -1, -1 };
	pid_t pid;
	int r;

	*ret_why = passt_missing;
	if (!child.program)
		return -ENOENT;
	make_arguments(way, options, &arguments);
	*ret_why = "no passt can be started";
	r = make_stream(&ours, &theirs);
	if (r == 0)
		r = make_pipe(&errors, &said);
	if (r == 0)
		r = make_pipe(&ready, &guard);
	if (r < 0)
		return r;
	child.stream = theirs;
	child.errors = said;
	pid = cgroup_fork(birth->group);
	if (pid == 0)
		begin(&child, guard);
	if (pid < 0)
		return -errno;
	closep(&guard);
	closep(&said);
	closep(&theirs);
	r = await(pid, errors, ready, ret_why);
	return r < 0 ? r : take_fd(&ours);
}
