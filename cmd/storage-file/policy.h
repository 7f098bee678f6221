/* SPDX-License-Identifier: Apache-2.0 */
/* What storage-file is: its options, and what it may still ask of the kernel once it is spoken to. */
#ifndef BULKHEAD_STORAGE_FILE_POLICY_H
#define BULKHEAD_STORAGE_FILE_POLICY_H

#include "lib/diskkit/policy.h"
#include "lib/kinds/kind.h"
#include "lib/storagekit/throttle.h"

enum { STORAGE_FILE_FD_CHANNEL = 4 };

struct storage_file_options {
	struct disk_options image;
	struct throttle_rates rates;
};

extern const struct sandbox_policy storage_file_policy;
extern const struct declared_process storage_file_declared;
extern const struct device_kind storage_file_kind; /* kind.c */

#endif
