/* SPDX-License-Identifier: Apache-2.0 */
/* dev-flash's sandbox policy: one channel, one file of a fixed size. */
#include "cmd/dev-flash/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/fwcfg/flash.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	/* the file; its limit of size is that of the store with its log */
	SB_CALL(pread64),
	SB_CALL(pwritev),
	SB_CALL(fdatasync),
	SB_CALL(ftruncate),
	SB_TIMERFD_SETTIME, /* when it may be synced again */
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy flash_policy = {
	.name = "dev-flash",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* fsize: set by main */
	.limits = { .nofile = 32, .nproc = 1, .as = 64ULL << 20, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ FLASH_FD_VFIO_USER, FD_SOCKET, false, "vfio-user channel" },
	{ FLASH_FD_STATE, FD_FILE, false, "the page that keeps its state" },
	{ FLASH_FD_VIEW, FD_FILE, false, "what the guest reads" },
	{ FLASH_FD_FILE, FD_FILE, false, "the file of the variables" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[timerfd]", 1, "when the file may be synced again" },
};

static const struct declared_map maps[] = {
	{ "/memfd:" FLASH_STATE_NAME, true, "the page that keeps its state" },
	{ "/memfd:" FLASH_VIEW_NAME, true, "the flash as the guest reads it" },
};

static const struct declared_gain gains[] = {
	{ "the flash as the guest reads it", "by programming it", NULL },
	{ "the one file of the variables", NULL,
	  "its content is the guest's anyway, and its size is bounded; it can write it more often than the flash does" },
	{ "the page that keeps its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	{ "the vfio-user channel", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process flash_declared = {
	.name = "dev-flash",
	.domain = "bulkhead_flash_t",
	.job = "the flash memory of a firmware's variables, in one file",
	.hostile = "flash commands, vfio-user messages, the file's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &flash_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.fsize_of_image = true,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
