/* SPDX-License-Identifier: Apache-2.0 */
/* What storage-nbd is: its options, and what it may still ask of the kernel once it is spoken to. */
#ifndef BULKHEAD_STORAGE_NBD_POLICY_H
#define BULKHEAD_STORAGE_NBD_POLICY_H

#include "lib/diskkit/policy.h"
#include "lib/kinds/kind.h"
#include "lib/storagekit/throttle.h"

enum {
	STORAGE_NBD_FD_CHANNEL = 4,
	STORAGE_NBD_FD_DIALER = DISK_FD_IMAGE,
	/* as the disk's options have them: cmd/dev-blk/kind.c */
	STORAGE_NBD_FD_PSK = DISK_FD_SECRETS,
	STORAGE_NBD_FD_CA,
	STORAGE_NBD_FD_CERT,
	STORAGE_NBD_FD_KEY,
};

struct storage_nbd_options {
	const char *address; /* lib/nbd/uri.h */
	bool readonly;
	uint32_t on_error; /* enum link_away */
	uint32_t away_s;   /* that is too long */
	struct throttle_rates rates;
};

extern const struct sandbox_policy storage_nbd_policy;
extern const struct declared_process storage_nbd_declared;
extern const struct device_kind storage_nbd_kind; /* kind.c */

#endif
