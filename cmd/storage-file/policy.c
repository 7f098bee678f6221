/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What storage-file is; see policy.h. The image needs what it needs in dev-blk (lib/diskkit). It has no guest RAM and no eventfd of a guest. The clock of its rates is a timer that was set before.
 */
#include "cmd/storage-file/policy.h"

#include "lib/base/cleanup.h"

#include <linux/io_uring.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	SB_CALL(read),  /* the timer; what another thread has done */
	SB_CALL(write), /* what it is to do */
	DISK_RING_CALLS,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy storage_file_policy = {
	.name = "storage-file",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	/* tasks: the kernel's own workers of the ring count. fsize is the image's, set by main. Its buffers
	 * take 32 MiB, a format's caches a few; the smallest guest's devices have 80 to inherit. */
	.limits = { .nofile = 32, .nproc = 32, .as = 80U << 20, .fsize = 0, .memlock = SB_UNSET },
};

static const struct declared_thread threads[] = {
	DISK_THREADS,
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ STORAGE_FILE_FD_CHANNEL, FD_SOCKET, false, "channel to the disk's dev-blk" },
	{ DISK_FD_IMAGE, FD_FILE, false, "image" },
	DISK_MORE_FDS,
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	DISK_RING_HELD,
	{ "anon_inode:[timerfd]", 1, "the clock of its rates" },
	BLOCK_EVENTFD_HELD("holes to punch and punched"),
	{ "socket:", 1, "channel to a dev-blk that was started again" },
};

static const struct declared_map maps[] = {
	DISK_RING_MAP,
	DISK_REDO_MAP,
};

static const struct declared_gain gains[] = {
	{ "one image, as the VM may use it", "through its disk", NULL },
	DISK_METADATA_GAINS,
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
