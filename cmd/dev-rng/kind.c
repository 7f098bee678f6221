/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-rng is; lib/kinds/kind.h. */
#include "cmd/dev-rng/policy.h"
#include "cmd/dev-rng/rng.h"
#include "lib/base/cleanup.h"

#include <linux/virtio_ids.h>

static const struct option options[] = {
	{ .name = "rate",
	  .type = OPTION_SIZE,
	  OPTION_FIELD(struct rng_options, rate),
	  .min = 1,
	  .max = 1ULL << 30,
	  .initial = "1M",
	  .unit = "bytes a second" },
};

const struct device_kind rng_kind = {
	.word = "rng",
	.declared = &rng_declared,
	.number = KIND_SWITCH,
	.initially = true,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.virtio = { .id = VIRTIO_ID_RNG,
		    .name = "rng",
		    .class_code = 0x00ff00,
		    .n_queues = 1,
		    .queues_min = 1,
		    .fd = RNG_FD_VHOST_USER },
	.restartable = true,
	.attachable = true,
};
_Static_assert(sizeof(struct rng_options) <= KIND_OPTIONS_BYTES, "room for them");
