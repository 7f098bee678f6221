/* SPDX-License-Identifier: Apache-2.0 */
/* What the guard of a passt may do; see guard.h. */
#include "lib/base/cleanup.h"
#include "lib/declared/declared.h"
#include "lib/sandbox/forms.h"
#include "lib/sandbox/selinux.h"

/* clang-format off */
static const struct sandbox_rule rules[] = {
	SB_PPOLL,
	SB_FORM(wait4, SB_IS(0, -1L), SB_IS(1, 0), SB_IS(2, WNOHANG)),
	SB_FORM(clock_gettime, SB_IS(0, PASST_CLOCK_BOTH)),
	SB_FORM(clock_gettime, SB_IS(0, PASST_CLOCK_USER)),
	SB_FORM(write, SB_IS(0, PASST_GUARD_FD_READY), SB_IS(2, 1)),
	SB_CALL_EQ(close, 0, PASST_GUARD_FD_READY),
	SB_CALL(exit_group),
};
/* clang-format on */

static const struct sandbox_policy policy = {
	.name = "passt-guard",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = PASST_GUARD_FD_READY + 2, /* one for entering Landlock */
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = 0,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	{ PASST_GUARD_FD_STREAM, FD_SOCKET, false, "passt's end of its stream, to see it end" },
	{ PASST_GUARD_FD_ENDED, FD_ANY, false, "a signal: passt has ended" },
};

static const struct declared_gain gains[] = {
	{ "the end of one passt, and the stream of its frames", NULL,
	  "it ends passt with the VM; nobody speaks to it, and of the stream its filter reads and writes no byte" },
};

const struct declared_process passt_guard_declared = {
	.name = "passt-guard",
	.program = "supervisor",
	.domain = SELINUX_PASST_GUARD,
	.job = "ends one passt with its stream, or when that computes without end",
	.hostile = "nobody's",
	.place = DECLARED_USER,
	.policy = &policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
