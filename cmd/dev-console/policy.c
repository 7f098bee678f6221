/* SPDX-License-Identifier: Apache-2.0 */
/* dev-console's sandbox policy: descriptors that it holds, and nothing that names anything else. */
#include "cmd/dev-console/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	SB_CALL(restart_syscall),
	BLOCK_EVENTFD_CALLS,
	/* the terminal's stream: calls that leave in the state page how much they moved */
	SB_RECVMMSG,
	SB_SENDMMSG,
	BLOCK_CHANNEL_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy console_policy = {
	.name = "dev-console",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = 128,
		.nproc = 1,
		.as = SB_UNSET, /* `space` below */
		.fsize = 0,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ CONSOLE_FD_VFIO_USER, FD_SOCKET, false, "vfio-user channel" },
	BLOCK_VHOST_USER_FD(CONSOLE_FD_VHOST_USER),
	{ CONSOLE_FD_STATE, FD_FILE, false, "the page that keeps its state" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[timerfd]", 2, "a peer that takes nothing, and the pace of input" },
	BLOCK_VHOST_USER_HELD,
	{ "/memfd:uart", 1, "the page of registers that the vmm may read" },
	{ "socket:", 1, "the terminal's stream, one at a time" },
	BLOCK_EVENTFD_HELD("kicks and calls of the queues, the UART's interrupt"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
	{ "/memfd:uart", true, "the page of registers" },
	{ "/memfd:" CONSOLE_STATE_NAME, true, "the page that keeps its state" },
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "the stream to the terminal's relay", "through its console; the relay filters", NULL },
	{ "what its user types", "it is typed for the guest", NULL },
	{ "the page that keeps its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	BLOCK_EVENTFD_GAIN("the queues' and the UART's eventfds"),
	BLOCK_VHOST_USER_GAIN("the vfio-user and vhost-user channels"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process console_declared = {
	.name = "dev-console",
	.domain = "bulkhead_console_t",
	.job = "the UART and the virtio console",
	.hostile = "registers, virtqueues, vfio-user and vhost-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &console_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.space = DECLARED_DEVICE_SPACE,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
