/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What image-tool is; see policy.h. It holds the files of one job and writes to those that its user named
 * for writing; how much is bounded by the host's file system alone, since what an image says of its size is
 * known only in here.
 */
#include "cmd/image-tool/policy.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/declared/blocks.h"
#include "lib/imagefile/job.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HEAP_CALLS SB_CALL(brk), SB_MMAP_HEAP, SB_CALL(munmap)

/* clang-format off */
static const struct sandbox_rule rules[] = {
	/* images */
	SB_CALL(preadv),
	SB_CALL(pread64),
	SB_CALL(pwritev),
	SB_CALL(pwrite64),
	SB_CALL_EQ(lseek, 2, SEEK_DATA),
	SB_CALL_EQ(lseek, 2, SEEK_HOLE),
	SB_CALL(ftruncate),
	SB_CALL(fdatasync),
	SB_CALL_EQ(fallocate, 1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE),
	SB_CALL_EQ(fallocate, 1, 0),
	SB_CALL(close),
	SB_CALL(fstat),
	SB_CALL_EQ(fcntl, 1, F_GETFL),
	SB_IOCTL(BLKGETSIZE64),
	/* the threads that copy, and memory for tables */
	SB_FUTEX,
	HEAP_CALLS,
	/* a map that image-import sends, text, progress, the last words */
	SB_CALL(read),
	SB_CALL_EQ(write, 0, IMAGE_FD_OUTPUT),
	SB_CALL_EQ(write, 0, IMAGE_FD_PROGRESS),
	SB_SENDMSG,
	SB_CLOCK_REALTIME, /* of a snapshot */
	BLOCK_END_CALLS,
};

static const struct sandbox_rule copier_rules[] = {
	SB_CALL(pread64),
	SB_CALL(pwrite64),
	SB_FUTEX,
	HEAP_CALLS,
};
/* clang-format on */

const struct sandbox_policy image_tool_policy = {
	.name = "image-tool",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = IMAGE_FD_FILES + 2 * IMAGE_FILES_MAX + 2,
		.nproc = 0,
		.as = GIB(4),
		.fsize = SB_UNSET,
		.memlock = 0,
	},
};

const struct sandbox_policy image_copier_policy = {
	.name = "image-tool:copier",
	.rules = copier_rules,
	.n_rules = ARRAY_SIZE(copier_rules),
};

static const struct declared_thread threads[] = {
	{ "copier", &image_copier_policy, NULL, false },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ IMAGE_FD_OUTPUT, FD_ANY, false, "a pipe of text" },
	{ IMAGE_FD_PROGRESS, FD_ANY, false, "a pipe of progress" },
};

static const struct declared_gain gains[] = {
	{ "the images that its user named for one job", NULL,
	  "what it reads it may spoil in the copy; it writes to none but what the job is to change" },
	{ "space of the file system that a target is on", NULL,
	  "as much as the target may take; the command removes it if the job fails" },
	{ "text for its user's standard output", NULL,
	  "filtered by the command as a guest's console is" },
	{ "the control channel", NULL, "one line of text to the command" },
};

const struct declared_process image_tool_declared = {
	.name = "image-tool",
	.job = "reads and writes raw and qcow2 images for `bulkhead image`",
	.hostile = "the images' bytes, what image-import writes",
	.place = DECLARED_JAIL,
	.policy = &image_tool_policy,
	.threads = threads,
	.n_threads = ARRAY_SIZE(threads),
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.given_from = IMAGE_FD_FILES,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
