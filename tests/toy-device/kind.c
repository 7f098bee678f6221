/* SPDX-License-Identifier: Apache-2.0 */
/* The row of this kind: what the rest of the tree knows of it. */
#include "lib/base/cleanup.h"
#include "tests/toy-device/dice.h"

#include <linux/virtio_ids.h>

static const struct option options[] = {
	{ .name = "faces",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct dice_options, faces),
	  .min = 2,
	  .max = 100,
	  .initial = "6" },
};

const struct device_kind dice_kind = {
	.word = "dice",
	.declared = &dice_declared,
	.number = KIND_SWITCH,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.virtio = { .id = VIRTIO_ID_RNG,
		    .name = "dice",
		    .class_code = 0x00ff00,
		    .n_queues = 1,
		    .queues_min = 1,
		    .fd = DICE_FD_VHOST_USER },
	.restartable = true,
};
