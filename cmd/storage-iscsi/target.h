/* SPDX-License-Identifier: Apache-2.0 */
/* The iSCSI target that the link keeps (lib/storagekit/link.h), by the next of its portals each time. */
#ifndef BULKHEAD_STORAGE_ISCSI_TARGET_H
#define BULKHEAD_STORAGE_ISCSI_TARGET_H

#include "lib/image/iscsi_client.h"
#include "lib/iscsi/uri.h"
#include "lib/storagekit/link.h"

struct target {
	const struct iscsi_uri *uri;
	struct iscsi_client client;
	struct link link;
};

/* Before the sandbox; uri and who outlive it. The client is not connected. 0 or a negative errno. */
[[nodiscard]] int target_open(struct target *t, const struct iscsi_uri *uri,
			      const struct iscsi_who *who, bool readonly, uint32_t logical,
			      struct loop *loop);

#endif
