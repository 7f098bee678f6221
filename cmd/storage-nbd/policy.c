/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What storage-nbd is; see policy.h. It has no network: a connection comes from the dialer, whole. libssl takes random
 * numbers of the kernel, and asks who it is before it uses its own.
 */
#include "cmd/storage-nbd/policy.h"

#include "lib/base/cleanup.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	SB_CALL(read), /* timers */
	SB_TIMERFD_SETTIME,
	SB_FORM(getrandom, SB_IS(2, 0)),
	SB_CALL(getpid),
	SB_FUTEX, /* what is done once */
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy storage_nbd_policy = {
	.name = "storage-nbd",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* its buffers take 32 MiB, what its server may lose 16, libssl 4 */
	.limits = { .nofile = 40, .nproc = 1, .as = 80U << 20, .fsize = 0, .memlock = SB_UNSET },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ STORAGE_NBD_FD_CHANNEL, FD_SOCKET, false, "channel to the disk's dev-blk" },
	{ STORAGE_NBD_FD_DIALER, FD_SOCKET, false, "channel to the dialer" },
	{ STORAGE_NBD_FD_PSK, FD_FILE, true, "key shared with the server" },
	{ STORAGE_NBD_FD_CA, FD_FILE, true, "certificates that are trusted" },
	{ STORAGE_NBD_FD_CERT, FD_FILE, true, "its own certificate" },
	{ STORAGE_NBD_FD_KEY, FD_FILE, true, "its private key" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[timerfd]", 2,
	  "the clock of its rates, and of what the server is waited for" },
	{ "server:", 2, "the connection to its server, and the next one" },
	{ "socket:", 3,
	  "channel to a dev-blk that was started again, or a server's socket that has a path" },
};

static const struct declared_gain gains[] = {
	{ "one export of one server, as the VM may use it", "through its disk", NULL },
	{ "a connection to that server, and what shows who asks: a key or a certificate", NULL,
	  "whatever else that server grants to the same key: give each VM one of its own" },
	{ "the channel to the dialer", NULL, "another connection to that server, and to no other" },
	{ "the channel to the disk's dev-blk", NULL,
	  "hostile replies, which it reads as such: no bytes of guest RAM but those that the guest asked to "
	  "be read into" },
	{ "with --on-storage-error stop: the pause of its own VM", NULL,
	  "once for each time that its user lets the VM go on, who reads why, in a bounded number of lines" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process storage_nbd_declared = {
	.name = "storage-nbd",
	.domain = "bulkhead_server_t",
	.job = "one disk that an NBD server has: its connection and its secrets",
	.hostile = "requests of the disk's dev-blk, the server's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &storage_nbd_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
