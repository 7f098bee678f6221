/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `bulkhead image` is while it hears processes that read hostile images: it shows what they write, and
 * gives a target its name or takes it away. Its child that has started them waits for their end.
 */
#include "cmd/bulkhead/image/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <linux/landlock.h>
#include <sys/wait.h>

/* clang-format off */
static const struct sandbox_rule relay_rules[] = {
	SB_PPOLL,
	SB_CALL(poll), /* before a line on standard error */
	SB_CALL(read),
	SB_CALL(write),
	SB_RECVMSG, /* the processes' last words */
	SB_CALL(close),
	SB_FORM(wait4, SB_IS(2, 0), SB_IS(3, 0)),
	SB_FORM(renameat, SB_IS(0, IMAGE_RELAY_FD_DIR), SB_IS(2, IMAGE_RELAY_FD_DIR)),
	SB_FORM(unlinkat, SB_IS(0, IMAGE_RELAY_FD_DIR), SB_IS(2, 0)),
	SB_CALL_EQ(fsync, 0, IMAGE_RELAY_FD_DIR),
	SB_CLOCK_MONOTONIC,
	BLOCK_END_CALLS,
};

static const struct sandbox_rule starter_rules[] = {
	SB_CALL(poll),
	SB_FORM(waitid, SB_IS(0, P_PIDFD), SB_IS(3, WEXITED | WNOHANG), SB_IS(4, 0)),
	SB_SENDMSG, /* how they ended */
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy image_relay_policy = {
	.name = "bulkhead image",
	.rules = relay_rules,
	.n_rules = ARRAY_SIZE(relay_rules),
	.limits = {
		.nofile = 64,
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = SB_UNSET, /* standard output may be a file */
		.memlock = 0,
	},
	.beneath = {
		.fd = IMAGE_RELAY_FD_DIR,
		.rights = LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REMOVE_FILE,
	},
};

const struct sandbox_policy image_starter_policy = {
	.name = "image-starter",
	.rules = starter_rules,
	.n_rules = ARRAY_SIZE(starter_rules),
	.limits = {
		.nofile = 64,
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = 0,
		.memlock = 0,
	},
	.has_children = true,
};

static const struct declared_gain relay_gains[] = {
	{ "the directory of the file that is made", NULL,
	  "it renames and removes files there, which Landlock holds it to; it opens none" },
	{ "its user's terminal", NULL, "what it shows there is filtered before" },
};

const struct declared_process image_relay_declared = {
	.name = "bulkhead image",
	.program = "bulkhead",
	.job = "shows what image processes say, and gives the file that is made its name",
	.hostile = "what image-tool and image-import write",
	.place = DECLARED_USER,
	.policy = &image_relay_policy,
	.gains = relay_gains,
	.n_gains = ARRAY_SIZE(relay_gains),
};

static const struct declared_gain starter_gains[] = {
	{ "process descriptors of image-tool and image-import, or of image-seed", NULL,
	  "it waits for them; they die with it" },
};

const struct declared_process image_starter_declared = {
	.name = "image-starter",
	.program = "bulkhead",
	.job = "has started the processes of one `bulkhead image`, or image-seed, and waits for them",
	.hostile = "nothing",
	.place = DECLARED_SUPERVISOR,
	.policy = &image_starter_policy,
	.gains = starter_gains,
	.n_gains = ARRAY_SIZE(starter_gains),
};
