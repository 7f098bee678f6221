/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-rng may still ask of the kernel once it faces the guest. */
#include "cmd/dev-rng/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_EVENTFD_CALLS,
	SB_TIMERFD_SETTIME, /* refills of the rate's bucket */
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	/* what it is for */
	SB_FORM(getrandom, SB_IS(2, 0)),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy rng_policy = {
	.name = "dev-rng",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(RNG_FD_VHOST_USER),
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	{ "anon_inode:[timerfd]", 1, "refills of the rate's bucket" },
	BLOCK_EVENTFD_HELD("kicks and calls of the queue"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "random bytes of the host", "through its device, by rate", NULL },
	BLOCK_EVENTFD_GAIN("the queue's eventfds"),
	{ "random bytes without the rate", NULL,
	  "getrandom is what the device is for; it costs CPU time, of which the process has no "
	  "more than its share" },
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process rng_declared = {
	.name = "dev-rng",
	.domain = "bulkhead_rng_t",
	.job = "random numbers",
	.hostile = "the virtqueue, vhost-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &rng_policy,
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
