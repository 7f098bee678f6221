/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-dice may still ask of the kernel once it faces the guest. */
#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "tests/toy-device/dice.h"

#include <fcntl.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_EVENTFD_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	/* what it is for */
	SB_FORM(getrandom, SB_IS(2, 0)),
	BLOCK_END_CALLS,
};

const struct sandbox_policy dice_policy = {
	.name = "dev-dice",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 64, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(DICE_FD_VHOST_USER),
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	BLOCK_EVENTFD_HELD("kicks and calls of the queue"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	BLOCK_EVENTFD_GAIN("the queue's eventfds"),
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process dice_declared = {
	.name = "dev-dice",
	.job = "throws of dice",
	.hostile = "the virtqueue, vhost-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &dice_policy,
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
