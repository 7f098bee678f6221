/* SPDX-License-Identifier: Apache-2.0 */
/* What dev-cdrom is told. */
#ifndef BULKHEAD_DEV_CDROM_H
#define BULKHEAD_DEV_CDROM_H

#include "lib/diskkit/options.h"

struct cdrom_options {
	struct disk_options image; /* raw and read-only: nobody says otherwise */
	uint64_t queues;
	const char *serial; /* at most SCSI_ID_LEN bytes */
};

#endif
