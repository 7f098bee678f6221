/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-tpm is; lib/kinds/kind.h. */
#include "cmd/dev-tpm/policy.h"

#include "lib/base/cleanup.h"

static const struct kind_way ways[] = {
	{ .word = "state",
	  .value = "DIR",
	  .min = 1,
	  .max = 1024,
	  .opens = KIND_OPENS_SWTPM,
	  .fd = TPM_FD_SWTPM },
};

const struct device_kind tpm_kind = {
	.word = "tpm",
	.declared = &tpm_declared,
	.number = KIND_MANY,
	.most = 1,
	.help = "a TPM 2.0 by swtpm, with its state in that directory",
	.link = { .ways = ways,
		  .n_ways = ARRAY_SIZE(ways),
		  .way_at = offsetof(struct tpm_options, way) },
	.feature = { "tpm", kind_always },
	.tpm_fd = TPM_FD_VFIO_USER,
	.state = { { .fd = TPM_FD_STATE, .name = TPM_STATE_NAME, .size = TPM_STATE_SIZE } },
	.restartable = true,
};
