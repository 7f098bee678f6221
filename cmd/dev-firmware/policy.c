/* SPDX-License-Identifier: Apache-2.0 */
/* dev-firmware's sandbox policy: one channel and a clock. */
#include "cmd/dev-firmware/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"
#include "lib/fwcfg/fwcfg.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	/* the timer and the time of day, where the vDSO has no clock */
	SB_CLOCK_MONOTONIC,
	SB_CLOCK_REALTIME,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy firmware_policy = {
	.name = "dev-firmware",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 32, .nproc = 1, .as = 64ULL << 20, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ FIRMWARE_FD_VFIO_USER, FD_SOCKET, false, "vfio-user channel" },
	{ FIRMWARE_FD_STATE, FD_FILE, false, "the page that keeps its state" },
	{ FIRMWARE_FD_ITEMS, FD_FILE, false, "what firmware is told, sealed" },
};

static const struct declared_held held[] = { BLOCK_LOOP_HELD };

static const struct declared_map maps[] = {
	{ "/memfd:" FIRMWARE_STATE_NAME, true, "the page that keeps its state" },
};

static const struct declared_gain gains[] = {
	{ "what firmware is told of its machine, read-only", "by fw_cfg", NULL },
	{ "the host's clocks", "the time of day by its RTC, the other by its PM timer", NULL },
	{ "the page that keeps its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	{ "the vfio-user channel", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process firmware_declared = {
	.name = "dev-firmware",
	.domain = "bulkhead_firmware_t",
	.job = "what firmware asks of a PC: fw_cfg, PM timer, CMOS and RTC",
	.hostile = "registers, vfio-user messages",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &firmware_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
