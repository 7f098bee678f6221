/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's own filter. Everything is started and open; what is left is to listen, to pass
 * messages on, and to end processes that it has descriptors of. No path, no process id, no new
 * process, no new name.
 */
#include "cmd/supervisor/vm.h"

#include "lib/base/cleanup.h"
#include "lib/sandbox/sandbox.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const struct sandbox_rule rules[] = {
	SB_CALL(epoll_wait),
	SB_CALL(epoll_ctl),
	SB_CALL(recvmsg),
	SB_CALL(sendmsg),
	SB_CALL(poll),
	SB_CALL(ppoll),
	SB_CALL(read),                       /* signalfd, timerfd */
	SB_CALL_EQ(write, 0, 2),             /* lines for the user */
	SB_CALL(close),
	SB_CALL_EQ(waitid, 0, P_PIDFD),
	SB_CALL(pidfd_send_signal),
	SB_CALL(timerfd_settime),
	SB_CALL(shutdown),
	SB_CALL(accept4),                    /* clients */
	SB_CALL(getsockopt),                 /* who they are */
	SB_CALL_EQ(socketpair, 0, AF_UNIX),  /* a console for one */
	SB_CALL_EQ(dup2, 1, 2),              /* a detached VM lets go of standard error */
	SB_CALL(clock_gettime),              /* where the vDSO has no clock */
	SB_CALL(brk),                        /* names of refused calls */
	SB_MMAP_NOEXEC,
	SB_CALL(munmap),
	SB_CALL(exit_group),
};

const struct sandbox_policy supervisor_policy = {
	.name = "supervisor",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = 256,
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = SB_UNSET, /* standard error may be a file */
		.memlock = 0,
	},
	.has_children = true,
};
