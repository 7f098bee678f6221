/* SPDX-License-Identifier: Apache-2.0 */
/* dev-tpm's sandbox policy: a channel each to the vmm and to swtpm. */
#include "cmd/dev-tpm/policy.h"

#include "lib/base/cleanup.h"
#include "lib/declared/blocks.h"

#include <sys/syscall.h>

/* clang-format off */
static const struct sandbox_rule rules[] = {
	BLOCK_LOOP_CALLS,
	BLOCK_CHANNEL_CALLS,
	/* a response: looked at while it is not whole, then taken */
	SB_RECV_PEEK,
	SB_RECV,
	BLOCK_END_CALLS,
};
/* clang-format on */

const struct sandbox_policy tpm_policy = {
	.name = "dev-tpm",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.limits = { .nofile = 32, .nproc = 1, .as = 64ULL << 20, .fsize = 0, .memlock = 0 },
};

static const struct fd_row fds[] = {
	BLOCK_CONTROL_FD,
	{ TPM_FD_VFIO_USER, FD_SOCKET, false, "vfio-user channel" },
	{ TPM_FD_STATE, FD_FILE, false, "the pages that keep its state" },
	{ TPM_FD_SWTPM, FD_SOCKET, false, "its TPM" },
};

static const struct declared_held held[] = { BLOCK_LOOP_HELD };

static const struct declared_map maps[] = {
	{ "/memfd:" TPM_STATE_NAME, true, "the pages that keep its state" },
};

static const struct declared_gain gains[] = {
	{ "commands of locality 0 to its TPM", "by the TPM's registers", NULL },
	{ "the TPM's place", NULL,
	  "what firmware and kernel measure passes through it, also after a reset: whoever has it can measure for them; "
	  "no key is in it, and it cannot start the TPM anew" },
	{ "bytes to swtpm that are no command", NULL,
	  "swtpm reads a guest's commands as hostile, and has its state alone" },
	{ "the pages that keep its state", NULL,
	  "bytes for its successor, which reads them as a guest's" },
	{ "the vfio-user channel", NULL,
	  "hostile replies to its vmm, which reads them as a guest's" },
	BLOCK_CONTROL_GAIN,
};

const struct declared_process tpm_declared = {
	.name = "dev-tpm",
	.domain = "bulkhead_tpm_t",
	.job = "a TPM's registers, in front of swtpm",
	.hostile = "registers, vfio-user messages, swtpm's responses",
	.place = DECLARED_JAIL,
	.guest_facing = true,
	.policy = &tpm_policy,
	.fds = fds,
	.n_fds = ARRAY_SIZE(fds),
	.held = held,
	.n_held = ARRAY_SIZE(held),
	.maps = maps,
	.n_maps = ARRAY_SIZE(maps),
	.gains = gains,
	.n_gains = ARRAY_SIZE(gains),
};
