/* SPDX-License-Identifier: Apache-2.0 */
/* net-relay's sandbox policy: two streams, a clock that is only read, and nothing else. */
#include "cmd/net-relay/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	/* both streams: calls that leave in the state page how much they moved */
	SB_RECVMMSG,
	SB_SENDMMSG,
	SB_CALL(read), /* the clock of its rates */
	BLOCK_CHANNEL_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy net_relay_policy = {
	.name = "net-relay",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 16, .nproc = 1, .as = 32U << 20, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ NET_RELAY_FD_INNER, FD_SOCKET, false, "stream of frames to and from its dev-net" },
	{ NET_RELAY_FD_STATE, FD_FILE, false,
	  "the page that keeps both streams, and what it learned" },
	{ NET_RELAY_FD_OUTER, FD_SOCKET, false, "the link" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[timerfd]", 1, "the clock of its rates" },
};

static const struct declared_map maps[] = {
	{ "/memfd:" NET_RELAY_STATE_NAME, true, "the page that keeps both streams" },
};

static const struct declared_gain gains[] = {
	{ "frames to the other end of the link, from any address and as many as it takes", NULL,
	  "who judges the guest's frames must have them; the guest reaches it through its dev-net alone, by frames. With "
	  "passt at that end they reach whatever its user's programs do, this host's loopback among it" },
	{ "frames to its dev-net", "from who is at the other end of the link", NULL },
	{ "bytes on the streams that are no frame", NULL,
	  "who has the other ends reads lengths as hostile, or closes them" },
	{ "the page that keeps both streams", NULL,
	  "what the next net-relay believes of the guest's addresses" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process net_relay_declared = {
	.name = "net-relay",
	.domain = "bulkhead_netrelay_t",
	.job = "which frames pass between a network card and its link, and how many",
	.hostile = "frames of its dev-net, frames of the link's other end",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &net_relay_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
