/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-vsock may still ask of the kernel once it faces the guest: it takes connections, and makes none. */
#include "cmd/dev-vsock/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <fcntl.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_EVENTFD_CALLS, /* and a client's bytes */
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	/* what it is for */
	SB_FORM(accept4, SB_IS(1, 0), SB_IS(3, SOCK_CLOEXEC | SOCK_NONBLOCK)),
	SB_FORM(shutdown, SB_IS(1, SHUT_WR)),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy vsock_policy = {
	.name = "dev-vsock",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 160, .nproc = 1, .as = SB_UNSET, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(VSOCK_FD_VHOST_USER),
	{ VSOCK_FD_LISTENER, FD_SOCKET, false, "the socket that clients connect to" },
	{ VSOCK_FD_DIALER, FD_SOCKET, true, "channel to the dialer" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	{ "socket:", 64, "clients, one for each connection" },
	BLOCK_EVENTFD_HELD("kicks and calls of the queues"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "connections that its user's programs make to the VM's vsock socket",
	  "through its device", NULL },
	BLOCK_EVENTFD_GAIN("the queues' eventfds"),
	{ "the socket that clients connect to", NULL,
	  "it takes connections that its user's programs ask for, and makes none; a port that the "
	  "configuration does not name can so be answered, by who is the guest's equal" },
	{ "the channel to the dialer", "through its device",
	  "connections to the host's sockets that the configuration names, and to no other" },
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	BLOCK_CONTROL_GAIN,
};

const struct declared_process vsock_declared = {
	.name = "dev-vsock",
	.domain = "bulkhead_vsock_t",
	.job = "connections to ports of the guest",
	.hostile = "the virtqueues, vhost-user messages, what clients say",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &vsock_policy,
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
