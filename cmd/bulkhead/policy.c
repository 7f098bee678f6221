/* SPDX-License-Identifier: Apache-2.0 */
/* What the command is while it relays a console; see confine.h. */
#include "cmd/bulkhead/confine.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <asm/termbits.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	SB_CALL(read),
	SB_CALL(write),
	SB_RECV, /* the console's stream */
	SB_SEND,
	SB_RECVMSG, /* the supervisor's messages */
	SB_SENDMSG,
	SB_FORM(shutdown, SB_IS(1, SHUT_WR)), /* of `vsock`, which is all else of it as a console */
	SB_CALL(poll),
	SB_PPOLL,
	SB_CALL(close),
	SB_FORM(wait4, SB_IS(2, 0), SB_IS(3, 0)), /* the supervisor's end */
	SB_IOCTL(TCSETS),			  /* the terminal's modes, and back */
	SB_IOCTL(TCGETS),			  /* tcsetattr looks whether it was done */
	SB_IOCTL(TIOCGWINSZ),			  /* its size */
	SB_CALL(rt_sigaction), /* termmode.c: stop, go on, and die with the modes given back */
	SB_CALL(rt_sigprocmask),
	SB_CALL(rt_sigreturn),
	SB_CALL(getpid),
	SB_CALL(gettid),
	SB_CALL_OWN_PID(tgkill, 0), /* raise(), to nobody but itself */
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy relay_policy = {
	.name = "bulkhead",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = 256,
		.nproc = 0,
		.as = SB_UNSET,
		.fsize = SB_UNSET, /* standard output may be a file */
		.memlock = 0,
	},
};

static const struct declared_held held[] = {
	BLOCK_LOOP_HELD,
	{ "anon_inode:[signalfd]", 2, "signals of its user, and of a new size of the terminal" },
	{ "socket:", 2, "the control channel, the console's stream" },
};

static const struct declared_gain gains[] = {
	{ "what the guest writes to its console", "it is the guest's", NULL },
	{ "its user's terminal", NULL,
	  "it shows the console there; what the guest writes is filtered before" },
	{ "what its user types while it runs", NULL,
	  "nearly all of it is for the guest; the rest are the relay's own keys" },
	{ "the control channel", NULL,
	  "it can end this one VM, press its power button, and say a size of the terminal" },
};

const struct declared_process relay_declared = {
	.name = "bulkhead",
	.job = "relays the console to its user",
	.hostile = "what the guest writes to its console",
	.place = DECLARED_USER,
	.policy = &relay_policy,
	.held = held, /* and 0, 1 and 2 once more, as files of its own */
	.n_held = ARRAY_SIZE(held),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
