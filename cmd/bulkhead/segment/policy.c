/* SPDX-License-Identifier: Apache-2.0 */
/* What the switch keeper is while its segment is there; see keeper.h. */
#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/sandbox/selinux.h"

#include <sys/socket.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	SB_FORM(accept4, SB_IS(1, 0), SB_IS(3, SOCK_CLOEXEC | SOCK_NONBLOCK)), /* who asks */
	SB_FORM(getsockopt, SB_IS(1, SOL_SOCKET), SB_IS(2, SO_PEERCRED)), /* who it is */
	SB_FORM(getsockopt, SB_IS(1, SOL_SOCKET), SB_IS(2, SO_DOMAIN)), /* that a stream is one */
	SB_FORM(getsockopt, SB_IS(1, SOL_SOCKET), SB_IS(2, SO_TYPE)),
	BLOCK_END_CALLS,
};
/* clang-format on */

static const struct sandbox_policy policy = {
	.name = "switch-keeper",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = 64,
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = 0,
		.memlock = 0,
	},
	.has_children = true,
};

static const struct fd_row fds[] = {
	{ SWITCH_KEEPER_FD_FIRST, FD_SOCKET, true, "the command that started it" },
	{ SWITCH_KEEPER_FD_LISTENER, FD_ANY, false, "where others of its user ask" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[pidfd]", 1, "net-switch" },
	{ "socket:", 0, "net-switch's channel, who asks, the claims on its ids" },
};

static const struct declared_gain gains[] = {
	{ "who joins one segment of its user's", NULL,
	  "it passes streams on to net-switch, of which it keeps none; it hears its user's commands, and of net-switch "
	  "that it has a port, or that one has left" },
};

const struct declared_process switch_keeper_declared = {
	.name = "switch-keeper",
	.program = "bulkhead",
	.domain = SELINUX_SWITCH_KEEPER,
	.job = "starts net-switch of one segment, and lets cards of its user's VMs join",
	.hostile = "messages of net-switch",
	.place = DECLARED_SUPERVISOR,
	.policy = &policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
