/* SPDX-License-Identifier: Apache-2.0 */
/* What image-import is; see policy.h. It reads one file and writes down where what lies in it. */
#include "cmd/image-import/policy.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/declared/blocks.h"
#include "lib/imagefile/job.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_CALL(pread64),
	SB_CALL(write), /* the map, text */
	SB_SENDMSG, /* the last words */
	SB_CALL(brk), /* tables */
	SB_MMAP_HEAP,
	SB_CALL(munmap),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy image_import_policy = {
	.name = "image-import",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = IMAGE_FD_FILES + 4, /* two for entering Landlock */
		.nproc = 0,
		.as = MIB(256),
		.fsize = 0,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ IMAGE_FD_OUTPUT, FD_ANY, false, "a pipe of text" },
	{ IMAGE_FD_PROGRESS, FD_ANY, false, "a pipe of progress" },
};

static const struct declared_gain gains[] = {
	{ "one image, read-only", NULL, "it is the file that it reads; nothing of it is changed" },
	{ "the map of that image", NULL,
	  "image-tool reads it as hostile: it says where in that same image bytes lie" },
	{ "text for its user's standard output", NULL,
	  "filtered by the command as a guest's console is" },
	{ "the control channel", NULL, "one line of text to the command" },
};

const struct declared_process image_import_declared = {
	.name = "image-import",
	.job = "reads where data lie in a VMDK, VHDX or VHD image",
	.hostile = "the image's bytes",
	.place = DECLARED_JAIL,
	.policy = &image_import_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.given_from = IMAGE_FD_FILES,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
