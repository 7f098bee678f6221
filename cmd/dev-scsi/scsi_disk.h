/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-scsi is told. */
#ifndef BULKHEAD_DEV_SCSI_DISK_H
#define BULKHEAD_DEV_SCSI_DISK_H

#include "lib/diskkit/options.h"

struct scsi_options {
	struct disk_device_options disk; /* as dev-blk's begin */
};

#endif
