/* SPDX-License-Identifier: Apache-2.0 */
/* net-switch's sandbox policy: streams that it is handed, a clock that is only read, and nothing else. */
#include "cmd/net-switch/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/sandbox/selinux.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	SB_RECVMMSG, /* the ports */
	SB_SENDMMSG,
	SB_CALL(read), /* the clock of its rates */
	BLOCK_CHANNEL_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy net_switch_policy = {
	.name = "net-switch",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 80, .nproc = 1, .as = 64U << 20, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[timerfd]", 1, "the clock of its rates" },
	{ "socket:", 64, "the ports, a stream each" },
};

static const struct declared_gain gains[] = {
	{ "what the cards of its segment say to each other, and frames to each, from any address",
	  NULL,
	  "who passes frames on must have them; they are of VMs of one user that were put on one network, and each "
	  "of its guests reaches it by frames alone" },
	{ "bytes on the streams that are no frame", NULL,
	  "who has the other ends reads lengths as hostile, or closes them" },
	{ "the control channel", NULL,
	  "which port has left: its keeper may then give its place, MAC and IP addresses to another; and the counts "
	  "that `bulkhead segment` prints, 64 lines of plain text" },
};

const struct declared_process net_switch_declared = {
	.name = "net-switch",
	.domain = SELINUX_SWITCH,
	.job = "passes frames between network cards of one user's VMs, on one private segment",
	.hostile = "frames of every VM on the segment",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &net_switch_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
