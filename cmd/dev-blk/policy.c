/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What dev-blk is; see policy.h. The image needs two calls: io_uring_enter, whose ring is closed to all
 * but reads, writes and syncs, and in a thread of its own fallocate, which can do nothing but punch holes.
 */
#include "cmd/dev-blk/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	BLOCK_EVENTFD_CALLS,
	BLOCK_RECEIVED_FD_CALLS,
	BLOCK_GUEST_RAM_CALLS,
	/* the image */
	SB_FORM(io_uring_enter, SB_IS(3, 0), SB_IS(4, 0)),
	SB_FORM(io_uring_enter, SB_IS(3, IORING_ENTER_GETEVENTS), SB_IS(4, 0)),
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

/* clang-format off */
static const struct sandbox_rule puncher_rules[] = {
	SB_CALL(read),  /* is there a hole to punch? */
	SB_CALL(write), /* it is done */
	{ .nr = __NR_fallocate,
	  .args = { { SB_EQ, 0, BLK_FD_IMAGE, 0 },
		    { SB_EQ, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0 } } },
};
/* clang-format on */

const struct sandbox_policy blk_puncher_policy = {
	.name = "dev-blk:puncher",
	.rules = puncher_rules,
	.n_rules = ARRAY_SIZE(puncher_rules),
};

/* clang-format off */
static const struct sandbox_rule pool_rules[] = {
	SB_CALL(read),  /* is there something to do? */
	SB_CALL(write), /* it is done */
	SB_FORM(preadv, SB_IS(0, BLK_FD_IMAGE)),
	SB_FORM(pwritev, SB_IS(0, BLK_FD_IMAGE)),
	SB_FORM(fdatasync, SB_IS(0, BLK_FD_IMAGE)),
	SB_FORM(fallocate, SB_IS(0, BLK_FD_IMAGE),
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)),
};
/* clang-format on */

const struct sandbox_policy blk_pool_policy = {
	.name = "dev-blk:pool",
	.rules = pool_rules,
	.n_rules = ARRAY_SIZE(pool_rules),
};

/* clang-format off */
#define VOLUME_CALLS                                                                         \
	SB_CALL(read), SB_CALL(write), /* is there something to do? it is done */           \
	SB_CALL(close), SB_CALL(preadv),                                                                     \
	SB_FORM(pwritev, SB_IS(0, BLK_FD_IMAGE)), SB_FORM(pwritev, SB_IS(0, BLK_FD_DATA)),   \
	SB_FORM(fdatasync, SB_IS(0, BLK_FD_IMAGE)),                                          \
	SB_FORM(fdatasync, SB_IS(0, BLK_FD_DATA)),                                           \
	SB_FORM(fallocate, SB_IS(0, BLK_FD_IMAGE),                                           \
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)),                       \
	SB_FORM(fallocate, SB_IS(0, BLK_FD_DATA),                                            \
		SB_IS(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE))

static const struct sandbox_rule volume_rules[] = { VOLUME_CALLS };

static const struct sandbox_rule opening_rules[] = {
	VOLUME_CALLS,
	/* caches and tables */
	SB_CALL(brk),
	SB_MMAP_HEAP,
	/* how far the files may grow: lower, once, and noted for the processes after this one */
	SB_FORM(prlimit64, SB_IS(0, 0), SB_IS(1, RLIMIT_FSIZE), SB_IS(3, 0)),
	SB_GET_SEALS,
	SB_FORM(pwritev, SB_IS(0, BLK_FD_BOUND)),
	SB_FORM(fcntl, SB_IS(0, BLK_FD_BOUND), SB_IS(1, F_ADD_SEALS), SB_IS(2, BLK_BOUND_SEALS)),
	SB_NARROW,
};
/* clang-format on */

const struct sandbox_policy blk_volume_policy = {
	.name = "dev-blk:volume",
	.rules = volume_rules,
	.n_rules = ARRAY_SIZE(volume_rules),
};

const struct sandbox_policy blk_opening_policy = {
	.name = "dev-blk:volume, opening",
	.rules = opening_rules,
	.n_rules = ARRAY_SIZE(opening_rules),
};

static const struct declared_thread threads[] = {
	{ .name = "pool", .policy = &blk_pool_policy, .n = BLK_POOL_THREADS, .no_ring = true },
	{ .name = "puncher", .policy = &blk_puncher_policy },
	{ .name = "volume", .policy = &blk_volume_policy, .at_first = &blk_opening_policy },
};

#define BACKING_FD(i)                                               \
	{                                                           \
		BLK_FD_BACKING + (i), FD_FILE, true, "backing file" \
	}
_Static_assert(BLK_BACKING_MAX == 7, "a row for each");

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	BLOCK_VHOST_USER_FD(BLK_FD_VHOST_USER),
	{ BLK_FD_IMAGE, FD_STORE, false, "image, or a channel to the storage process that has it" },
	BACKING_FD(0),
	BACKING_FD(1),
	BACKING_FD(2),
	BACKING_FD(3),
	BACKING_FD(4),
	BACKING_FD(5),
	BACKING_FD(6),
	{ BLK_FD_DATA, FD_FILE, true, "data file" },
	{ BLK_FD_BOUND, FD_FILE, true, "how far the image may grow" },
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	BLOCK_VHOST_USER_HELD,
	{ "anon_inode:[io_uring]", 1, "ring, restricted to the image" },
	BLOCK_EVENTFD_HELD("kicks and calls of the queues, holes to punch and punched"),
};

static const struct declared_map maps[] = {
	BLOCK_GUEST_RAM_MAPS,
	BLOCK_VHOST_USER_MAPS,
	{ "anon_inode:[io_uring]", true, "the ring's queues" },
};

static const struct declared_gain gains[] = {
	BLOCK_GUEST_RAM_GAIN,
	{ "one image, as the VM may use it", "through its disk", NULL },
	{ "the image's metadata, where its format has any", NULL,
	  "what it says is read in the filters alone; the file grows no further than its disk and "
	  "metadata came to when the VM started" },
	{ "its backing files, to be read", "through its disk", NULL },
	{ "their metadata, and what they keep out of the disk's sight", NULL,
	  "one that is shared by VMs has nothing of any of them: none may write it" },
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
