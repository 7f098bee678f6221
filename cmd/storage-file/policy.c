/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What storage-file is; see policy.h. As dev-blk has it the image needs io_uring_enter, whose ring is closed to
 * all but reads, writes and syncs of it, and fallocate in a thread of its own, which can do nothing but punch
 * holes. It has no guest RAM and no eventfd of a guest. The clock of its rates is a timer that was set before.
 */
#include "cmd/storage-file/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	SB_CALL(read),  /* the timer; holes that are punched */
	SB_CALL(write), /* holes to punch */
	/* the image */
	SB_FORM(io_uring_enter, SB_IS(3, 0), SB_IS(4, 0)),
	SB_FORM(io_uring_enter, SB_IS(3, IORING_ENTER_GETEVENTS), SB_IS(4, 0)),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy storage_file_policy = {
	.name = "storage-file",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* tasks: the kernel's own workers of the ring count. fsize is the image's, set by main. */
	.limits = { .nofile = 32, .nproc = 32, .as = 64U << 20, .fsize = 0, .memlock = SB_UNSET },
};

/* clang-format off */
static const struct sandbox_rule puncher_rules[] = {
	SB_CALL(read),  /* is there a hole to punch? */
	SB_CALL(write), /* it is done */
	SB_FORM(fallocate, SB_IS(0, STORAGE_FILE_FD_IMAGE),
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)),
};
/* clang-format on */

const struct sandbox_policy storage_file_puncher_policy = {
	.name = "storage-file:puncher",
	.rules = puncher_rules,
	.n_rules = ARRAY_SIZE(puncher_rules),
};

static const struct declared_thread threads[] = {
	{ "puncher", &storage_file_puncher_policy, NULL, false },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ STORAGE_FILE_FD_CHANNEL, FD_SOCKET, false, "channel to the disk's dev-blk" },
	{ STORAGE_FILE_FD_IMAGE, FD_FILE, false, "image" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[io_uring]", 1, "ring, restricted to the image" },
	{ "anon_inode:[timerfd]", 1, "the clock of its rates" },
	BLOCK_EVENTFD_HELD("holes to punch and punched"),
	{ "socket:", 1, "channel to a dev-blk that was started again" },
};

static const struct declared_map maps[] = {
	{ "anon_inode:[io_uring]", true, "the ring's queues" },
};

static const struct declared_gain gains[] = {
	{ "one image, as the VM may use it", "through its disk", NULL },
	{ "an io_uring", NULL,
	  "reads and writes without a call each, and without the disk's rates; registered for the one image and "
	  "restricted to read, write and flush on it" },
	{ "the channel to the disk's dev-blk", NULL,
	  "hostile replies, which it reads as such: no bytes of guest RAM but those that the guest asked to "
	  "be read into" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process storage_file_declared = {
	.name = "storage-file",
	.domain = "bulkhead_storage_t",
	.job = "the image of one disk, a process away from its rings",
	.hostile = "requests of the disk's dev-blk, the image's bytes",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &storage_file_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
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
