/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dev-blk is; see policy.h. The image needs two calls: io_uring_enter, whose ring is closed to all
 * but reads, writes and syncs, and in a thread of its own fallocate, which can do nothing but punch holes.
 */
#include "cmd/dev-blk/policy.h"

#include "lib/base/cleanup.h"
#include "lib/diskkit/policy.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

static const struct sandbox_rule rules[] = { DISK_DEVICE_CALLS };

const struct sandbox_policy blk_policy = {
	.name = "dev-blk",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = DISK_DEVICE_LIMITS,
};

static const struct declared_thread threads[] = { DISK_THREADS };
static const struct fd_row fds[] = { DISK_DEVICE_FDS(BLK_FD_VHOST_USER) };
static const struct declared_held held[] = { DISK_DEVICE_HELD };
static const struct declared_map maps[] = { DISK_DEVICE_MAPS };
static const struct declared_gain gains[] = { DISK_DEVICE_GAINS };

const struct declared_process blk_declared = {
	.name = "dev-blk",
	.domain = "bulkhead_blk_t",
	.job = "one disk",
	.hostile = "virtqueues, vhost-user messages, the image's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &blk_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.space = DECLARED_DEVICE_SPACE,
	.fsize_of_image = true,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
