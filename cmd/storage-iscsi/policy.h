/* SPDX-License-Identifier: Apache-2.0 */
/* What storage-iscsi is: its options, and what it may still ask of the kernel once it is spoken to. */
#ifndef BULKHEAD_STORAGE_ISCSI_POLICY_H
#define BULKHEAD_STORAGE_ISCSI_POLICY_H

#include "lib/diskkit/policy.h"
#include "lib/kinds/kind.h"
#include "lib/storagekit/throttle.h"

enum {
	STORAGE_ISCSI_FD_CHANNEL = 4,
	STORAGE_ISCSI_FD_DIALER = DISK_FD_IMAGE,
	/* as the disk's options have them: cmd/dev-blk/kind.c */
	STORAGE_ISCSI_FD_CHAP = DISK_FD_SECRETS + 4,
	STORAGE_ISCSI_FD_PEER,
};

struct storage_iscsi_options {
	const char *address; /* lib/iscsi/uri.h */
	bool readonly;
	uint32_t logical;  /* enum disk_block */
	uint32_t on_error; /* enum link_away */
	uint32_t away_s;   /* that is too long */
	struct throttle_rates rates;
};

extern const struct sandbox_policy storage_iscsi_policy;
extern const struct declared_process storage_iscsi_declared;
extern const struct device_kind storage_iscsi_kind; /* kind.c */

#endif
