/* SPDX-License-Identifier: Apache-2.0 */
/* Names become addresses; see lookup.h. */
#include "lib/files/lookup.h"

#include "lib/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child. */
static void __attribute__((noreturn)) exec_getent(const char *host, int out)
{
	char *const argv[] = { (char[]){ "getent" }, (char[]){ "ahosts" }, (char[]){ "--" },
			       (char *)(uintptr_t)host, NULL };
	char *const env[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none); /* who waits for it may have blocked some */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (null >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1 && dup2(null, 2) == 2 &&
	    close_range(3, ~0U, 0) == 0)
		execve(LOOKUP_PROGRAM, argv, env);
	_exit(127);
}

/* Lines "ADDRESS  STREAM  NAME", and others of the same addresses. */
int lookup_host(const char *host, lookup_found found, void *owner)
{
	_cleanup_(closep) int in = -1;
	int pipes[2], status = 0;
	char line[512], type[32], address[64];
	FILE *f;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	in = pipes[0];
	pid = fork();
	if (pid == 0)
		exec_getent(host, pipes[1]);
	close(pipes[1]);
	f = pid > 0 ? fdopen(take_fd(&in), "r") : NULL;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %31s", address, type) == 2 && strcmp(type, "STREAM") == 0)
			(void)found(owner, address);
	if (f)
		fclose(f);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFEXITED(status) && WEXITSTATUS(status) == 127 ? -ENOSYS : 0;
}
