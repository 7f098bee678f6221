/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's sandbox policy: descriptors that it holds, and nothing that names anything else. */
#include "cmd/dev-console/policy.h"

#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	/* the loop */
	SB_CALL(epoll_wait),
	SB_CALL(epoll_ctl),
	SB_CALL(restart_syscall),
	/* eventfds, and the terminal's stream */
	SB_CALL(read),
	SB_CALL(write),
	/* the channels, with descriptors */
	SB_CALL(recvmsg),
	SB_CALL(sendmsg),
	SB_CALL(ppoll),
	SB_CALL(close),
	/* descriptors that arrive: their kind, made non-blocking */
	SB_CALL(fstat),
	SB_CALL_EQ(fcntl, 1, F_GETFL),
	SB_CALL_EQ(fcntl, 1, F_SETFL),
	SB_CALL_EQ(fcntl, 1, F_GET_SEALS),
	/* guest RAM */
	SB_MMAP_NOEXEC,
	SB_CALL(munmap),
	/* the end */
	SB_CALL(exit_group),
};

const struct sandbox_policy console_policy = {
	.name = "dev-console",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = 128,
		.nproc = 1,
		.as = SB_UNSET, /* guest RAM is mapped whole */
		.fsize = 0,
		.memlock = 0,
	},
};
