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

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_EVENTFD_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	DISK_RING_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy blk_policy = {
	.name = "dev-blk",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* tasks: the kernel's own workers of the ring count. fsize is the image's, set by main. */
	.limits = { .nofile = 128, .nproc = 32, .as = SB_UNSET, .fsize = 0, .memlock = SB_UNSET },
};

static const struct declared_thread threads[] = {
	DISK_THREADS,
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(BLK_FD_VHOST_USER),
	{ DISK_FD_IMAGE, FD_STORE, false,
	  "image, or a channel to the storage process that has it" },
	DISK_MORE_FDS,
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	DISK_RING_HELD,
	BLOCK_EVENTFD_HELD("kicks and calls of the queues, holes to punch and punched"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
	DISK_RING_MAP,
	DISK_REDO_MAP,
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "one image, as the VM may use it", "through its disk", NULL },
	DISK_METADATA_GAINS,
	{ "an io_uring", NULL,
	  "reads and writes without a call each; registered for the one image and restricted to "
	  "read, write and flush on it" },
	BLOCK_EVENTFD_GAIN("the queues' eventfds"),
	BLOCK_VHOST_USER_GAIN("the vhost-user channel"),
	{ "the channel to a storage process, in place of the image", NULL,
	  "the requests that its guest could make, by the disk's rates, and hostile ones, which are read as such" },
	BLOCK_CONTROL_GAIN,
};

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
