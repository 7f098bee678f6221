/* SPDX-License-Identifier: Apache-2.0 */
/* What image-seed is; see policy.h. It reads a few files and writes one disk in memory, and then it is gone. */
#include "cmd/image-seed/policy.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/declared/blocks.h"
#include "lib/imagefile/seed.h"

#include <sys/syscall.h>
#include <unistd.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_CALL(pread64),
	SB_CALL(pwrite64),
	/* what libarchive sorts, in a memfd of its own */
	SB_CALL(write),
	SB_CALL_EQ(lseek, 2, SEEK_SET),
	SB_CALL(read),
	SB_CALL(close),
	/* whose files these are, and on what the disk was made, which it writes down */
	SB_CALL(getuid),
	SB_CALL(getgid),
	SB_CALL(uname),
	SB_CALL(time),
	SB_CALL(brk),
	SB_MMAP_HEAP,
	SB_CALL(munmap),
	SB_SENDMSG, /* the last words */
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy image_seed_policy = {
	.name = "image-seed",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = SEED_FD_INPUTS + SEED_INPUTS + 3, /* its memfd, two for entering Landlock */
		.nproc = 0,
		.as = MIB(64),
		.fsize = SEED_DISK_MAX,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ SEED_FD_DISK, FD_FILE, false, "the disk, in memory" },
};

static const struct declared_gain gains[] = {
	{ "the files that its user gave for one VM, read-only", NULL,
	  "they are what the guest is to get; keys in them are public, and a password is a hash" },
	{ "the disk of one VM, until it starts", "by its user's files, which the guest reads there",
	  NULL },
	{ "the control channel", NULL, "one line of text to the command" },
};

const struct declared_process image_seed_declared = {
	.name = "image-seed",
	.job = "makes the disk that cloud-init reads in a guest, and ends",
	.hostile = "files that the user gave for the guest",
	.place = DECLARED_JAIL,
	.policy = &image_seed_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.given_from = SEED_FD_INPUTS,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
