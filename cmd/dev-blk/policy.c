/* SPDX-License-Identifier: Apache-2.0 */
/* See policy.h. The image itself needs no call but io_uring_enter: its ring is closed to all else. */
#include "cmd/dev-blk/policy.h"

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
	/* kicks and interrupts */
	SB_CALL(read),
	SB_CALL(write),
	/* what a received descriptor is; kicks and interrupts never block */
	SB_CALL(fstat),
	SB_CALL_EQ(fcntl, 1, F_GETFL),
	SB_CALL_EQ(fcntl, 1, F_SETFL),
	/* guest memory */
	SB_CALL_EQ(fcntl, 1, F_GET_SEALS),
	SB_MMAP_NOEXEC,
	SB_CALL(munmap),
	/* the image */
	SB_CALL(io_uring_enter),
	SB_CALL(exit_group),
};

const struct sandbox_policy blk_policy = {
	.name = "dev-blk",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* tasks: the kernel's own workers of the ring count. fsize is the image's, set by main. */
	.limits = { .nofile = 128, .nproc = 32, .as = SB_UNSET, .fsize = 0, .memlock = SB_UNSET },
};
