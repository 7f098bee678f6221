/* SPDX-License-Identifier: Apache-2.0 */
/* A tool of the host's; see tool.h. */
#include "cmd/bulkhead/net/tool.h"

#include "lib/base/cleanup.h"
#include "lib/base/fd.h"
#include "lib/base/said.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FAILED_TO_BEGIN 125 /* no status of theirs */
#define FIRST_OWN 3

const struct tool tool_nft = { "nft", "nftables" };
const struct tool tool_ip = { "ip", "iproute2" };

static char said[300];

static int blame(int error, const char *why, const char **ret_why)
{
	*ret_why = why;
	return -error;
}

static const char *find(const struct tool *tool, char *out, size_t cap)
{
	static const char *const places[] = { "/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(out, cap, "%s/%s", places[i], tool->name);
		if (access(out, X_OK) == 0)
			return out;
	}
	return NULL;
}

/* What it reads, from its start on: whole, however slowly it reads. */
static int make_input(const char *input, size_t len)
{
	_cleanup_(closep) int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd < 0 || (len && write(fd, input, len) != (ssize_t)len) || lseek(fd, 0, SEEK_SET) != 0)
		return -EIO;
	return take_fd(&fd);
}

static _Noreturn void become(const char *program, const char *const argv[], int in, int out)
{
	static char *const nothing[] = { NULL };
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(out, STDERR_FILENO) >= 0 && close_range(FIRST_OWN, ~0U, 0) == 0)
		execve(program, (char *const *)(uintptr_t)argv, nothing);
	_exit(FAILED_TO_BEGIN);
}

/* All of it is read, so that it ends. */
static void read_all(int fd, char *out, size_t cap)
{
	char more[512] = "";
	size_t len = 0;
	ssize_t n;

	do {
		bool full = len + 1 >= cap;

		n = read(fd, full ? more : out + len, full ? sizeof(more) : cap - 1 - len);
		len += n > 0 && !full ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	out[len] = 0;
}

/* The first line says what is wrong; what follows shows where. */
static void note_line(const struct tool *tool, char *output)
{
	output[strcspn(output, "\n")] = 0;
	said_clean(output);
	snprintf(said, sizeof(said), "%s fails: %.200s", tool->name,
		 output[0] ? output : "it says nothing");
}

static int await(const struct tool *tool, pid_t pid, char *output, const char **ret_why)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return blame(errno, "a tool's end cannot be had", ret_why);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	note_line(tool, output);
	return blame(EINVAL, said, ret_why);
}

int tool_run(const struct tool *tool, const char *const argv[], const char *input, size_t input_len,
	     char output[TOOL_OUTPUT_MAX], const char **ret_why)
{
	static char own[TOOL_OUTPUT_MAX];
	_cleanup_(closep) int in = -1, theirs = -1, ours = -1;
	char path[64];
	int pipes[2];
	pid_t pid;

	if (!find(tool, path, sizeof(path))) {
		snprintf(said, sizeof(said), "%s is not installed: the package is %s", tool->name,
			 tool->package);
		return blame(ENOENT, said, ret_why);
	}
	in = make_input(input, input_len);
	if (in < 0 || pipe2(pipes, O_CLOEXEC) < 0)
		return blame(EIO, "a tool's input and output cannot be made", ret_why);
	ours = pipes[0];
	theirs = pipes[1];
	pid = fork();
	if (pid == 0)
		become(path, argv, in, theirs);
	if (pid < 0)
		return blame(errno, "a tool cannot be started", ret_why);
	closep(&theirs);
	read_all(ours, output ? output : own, TOOL_OUTPUT_MAX);
	return await(tool, pid, output ? output : own, ret_why);
}
