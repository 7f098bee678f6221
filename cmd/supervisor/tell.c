/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and messages that never wait: nobody outside may hold the supervisor up; see vm.h. */
#include "cmd/supervisor/vm.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static bool takes_now(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && p.revents & POLLOUT;
}

void tell(const struct vm *vm, const char *who, enum log_level level, const char *text)
{
	char line[CTL_TEXT_MAX + CTL_NAME_MAX + 64];
	const char *name = vm->config->name;
	int n = snprintf(line, sizeof(line), "bulkhead: %s: %s%s%s%s\n", name ? name : "?",
			 who ? who : "", who ? ": " : "",
			 level == LOG_LEVEL_WARNING ? "warning: " : "", text);

	if (n > 0 && (size_t)n < sizeof(line) && takes_now(STDERR_FILENO))
		(void)!write(STDERR_FILENO, line, (size_t)n);
}

int tell_peer(int sock, const struct control_msg *m, int fd)
{
	return takes_now(sock) ? control_send(sock, m, fd) : -EAGAIN;
}

time_t monotonic_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec;
}
