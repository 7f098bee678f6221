/* SPDX-License-Identifier: Apache-2.0 */
/* What image-digest is; see policy.h. It reads one file and says one number. */
#include "cmd/image-digest/policy.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/declared/blocks.h"
#include "lib/imagefile/job.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_CALL(pread64),
	SB_CALL(write), /* the digest, progress: it has nothing else to write to */
	SB_SENDMSG, /* the last words */
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy image_digest_policy = {
	.name = "image-digest",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = IMAGE_FD_FILES + 4, /* two for entering Landlock */
		.nproc = 0,
		.as = MIB(64),
		.fsize = 0,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ IMAGE_FD_OUTPUT, FD_ANY, false, "a pipe of what it says" },
	{ IMAGE_FD_PROGRESS, FD_ANY, false, "a pipe of progress" },
};

static const struct declared_gain gains[] = {
	{ "one file, read-only", NULL, "nothing of it is changed" },
	{ "what the checksum of that file is said to be", NULL,
	  "it hashes the file's bytes and looks at none of them: there is no format that could take it over" },
	{ "the control channel", NULL, "one line of text to the command" },
};

const struct declared_process image_digest_declared = {
	.name = "image-digest",
	.job = "says the checksum of a file that was downloaded",
	.hostile = "the file's bytes",
	.place = DECLARED_JAIL,
	.policy = &image_digest_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.given_from = IMAGE_FD_FILES,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
