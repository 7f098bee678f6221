/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dev-vhost-net's sandbox policy. Of the kernel's vhost it may ask what starts and stops a ring; it owns what it does so
 * with already, and can own no other.
 */
#include "cmd/dev-vhost-net/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/netcard/card.h"

#include <linux/if_tun.h>
#include <linux/vhost.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_EVENTFD_CALLS, /* and frames of a tap that nobody wants */
	BLOCK_CHANNEL_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	SB_IOCTL(VHOST_SET_FEATURES),
	SB_IOCTL(VHOST_SET_MEM_TABLE),
	SB_IOCTL(VHOST_SET_VRING_NUM),
	SB_IOCTL(VHOST_SET_VRING_BASE),
	SB_IOCTL(VHOST_SET_VRING_ADDR),
	SB_IOCTL(VHOST_SET_VRING_KICK),
	SB_IOCTL(VHOST_SET_VRING_CALL),
	SB_IOCTL(VHOST_SET_VRING_ERR),
	SB_IOCTL(VHOST_NET_SET_BACKEND),
	SB_IOCTL(VHOST_GET_VRING_BASE),
	/* of its tap: what may be left to be done to a frame, and which of its queues are used */
	SB_IOCTL(TUNSETOFFLOAD),
	SB_IOCTL(TUNSETQUEUE),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy vhost_net_policy = {
	.name = "dev-vhost-net",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 128, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

#define TAP(n)                                                      \
	{                                                           \
		VHOST_NET_FD_TAP + (n), FD_CHAR, (n) > 0, "the tap" \
	}

/* clang-format off */
static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(VHOST_NET_FD_VHOST_USER),
	{ VHOST_NET_FD_STATE, FD_FILE, false, "the page that keeps what its driver has set" },
	{ VHOST_NET_FD_OPENER, FD_SOCKET, false, "a channel to who opens /dev/vhost-net, until it has" },
	TAP(0), TAP(1), TAP(2), TAP(3), TAP(4), TAP(5), TAP(6), TAP(7),
};
/* clang-format on */

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	BLOCK_EVENTFD_HELD("kicks and calls of the queues, and what the kernel says of them"),
	{ VHOST_NET_DEVICE, NET_PAIRS_MAX, "the kernel's vhost-net, one for each pair of queues" },
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
	{ "/memfd:" VHOST_NET_STATE_NAME, true, "the page that keeps what its driver has set" },
};

/* The kernel's own, in its name: they run none of its code. */
static const struct declared_thread threads[] = {
	{ .name = "vhost", .policy = &vhost_net_policy, .n = NET_PAIRS_MAX },
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "frames to the other end of its tap, and what comes from there",
	  "through its device: any frame, from any address; the rules on the tap are the kernel's",
	  NULL },
	{ "the host kernel's vhost-net, by the ten requests that start and stop a ring", NULL,
	  "moving the frames is what it is for; the guest's rings are read by that part of the kernel in any case, "
	  "so a bug there is the guest's to use without taking anything: vhost=on gives that wall up" },
	{ "which of its tap's queues are used, and what may be left to be done to a frame from there",
	  NULL, "it is the driver's to choose, and concerns frames to its own guest alone" },
	{ "the page that keeps what its driver has set", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	BLOCK_EVENTFD_GAIN("the queues' eventfds"),
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process vhost_net_declared = {
	.name = "dev-vhost-net",
	.domain = "bulkhead_vhost_t",
	.job = "a network card whose frames the host's kernel moves between its rings and a tap",
	.hostile =
		"vhost-user messages, the control queue; its other rings are the host kernel's to read",
	.place = DECLARED_JAIL,
	.note = "the host's kernel serves its rings (vhost=on): defence in depth given up for speed",
	.guest_facing = true,
	.policy = &vhost_net_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
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
