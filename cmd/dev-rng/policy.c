/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-rng may still ask of the kernel once it faces the guest. */
#include "cmd/dev-rng/rng.h"

#include "lib/base/cleanup.h"

#include <fcntl.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	/* the loop */
	SB_CALL(epoll_wait),
	SB_CALL(epoll_ctl),
	/* the vhost-user and control channels; ppoll when one is full */
	SB_CALL(recvmsg),
	SB_CALL(sendmsg),
	SB_CALL(ppoll),
	SB_CALL(close),
	/* kicks, interrupts, the timer */
	SB_CALL(read),
	SB_CALL(write),
	SB_CALL(timerfd_settime),
	/* what a received descriptor is; kicks and interrupts never block */
	SB_CALL(fstat),
	SB_CALL_EQ(fcntl, 1, F_GETFL),
	SB_CALL_EQ(fcntl, 1, F_SETFL),
	/* guest memory */
	SB_CALL_EQ(fcntl, 1, F_GET_SEALS),
	SB_MMAP_NOEXEC,
	SB_CALL(munmap),
	/* what it is for */
	SB_CALL(getrandom),
	SB_CALL(exit_group),
};

const struct sandbox_policy rng_policy = {
	.name = "dev-rng",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};
