/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What storage-iscsi is; see policy.h. It has no network: a connection comes from the dialer, whole. Mutual CHAP takes
 * random numbers of the kernel.
 */
#include "cmd/storage-iscsi/policy.h"

#include "lib/base/cleanup.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	SB_CALL(read), /* timers */
	SB_TIMERFD_SETTIME,
	SB_FORM(getrandom, SB_IS(2, 0)),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy storage_iscsi_policy = {
	.name = "storage-iscsi",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* its buffers take 32 MiB, what its target may lose 16 */
	.limits = { .nofile = 40, .nproc = 1, .as = 64U << 20, .fsize = 0, .memlock = SB_UNSET },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ STORAGE_ISCSI_FD_CHANNEL, FD_SOCKET, false, "channel to the disk's dev-blk" },
	{ STORAGE_ISCSI_FD_DIALER, FD_SOCKET, false, "channel to the dialer" },
	{ STORAGE_ISCSI_FD_CHAP, FD_FILE, true, "secret that shows the target who asks" },
	{ STORAGE_ISCSI_FD_PEER, FD_FILE, true, "name and secret that the target is to show" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[timerfd]", 2,
	  "the clock of its rates, and of what the target is waited for" },
	{ "server:", 2, "the connection to its target, and the next one" },
	{ "socket:", 1, "channel to a dev-blk that was started again" },
};

static const struct declared_gain gains[] = {
	{ "one target, as the VM may use it", "through its disk", NULL },
	{ "a connection to that target, and the secrets of CHAP", NULL,
	  "whatever else that target serves to the same name and secret: give each VM one of its own; and the target's own "
	  "secret, to play it to whoever knows it" },
	{ "the channel to the dialer", NULL,
	  "another connection to that target's portals, and to nobody else" },
	{ "the channel to the disk's dev-blk", NULL,
	  "hostile replies, which it reads as such: no bytes of guest RAM but those that the guest asked to "
	  "be read into" },
	{ "with --on-storage-error stop: the pause of its own VM", NULL,
	  "once for each time that its user lets the VM go on, who reads why, in a bounded number of lines" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process storage_iscsi_declared = {
	.name = "storage-iscsi",
	.domain = "bulkhead_server_t",
	.job = "one disk that an iSCSI target has: its session and its secrets",
	.hostile = "requests of the disk's dev-blk, the target's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &storage_iscsi_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
