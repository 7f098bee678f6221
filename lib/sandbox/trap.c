/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a call that the filter refuses; see sandbox.h. */
#include "lib/sandbox/internal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CTL_DENIED_TYPE 4 /* control.h is above this library; the unit test compares them */

static int trap_fd = -1;

int trap_control_fd(void)
{
	return trap_fd;
}

/*
 * Async-signal-safe, and no call but sendmsg and the last: all others would trap again, inside
 * the handler, which kills. Does not return: the refused call must not seem to have failed.
 */
static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	uint32_t nr = (uint32_t)info->si_syscall;
	uint8_t wire[12] = { CTL_DENIED_TYPE, 0, 0, 0, 4 };
	struct iovec iov = { wire, sizeof(wire) };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };

	(void)sig;
	(void)context;
	memcpy(wire + 8, &nr, sizeof(nr));
	sendmsg(trap_fd, &mh, MSG_NOSIGNAL);
	for (;;)
		syscall(SANDBOX_DEATH_CALL);
}

int sandbox_trap_install(int control_fd)
{
	struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
	sigset_t set;

	if (control_fd < 0)
		return -EBADF;
	heap_settle();
	sigfillset(&sa.sa_mask);
	if (sigaction(SIGSYS, &sa, NULL) < 0)
		return -errno;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		return -errno;
	trap_fd = control_fd;
	return 0;
}
