/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-cdrom is; lib/kinds/kind.h. */
#include "cmd/dev-cdrom/cdrom.h"
#include "cmd/dev-cdrom/policy.h"
#include "lib/base/cleanup.h"

#include <linux/virtio_ids.h>

#define CDROMS_MAX 8 /* of a VM */
#define ID_LEN 20    /* of lib/scsi */
#define BLOCK 2048   /* bytes */

static const struct option options[] = {
	{ .name = "queues",
	  .type = OPTION_NUMBER,
	  OPTION_FIELD(struct cdrom_options, queues),
	  .min = 1,
	  .max = 8,
	  .initial = "1",
	  .value = "N" },
	{ .name = "readonly",
	  .type = OPTION_ONOFF,
	  OPTION_FIELD(struct cdrom_options, image.readonly),
	  .min = 1,
	  .max = 1,
	  .initial = "on",
	  .flags = OPTION_INNER },
	{ .name = "serial",
	  .type = OPTION_TEXT,
	  OPTION_FIELD(struct cdrom_options, serial),
	  .max = ID_LEN,
	  .initial = "",
	  .flags = OPTION_INNER,
	  .made = "bulkhead-cd-" },
};

static uint64_t unit(const void *o, unsigned int i)
{
	(void)o, (void)i;
	return BLOCK;
}

const struct device_kind cdrom_kind = {
	.word = "cdrom",
	.declared = &cdrom_declared,
	.number = KIND_MANY,
	.most = CDROMS_MAX,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.file = { .fd = DISK_FD_IMAGE,
		  .noun = "image",
		  .readonly_at = offsetof(struct cdrom_options, image.readonly),
		  .unit = unit },
	.feature = { "virtio-scsi", kind_always },
	.virtio = { .id = VIRTIO_ID_SCSI,
		    .name = "CD-ROM",
		    .class_code = 0x010000,
		    .n_queues = 3,
		    .queues_min = 3,
		    .config_len = 36,
		    .fd = CDROM_FD_VHOST_USER },
	.state = { { .fd = CDROM_FD_STATE, .name = CDROM_STATE_NAME, .size = CDROM_STATE_SIZE } },
	.restartable = true,
	.memory = DISK_PAGES,
	.tasks_each_node = DISK_RING_TASKS,
};
_Static_assert(sizeof(struct cdrom_options) <= KIND_OPTIONS_BYTES, "room for them");
