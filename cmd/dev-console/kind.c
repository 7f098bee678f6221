/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-console is; lib/kinds/kind.h. */
#include "cmd/dev-console/console.h"
#include "cmd/dev-console/policy.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

static const char *const inputs[] = { "serial", "virtio", NULL };

static const struct option options[] = {
	{ .name = "input",
	  .type = OPTION_CHOICE,
	  OPTION_FIELD(struct console_options, input),
	  .choices = inputs,
	  .initial = "serial",
	  .help = "where the terminal's input goes" },
	/* who reads, however slowly, takes something in that time */
	{ .name = "hold",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct console_options, hold_s),
	  .min = 1,
	  .max = 86400,
	  .initial = "10",
	  .unit = "seconds",
	  .flags = OPTION_INNER },
};

const struct device_kind console_kind = {
	.word = "console",
	.declared = &console_declared,
	.number = KIND_ALWAYS,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.virtio = { .id = VIRTIO_ID_CONSOLE,
		    .name = "console",
		    .class_code = 0x078000,
		    .n_queues = 2,
		    .queues_min = 2,
		    .config_len = 12,
		    .features = BIT(VIRTIO_CONSOLE_F_SIZE) | BIT(VIRTIO_CONSOLE_F_EMERG_WRITE),
		    .fd = CONSOLE_FD_VHOST_USER },
	.serial_fd = CONSOLE_FD_VFIO_USER,
	.state = { { .fd = CONSOLE_FD_STATE,
		     .name = CONSOLE_STATE_NAME,
		     .size = CONSOLE_STATE_SIZE } },
	.takes_stream = true,
	.restartable = true,
};
_Static_assert(sizeof(struct console_options) <= KIND_OPTIONS_BYTES, "room for them");
