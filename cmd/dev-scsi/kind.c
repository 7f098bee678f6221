/* SPDX-License-Identifier: Apache-2.0 */
/* The kind of process that dev-scsi is; lib/kinds/kind.h. What is said of a disk, and checked, is dev-blk's. */
#include "cmd/dev-scsi/policy.h"
#include "cmd/dev-scsi/scsi_disk.h"
#include "lib/base/cleanup.h"
#include "lib/base/units.h"
#include "lib/virtio_scsi/virtio_scsi.h"

#include <linux/virtio_ids.h>

static const struct option options[] = {
	DISK_DEVICE_OPTIONS(struct scsi_options, disk, DISK_QUEUES_MAX),
	DISK_SERIAL_OPTION(struct scsi_options, disk),
};

static bool grows(const void *o)
{
	return ((const struct scsi_options *)o)->disk.image.format != DISK_RAW;
}

const struct device_kind scsi_kind = {
	.word = "disk",
	.declared = &scsi_declared,
	.number = KIND_INSTEAD,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.file = { .fd = DISK_FD_IMAGE,
		  .noun = "image",
		  .readonly_at = offsetof(struct scsi_options, disk.image.readonly) },
	.feature = { "scsi-disk", kind_always },
	.virtio = { .id = VIRTIO_ID_SCSI,
		    .name = "disk",
		    .class_code = 0x010000,
		    .n_queues = VSCSI_REQUESTQ + 1,
		    .queues_min = VSCSI_REQUESTQ + 1,
		    .config_len = VSCSI_CONFIG_LEN,
		    .features = BIT(VIRTIO_SCSI_F_CHANGE) | BIT(VIRTIO_SCSI_F_HOTPLUG),
		    .fd = SCSI_FD_VHOST_USER },
	.state = { DISK_BOUND(grows),
		   DISK_REDO(grows),
		   { .fd = SCSI_FD_STATE, .name = SCSI_STATE_NAME, .size = SCSI_STATE_SIZE } },
	.restartable = true,
	.attachable = true,
	DISK_TAKES,
};
_Static_assert(sizeof(struct scsi_options) <= KIND_OPTIONS_BYTES, "room for them");
