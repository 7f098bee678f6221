/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What image-fetch is; see policy.h. It has one connection, which the command has made, and can make none. The file that it
 * writes is bounded by what its user, and the file system, have for it (main.c sets that).
 */
#include "cmd/image-fetch/policy.h"

#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/declared/blocks.h"
#include "lib/imagefile/job.h"

#include <sys/socket.h>
#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	/* the connection, as libcurl uses it */
	SB_FORM(recvfrom, SB_IS(3, 0), SB_IS(4, 0)),
	SB_FORM(sendto, SB_IS(3, MSG_NOSIGNAL), SB_IS(4, 0)),
	SB_CALL(poll),
	/* the file; a file that is copied */
	SB_CALL(pwrite64),
	SB_CALL(pread64),
	SB_CALL_EQ(ftruncate, 1, 0), /* from its beginning */
	/* memory, what is done once, random numbers, the clock of silence and of certificates */
	SB_CALL(brk),
	SB_MMAP_HEAP,
	SB_CALL(munmap),
	SB_FUTEX,
	SB_FORM(getrandom, SB_IS(2, 0)),
	SB_CALL(getpid),
	SB_CLOCK_MONOTONIC,
	SB_CLOCK_REALTIME,
	/* what it says */
	SB_CALL_EQ(write, 0, IMAGE_FD_OUTPUT),
	SB_CALL_EQ(write, 0, IMAGE_FD_PROGRESS),
	SB_SENDMSG,
	SB_CALL(close),
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy image_fetch_policy = {
	.name = "image-fetch",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = {
		.nofile = IMAGE_FD_FILES + 10,
		.nproc = 0,
		.as = MIB(256),
		.fsize = SB_UNSET,
		.memlock = 0,
	},
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ IMAGE_FD_OUTPUT, FD_ANY, false, "a pipe of what it says" },
	{ IMAGE_FD_PROGRESS, FD_ANY, false, "a pipe of progress" },
};

static const struct declared_gain gains[] = {
	{ "a connection to one server that its user named, or that one named", NULL,
	  "the command made it; another it can only ask for by naming an address, which is shown, counted, and held to what "
	  "the first one was: never from https to http, nor to an address of this host or a private network from outside" },
	{ "a file that is not whole yet", NULL,
	  "nobody opens it before it has ended and the checksum was compared, by other processes" },
	{ "space of the file system that it is on", NULL,
	  "up to what --max-size says, and what was free" },
	{ "the control channel", NULL, "one line of text to the command" },
};

const struct declared_process image_fetch_declared = {
	.name = "image-fetch",
	.job = "downloads one file for `bulkhead image import`",
	.hostile = "a web server's bytes",
	.place = DECLARED_JAIL,
	.policy = &image_fetch_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.given_from = IMAGE_FD_FILES,
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
