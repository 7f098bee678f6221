/* SPDX-License-Identifier: Apache-2.0 */
/* dev-net's sandbox policy: descriptors that it holds, and nothing that names anything else. */
#include "cmd/dev-net/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	/* the link: calls that leave in the state page how much they moved */
	SB_RECVMMSG,
	SB_SENDMMSG,
	BLOCK_EVENTFD_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy net_policy = {
	.name = "dev-net",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 96, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

#define TAP(n)                                             \
	{                                                  \
		NET_FD_TAP + (n), FD_CHAR, true, "the tap" \
	}

/* clang-format off */
static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(NET_FD_VHOST_USER),
	{ NET_FD_STATE, FD_FILE, false, "the page that keeps its link" },
	{ NET_FD_LINK, FD_SOCKET, true, "the link" },
	TAP(0), TAP(1), TAP(2), TAP(3), TAP(4), TAP(5), TAP(6), TAP(7),
};

/* clang-format on */

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	BLOCK_EVENTFD_HELD("kicks and calls of the queues"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
	{ "/memfd:" NET_STATE_NAME, true, "the page that keeps its link" },
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "frames to the other end of its link or tap, and what comes from there",
	  "through its device: any frame, from any address", NULL },
	{ "bytes on the link that are no frame", NULL,
	  "who has the other end reads lengths as hostile, or closes it" },
	{ "the page that keeps its link and what the driver has set", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	BLOCK_EVENTFD_GAIN("the queues' eventfds"),
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process net_declared = {
	.name = "dev-net",
	.domain = "bulkhead_net_t",
	.job = "a network card on a stream of frames or a tap",
	.hostile = "the virtqueues, vhost-user messages, frames of the link's other end or the tap",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &net_policy,
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
